/* family.c: threads and children, there from the start and made on the way, that burn CPU time.
 *   family SECONDS BURST [wait]
 * Two threads and a child are there before it says "ready"; with `wait` all of them then wait until
 * it can read a byte. After that the first thread burns in burn_first, the early ones in
 * burn_early, and ten times a second it makes a thread that burns in burn_thread and a child that
 * burns in burn_child. At last it prints what all of them together used: "cpu 3.214". */
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EARLY = 2 };

static volatile unsigned long sink;
static double seconds, burst;

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static __attribute__((noinline)) void burn(double cpu_seconds)
{
    double end = now(CLOCK_THREAD_CPUTIME_ID) + cpu_seconds;
    while (now(CLOCK_THREAD_CPUTIME_ID) < end)
        for (unsigned long i = 0; i < 200000; i++)
            sink += i * 7;
}

static __attribute__((noinline)) void burn_first(void)
{
    burn(burst / 2);
}

static __attribute__((noinline)) void burn_early(void)
{
    burn(seconds / 10);
}

static __attribute__((noinline)) void burn_thread(void)
{
    burn(burst);
}

static __attribute__((noinline)) void burn_child(void)
{
    sink++; /* or the two would become one */
    burn(burst);
}

static void wait_for_go(const int go[2])
{
    struct pollfd p = {.fd = go[0], .events = POLLIN};
    while (poll(&p, 1, -1) < 0)
        continue;
}

static void *run_early(void *go)
{
    wait_for_go(go);
    burn_early();
    return NULL;
}

static void *run_thread(void *arg)
{
    burn_thread();
    return arg;
}

static void make_more(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_thread, NULL) != 0)
        _exit(3);
    pid_t pid = fork();
    if (pid == 0) {
        burn_child();
        _exit(0);
    }
    burn_first();
    pthread_join(thread, NULL);
    if (pid < 0 || waitpid(pid, NULL, 0) != pid)
        _exit(3);
}

static double used(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    int go[2];
    pthread_t early[EARLY];
    char byte = 0;
    if (argc < 3) {
        fprintf(stderr, "family SECONDS BURST [wait]\n");
        return 2;
    }
    seconds = strtod(argv[1], NULL);
    burst = strtod(argv[2], NULL);
    if (pipe(go) < 0)
        return 3;
    pid_t child = fork();
    if (child == 0) {
        run_early(go);
        _exit(0);
    }
    for (int i = 0; i < EARLY; i++) {
        if (pthread_create(&early[i], NULL, run_early, go) != 0)
            return 3;
    }
    puts("ready");
    fflush(stdout);
    if (argc > 3 && read(STDIN_FILENO, &byte, 1) != 1)
        return 3;
    double end = now(CLOCK_MONOTONIC) + seconds;
    if (write(go[1], &byte, 1) != 1)
        return 3;
    while (now(CLOCK_MONOTONIC) < end) {
        double next = now(CLOCK_MONOTONIC) + 0.1;
        make_more();
        double left = next - now(CLOCK_MONOTONIC);
        if (left > 0)
            nanosleep(&(struct timespec){.tv_nsec = (long)(left * 1e9)}, NULL);
    }
    for (int i = 0; i < EARLY; i++)
        pthread_join(early[i], NULL);
    waitpid(child, NULL, 0);
    printf("cpu %.3f\n", used(RUSAGE_SELF) + used(RUSAGE_CHILDREN));
    return 0;
}
