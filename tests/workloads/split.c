/* split.c: burns CPU for argv[1] seconds: 70 % of it in hot_loop, 20 % in read_zero, which is
 * mostly in the kernel, 10 % in tidy_up. It measures by its own CPU clock what each really took and
 * prints that, in seconds: "hot_loop 42.001\n...". */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PARTS = 3 };

static volatile unsigned long sink;
static char block[1 << 16];
static int zero_fd;

/* In functions of their own: a leaf of libc keeps no frame, and the walk along frame pointers then
 * leaves out its caller. That caller shall be these, not the parts. */
static __attribute__((noinline)) double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static __attribute__((noinline)) void read_block(void)
{
    if (read(zero_fd, block, sizeof(block)) != sizeof(block))
        _exit(2);
}

static __attribute__((noinline)) void hot_loop(double until)
{
    while (cpu_now() < until)
        for (unsigned long i = 0; i < 50000; i++)
            sink += i * 7;
}

static __attribute__((noinline)) void read_zero(double until)
{
    while (cpu_now() < until)
        for (int i = 0; i < 16; i++)
            read_block();
}

static __attribute__((noinline)) void tidy_up(double until)
{
    while (cpu_now() < until)
        for (unsigned long i = 0; i < 50000; i++)
            sink ^= i;
}

static const struct {
    const char *name;
    void (*run)(double until);
    double share;
} parts[PARTS] = {
    {"hot_loop", hot_loop, 0.7}, {"read_zero", read_zero, 0.2}, {"tidy_up", tidy_up, 0.1}};

static double random_unit(void)
{
    return (double)random() / (double)RAND_MAX;
}

/* A part's slice in a round is long beside the 10 ms between samples, so that chance plays less of
 * a part than it would among many short slices; rounds differ in length and order, so that no clock
 * keeps step with them. */
int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1, took[PARTS] = {0};
    zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    if (zero_fd < 0) {
        perror("/dev/zero");
        return 1;
    }
    srandom((unsigned)time(NULL));
    double begin = cpu_now(), at = begin;
    while (at - begin < seconds) {
        double round = 0.06 + 0.08 * random_unit();
        int first = (int)(random() % PARTS);
        for (int i = 0; i < PARTS; i++) {
            int part = (first + i) % PARTS;
            /* What was over the mark the last time is made up for. */
            double due = (at - begin + round) * parts[part].share - took[part];
            double from = cpu_now();
            parts[part].run(from + due);
            took[part] += cpu_now() - from;
        }
        at = cpu_now();
    }
    for (int i = 0; i < PARTS; i++)
        printf("%s %.3f\n", parts[i].name, took[i]);
    return 0;
}
