/* worker.h: a process of its own that reads debug information, so that a file made to harm only
 * ends the process; and which gives back, by ending, what reading took.
 *
 * The process is this program again, started with an argument that has it call worker_main(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "symbol/dwarf.h"

struct err;
struct worker;

/* The argument, alone, by which main() is to know that it should only call worker_main(). */
#define WORKER_ARGUMENT "--symbol-worker"

/* `program`: what to run, by a path, or "/proc/self/exe". No process is started yet. */
int worker_new(const char *program, struct worker **ret, struct err *err);

/* Ends the process. */
void worker_free(struct worker **worker);

/* As dwarf_find_chains(), in the process, which is started if there is none; the descriptors stay
 * the caller's. What is not done in `cpu_ns` of its CPU time is left out; it is waited for until
 * `until_ns` (CLOCK_MONOTONIC) and a moment more. On -ETIMEDOUT (no answer by then), -EPIPE (it
 * died), -EBADMSG (its answer made no sense, or the file) it has been ended; what was given to
 * `add` before is right nevertheless. */
int worker_find_chains(struct worker *worker, int fd, int alt_fd, const uint64_t *addresses,
                       size_t count, int64_t cpu_ns, int64_t until_ns, dwarf_chain_fn add,
                       void *ctx, struct err *err);

/* Ends the process until it is needed again: all memory is given back. */
void worker_rest(struct worker *worker);

/* CPU time that all its processes have taken. */
int64_t worker_cpu_ns(const struct worker *worker);

/* How many processes were started, and how many of them had to be ended. */
uint64_t worker_started(const struct worker *worker);
uint64_t worker_failed(const struct worker *worker);

/* In the process: gives away all rights, answers what comes by descriptor 3 until it is closed.
 * Returns what main() is to return. */
int worker_main(void);
