/* hold.h: samples that wait for an unwind table which is being built: copies, since their bytes in
 * the ring go back to the kernel. Bounded; the sampling thread's. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;
struct hold;
struct record;

int hold_new(size_t max_bytes, struct hold **ret, struct err *err);
void hold_free(struct hold **hold);

/* Copies a RECORD_SAMPLE of the process known by `serial`; `registers` is how many it holds.
 * -ENOSPC when full, -ENOMEM. */
int hold_put(struct hold *hold, const struct record *record, size_t registers, uint32_t serial);

/* When the sample that waits longest was put: its record's time; 0 if none waits. */
uint64_t hold_oldest(const struct hold *hold);

/* Calls `fn` with each, oldest first, and forgets them all; `fn` may put one again. */
void hold_release(struct hold *hold,
                  void (*fn)(void *ctx, const struct record *record, uint32_t serial), void *ctx);
