/* engine.h: an unwinder that bench_unwind runs over the corpus's samples. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "samples.h"
#include "unwind/unwind.h"

struct chain {
    uint32_t count;
    bool bottom;                     /* the engine says that this is the whole stack */
    uint8_t end;                     /* enum unwind_end, of podflame's */
    uint64_t pcs[UNWIND_FRAMES_MAX]; /* leaf first; of callers the return address, or one less */
};

struct engine {
    const char *name;
    /* Once, before anything is timed. */
    void *(*open)(const struct samples *samples);
    void (*run)(void *engine, const struct bench_sample *sample, struct chain *ret);
    /* Bytes, after samples were run; 0: what the heap has grown by. */
    size_t (*memory)(void *engine);
};

extern const struct engine engine_podflame, engine_libdw, engine_libunwind;
