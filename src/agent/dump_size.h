/* dump_size.h: how much of a user stack samples should hold on this node: more while too many
 * stacks are cut, less when hardly any needs it. Nothing but the decision. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/stacker.h"

struct dump_size {
    uint32_t bytes;    /* as it is now */
    uint32_t min, max; /* equal: it stays */
    struct stacker_dumps seen;
    unsigned calm; /* judgements in a row by which half would do */
};

/* `max` is taken down to what leaves the ring room for DUMP_RING_SAMPLES samples, but not below
 * `min`. */
void dump_size_init(struct dump_size *size, uint32_t min, uint32_t max, uint64_t ring_bytes);

/* Of fewer a wakeup that comes late finds records lost. */
#define DUMP_RING_SAMPLES 8u

/* Takes in what a window's stacks needed; true if `bytes` has changed. */
bool dump_size_judge(struct dump_size *size, const struct stacker_dumps *window);
