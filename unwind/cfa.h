/* cfa.h: a CFA program (DWARF 5, section 6.4.2) becomes rows of (pc, rule). Untrusted bytes, no
 * I/O, no allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/rule.h"

/* What a CIE says of its FDEs' programs. */
struct cfa_cie {
    const uint8_t *initial, *initial_end; /* its own program */
    uint64_t code_align;
    int64_t data_align;
    uint32_t return_register;
    uint8_t pointer_size; /* of DW_CFA_set_loc's operand */
    bool signal_frame;
    bool unknown; /* an augmentation that is not understood: rows are RULE_OTHER */
};

/* Called with each row: `rule` holds from `pc` to the next row's. Negative stops. */
typedef int (*cfa_row_fn)(void *ctx, uint64_t pc, const struct unwind_rule *rule);

/* Runs the CIE's program and then the FDE's, for pcs from `start` to before `end`. 0, what `fn`
 * returned, or -EBADMSG if a program is malformed: rows given so far hold up to that pc. */
int cfa_run(const struct rule_registers *registers, const struct cfa_cie *cie,
            const uint8_t *program, const uint8_t *program_end, uint64_t start, uint64_t end,
            cfa_row_fn fn, void *ctx);
