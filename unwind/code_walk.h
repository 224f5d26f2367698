/* code_walk.h: what following code (code.c) asks of a processor: code_x86_64.c, code_aarch64.c.
 * Both are there on either, for the tests. */
#pragma once

#include "unwind/code.h"

#define CODE_REGISTERS   32
#define CODE_NO_REGISTER 0xff
#define CODE_OPS_MAX     4

enum code_flow {
    CODE_ON = 0,
    CODE_BRANCH, /* to `target`, or on */
    CODE_JUMP,   /* to `target` */
    CODE_CALL,
    CODE_RETURN,
    CODE_TABLE, /* a jump that may be a switch's, or to another function */
    CODE_LEAVE, /* a jump that is to another function */
    CODE_STOP,  /* a trap, or no instruction */
};

/* What an instruction does to the registers that are followed; in its order. */
enum code_op_kind {
    CODE_LOSE = 0, /* reg = something */
    CODE_COPY,     /* reg = base + off */
    CODE_LOAD,     /* reg = *(base + off) */
    CODE_NUMBER,   /* reg = off */
    CODE_PLUS,     /* reg = base + the register `off` */
    CODE_MINUS,    /* reg = base - the register `off` */
    CODE_STORE,    /* *(base + off) = reg; CODE_NO_REGISTER: something */
};

struct code_op {
    uint8_t kind;      /* enum code_op_kind */
    uint8_t reg, base; /* DWARF numbers */
    int32_t off;
};

struct code_insn {
    uint8_t len, flow; /* enum code_flow */
    bool argument;     /* pushes what no function has to keep */
    uint8_t count;
    struct code_op ops[CODE_OPS_MAX];
    uint64_t target; /* of CODE_BRANCH and CODE_JUMP; of CODE_CALL too, 0: not known */
};

struct code_processor {
    const struct rule_registers *registers;
    uint32_t call_loses; /* bits of registers that callees need not keep */
    int32_t return_pops; /* bytes that lie between sp and the CFA at a return */
    uint8_t call_len[2]; /* of the shortest and the longest call */
    uint8_t step;        /* instructions begin at multiples of it */
    /* False for bytes that are no instruction, or end before it does. */
    bool (*decode)(const uint8_t *bytes, size_t len, uint64_t pc, struct code_insn *ret);
};

extern const struct code_processor code_x86_64, code_aarch64;

/* As code_find_rule and code_is_behind_call, of a processor that need not be this one. */
bool code_walk(const struct code_processor *on, const struct code_piece *code, uint64_t pc,
               struct unwind_rule *ret);
int code_look_behind(const struct code_processor *on, const struct code_piece *code, uint64_t pc);

static inline void code_add_op(struct code_insn *i, enum code_op_kind kind, uint8_t reg,
                               uint8_t base, int32_t off)
{
    if (i->count < CODE_OPS_MAX)
        i->ops[i->count++] = (struct code_op){(uint8_t)kind, reg, base, off};
}
