/* storm.c: starts a program (argv[3] and on) argv[2] times a second by fork and exec, for argv[1]
 * seconds, and prints how many it started, how many of them failed, and the seconds it took. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* More than this wait for a CPU on no machine that is fit for the storm; it then falls behind. */
#define ALIVE_MAX 64

struct storm {
    char **program;
    unsigned started, alive, failed;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void reap(struct storm *s, int flags)
{
    int status;
    while (s->alive > 0 && waitpid(-1, &status, flags) > 0) {
        s->alive--;
        s->failed += status != 0;
        if (s->alive < ALIVE_MAX)
            flags = WNOHANG;
    }
}

static void start_one(struct storm *s)
{
    pid_t pid = fork();
    if (pid == 0) {
        execv(s->program[0], s->program);
        _exit(127);
    }
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    s->started++;
    s->alive++;
}

/* From one start to the next by chance, so that no clock keeps step with them. */
static double next_start(double at, double rate)
{
    return at + 2 * (double)random() / (double)RAND_MAX / rate;
}

static __attribute__((noinline)) void run_storm(struct storm *s, double seconds, double rate)
{
    double begin = now(), next = 0;
    for (;;) {
        double passed = now() - begin;
        if (passed >= seconds)
            return;
        reap(s, s->alive < ALIVE_MAX ? WNOHANG : 0);
        double wait = next - passed;
        if (wait > 0) {
            struct timespec t = {.tv_sec = (time_t)wait,
                                 .tv_nsec = (long)((wait - (double)(time_t)wait) * 1e9)};
            nanosleep(&t, NULL);
        } else {
            start_one(s);
            next = next_start(next, rate);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "storm SECONDS RATE PROGRAM...\n");
        return 2;
    }
    struct storm s = {.program = argv + 3};
    srandom((unsigned)time(NULL) ^ (unsigned)getpid());
    double begin = now();
    run_storm(&s, strtod(argv[1], NULL), strtod(argv[2], NULL));
    double took = now() - begin;
    while (s.alive > 0)
        reap(&s, 0);
    printf("%u %u %.2f\n", s.started, s.failed, took);
    return 0;
}
