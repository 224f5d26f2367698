/* code.h: code that no CFI covers is followed to where it returns: what the stack pointer does on
 * the way tells where the caller is. Untrusted bytes, no I/O, no allocation, bounded work. One file
 * an architecture. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unwind_rule;

/* A piece of a process's code around a pc. */
struct code_piece {
    const uint8_t *bytes;
    size_t len;
    uint64_t start;
};

/* The rule at `pc`, where an instruction begins. False if nothing could be said. */
bool code_find_rule(const struct code_piece *code, uint64_t pc, struct unwind_rule *ret);

/* Whether a call lies just before `pc`, as before a return address; -1 if its bytes are not there.
 */
int code_is_behind_call(const struct code_piece *code, uint64_t pc);
