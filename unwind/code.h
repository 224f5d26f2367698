/* code.h: the unwind rule at a pc whose code has no CFI, from the code itself: whatever a function
 * has put on the stack, the code that follows the pc takes off before it returns.
 *
 * Untrusted bytes, no I/O, no allocation, bounded work: some microseconds, and 32 KiB of stack. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/rule.h"

/* A piece of a process's code around a pc. */
struct code_piece {
    const uint8_t *bytes;
    size_t len;
    uint64_t start; /* the address of bytes[0] */
};

/* The rule at `pc`, an instruction's boundary: of a caller the return address, not the byte before
 * it. False if nothing can be said.
 *
 * Of kind RULE_SP or RULE_FP; of RULE_DEREF in code that has aligned its stack and kept the old sp
 * there; of RULE_REG, which serves only where the CPU was interrupted, where it is in a register.
 */
bool code_find_rule(const struct code_piece *code, uint64_t pc, struct unwind_rule *ret);

/* What lies farther from the pc is not looked at. M: of return addresses 92 % are answered with so
 * many bytes on either side, 81 % with 4 KiB, 63 % with 1 KiB. */
#define CODE_REACH 16384u

/* Whether a call ends at `pc`, so that it may be a return address: 1, 0, or -1 if the bytes before
 * it are not in the piece. */
int code_is_behind_call(const struct code_piece *code, uint64_t pc);
