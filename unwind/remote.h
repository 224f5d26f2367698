/* remote.h: libunwind over a sample's registers and stack, for the few frames whose CFI says more
 * than struct unwind_rule can, or that needs registers which callers' callers keep. Takes some 16
 * microseconds. One thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arch_state;
struct err;
struct remote;
struct unwind_space;

int remote_new(struct remote **ret, struct err *err);
void remote_free(struct remote **remote);

/* Steps beyond some thousand readings of memory end; this is how many there were in all, which is
 * what libunwind's time goes into. */
uint64_t remote_readings(const struct remote *remote);

/* `s` is `depth` frames above `leaf`, the sample's own registers: takes `s` to its caller. False,
 * with `s` as it was, if libunwind does not come by `s`, or not beyond it. */
bool remote_step(struct remote *remote, const struct unwind_space *space,
                 const struct arch_state *leaf, size_t depth, struct arch_state *s);
