/* clock.h: the clocks podflame reads, all in nanoseconds. */
#pragma once

#include <stdint.h>
#include <time.h>

#define NS_PER_SEC 1000000000LL
#define NS_PER_MS  1000000LL
#define NS_PER_US  1000LL

static inline int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

/* perf records carry CLOCK_MONOTONIC; windows are aligned to the wall clock. This is what to add
 * to the first to get the second, read as closely together as user space can. */
static inline int64_t clock_monotonic_to_real(void)
{
    int64_t before = clock_ns(CLOCK_MONOTONIC);
    int64_t real = clock_ns(CLOCK_REALTIME);
    int64_t after = clock_ns(CLOCK_MONOTONIC);
    return real - (before + (after - before) / 2);
}
