/* sums.h: samples added up by group and stack. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "server/sqlite/hashmap.h"

struct err;

/* What one query may hold: some 60 bytes each. */
#define SUMS_MAX 4000000u

struct sum {
    uint64_t stack; /* a day's number, or store_row's stack */
    uint32_t group;
    uint64_t samples, cpu_ns;
};

/* Zero-initialised is empty. */
struct sums {
    struct sum *all;
    size_t count, cap;
    struct hashmap rows; /* by (group, stack): row + 1 */
    size_t last;         /* row + 1 that was added to last */
};

/* -E2BIG when there are more than SUMS_MAX. */
int sums_add(struct sums *s, uint32_t group, uint64_t stack, uint64_t samples, uint64_t cpu_ns,
             struct err *err);
void sums_free(struct sums *s);
