/* rule.h: how to get from one frame to its caller at a pc, in 20 bytes. What the CFI of real
 * programs says fits; the rest is RULE_OTHER and left to a slower engine.
 *
 * Of the caller only pc, sp and fp are recovered: callers of callers need no more, as CFI of
 * compiled code finds its CFA from sp or fp. Registers beside these are known only where the CPU
 * was interrupted; a rule that uses one (RULE_REG) works there alone. */
#pragma once

#include <assert.h>
#include <stdint.h>

enum rule_kind {
    RULE_NONE = 0, /* no CFI covers the pc */
    RULE_END,      /* the return address is undefined: this is a thread's first function */
    RULE_SP,       /* CFA = sp + cfa_off */
    RULE_FP,       /* CFA = fp + cfa_off */
    RULE_REG,      /* CFA = register `reg` + cfa_off */
    RULE_DEREF,    /* CFA = *(register `reg` + cfa_off) + cfa_add */
    RULE_PLT,      /* CFA = sp + cfa_off + ((pc & reg) >= cfa_add ? 8 : 0): a lazy PLT, which pushes
                      once within each entry (x86 only) */
    RULE_OTHER,    /* CFI that this struct cannot say */
};

enum rule_place {
    PLACE_SAME = 0,  /* the register still holds it */
    PLACE_CFA,       /* at CFA + offset */
    PLACE_SP,        /* at sp + offset */
    PLACE_FP,        /* at fp + offset */
    PLACE_REG,       /* in register `offset`; only where the CPU was interrupted */
    PLACE_UNDEFINED, /* gone */
};

#define RULE_SIGNAL 1u /* a signal frame: its caller was interrupted, pc is no return address */
#define RULE_PAC    2u /* aarch64: the return address is signed */

struct unwind_rule {
    uint8_t kind;                       /* enum rule_kind */
    uint8_t reg;                        /* DWARF number */
    uint8_t flags;                      /* RULE_SIGNAL, RULE_PAC */
    uint8_t fp_place : 4, ra_place : 4; /* enum rule_place */
    int32_t cfa_off, cfa_add;
    int32_t fp_off, ra_off;
};
static_assert(sizeof(struct unwind_rule) == 20, "rules lie in table files");

/* DWARF numbers of the registers that rules treat apart: the psABI's register table. */
struct rule_registers {
    uint8_t sp, fp, ra;
    uint8_t count;      /* numbers below it are registers of the machine */
    uint8_t initial_ra; /* enum rule_place before any CFI instruction */
};

extern const struct rule_registers rule_registers_x86_64;  /* psABI 1.0, figure 3.36 */
extern const struct rule_registers rule_registers_aarch64; /* AADWARF64, table 4.1 */
