/* chains_library.c: two libraries of the same shape, with other names: -DNAME=alpha, beta. And,
 * with -DPROGRAM, a program of the same shape. */
#include <stdint.h>
#include <time.h>

#define JOIN(a, b)  a##_##b
#define NAMED(a, b) JOIN(a, b)

static volatile uint64_t sink;

__attribute__((noinline, noclone)) void NAMED(NAME, burns)(unsigned rounds)
{
    uint64_t v = sink;
    for (unsigned i = 0; i < rounds; i++)
        v = v * 6364136223846793005u + 1442695040888963407u;
    sink = v;
}

__attribute__((noinline, noclone)) void NAMED(NAME, steps)(unsigned rounds)
{
    NAMED(NAME, burns)(rounds);
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline, noclone)) void step(unsigned rounds)
{
    NAMED(NAME, steps)(rounds);
    __asm__ volatile("" ::: "memory");
}

#ifdef PROGRAM
int main(void)
{
    clock_t end = clock() + 2 * CLOCKS_PER_SEC; /* CPU time, of which some went before exec */
    while (clock() < end)
        step(100000);
    return 0;
}
#endif
