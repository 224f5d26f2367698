/* memory_store.h: a store of what a test says, for tests of what stands above stores. It knows no
 * time: every sample is in every range. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "server/store.h"

struct memory_sample {
    const char *node, *process, *thread; /* NULL: no such label */
    const struct store_frame *frames;
    size_t frame_count;
    uint64_t samples;
    uint64_t period_ns;
};

struct memory_store {
    struct store store;
    const struct memory_sample *samples;
    size_t count;
    const struct store_node *nodes;
    size_t node_count;
    int query_result; /* what query() gives if not 0 */
    const char *query_error;
    uint64_t lost_stack; /* this sample's stack is no longer there; 0: all are */
};

/* Rows have the sample's number, from 1 on, as their stack. */
struct memory_store memory_store(const struct memory_sample *samples, size_t count);
