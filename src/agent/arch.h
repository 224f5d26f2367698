/* arch.h: what differs by processor. One file each: arch_x86_64.c, arch_aarch64.c, arch_other.c. */
#pragma once

#include <stdint.h>

/* Mask for perf_event_attr.sample_regs_user: what an unwinder needs to start. 0: no user stacks. */
uint64_t arch_user_regs(void);
