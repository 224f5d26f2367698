/* code_aarch64.c: takes an instruction of A64, gives where it leads and what it does to the
 * registers. Arm ARM (DDI 0487), C4.1: the encoding's tree, whose groups the functions follow;
 * AAPCS64 6.1.1 for what a call leaves alone. */
#include "unwind/code_walk.h"

#include <string.h>

#define FP 29
#define LR 30
#define SP 31 /* or, where an instruction has it so, the register that is always zero */

/* Bits `at` … `at` + `count` - 1. */
static uint32_t field(uint32_t w, unsigned at, unsigned count)
{
    return w >> at & ((1u << count) - 1);
}

static int32_t signed_field(uint32_t w, unsigned at, unsigned count)
{
    return (int32_t)(w << (32 - at - count)) >> (32 - count);
}

static uint8_t rd(uint32_t w)
{
    return (uint8_t)field(w, 0, 5);
}

static uint8_t rn(uint32_t w)
{
    return (uint8_t)field(w, 5, 5);
}

/* Of instructions whose register 31 is zero. */
static void lose(struct code_insn *to, uint32_t reg)
{
    if (reg != SP)
        code_add_op(to, CODE_LOSE, (uint8_t)reg, 0, 0);
}

/* ---- data processing, immediate: C4.1.92 */

static void read_add_immediate(struct code_insn *to, uint32_t w)
{
    bool wide = w >> 31, minus = w >> 30 & 1, flags = w >> 29 & 1;
    int32_t by = (int32_t)(field(w, 10, 12) << (field(w, 22, 1) ? 12 : 0));
    if (flags && rd(w) == SP) /* cmp */
        return;
    if (wide)
        code_add_op(to, CODE_COPY, rd(w), rn(w), minus ? -by : by);
    else
        code_add_op(to, CODE_LOSE, rd(w), 0, 0);
}

/* movn, movz, movk */
static void read_move_wide(struct code_insn *to, uint32_t w)
{
    uint32_t what = field(w, 29, 2), shift = field(w, 21, 2) * 16;
    int32_t v = (int32_t)field(w, 5, 16);
    if (rd(w) == SP)
        return;
    if (what == 2 && shift == 0)
        code_add_op(to, CODE_NUMBER, rd(w), 0, v);
    else if (what == 0 && shift == 0 && w >> 31)
        code_add_op(to, CODE_NUMBER, rd(w), 0, ~v);
    else
        lose(to, rd(w));
}

static void read_immediate(struct code_insn *to, uint32_t w)
{
    switch (field(w, 23, 3)) {
    case 2:
        read_add_immediate(to, w);
        break;
    case 3: /* with tags */
        code_add_op(to, CODE_LOSE, rd(w), 0, 0);
        break;
    case 4: /* logical, whose register 31 is sp, but for ands */
        if (field(w, 29, 2) == 3)
            lose(to, rd(w));
        else
            code_add_op(to, CODE_LOSE, rd(w), 0, 0);
        break;
    case 5:
        read_move_wide(to, w);
        break;
    default: /* adr, bit fields, extract */
        lose(to, rd(w));
    }
}

/* ---- data processing, register: C4.1.95 */

static void read_register(struct code_insn *to, uint32_t w)
{
    uint8_t rm = (uint8_t)field(w, 16, 5);
    if ((w & 0xffe0ffe0) == 0xaa0003e0 && rm != SP) { /* mov: orr with zero */
        if (rd(w) != SP)
            code_add_op(to, CODE_COPY, rd(w), rm, 0);
    } else if ((w & 0xbfe0fc00) == 0x8b206000) { /* add, sub: uxtx, shifted by nothing */
        code_add_op(to, w >> 30 & 1 ? CODE_MINUS : CODE_PLUS, rd(w), rn(w), rm);
    } else if ((w & 0x1fe00000) == 0x1a400000) { /* ccmp, ccmn: flags alone */
        return;
    } else if ((w & 0x3fe00000) == 0x0b200000) { /* the same as above, otherwise extended */
        code_add_op(to, CODE_LOSE, rd(w), 0, 0);
    } else {
        lose(to, rd(w));
    }
}

/* ---- loads and stores: C4.1.94 */

/* How the address is formed: the two bits that pairs have at 23, single registers at 10. */
enum { POST = 1, PRE = 3 };

struct access {
    uint8_t reg[2], count;
    bool load, followed; /* 64 bits of general registers */
    bool vector;
    uint8_t base, mode;
    int32_t off;
};

static void read_access(struct code_insn *to, const struct access *a)
{
    int32_t at = a->mode == POST ? 0 : a->off;
    /* The base last, should it be loaded too. */
    uint8_t first = a->count == 2 && a->reg[0] == a->base;
    for (uint8_t k = 0; k < a->count && !a->vector; k++) {
        uint8_t i = k ^ first, reg = a->reg[i];
        if (!a->load && a->followed)
            code_add_op(to, CODE_STORE, reg == SP ? CODE_NO_REGISTER : reg, a->base, at + 8 * i);
        else if (a->load && a->followed && reg != SP)
            code_add_op(to, CODE_LOAD, reg, a->base, at + 8 * i);
        else if (a->load)
            lose(to, reg);
    }
    if (a->mode == POST || a->mode == PRE)
        code_add_op(to, CODE_COPY, a->base, a->base, a->off);
}

static void read_pair(struct code_insn *to, uint32_t w)
{
    uint32_t size = field(w, 30, 2);
    struct access a = {
        .reg = {rd(w), (uint8_t)field(w, 10, 5)},
        .count = 2,
        .load = field(w, 22, 1),
        .vector = field(w, 26, 1),
        .base = rn(w),
        .mode = (uint8_t)field(w, 23, 2),
    };
    a.followed = size == 2 && !a.vector;
    int32_t scale = a.vector ? 4 << size : size == 2 ? 8 : 4;
    if (size == 1 && !a.vector && !a.load)
        scale = 16; /* stgp */
    a.off = signed_field(w, 15, 7) * scale;
    read_access(to, &a);
}

static void read_single(struct code_insn *to, uint32_t w)
{
    uint32_t size = field(w, 30, 2), what = field(w, 22, 2);
    bool scaled = field(w, 24, 1);
    struct access a = {
        .reg = {rd(w)},
        .count = 1,
        .load = what != 0,
        .vector = field(w, 26, 1),
        .base = rn(w),
        .mode = scaled ? 0 : (uint8_t)field(w, 10, 2),
    };
    if (size == 3 && what == 2 && !a.vector)
        return;                       /* prfm */
    if (!scaled && field(w, 21, 1)) { /* an index, an atomic; ldraa */
        if (!a.vector && (a.load || field(w, 10, 2) == 0))
            lose(to, rd(w));
        if (field(w, 10, 1))
            code_add_op(to, CODE_LOSE, rn(w), 0, 0);
        return;
    }
    a.followed = size == 3 && what < 2 && !a.vector;
    uint32_t shift = a.vector ? size | (what & 2) << 1 : size;
    a.off = scaled ? (int32_t)(field(w, 10, 12) << (shift & 7)) : signed_field(w, 12, 9);
    read_access(to, &a);
}

static void read_memory(struct code_insn *to, uint32_t w)
{
    if ((w & 0x3a000000) == 0x28000000) {
        read_pair(to, w);
    } else if ((w & 0x3a000000) == 0x38000000) {
        read_single(to, w);
    } else if ((w & 0x3b000000) == 0x18000000) { /* literals */
        if (!field(w, 26, 1))
            lose(to, rd(w));
    } else if ((w & 0x3f000000) == 0x08000000) { /* exclusive, ordered, compare and swap */
        lose(to, rd(w));
        lose(to, field(w, 10, 5));
        lose(to, field(w, 16, 5));
    } else if ((w & 0xbe800000) == 0x0c800000) { /* vectors, which move the base */
        code_add_op(to, CODE_LOSE, rn(w), 0, 0);
    }
}

/* ---- vectors and floating point: C4.1.96, C4.1.2 */

static void read_vector(struct code_insn *to, uint32_t w)
{
    uint32_t what = field(w, 16, 3);
    bool converts = (w & 0x7f20fc00) == 0x1e200000 && what != 2 && what != 3 && what != 7;
    bool fixed = (w & 0x7f200000) == 0x1e000000 && what < 2;
    bool element = (w & 0xbfe0fc00) == 0x0e003c00 || (w & 0xbfe0fc00) == 0x0e002c00;
    if (converts || fixed || element)
        lose(to, rd(w));
}

/* ---- branches, exceptions, system: C4.1.93 */

static uint64_t target(uint64_t pc, uint32_t w, unsigned at, unsigned count)
{
    return pc + (uint64_t)((int64_t)signed_field(w, at, count) * 4);
}

static void read_branch_to_register(struct code_insn *to, uint32_t w)
{
    switch (field(w, 21, 3)) { /* the fourth bit: authenticated */
    case 0:
        to->flow = CODE_TABLE;
        break;
    case 1:
        to->flow = CODE_CALL;
        break;
    case 2: /* retaa and retab have 31 there */
        to->flow = rn(w) == LR || rn(w) == SP ? CODE_RETURN : CODE_STOP;
        break;
    default:
        to->flow = CODE_STOP;
    }
}

static void read_branch(struct code_insn *to, uint32_t w, uint64_t pc)
{
    if ((w & 0x7c000000) == 0x14000000) {
        to->flow = w >> 31 ? CODE_CALL : CODE_JUMP;
        to->target = target(pc, w, 0, 26);
    } else if ((w & 0xff000000) == 0x54000000 || (w & 0x7e000000) == 0x34000000) {
        to->flow = CODE_BRANCH;
        to->target = target(pc, w, 5, 19);
    } else if ((w & 0x7e000000) == 0x36000000) {
        to->flow = CODE_BRANCH;
        to->target = target(pc, w, 5, 14);
    } else if ((w & 0xfe000000) == 0xd6000000) {
        read_branch_to_register(to, w);
    } else if ((w & 0xff000000) == 0xd4000000) {
        if ((w & 0xffe0001f) == 0xd4000001) /* svc */
            lose(to, 0);
        else
            to->flow = CODE_STOP;
    } else if ((w & 0xfff00000) == 0xd5300000) { /* mrs */
        lose(to, rd(w));
    }
}

static bool decode(const uint8_t *bytes, size_t len, uint64_t pc, struct code_insn *ret)
{
    uint32_t w;
    if (len < sizeof(w))
        return false;
    memcpy(&w, bytes, sizeof(w));
    *ret = (struct code_insn){.len = 4};
    switch (field(w, 25, 4)) { /* op0: C4.1 */
    case 0:
        ret->flow = w >> 16 ? CODE_ON : CODE_STOP; /* udf */
        break;
    case 2: /* SVE: addvl and addpl alone write a general register that matters */
        if ((w & 0xffa0f800) == 0x04205000)
            code_add_op(ret, CODE_LOSE, rd(w), 0, 0);
        break;
    case 8:
    case 9:
        read_immediate(ret, w);
        break;
    case 10:
    case 11:
        read_branch(ret, w, pc);
        break;
    case 5:
    case 13:
        read_register(ret, w);
        break;
    case 7:
    case 15:
        read_vector(ret, w);
        break;
    default:
        if (field(w, 27, 1) && !field(w, 25, 1))
            read_memory(ret, w);
    }
    return true;
}

#define BIT(n) (1u << (n))

const struct code_processor code_aarch64 = {
    .registers = &rule_registers_aarch64,
    .call_loses = (BIT(19) - 1) | BIT(LR), /* x0 … x18 */
    .return_pops = 0,
    .call_len = {4, 4},
    .step = 4,
    .decode = decode,
};
