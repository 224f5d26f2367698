/* stack.h: what unwinding gives: frames, leaf first, how each caller was found and why there are no
 * more. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Frames of one stack, kernel and user together. perf_event_max_stack's default is 127. */
#define UNWIND_FRAMES_MAX 512

struct unwind_frame {
    uint64_t pc;     /* of a caller: within its call, not the return address */
    void *object;    /* of unwind_place; NULL for kernel frames */
    uint64_t offset; /* likewise */
    bool kernel;
};

/* Each ends one stack. name, what it means */
#define UNWIND_ENDS(X)                                                               \
    X(bottom, "The thread's first function was reached.")                            \
    X(truncated, "There was more, beyond the copied stack or the most frames.")      \
    X(no_rule, "Nothing tells how to go on from a pc.")                              \
    X(unmapped, "What should have been a caller is no code.")                        \
    X(stuck, "The stack did not grow: memory was overwritten, or a rule was wrong.") \
    X(kernel_only, "A kernel thread, or a process without code: in the midst of execve(2).")

enum unwind_end {
#define X(name, help) UNWIND_END_##name,
    UNWIND_ENDS(X)
#undef X
        UNWIND_END_COUNT
};

/* How the user part was got: each frame's caller by one of these. */
#define UNWIND_METHODS(X)                                                       \
    X(table, "By the object's table of CFI.")                                   \
    X(libunwind, "By libunwind, where CFI says more than a table's rule can.")  \
    X(code, "By following the code to where it returns: no CFI covers it.")     \
    X(frame_pointer, "By the frame pointer, where no CFI covers the code.")     \
    X(live, "By any of these, in the stack's memory as it was a moment later.") \
    X(scan, "By the first return address found above an interrupted function.") \
    X(chain, "Taken from the kernel's callchain.")

enum unwind_method {
#define X(name, help) UNWIND_METHOD_##name,
    UNWIND_METHODS(X)
#undef X
        UNWIND_METHOD_COUNT
};

struct unwind_stack {
    size_t count;
    enum unwind_end end;
    uint32_t methods[UNWIND_METHOD_COUNT]; /* frames got by each */
    /* Bytes of stack above sp that were needed, or would have been; 0 if it went on elsewhere. */
    uint64_t stack_used;
    uint64_t readings; /* of memory by libunwind: some 10 ns each */
    struct unwind_frame frames[UNWIND_FRAMES_MAX];
};
