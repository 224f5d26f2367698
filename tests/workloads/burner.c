/* burner.c: burns a CPU for argv[1] seconds, half of it in burn_user, half of it in the kernel
 * below burn_kernel, so that a profile of it is known. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SLICE 0.02 /* seconds, two samples at 100 Hz */

static volatile unsigned long sink;
static char block[1 << 16];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

__attribute__((noinline)) static void burn_user(double until)
{
    while (now() < until)
        for (int i = 0; i < 100000; i++)
            sink += (unsigned long)i * sink + 1;
}

__attribute__((noinline)) static void burn_kernel(double until, int zero)
{
    while (now() < until)
        if (read(zero, block, sizeof(block)) < 0)
            _exit(1);
}

int main(int argc, char **argv)
{
    double end = now() + (argc > 1 ? strtod(argv[1], NULL) : 1);
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    if (zero < 0) {
        perror("/dev/zero");
        return 1;
    }
    while (now() < end) {
        burn_user(now() + SLICE);
        burn_kernel(now() + SLICE, zero);
    }
    return 0;
}
