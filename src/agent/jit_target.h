/* jit_target.h: one process whose code is made at run time, and what is known of that code. The
 * watcher's thread visits it; jit_target_find() is for any one other. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/jit.h"

struct counters;
struct jit_target;

/* What all targets share. */
struct jit_budget {
    struct counters *counters;
    unsigned children; /* JVMs that are being asked */
    bool full;         /* names take as much memory as they may: nobody new gets any */
};

/* Costs nothing yet; `start_ns` as in struct process. NULL without memory. */
struct jit_target *jit_target_new(pid_t pid, uint64_t start_ns);
void jit_target_free(struct jit_target **target, struct jit_budget *budget);

/* Does what is due: looks for files, reads them, asks a JVM, takes its answer. */
void jit_target_visit(struct jit_target *target, struct jit_budget *budget, uint32_t window);

/* When it should be visited again, of CLOCK_MONOTONIC. */
int64_t jit_target_next(const struct jit_target *target);

/* The window has ended: the next visit reads all there is, and asks. */
void jit_target_end_window(struct jit_target *target);

/* Whether that is still to be done, with the answer; whether it, or any answer, is. */
bool jit_target_is_waited_for(const struct jit_target *target);
bool jit_target_is_busy(const struct jit_target *target);

/* Lets go of what was needed for times before `before_ns`, and of open files. */
void jit_target_turn(struct jit_target *target, uint64_t before_ns);

bool jit_target_is_gone(const struct jit_target *target);

/* Its addresses were seen to be used again; from any thread. */
bool jit_target_reuses(const struct jit_target *target);

size_t jit_target_bytes(const struct jit_target *target);

/* As jit_find(). */
void jit_target_find(struct jit_target *target, const struct jit_span *spans, size_t count,
                     void (*found)(void *ctx, size_t span, const char *name, bool java), void *ctx);
