/* x86_64_insn.c: takes bytes, gives the instruction they begin with. See x86_64_insn.h. */
#include "unwind/x86_64_insn.h"

#include <string.h>

#define LEN_MAX 15 /* SDM volume 2, 2.3.11: a longer one faults */

/* What follows an opcode, a letter each. SDM volume 2, tables.
 *   .  nothing               M  ModRM
 *   b  imm8                  B  ModRM, imm8
 *   z  imm16 or imm32        Z  ModRM, the same
 *   v  imm16, 32 or 64       f  ModRM, and if its reg is 0 or 1 an immediate: group 3
 *   w  imm16                 e  imm16, imm8
 *   o  an address            j  rel8
 *   J  rel32                 !  no instruction
 *   p  a prefix or an escape, which is dealt with before */
static const char one_byte[256 + 1] = "MMMMbz!!MMMMbz!p" /* 00 */
                                      "MMMMbz!!MMMMbz!!" /* 10 */
                                      "MMMMbzp!MMMMbzp!" /* 20 */
                                      "MMMMbzp!MMMMbzp!" /* 30 */
                                      "pppppppppppppppp" /* 40 */
                                      "................" /* 50 */
                                      "!!pMppppzZbB...." /* 60 */
                                      "jjjjjjjjjjjjjjjj" /* 70 */
                                      "BZ!BMMMMMMMMMMMM" /* 80 */
                                      "..........!....." /* 90 */
                                      "oooo....bz......" /* a0 */
                                      "bbbbbbbbvvvvvvvv" /* b0 */
                                      "BBw.ppBZe.w..b!." /* c0 */
                                      "MMMM!!!.MMMMMMMM" /* d0 */
                                      "jjjjbbbbJJ!j...." /* e0 */
                                      "p.pp..ff......MM" /* f0 */;

static const char two_byte[256 + 1] = "MMMM!.....!.!M.B" /* 00: 0f 0f is 3DNow! */
                                      "MMMMMMMMMMMMMMMM" /* 10 */
                                      "MMMM!!!!MMMMMMMM" /* 20 */
                                      "......!.p!p!!!!!" /* 30 */
                                      "MMMMMMMMMMMMMMMM" /* 40 */
                                      "MMMMMMMMMMMMMMMM" /* 50 */
                                      "MMMMMMMMMMMMMMMM" /* 60 */
                                      "BBBBMMM.MM!!MMMM" /* 70 */
                                      "JJJJJJJJJJJJJJJJ" /* 80 */
                                      "MMMMMMMMMMMMMMMM" /* 90 */
                                      "...MBMMM...MBMMM" /* a0: a6 and a7 are VIA's padlock */
                                      "MMMMMMMMMMBMMMMM" /* b0 */
                                      "MMBMBBBM........" /* c0 */
                                      "MMMMMMMMMMMMMMMM" /* d0 */
                                      "MMMMMMMMMMMMMMMM" /* e0 */
                                      "MMMMMMMMMMMMMMMM" /* f0 */;

struct cursor {
    const uint8_t *bytes;
    size_t len, at;
    bool bad;
};

static uint8_t next(struct cursor *c)
{
    if (c->at >= c->len) {
        c->bad = true;
        return 0;
    }
    return c->bytes[c->at++];
}

static int64_t next_signed(struct cursor *c, unsigned size)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++)
        v |= (uint64_t)next(c) << (8 * i);
    unsigned unused = 64 - 8 * size;
    return size ? (int64_t)(v << unused) >> unused : 0;
}

/* ---- in front of the opcode */

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };

static bool take_legacy_prefix(uint8_t b, struct x86_64_insn *i)
{
    switch (b) {
    case 0x66:
        i->data16 = true;
        return true;
    case 0xf2:
        i->repne = true;
        return true;
    case 0xf3:
        i->rep = true;
        return true;
    case 0x64:
    case 0x65:
        i->segment = true;
        return true;
    case 0x67:
        i->address32 = true;
        return true;
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0xf0:
        return true;
    default:
        return false;
    }
}

/* The prefix that VEX, EVEX and XOP have as a field of two bits: SDM volume 2, table 2-9. */
static void take_packed_prefix(uint8_t pp, struct x86_64_insn *i)
{
    i->data16 = pp == 1;
    i->rep = pp == 2;
    i->repne = pp == 3;
}

/* VEX of two bytes, VEX and XOP of three, EVEX: SDM volume 2, 2.3.5 and 2.7. Their register bits
 * are inverted. Gives the REX bits. */
static uint8_t take_vector_prefix(struct cursor *c, uint8_t first, struct x86_64_insn *i)
{
    uint8_t a = next(c);
    i->vector = true;
    i->map = X86_64_MAP_0F;
    if (first == 0xc5) {
        i->third = (uint8_t)(~a >> 3 & 15);
        take_packed_prefix(a & 3, i);
        return a & 0x80 ? 0 : REX_R;
    }
    uint8_t b = next(c);
    i->map = a & (first == 0x62 ? 7 : 31);
    i->third = (uint8_t)(~b >> 3 & 15);
    take_packed_prefix(b & 3, i);
    if (first == 0x62)
        next(c);
    return (uint8_t)((~a >> 5 & 7) | (b & 0x80 ? REX_W : 0));
}

/* Prefixes, escapes and the opcode; gives the REX bits. A REX counts only right before the opcode:
 * SDM volume 2, 2.2.1. */
static uint8_t take_opcode(struct cursor *c, struct x86_64_insn *i)
{
    uint8_t rex = 0, b = next(c);
    while (take_legacy_prefix(b, i))
        b = next(c);
    if ((b & 0xf0) == 0x40) {
        i->has_rex = true;
        rex = b & 15;
        b = next(c);
        if (take_legacy_prefix(b, i) || (b & 0xf0) == 0x40) {
            c->bad = true;
            return 0;
        }
    }
    bool xop = b == 0x8f && c->at < c->len && (c->bytes[c->at] & 31) >= X86_64_MAP_XOP_8;
    if (b == 0x62 || b == 0xc4 || b == 0xc5 || xop) {
        rex = take_vector_prefix(c, b, i);
        b = next(c);
    } else if (b == 0x0f) {
        i->map = X86_64_MAP_0F;
        b = next(c);
        if (b == 0x38 || b == 0x3a) {
            i->map = b == 0x38 ? X86_64_MAP_0F38 : X86_64_MAP_0F3A;
            b = next(c);
        }
    }
    i->opcode = b;
    return rex;
}

/* ---- behind the opcode */

static char form_of(const struct x86_64_insn *i)
{
    char form;
    switch (i->map) {
    case X86_64_MAP_ONE_BYTE:
        return i->vector ? '!' : one_byte[i->opcode];
    case X86_64_MAP_0F:
        form = two_byte[i->opcode];
        if (!i->vector)
            return form;
        /* vzeroupper alone has no operands. */
        return form == 'B' || i->opcode == 0x77 ? form : 'M';
    case X86_64_MAP_0F38:
    case X86_64_MAP_FP16_5:
    case X86_64_MAP_FP16_6:
    case X86_64_MAP_XOP_9:
        return 'M';
    case X86_64_MAP_0F3A:
    case X86_64_MAP_XOP_8:
        return 'B';
    case X86_64_MAP_XOP_A:
        return 'Z';
    default:
        return '!';
    }
}

/* SDM volume 2, tables 2-2 and 2-3. */
static void take_modrm(struct cursor *c, uint8_t rex, struct x86_64_insn *i)
{
    uint8_t b = next(c);
    i->modrm = true;
    i->mod = b >> 6;
    i->reg = (uint8_t)((b >> 3 & 7) | (rex & REX_R ? 8 : 0));
    i->rm = (uint8_t)((b & 7) | (rex & REX_B ? 8 : 0));
    if (i->map == X86_64_MAP_0F && !i->vector && i->opcode >= 0x20 && i->opcode <= 0x23)
        i->mod = 3; /* mov of control and debug registers */
    if (i->mod == 3)
        return;
    unsigned disp = i->mod == 1 ? 1 : i->mod == 2 ? 4 : 0;
    i->base = i->rm;
    if ((b & 7) == 4) {
        uint8_t sib = next(c);
        uint8_t index = (uint8_t)((sib >> 3 & 7) | (rex & REX_X ? 8 : 0));
        i->index = index == 4 ? X86_64_NO_REGISTER : index;
        i->base = (uint8_t)((sib & 7) | (rex & REX_B ? 8 : 0));
        b = sib;
    }
    if (i->mod == 0 && (b & 7) == 5) {
        i->base = X86_64_NO_REGISTER;
        disp = 4;
    }
    i->disp = (int32_t)next_signed(c, disp);
}

static void take_immediate(struct cursor *c, char form, struct x86_64_insn *i)
{
    unsigned z = i->data16 && !i->wide ? 2 : 4;
    switch (form) {
    case 'b':
    case 'B':
    case 'j':
        i->imm = next_signed(c, 1);
        break;
    case 'z':
        i->imm = next_signed(c, z);
        break;
    case 'Z':
        i->imm = next_signed(c, i->vector ? 4 : z);
        break;
    case 'v':
        i->imm = next_signed(c, i->wide ? 8 : z);
        break;
    case 'f':
        if ((i->reg & 7) < 2)
            i->imm = next_signed(c, i->opcode == 0xf6 ? 1 : z);
        break;
    case 'J':
        i->imm = next_signed(c, 4);
        break;
    case 'w':
    case 'e':
        i->imm = next_signed(c, 2) & 0xffff;
        if (form == 'e')
            next(c);
        break;
    case 'o':
        next_signed(c, i->address32 ? 4 : 8);
        break;
    default:
        break;
    }
}

bool x86_64_insn_decode(const uint8_t *bytes, size_t len, struct x86_64_insn *ret)
{
    struct cursor c = {.bytes = bytes, .len = len < LEN_MAX ? len : LEN_MAX};
    struct x86_64_insn i = {
        .base = X86_64_NO_REGISTER, .index = X86_64_NO_REGISTER, .third = X86_64_NO_REGISTER};
    uint8_t rex = take_opcode(&c, &i);
    i.wide = rex & REX_W;
    i.low = (uint8_t)((i.opcode & 7) | (rex & REX_B ? 8 : 0));
    char form = form_of(&i);
    if (c.bad || form == '!' || form == 'p')
        return false;
    if (strchr("MBZf", form))
        take_modrm(&c, rex, &i);
    take_immediate(&c, form, &i);
    if (c.bad)
        return false;
    i.len = (uint8_t)c.at;
    *ret = i;
    return true;
}
