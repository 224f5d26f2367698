/* code_path.h: one way through code, and what it has done to the registers so far. Of code.c. */
#pragma once

#include "unwind/code_walk.h"

#define CODE_SLOTS 16 /* words of memory that were written on the way; more are forgotten */

enum code_depth {
    DEPTH_VALUE = 0, /* reg + off, as reg was at the pc */
    DEPTH_MEMORY,    /* *(reg + off) + add */
    DEPTH_TWICE,     /* *(*(reg + off) + add) */
    DEPTH_UNKNOWN,
    DEPTH_NUMBER, /* off */
};

struct code_value {
    uint8_t depth, reg;
    int32_t off, add;
};

struct code_slot {
    struct code_value address, holds;
};

struct code_path {
    uint32_t at;      /* in the piece */
    uint8_t released; /* so many instructions ago sp was raised; 0: long ago */
    /* The pc is behind a call, or one was passed; the highest that sp was at any of them. */
    bool has_called;
    int32_t call_off;
    bool pushing, owes; /* arguments lie below `level`; and a call has had them */
    int32_t level;
    uint8_t slots;
    struct code_value reg[CODE_REGISTERS];
    struct code_slot slot[CODE_SLOTS]; /* last: not all of it is copied */
};

/* At the pc: each register holds what it holds. */
void code_path_begin(struct code_path *p, uint32_t at, bool behind_call);

/* What an instruction does, but for where it leads. False if the path cannot be a function's: then
 * it passed a call that does not return. */
bool code_path_apply(const struct code_processor *on, struct code_path *p,
                     const struct code_insn *insn);

/* The rule, if the path returns here. `caller`: the pc is behind a call. False if it is none that
 * can be believed; else how many things about it compilers do not do. */
bool code_path_rule(const struct code_processor *on, const struct code_path *p, bool caller,
                    struct unwind_rule *ret, unsigned *ret_doubts);
