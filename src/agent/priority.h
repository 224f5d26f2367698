/* priority.h: the sampling thread runs before all others. What it shares locks with: base/lock.h.
 */
#pragma once

/* Puts the calling thread before ordinary ones, where allowed: what samples wait for must come soon
 * also on a busy machine. */
void priority_raise_helper(void);

/* Puts the calling thread before all others, where allowed; says so in the log where it is not. */
void priority_raise_sampler(void);
