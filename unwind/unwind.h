/* unwind.h: what the kernel put into one sample becomes a stack of program counters, leaf first.
 *
 * Everything is an argument: no globals, no threads, no I/O. The input's pointers point into the
 * kernel's ring; nothing of it is copied. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Frames of one stack, kernel and user together. perf_event_max_stack's default is 127. */
#define UNWIND_FRAMES_MAX 512

struct unwind_input {
    uint64_t ip;           /* where the CPU was interrupted */
    const uint64_t *chain; /* the kernel's callchain, PERF_CONTEXT_* markers in it */
    size_t chain_count;
    size_t chain_max;     /* entries after which the kernel stops (perf_event_max_stack) */
    uint64_t regs_mask;   /* which registers `regs` holds, by the architecture's perf_regs.h */
    const uint64_t *regs; /* NULL: none */
    uint64_t regs_abi;    /* PERF_SAMPLE_REGS_ABI_* */
    const uint8_t *stack; /* memory from the user stack pointer upwards; NULL: none */
    size_t stack_len;
};

struct unwind_frame {
    uint64_t pc;
    bool kernel;
    bool caller; /* pc is a return address: the call lies before it */
};

enum unwind_end {
    UNWIND_BOTTOM,    /* as far as can be told the thread's first function was reached */
    UNWIND_TRUNCATED, /* there was more: the callchain's limit, or UNWIND_FRAMES_MAX */
};

struct unwind_stack {
    size_t count;
    enum unwind_end end;
    struct unwind_frame frames[UNWIND_FRAMES_MAX];
};

/* Never fails: an empty callchain gives the interrupted pc alone. */
void unwind_sample(const struct unwind_input *input, struct unwind_stack *ret);
