/* storm_burner.c: a process that lives a little longer than the 5 ms of CPU that it takes. */
#include <time.h>

#define BURN_NS 5000000

static volatile unsigned long sink;

/* A function of its own: see split.c. */
static __attribute__((noinline)) long cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static __attribute__((noinline)) void burn_5ms(void)
{
    long until = cpu_ns() + BURN_NS;
    do {
        for (unsigned long i = 0; i < 60000; i++)
            sink += i * 7;
    } while (cpu_ns() < until);
}

int main(void)
{
    burn_5ms();
    return 0;
}
