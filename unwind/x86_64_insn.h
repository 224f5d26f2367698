/* x86_64_insn.h: how long an instruction of 64-bit mode is, and what it is made of. Intel SDM
 * volume 2, chapter 2 (the format) and appendix A (the opcode maps). Untrusted bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of opcode maps: the `mmmmm` of VEX and EVEX, which go on where the escapes end. */
enum {
    X86_64_MAP_ONE_BYTE = 0,
    X86_64_MAP_0F,
    X86_64_MAP_0F38,
    X86_64_MAP_0F3A,
    X86_64_MAP_FP16_5 = 5, /* EVEX alone */
    X86_64_MAP_FP16_6,
    X86_64_MAP_XOP_8 = 8, /* AMD's, volume 6 of its manual */
    X86_64_MAP_XOP_9,
    X86_64_MAP_XOP_A,
};

#define X86_64_NO_REGISTER 0xff

/* Register numbers are those of the encoding: 4 is rsp, 5 rbp. */
struct x86_64_insn {
    uint8_t len;
    uint8_t map, opcode;
    bool vector;     /* VEX, EVEX or XOP in front: no legacy instruction */
    bool has_rex;    /* byte registers 4 … 7 are spl … dil */
    bool wide;       /* REX.W */
    bool data16;     /* prefix 66, or what VEX has for it; likewise: */
    bool rep, repne; /* F3; F2 */
    bool segment;    /* fs or gs */
    bool address32;  /* prefix 67 */
    bool modrm;      /* these hold something: */
    uint8_t mod;     /* 3: `rm` is a register, else memory: base + index + disp */
    uint8_t reg, rm; /* with REX.R and REX.B */
    uint8_t base;    /* X86_64_NO_REGISTER: none, or rip */
    uint8_t index;   /* X86_64_NO_REGISTER: none */
    uint8_t third;   /* the `vvvv` of VEX */
    uint8_t low;     /* the opcode's lowest three bits, with REX.B */
    int32_t disp;
    int64_t imm; /* sign-extended; of jumps: relative to the next instruction */
};

/* False if it is none, or does not end within `len` bytes. */
bool x86_64_insn_decode(const uint8_t *bytes, size_t len, struct x86_64_insn *ret);
