/* arch.h: what unwinding asks of a processor: arch_x86_64.c, arch_aarch64.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/rule.h"

#define ARCH_REGISTERS_MAX 33

/* Of the frame at hand. */
struct arch_state {
    uint64_t pc, sp, fp;
    bool interrupted;                 /* pc is no return address, and all registers are known: */
    uint64_t reg[ARCH_REGISTERS_MAX]; /* by DWARF number; of callers of callers they are not */
    uint64_t stack_base;              /* memory that is known: from here */
    const uint8_t *stack;
    size_t stack_len;
    const uint8_t *tail; /* what followed in memory a moment later; NULL: nothing */
    size_t tail_len;
    uint64_t missed; /* an address at which memory was wanted and not known */
};

extern const struct rule_registers *const arch_registers;

/* What libunwind calls the pc. */
extern const int arch_pc_number;

/* From a sample's user registers. False for another ABI (a 32-bit program). */
bool arch_load(uint64_t mask, const uint64_t *regs, uint64_t abi, struct arch_state *ret);

/* All registers out of the signal frame that the rule found; false if it is not in the dump. */
bool arch_load_signal_frame(struct arch_state *state);

/* The bits of a return address in memory that say where it points: aarch64 signs them in others. */
extern const uint64_t arch_address_mask;

static inline bool arch_read(const struct arch_state *s, uint64_t address, uint64_t *ret)
{
    uint64_t at = address - s->stack_base;
    if (__builtin_expect(s->stack_len >= 8 && at <= s->stack_len - 8, 1)) {
        __builtin_memcpy(ret, s->stack + at, 8);
        return true;
    }
    at -= s->stack_len;
    if (s->tail_len < 8 || at > s->tail_len - 8)
        return false;
    __builtin_memcpy(ret, s->tail + at, 8);
    return true;
}
