/* stacker.h: a sample and its process become a stack of places in objects. The sampling thread's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/unwind.h"

struct counters;
struct err;
struct object;
struct object_place;
struct objects;
struct process;
struct record_sample;
struct stacker;
struct tables;

struct stacker_config {
    size_t chain_max; /* perf_event_max_stack */
    uint64_t regs_mask;
    int64_t tail_ns;       /* how old a sample may be for the rest of its stack to be read from the
                                    process itself; 0: that is never done */
    struct tables *tables; /* NULL: user stacks come from the kernel's callchain */

    /* An object has samples: its file should be opened soon, by another thread. */
    void (*open)(void *ctx, struct object *object, const struct object_place *place);

    /* Reads the process's mappings again, if it is worth it; true if it did. */
    bool (*rescan)(void *ctx, struct process *process, uint64_t now);

    /* Copies what the process has in memory there, now, and gives how many bytes of `len`. */
    size_t (*peek)(void *ctx, const struct process *process, uint64_t address, void *to,
                   size_t len);
    void *ctx;
};

/* The others must outlive it. */
int stacker_new(const struct stacker_config *config, struct objects *objects,
                struct counters *counters, struct stacker **ret, struct err *err);
void stacker_free(struct stacker **stacker);

/* A window begins: objects must be asked for anew, and what code without a file said is old. */
void stacker_turn(struct stacker *stacker, uint32_t window);

/* Tables have come or gone. */
void stacker_take_tables(struct stacker *stacker);

/* The stack is the stacker's, valid until the next call. Frames' objects are struct object *,
 * without a reference: they live as long as the process's mappings. */
const struct unwind_stack *stacker_run(struct stacker *stacker, struct process *process,
                                       uint64_t time, const struct record_sample *sample);

/* Of the last run: a table it needed is being built. */
bool stacker_is_pending(const struct stacker *stacker);

/* Counts the last run's end and methods, and what it needed of the copied stack. */
void stacker_count(struct stacker *stacker);

/* User stacks counted since the last call. */
struct stacker_dumps {
    uint64_t stacks;
    uint64_t cut;  /* that a larger copy would have held whole, or longer */
    uint64_t deep; /* that needed more than half of the copy */
};
struct stacker_dumps stacker_take_dumps(struct stacker *stacker);
