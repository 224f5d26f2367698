/* unwind.h: what the kernel put into one sample becomes a stack of program counters, leaf first.
 *
 * Everything is an argument: no globals, no threads, no I/O. The sample's pointers point into the
 * kernel's ring; nothing of it is copied. An unwinder remembers pcs it has seen and is used by one
 * thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/stack.h"

struct cfi_image;
struct code_piece;
struct err;
struct unwinder;
struct unwind_table;

struct unwind_sample {
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

/* What lies at an address of a process. */
struct unwind_place {
    void *object;                     /* the caller's, handed through to the frames */
    uint64_t offset;                  /* in the object's file */
    const struct unwind_table *table; /* of this machine; NULL: none */
    bool pending; /* a table will come: what is found out now must not be remembered */
    bool made;    /* memory without a file: code made at run time */
};

/* A process's code. `id` names it as it is now: whoever maps or unmaps code must change it, and no
 * two processes may have one id unless they map the same. */
struct unwind_space {
    uint32_t id;
    /* False if no executable memory is mapped there. */
    bool (*find)(void *ctx, uint64_t pc, struct unwind_place *ret);
    /* Code around `pc`, as it is now: what nearly all functions need, or as much as the largest may
     * (`wide`); false if it cannot be had, or if there is not more. Valid until the next call.
     * NULL: there is none to be had. */
    bool (*read_code)(void *ctx, uint64_t pc, bool wide, struct code_piece *ret);
    /* The object's CFI, for frames that its table does not serve, and what to add to its addresses;
     * false if it is not there (yet). NULL: never. */
    bool (*find_cfi)(void *ctx, uint64_t pc, const struct cfi_image **ret, uint64_t *ret_bias);
    /* What follows the sample's copy of the stack, as it is now: gives how many bytes; 0 if it
     * cannot be had, or if the copy's last `checked` bytes, which lie at `from`, are no longer the
     * same. NULL: there is none to be had. */
    size_t (*read_tail)(void *ctx, uint64_t from, size_t checked, const uint8_t **ret);
    void *ctx;
};

int unwinder_new(struct unwinder **ret, struct err *err);
void unwinder_free(struct unwinder **unwinder);

/* Forgets all pcs: places that were handed out may no longer be what they were. */
void unwinder_forget(struct unwinder *unwinder);

/* Forgets what following code found out: made code may be made over, which tells nobody. */
void unwinder_forget_code(struct unwinder *unwinder);

/* False for another machine's table: its rules name registers that are not here. */
bool unwinder_reads(const struct unwind_table *table);

/* Never fails: an empty sample gives the interrupted pc alone. */
void unwinder_run(struct unwinder *unwinder, const struct unwind_sample *sample,
                  const struct unwind_space *space, struct unwind_stack *ret);
