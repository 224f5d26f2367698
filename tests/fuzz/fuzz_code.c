/* fuzz_code.c: any bytes, followed from any of them, give a known rule or none, and the same one
 * again; and no instruction is longer than its bytes.
 *
 *   offset size  what
 *        0    1  the processor: 0 x86-64, 1 aarch64
 *        1    2  the pc, from the code's beginning
 *        3    -  the code */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/code_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define START UINT64_C(0x400000)

static void check_instructions(const struct code_processor *on, const uint8_t *bytes, size_t len)
{
    struct code_insn insn;
    for (size_t at = 0; at + on->step <= len; at += on->step) {
        if (!on->decode(bytes + at, len - at, START + at, &insn))
            continue;
        assert(insn.len > 0 && insn.len <= 15 && insn.len <= len - at);
        assert(insn.flow <= CODE_STOP && insn.count <= CODE_OPS_MAX);
        for (unsigned i = 0; i < insn.count; i++) {
            const struct code_op *op = &insn.ops[i];
            assert(op->base < CODE_REGISTERS);
            assert(op->reg < CODE_REGISTERS ||
                   (op->kind == CODE_STORE && op->reg == CODE_NO_REGISTER));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const struct code_processor *on = data[0] & 1 ? &code_aarch64 : &code_x86_64;
    uint64_t pc = START + (data[1] | (unsigned)data[2] << 8);
    /* A copy of its own, so that reading past its end is seen. */
    size_t len = size - 3;
    uint8_t *bytes = malloc(len ? len : 1);
    assert(bytes);
    memcpy(bytes, data + 3, len);
    struct code_piece piece = {bytes, len, START};
    struct unwind_rule rule = {0}, again = {0};
    check_instructions(on, bytes, len);
    int behind = code_look_behind(on, &piece, pc);
    assert(behind >= -1 && behind <= 1);
    bool found = code_walk(on, &piece, pc, &rule);
    assert(found == code_walk(on, &piece, pc, &again));
    assert(memcmp(&rule, &again, sizeof(rule)) == 0);
    if (found) {
        assert(pc < START + len && rule.kind >= RULE_SP && rule.kind <= RULE_DEREF);
        assert(rule.reg < on->registers->count && rule.fp_place <= PLACE_UNDEFINED &&
               rule.ra_place <= PLACE_FP && rule.fp_place != PLACE_REG);
    }
    free(bytes);
    return 0;
}
