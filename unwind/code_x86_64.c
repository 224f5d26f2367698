/* code_x86_64.c: takes an instruction of x86-64, gives where it leads and what it does to the
 * registers. Intel SDM volume 2; psABI 3.2 for what a call leaves alone. */
#include "unwind/code_walk.h"
#include "unwind/x86_64_insn.h"

#include <string.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R11 = 11 }; /* as instructions have them */

/* psABI 1.0, figure 3.36. */
static const uint8_t dwarf[16] = {0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};

/* Which registers an opcode writes. SDM volume 2, tables.
 *   .  none                        *  what has a case of its own below
 *   E  ModRM's rm, if a register   e  likewise, a byte
 *   G  ModRM's reg                 g  likewise, a byte
 *   X  both                        x  both, bytes
 *   O  the opcode's low bits       o  likewise, a byte
 *   A  rax                         D  rdx
 *   K  rm and rax                  L  the opcode's low bits and rax
 *   S  what strings go by          C  rcx
 *   N  rax, rcx, rdx, r11: what talks to the system or the processor */
static const char one_byte[256 + 1] = "eEgGAA..eEgGAA.." /* 00 */
                                      "eEgGAA..eEgGAA.." /* 10 */
                                      "eEgGAA..eEgGAA.." /* 20 */
                                      "eEgGAA.........." /* 30 */
                                      "................" /* 40 */
                                      "****************" /* 50 */
                                      "...G....*G*GSSSS" /* 60 */
                                      "................" /* 70 */
                                      "**.*..xXe*g*E*.*" /* 80 */
                                      ".LLLLLLLAD..**.A" /* 90 */
                                      "AA..SSSS..SSSSSS" /* a0 */
                                      "ooooooooOOOOOOOO" /* b0 */
                                      "eE....eE**......" /* c0 */
                                      "eEeE...A........" /* d0 */
                                      "CCC.AA......AA.." /* e0 */
                                      "......**......e*" /* f0 */;

static const char two_byte[256 + 1] = ".NGG.N.........." /* 00 */
                                      "................" /* 10 */
                                      "EE..........GG.." /* 20 */
                                      ".N.N............" /* 30 */
                                      "GGGGGGGGGGGGGGGG" /* 40 */
                                      "G..............." /* 50 */
                                      "................" /* 60 */
                                      "..............*." /* 70 */
                                      "................" /* 80 */
                                      "eeeeeeeeeeeeeeee" /* 90 */
                                      "**N.EE..**.EEE.G" /* a0 */
                                      "KKGEGGGGG.*EGGGG" /* b0 */
                                      "xX...G.KOOOOOOOO" /* c0 */
                                      ".......G........" /* d0 */
                                      "................" /* e0 */
                                      "................" /* f0 */;

static void lose(struct code_insn *to, uint8_t reg)
{
    code_add_op(to, CODE_LOSE, dwarf[reg & 15], 0, 0);
}

/* Without REX byte registers 4 … 7 are ah, ch, dh, bh: SDM volume 2, table 3-1. */
static void lose_byte(struct code_insn *to, const struct x86_64_insn *i, uint8_t reg)
{
    lose(to, i->has_rex || reg < 4 || reg > 7 ? reg : reg - 4);
}

static void lose_rm(struct code_insn *to, const struct x86_64_insn *i)
{
    if (i->modrm && i->mod == 3)
        lose(to, i->rm);
}

static void lose_by_letter(struct code_insn *to, const struct x86_64_insn *i, char letter)
{
    static const struct {
        char letter, regs[4];
        uint8_t count;
    } fixed[] = {{'A', {RAX}, 1},
                 {'D', {RDX}, 1},
                 {'C', {RCX}, 1},
                 {'K', {RAX}, 1},
                 {'L', {RAX}, 1},
                 {'S', {RSI, RDI, RCX, RAX}, 4},
                 {'N', {RAX, RCX, RDX, R11}, 4}};
    if (strchr("EXK", letter))
        lose_rm(to, i);
    if (strchr("ex", letter) && i->mod == 3)
        lose_byte(to, i, i->rm);
    if (strchr("GX", letter))
        lose(to, i->reg);
    if (strchr("gx", letter))
        lose_byte(to, i, i->reg);
    if (strchr("OL", letter))
        lose(to, i->low);
    if (letter == 'o')
        lose_byte(to, i, i->low);
    for (unsigned k = 0; k < sizeof(fixed) / sizeof(fixed[0]); k++) {
        for (unsigned r = 0; fixed[k].letter == letter && r < fixed[k].count; r++)
            lose(to, (uint8_t)fixed[k].regs[r]);
    }
}

/* ---- what is followed */

static void move_sp(struct code_insn *to, int32_t by)
{
    code_add_op(to, CODE_COPY, dwarf[RSP], dwarf[RSP], by);
}

/* psABI 3.2.3: the seventh argument and those behind it. `push rax` is how some make room. */
static bool may_be_argument(uint8_t reg)
{
    return reg == X86_64_NO_REGISTER || (reg >= RCX && reg <= RDX) || reg == RSI || reg == RDI ||
           (reg >= 8 && reg <= R11);
}

static void push(struct code_insn *to, uint8_t reg)
{
    to->argument = may_be_argument(reg);
    uint8_t what = reg == X86_64_NO_REGISTER ? CODE_NO_REGISTER : dwarf[reg & 15];
    code_add_op(to, CODE_STORE, what, dwarf[RSP], -8);
    move_sp(to, -8);
}

static void pop(struct code_insn *to, uint8_t reg)
{
    if (reg != X86_64_NO_REGISTER)
        code_add_op(to, CODE_LOAD, dwarf[reg & 15], dwarf[RSP], 0);
    if (reg != RSP)
        move_sp(to, 8);
}

/* Memory whose address is a register's and no other's. */
static bool is_simple(const struct x86_64_insn *i)
{
    return i->mod != 3 && i->base != X86_64_NO_REGISTER && i->index == X86_64_NO_REGISTER &&
           !i->segment && !i->address32;
}

static void read_mov_or_lea(struct code_insn *to, const struct x86_64_insn *i)
{
    if (i->opcode == 0x8d) {
        if (is_simple(i) && i->wide)
            code_add_op(to, CODE_COPY, dwarf[i->reg], dwarf[i->base], i->disp);
        else
            lose(to, i->reg);
    } else if (i->opcode == 0x89) {
        if (i->mod == 3 && i->wide)
            code_add_op(to, CODE_COPY, dwarf[i->rm], dwarf[i->reg], 0);
        else if (i->mod == 3)
            lose(to, i->rm);
        else if (is_simple(i) && i->wide)
            code_add_op(to, CODE_STORE, dwarf[i->reg], dwarf[i->base], i->disp);
    } else {
        if (i->mod == 3 && i->wide)
            code_add_op(to, CODE_COPY, dwarf[i->reg], dwarf[i->rm], 0);
        else if (is_simple(i) && i->wide)
            code_add_op(to, CODE_LOAD, dwarf[i->reg], dwarf[i->base], i->disp);
        else
            lose(to, i->reg);
    }
}

/* add, or, adc, sbb, and, sub, xor, cmp with an immediate: SDM volume 2, table A-6. */
static void read_group_1(struct code_insn *to, const struct x86_64_insn *i)
{
    uint8_t what = i->reg & 7;
    if (i->mod != 3 || what == 7)
        return;
    if (i->opcode == 0x80)
        lose_byte(to, i, i->rm);
    else if ((what == 0 || what == 5) && i->wide && i->imm > INT32_MIN)
        code_add_op(to, CODE_COPY, dwarf[i->rm], dwarf[i->rm],
                    (int32_t)(what == 0 ? i->imm : -i->imm));
    else
        lose(to, i->rm);
}

/* test, not, neg; mul and div. */
static void read_group_3(struct code_insn *to, const struct x86_64_insn *i)
{
    uint8_t what = i->reg & 7;
    if (what >= 4) {
        lose(to, RAX);
        lose(to, RDX);
    } else if (what >= 2 && i->mod == 3) {
        if (i->opcode == 0xf6)
            lose_byte(to, i, i->rm);
        else
            lose(to, i->rm);
    }
}

static void read_group_5(struct code_insn *to, const struct x86_64_insn *i)
{
    switch (i->reg & 7) {
    case 0:
    case 1:
        lose_rm(to, i);
        break;
    case 2:
        to->flow = CODE_CALL;
        to->target = 0;
        break;
    case 4:
        /* Tables of switches are read with an index, or beforehand. */
        to->flow = i->mod != 3 && i->base == X86_64_NO_REGISTER && i->index == X86_64_NO_REGISTER
                       ? CODE_LEAVE
                       : CODE_TABLE;
        break;
    case 6:
        push(to, X86_64_NO_REGISTER);
        break;
    default:
        to->flow = CODE_STOP;
    }
}

static void read_special(struct code_insn *to, const struct x86_64_insn *i)
{
    switch (i->opcode) {
    case 0x80:
    case 0x81:
    case 0x83:
        read_group_1(to, i);
        break;
    case 0x89:
    case 0x8b:
    case 0x8d:
        read_mov_or_lea(to, i);
        break;
    case 0x68:
    case 0x6a:
    case 0x9c:
        push(to, X86_64_NO_REGISTER);
        break;
    case 0x9d:
        pop(to, X86_64_NO_REGISTER);
        break;
    case 0x8f:
        pop(to, i->mod == 3 ? i->rm : X86_64_NO_REGISTER);
        break;
    case 0xc8: /* enter */
        push(to, RBP);
        code_add_op(to, CODE_COPY, dwarf[RBP], dwarf[RSP], 0);
        move_sp(to, -(int32_t)i->imm);
        break;
    case 0xc9: /* leave */
        code_add_op(to, CODE_COPY, dwarf[RSP], dwarf[RBP], 0);
        pop(to, RBP);
        break;
    case 0xf6:
    case 0xf7:
        read_group_3(to, i);
        break;
    case 0xff:
        read_group_5(to, i);
        break;
    default:
        if (i->opcode < 0x58)
            push(to, i->low);
        else
            pop(to, i->low);
    }
}

static void read_special_0f(struct code_insn *to, const struct x86_64_insn *i)
{
    switch (i->opcode) {
    case 0x7e: /* with F3 it writes a vector register */
        if (!i->rep)
            lose_rm(to, i);
        break;
    case 0xba: /* bt writes nothing */
        if ((i->reg & 7) > 4)
            lose_rm(to, i);
        break;
    case 0xa0:
    case 0xa8:
        push(to, X86_64_NO_REGISTER);
        break;
    default:
        pop(to, X86_64_NO_REGISTER);
    }
}

/* Vector instructions, and the general ones among 0F38 and 0F3A, that write general registers:
 * movmsk, kmov, cvt*2si, pextr; andn, bextr, blsr, bzhi, mulx, pdep, pext, rorx, shifts. */
static void read_vector(struct code_insn *to, const struct x86_64_insn *i)
{
    uint8_t op = i->opcode;
    switch (i->map) {
    case X86_64_MAP_0F:
        if (op == 0x2c || op == 0x2d || op == 0x50 || op == 0x78 || op == 0x79 || op == 0x93 ||
            op == 0xc5 || op == 0xd7)
            lose(to, i->reg);
        if (op == 0x7e && !i->rep)
            lose_rm(to, i);
        break;
    case X86_64_MAP_0F38:
        if (op == 0xf0 || op == 0xf1 || op == 0xf2 || (op >= 0xf5 && op <= 0xf7))
            lose(to, i->reg);
        if (i->vector && (op == 0xf3 || op == 0xf6))
            lose(to, i->third);
        break;
    case X86_64_MAP_0F3A:
        if (op >= 0x14 && op <= 0x17)
            lose_rm(to, i);
        if (op == 0xf0)
            lose(to, i->reg);
        break;
    default:
        break;
    }
}

/* ---- where it leads */

static enum code_flow flow_of(const struct x86_64_insn *i)
{
    uint8_t op = i->opcode;
    if (i->vector || i->map > X86_64_MAP_0F)
        return CODE_ON;
    if (i->map == X86_64_MAP_0F) {
        if ((op & 0xf0) == 0x80)
            return CODE_BRANCH;
        /* sysret, ud2, sysexit, ud1, ud0 */
        return op == 0x07 || op == 0x0b || op == 0x35 || op == 0xb9 || op == 0xff ? CODE_STOP
                                                                                  : CODE_ON;
    }
    if ((op & 0xf0) == 0x70 || (op >= 0xe0 && op <= 0xe3))
        return CODE_BRANCH;
    switch (op) {
    case 0xc2:
    case 0xc3:
        return CODE_RETURN;
    case 0xe8:
        return CODE_CALL;
    case 0xe9:
    case 0xeb:
        return CODE_JUMP;
    case 0xca: /* far returns, int3, iret, int1, hlt */
    case 0xcb:
    case 0xcc:
    case 0xcf:
    case 0xf1:
    case 0xf4:
        return CODE_STOP;
    default:
        return CODE_ON;
    }
}

static bool decode(const uint8_t *bytes, size_t len, uint64_t pc, struct code_insn *ret)
{
    struct x86_64_insn i;
    if (!x86_64_insn_decode(bytes, len, &i))
        return false;
    *ret = (struct code_insn){
        .len = i.len, .flow = (uint8_t)flow_of(&i), .target = pc + i.len + (uint64_t)i.imm};
    if (i.vector || i.map > X86_64_MAP_0F) {
        read_vector(ret, &i);
        return true;
    }
    char letter = i.map == X86_64_MAP_0F ? two_byte[i.opcode] : one_byte[i.opcode];
    if (letter == '*' && i.map == X86_64_MAP_0F)
        read_special_0f(ret, &i);
    else if (letter == '*')
        read_special(ret, &i);
    else if (letter != '.')
        lose_by_letter(ret, &i, letter);
    return true;
}

#define BIT(n) (1u << (n))

const struct code_processor code_x86_64 = {
    .registers = &rule_registers_x86_64,
    /* All but rbx (3), rbp (6), rsp (7) and r12 … r15. */
    .call_loses = BIT(0) | BIT(1) | BIT(2) | BIT(4) | BIT(5) | 0xf00,
    .return_pops = 8,
    .call_len = {2, 10},
    .step = 1,
    .decode = decode,
};
