/* fuzz_cfi.c: any CFI section gives FDEs, and each FDE rows in order, no more of both than there
 * are bytes. The first byte says which section it is, and of which machine. */
#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/eh_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ADDRESS UINT64_C(0x400000)

struct walk {
    const struct rule_registers *registers;
    const uint8_t *from, *to;
    const struct cfi_fde *fde;
    uint64_t last;
    size_t fdes, rows, rows_here;
};

static int check_row(void *ctx, uint64_t pc, const struct unwind_rule *rule)
{
    struct walk *w = ctx;
    assert(pc >= w->fde->start && pc < w->fde->end);
    assert(!w->rows_here || pc > w->last);
    assert(rule->kind > RULE_NONE && rule->kind <= RULE_OTHER);
    assert(rule->reg < 32 && rule->fp_place <= PLACE_UNDEFINED && rule->ra_place < PLACE_UNDEFINED);
    assert(rule->ra_place != PLACE_REG ||
           (rule->ra_off >= 0 && rule->ra_off < w->registers->count));
    assert(rule->fp_place != PLACE_REG ||
           (rule->fp_off >= 0 && rule->fp_off < w->registers->count));
    w->last = pc;
    w->rows++;
    w->rows_here++;
    return 0;
}

static int check_fde(void *ctx, const struct cfi_fde *fde)
{
    struct walk *w = ctx;
    assert(fde->start < fde->end);
    assert(fde->program >= w->from && fde->program <= fde->program_end &&
           fde->program_end <= w->to);
    assert(fde->cie->initial >= w->from && fde->cie->initial_end <= w->to);
    w->fde = fde;
    w->fdes++;
    w->rows_here = 0;
    int r = cfa_run(w->registers, fde->cie, fde->program, fde->program_end, fde->start, fde->end,
                    check_row, w);
    assert(r == 0 || r == -EBADMSG);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char ident[EI_NIDENT] = {ELFMAG0,    ELFMAG1,     ELFMAG2,   ELFMAG3,
                                                   ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
    if (size < 2)
        return 0;
    elf_version(EV_CURRENT);
    /* A copy of its own, so that reading past its end is seen. */
    size_t len = size - 1;
    uint8_t *bytes = malloc(len);
    assert(bytes);
    memcpy(bytes, data + 1, len);
    Elf_Data section = {
        .d_buf = bytes, .d_size = len, .d_type = ELF_T_BYTE, .d_version = EV_CURRENT};
    struct cfi_section s = {
        .ident = ident, .data = &section, .address = ADDRESS, .eh_frame = data[0] & 1};
    struct walk w = {.registers = data[0] & 2 ? &rule_registers_aarch64 : &rule_registers_x86_64,
                     .from = bytes,
                     .to = bytes + len};
    uint32_t bad;
    int r = cfi_walk(&s, check_fde, &w, &bad);
    assert(r == 0);
    assert(w.fdes <= len / 8 && w.rows <= len + w.fdes && bad <= len);
    free(bytes);
    return 0;
}
