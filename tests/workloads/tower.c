/* tower.c: deep stacks without frame pointers, by turns of two kinds: `tower FRAMES MICROSECONDS
 * SECONDS` calls alpha_root → tower_step × FRAMES → alpha_leaf, which works so long, then the same
 * with beta; between root and leaf both are alike to the byte. Each frame takes some 1,100 bytes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINK __attribute__((noinline))
#define AFTER() \
    __asm__ volatile("" ::: "memory") /* what follows a call keeps it from being a jump */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double work_seconds;
static volatile uint64_t sink;
typedef void leaf_fn(void);

LINK static void work(void)
{
    double end = now() + work_seconds;
    while (now() < end) {
        for (unsigned i = 0; i < 2000; i++)
            sink = sink * 6364136223846793005u + 1442695040888963407u;
    }
}

LINK static void alpha_leaf(void)
{
    work();
    AFTER();
}

LINK static void beta_leaf(void)
{
    work();
    sink++;
    AFTER();
}

/* Read anew each time, so that no copy of tower_step is made for one of them. */
static leaf_fn *volatile leaves[] = {alpha_leaf, beta_leaf};

LINK static void tower_step(unsigned left, leaf_fn *leaf) // NOLINT(misc-no-recursion): meant
{
    char room[1024];
    __asm__ volatile("" ::"r"(room) : "memory"); /* all of it is used, for all that is known */
    if (left)
        tower_step(left - 1, leaf);
    else
        leaf();
    __asm__ volatile("" ::"r"(room) : "memory");
}

LINK static void alpha_root(unsigned frames)
{
    tower_step(frames, leaves[0]);
    AFTER();
}

LINK static void beta_root(unsigned frames)
{
    tower_step(frames, leaves[1]);
    sink++;
    AFTER();
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: tower FRAMES MICROSECONDS SECONDS\n");
        return 2;
    }
    unsigned frames = (unsigned)atoi(argv[1]);
    work_seconds = atof(argv[2]) / 1e6;
    double end = now() + atof(argv[3]);
    while (now() < end) {
        alpha_root(frames);
        beta_root(frames);
    }
    return 0;
}
