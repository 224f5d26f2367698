/* chains.c: burns CPU below a chain of functions that a test knows, for a second or so; which one,
 * is the first argument. Built without frame pointers. Each function does something after its call,
 * so that none becomes a jump. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LINK    __attribute__((noinline, noclone))
#define AFTER() __asm__ volatile("" ::: "memory")

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static volatile uint64_t sink;

LINK static void burn(unsigned rounds)
{
    uint64_t v = sink;
    for (unsigned i = 0; i < rounds; i++)
        v = v * 6364136223846793005u + 1442695040888963407u;
    sink = v;
}

static double seconds = 1;

/* Of the CPU, so that a busy machine does not leave a test without samples. */
static int time_is_up(void)
{
    static double end;
    if (end == 0)
        end = now(CLOCK_PROCESS_CPUTIME_ID) + seconds;
    return now(CLOCK_PROCESS_CPUTIME_ID) >= end;
}

/* ---- a callback of libc's */

LINK static int compare_slowly(const void *a, const void *b)
{
    burn(2000);
    AFTER();
    return *(const int *)a - *(const int *)b;
}

LINK static void sort_things(void)
{
    int things[64];
    while (!time_is_up()) {
        for (int i = 0; i < 64; i++)
            things[i] = i * 37 % 64;
        qsort(things, 64, sizeof(*things), compare_slowly);
        AFTER();
    }
}

/* ---- signal handlers */

LINK static void on_alarm(int number)
{
    burn(4000000);
    AFTER();
}

static void handle_alarms(int flags)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART | flags};
    struct itimerval every = {.it_interval.tv_usec = 15000, .it_value.tv_usec = 15000};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static void *write_late(void *fd)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    usleep((useconds_t)(seconds * 1e6));
    if (write(*(int *)fd, "x", 1) != 1)
        abort();
    return NULL;
}

LINK static void wait_in_read(void)
{
    char byte;
    int fds[2];
    pthread_t writer;
    if (pipe(fds) != 0 || pthread_create(&writer, NULL, write_late, &fds[1]))
        abort();
    if (read(fds[0], &byte, 1) != 1)
        abort();
    AFTER();
    signal(SIGALRM, SIG_IGN);
    pthread_join(writer, NULL);
}

LINK static void signal_over_read(void)
{
    handle_alarms(0);
    wait_in_read();
    AFTER();
}

LINK static void signal_on_other_stack(void)
{
    stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
    sigaltstack(&stack, NULL);
    handle_alarms(SA_ONSTACK);
    wait_in_read();
    AFTER();
}

/* ---- threads */

LINK static void thread_step(void)
{
    burn(100000);
    AFTER();
}

LINK static void *thread_main(void *unused)
{
    while (!time_is_up()) {
        thread_step();
        AFTER();
    }
    return unused;
}

LINK static void run_threads(void)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, thread_main, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

/* ---- libraries that come and go: argv[2], argv[3], with one function `step` each */

typedef void step_fn(unsigned);

static void *load(const char *path, step_fn **step)
{
    void *library = dlopen(path, RTLD_NOW);
    if (!library || !(*step = (step_fn *)dlsym(library, "step"))) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return library;
}

LINK static void call_alpha(step_fn *step)
{
    for (int i = 0; i < 100; i++)
        step(100000);
    AFTER();
}

/* Not the same, or one function would do for both. */
LINK static void call_beta(step_fn *step)
{
    for (int i = 0; i < 200; i++)
        step(50000);
    AFTER();
}

/* Says at which address each was, so that the test knows that they took turns. */
LINK static void load_by_turns(char **paths)
{
    while (!time_is_up()) {
        step_fn *step;
        void *library = load(paths[0], &step);
        printf("%p\n", (void *)step);
        call_alpha(step);
        dlclose(library);
        library = load(paths[1], &step);
        printf("%p\n", (void *)step);
        call_beta(step);
        dlclose(library);
    }
}

/* ---- code made at run time, where a library's was */

LINK static void call_made_code(step_fn *step)
{
    while (!time_is_up())
        step(100000);
    AFTER();
}

LINK static void make_code_over_library(char **paths)
{
    /* while (--edi) ; by hand, as there is no C for code that is to be copied. */
#if defined(__x86_64__)
    static const uint8_t code[] = {0xff, 0xcf, 0x75, 0xfc, 0xc3};
#else
    static const uint32_t code[] = {0x71000400, 0x54ffffe1, 0xd65f03c0};
#endif
    step_fn *step;
    load(paths[0], &step);
    for (int i = 0; i < 100; i++)
        call_alpha(step);
    uintptr_t page = (uintptr_t)step & ~(uintptr_t)4095;
    uint8_t *at = mmap((void *)page, 4096, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (at == MAP_FAILED)
        abort();
    memcpy((void *)step, code, sizeof(code));
    mprotect(at, 4096, PROT_READ | PROT_EXEC);
    __builtin___clear_cache((char *)at, (char *)at + 4096);
    call_made_code(step);
    _exit(0); /* the library's own last code is gone with the rest */
}

/* ---- another program at the same addresses: argv[2], which gets the rest */

LINK static void before_exec(void)
{
    while (!time_is_up())
        burn(100000);
    AFTER();
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (getenv("CHAINS_SECONDS"))
        seconds = atof(getenv("CHAINS_SECONDS"));
    if (strcmp(what, "qsort") == 0)
        sort_things();
    else if (strcmp(what, "signal") == 0)
        signal_over_read();
    else if (strcmp(what, "altstack") == 0)
        signal_on_other_stack();
    else if (strcmp(what, "threads") == 0)
        run_threads();
    else if (strcmp(what, "turns") == 0 && argc == 4)
        load_by_turns(argv + 2);
    else if (strcmp(what, "made") == 0 && argc == 3)
        make_code_over_library(argv + 2);
    else if (strcmp(what, "exec") == 0 && argc == 3) {
        before_exec();
        execl(argv[2], argv[2], NULL);
        return 1;
    } else
        return 2;
    AFTER();
    return 0;
}
