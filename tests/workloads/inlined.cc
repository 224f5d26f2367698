// inlined.cc: burns CPU in functions that are inlined into each other, for tests/e2e/debug_files.sh:
// main → burn → (repeat → a lambda → Mixer::step), of which the compiler leaves main and burn.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#define INLINED __attribute__((always_inline)) inline

namespace work
{
template <typename T> struct Mixer {
    T state = 88172645463325252u;
    INLINED T step(T x)
    {
        for (int i = 0; i < 64; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        return state + x;
    }
};

template <typename F> INLINED uint64_t repeat(int times, F f)
{
    uint64_t sum = 0;
    for (int i = 0; i < times; i++)
        sum ^= f(i);
    return sum;
}
} // namespace work

static double now()
{
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); // also on a busy machine
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

__attribute__((noinline)) static uint64_t burn(double seconds)
{
    work::Mixer<uint64_t> mixer;
    uint64_t sum = 0;
    for (double until = now() + seconds; now() < until;)
        sum += work::repeat(20000, [&](uint64_t x) __attribute__((always_inline)) { return mixer.step(x); });
    return sum;
}

int main(int argc, char **argv)
{
    uint64_t sum = burn(argc > 1 ? atof(argv[1]) : 1);
    printf("%llu\n", (unsigned long long)sum);
    return 0;
}
