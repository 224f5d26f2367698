/* fake_stack.c: see fake_stack.h. */
#include "fake_stack.h"

#include <asm/perf_regs.h>
#include <assert.h>
#include <dwarf.h>
#include <elf.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cfi_elf.h"
#include "unwind/code.h"
#include "unwind/table.h"

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64, SP = 7, FP = 6, RA = 16, REG = 10, KEPT = 3 };
enum { AT_SP = PERF_REG_X86_SP, AT_FP = PERF_REG_X86_BP, AT_PC = PERF_REG_X86_IP };
/* ax … ip, then r8 …: the 9 before are ax, bx, cx, dx, si, di, bp, sp, ip. */
enum { AT_REG = 9 + 2, AT_KEPT = PERF_REG_X86_BX };
const uint64_t fake_regs_mask = UINT64_C(0x1ff) | UINT64_C(0xff) << PERF_REG_X86_R8;
/* struct ucontext, sigcontext 40 bytes on; of its registers rbp is the 11th, rsp 16th, rip 17th. */
enum { SIGNAL_SKIP = 5, SIGNAL_FP = 10, SIGNAL_SP = 15, SIGNAL_PC = 16 };
#else
enum { MACHINE = EM_AARCH64, SP = 31, FP = 29, RA = 30, REG = 10, KEPT = 20 };
enum { AT_SP = 31, AT_FP = 29, AT_PC = 32, AT_REG = 10, AT_KEPT = 20 };
const uint64_t fake_regs_mask = (UINT64_C(1) << 33) - 1;
enum { SIGNAL_SKIP = 39, SIGNAL_FP = 29, SIGNAL_SP = 31, SIGNAL_PC = 32 };
#endif
const unsigned fake_register = REG, fake_kept = KEPT;

#define PROGRAM(...) (const uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})

/* Factored by -8; advances are not used, so that the code's alignment does not matter. */
int fake_file(void)
{
    const struct {
        uint32_t start;
        const uint8_t *program;
        size_t len;
    } functions[] = {
        {F_START, PROGRAM(DW_CFA_undefined, RA)},
        {F_16, PROGRAM(DW_CFA_nop)},
        {F_32, PROGRAM(DW_CFA_def_cfa_offset, 32, DW_CFA_offset | FP, 2)},
        {F_FP, PROGRAM(DW_CFA_def_cfa, FP, 16, DW_CFA_offset | FP, 2)},
        {F_REG, PROGRAM(DW_CFA_def_cfa, REG, 0)},
        {F_DEREF, PROGRAM(DW_CFA_def_cfa_expression, 3, DW_OP_breg0 + FP, 0x78, DW_OP_deref,
                          DW_CFA_expression, FP, 2, DW_OP_breg0 + FP, 0)},
        {F_STILL, PROGRAM(DW_CFA_def_cfa_offset, 0)},
        {F_BACK, PROGRAM(DW_CFA_def_cfa_sf, SP, 8)},
        {F_MOVED, PROGRAM(DW_CFA_register, RA, REG)},
        {F_OTHER, PROGRAM(DW_CFA_def_cfa, KEPT, 16)},
        {F_KEEPS, PROGRAM(DW_CFA_def_cfa_offset, 32, DW_CFA_offset | KEPT, 2)},
        {F_SUM, PROGRAM(DW_CFA_def_cfa_expression, 6, DW_OP_breg0 + SP, 0, DW_OP_deref,
                        DW_OP_breg0 + SP, 0, DW_OP_plus)},
        {F_ENDLESS, PROGRAM(DW_CFA_def_cfa_expression, 3, DW_OP_skip, 0xfd, 0xff)},
    };
    static const uint8_t initial[] = {DW_CFA_def_cfa, SP, 16, DW_CFA_offset | RA, 1};
    _cleanup_(buf_free) struct buf section = {0};
    size_t cie = cfi_add_cie(&section, MACHINE, "zR", initial, sizeof(initial));
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        cfi_add_fde(&section, cie, CFI_ELF_ADDRESS + functions[i].start, 0x100,
                    functions[i].program, functions[i].len);
    cie = cfi_add_cie(&section, MACHINE, "zRS", initial, sizeof(initial));
    cfi_add_fde(&section, cie, CFI_ELF_ADDRESS + F_SIGNAL, 0x100, NULL, 0);
    return cfi_elf_open(&(struct cfi_elf){
        .machine = MACHINE, .code_bytes = F_END, .section = &section, .indexed = true});
}

struct unwind_table *fake_table(void)
{
    _cleanup_close_ int fd = fake_file();
    struct unwind_table *t;
    int r = unwind_table_build(fd, NULL, &t, NULL);
    assert(r == 0);
    return t;
}

void fake_set(struct fake *f, uint64_t pc, uint64_t fp, uint64_t reg)
{
    f->regs[AT_PC] = pc;
    f->regs[AT_FP] = fp;
    f->regs[AT_SP] = STACK_BASE;
    f->regs[AT_REG] = f->regs[AT_KEPT] = reg;
}

void fake_push(struct fake *f, uint64_t word)
{
    assert(f->count < ARRAY_LEN(f->words));
    f->words[f->count++] = word;
}

void fake_push_address(struct fake *f, uint64_t code)
{
    fake_push(f, CFI_ELF_ADDRESS + code);
}

void fake_push_signal_frame(struct fake *f, uint64_t pc, uint64_t sp, uint64_t fp)
{
    size_t start = f->count + SIGNAL_SKIP;
    for (int i = 0; i < SIGNAL_SKIP + SIGNAL_PC + 1; i++)
        fake_push(f, 0xdead0000u + (uint64_t)i);
    f->words[start + SIGNAL_FP] = fp;
    f->words[start + SIGNAL_SP] = sp;
    f->words[start + SIGNAL_PC] = pc;
}

uint64_t fake_top(const struct fake *f)
{
    return STACK_BASE + f->count * 8;
}

static bool find(void *ctx, uint64_t pc, struct unwind_place *ret)
{
    struct fake *f = ctx;
    f->asked++;
    if (pc - NO_CFI < 0x1000) {
        *ret = (struct unwind_place){.object = f, .offset = pc - NO_CFI, .made = f->made};
        return true;
    }
    if (pc - CFI_ELF_ADDRESS >= F_END)
        return false;
    ret->object = f;
    ret->offset = pc - CFI_ELF_ADDRESS + CFI_ELF_OFFSET + f->moved;
    ret->table = f->pending ? NULL : f->table;
    ret->pending = f->pending;
    return true;
}

static bool find_cfi(void *ctx, uint64_t pc, const struct cfi_image **ret, uint64_t *ret_bias)
{
    struct fake *f = ctx;
    if (!f->image || pc - CFI_ELF_ADDRESS >= F_END)
        return false;
    *ret = f->image;
    *ret_bias = 0;
    return true;
}

static bool read_code(void *ctx, uint64_t pc, bool wide, struct code_piece *ret)
{
    struct fake *f = ctx;
    f->code_read++;
    if (wide || !f->code || pc - NO_CFI >= f->code_len)
        return false;
    *ret = (struct code_piece){f->code, f->code_len, NO_CFI};
    return true;
}

static size_t read_tail(void *ctx, uint64_t from, size_t checked, const uint8_t **ret)
{
    struct fake *f = ctx;
    f->tail_checked = checked;
    assert(from + checked == fake_top(f));
    *ret = (const uint8_t *)f->tail;
    return f->tail_words * 8;
}

struct unwind_space fake_space(struct fake *f)
{
    return (struct unwind_space){.id = f->id,
                                 .find = find,
                                 .find_cfi = find_cfi,
                                 .read_code = read_code,
                                 .read_tail = f->tail ? read_tail : NULL,
                                 .ctx = f};
}

struct unwind_sample fake_sample(const struct fake *f)
{
    return (struct unwind_sample){.ip = f->regs[AT_PC],
                                  .regs_mask = fake_regs_mask,
                                  .regs = f->regs,
                                  .regs_abi = PERF_SAMPLE_REGS_ABI_64,
                                  .stack = (const uint8_t *)f->words,
                                  .stack_len = f->count * 8};
}
