/* hold.h: samples that wait for an unwind table which is being built: copies, since their bytes in
 * the ring go back to the kernel, and of their processes, which may meanwhile execute something
 * else or end. Bounded; the sampling thread's. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;
struct hold;
struct process;
struct processes;
struct record;

/* The table must outlive it. */
int hold_new(size_t max_bytes, struct processes *processes, struct hold **ret, struct err *err);
void hold_free(struct hold **hold);

/* Copies a RECORD_SAMPLE; `registers` is how many it holds; `thread` is at most PROCESS_COMM_MAX
 * with its NUL. -ENOSPC when full, -ENOMEM. */
int hold_put(struct hold *hold, const struct record *record, size_t registers,
             const struct process *process, const char *thread);

/* When the sample that waits longest was put: its record's time; 0 if none waits. */
uint64_t hold_oldest(const struct hold *hold);

/* Calls `fn` with each, oldest first, and forgets them all; `fn` may put one again. Process and
 * thread are as they were when the sample was put. */
void hold_release(struct hold *hold,
                  void (*fn)(void *ctx, const struct record *record, struct process *process,
                             const char *thread),
                  void *ctx);
