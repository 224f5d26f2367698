/* go_table.c: takes .gopclntab, gives its functions and their rows. See go_table.h. */
#include "unwind/go_table.h"

#include <errno.h>
#include <string.h>

#include "unwind/go_header.h"
#include "unwind/leb.h"

/* internal/abi/symtab.go */
#define FLAG_TOP_FRAME  1u
#define FLAG_SP_WRITE   2u
#define ID_CGO_CALLBACK 4u
#define ID_STACK_SWITCH 20u

/* Rules hold 32 bits. The runtime's own call1073741824 has a frame of that size. */
#define DELTA_MAX (INT32_MAX - 8)

static bool fits_in(uint64_t offset, uint64_t size, uint64_t len)
{
    return offset <= len && size <= len - offset;
}

int go_table_open(const void *bytes, size_t len, const struct rule_registers *registers,
                  struct go_table *ret)
{
    struct go_header h;
    int r = go_header_read(bytes, len, len, &h);
    if (r < 0 || h.quantum != (registers == &rule_registers_x86_64 ? 1 : 4))
        return -EBADMSG;
    *ret = (struct go_table){
        .registers = registers,
        .bytes = bytes,
        .len = len,
        .text = h.text,
        .count = h.count,
        .programs = h.programs,
        .functions = h.functions,
        .quantum = h.quantum,
        .word = h.word,
        .relative = h.relative,
        .flags_offset = h.version == GO_1_18 ? 37 : 41,
    };
    return 0;
}

/* The caller has checked that it is there. */
static uint64_t read_word(const struct go_table *t, uint64_t offset)
{
    struct leb p = {t->bytes + offset, t->bytes + t->len, false};
    return t->word == 8 ? leb_u64(&p) : leb_u32(&p);
}

int go_table_function(const struct go_table *t, uint64_t i, struct go_function *ret)
{
    uint64_t entry = t->functions + 2 * i * t->word;
    uint64_t start = read_word(t, entry), end = read_word(t, entry + 2 * t->word);
    uint64_t record = read_word(t, entry + t->word);
    if (end <= start || !fits_in(record, t->flags_offset + 1u, t->len - t->functions) ||
        read_word(t, record += t->functions) != start)
        return -EBADMSG;
    uint8_t id = t->bytes[record + t->flags_offset - 1], flags = t->bytes[record + t->flags_offset];
    struct leb p = {t->bytes + record + t->word + 12, t->bytes + t->len, false};
    uint32_t program = leb_u32(&p);
    if (program >= t->len - t->programs)
        return -EBADMSG;
    uint64_t base = t->relative ? t->text : 0;
    if (base + end < base)
        return -EBADMSG;
    *ret = (struct go_function){
        .start = base + start,
        .end = base + end,
        .program = program ? t->bytes + t->programs + program : NULL,
        /* Go's own unwinder stops at both. The latter change stacks, as from a goroutine's to the
         * thread's; only a callback from C arranges that both stacks can be unwound (traceback.go).
         */
        .bottom = flags & FLAG_TOP_FRAME || (flags & FLAG_SP_WRITE && id != ID_CGO_CALLBACK),
        /* Where C has called Go back, it stands for the caller of C: asm_amd64.s,
         * gosave_systemstack_switch; since 1.21 a later instruction does. */
        .returned_to = id == ID_STACK_SWITCH && t->relative && t->quantum == 1,
    };
    return 0;
}

/* Before anything is pushed the caller's frame pointer is where it was. Then the function has saved
 * it: cmd/internal/obj/x86/obj6.go puts it right below the return address. */
static struct unwind_rule rule_x86_64(const struct rule_registers *registers, int32_t delta)
{
    return (struct unwind_rule){.kind = RULE_SP,
                                .reg = registers->sp,
                                .cfa_off = delta + 8,
                                .fp_place = delta ? PLACE_CFA : PLACE_SAME,
                                .fp_off = delta ? -16 : 0,
                                .ra_place = PLACE_CFA,
                                .ra_off = -8};
}

/* The link register is saved at the lower end of the frame, and the frame pointer below that,
 * beyond the stack pointer: cmd/internal/obj/arm64/obj7.go. No copied stack has it, and no Go
 * code's rule asks for it. What is left in the register points below sp, so nothing takes it for a
 * frame. */
static struct unwind_rule rule_aarch64(const struct rule_registers *registers, int32_t delta)
{
    return (struct unwind_rule){.kind = RULE_SP,
                                .reg = registers->sp,
                                .cfa_off = delta,
                                .fp_place = PLACE_SAME,
                                .ra_place = delta ? PLACE_CFA : PLACE_SAME,
                                .ra_off = delta ? -delta : 0};
}

/* Below its entry's is sp only where a function has popped its return address, as vfork's does. */
static struct unwind_rule rule_of(const struct go_table *t, int64_t delta)
{
    if (delta < 0 || delta > DELTA_MAX)
        return (struct unwind_rule){.kind = RULE_OTHER};
    return t->quantum == 1 ? rule_x86_64(t->registers, (int32_t)delta)
                           : rule_aarch64(t->registers, (int32_t)delta);
}

int go_table_run(const struct go_table *t, const struct go_function *f, cfa_row_fn fn, void *ctx,
                 uint64_t *ret_end)
{
    struct leb p = {f->program, t->bytes + t->len, false};
    uint64_t pc = f->start, instructions;
    int64_t delta = -1;
    while (pc < f->end && go_program_step(&p, pc == f->start, &delta, &instructions)) {
        uint64_t bytes = instructions * t->quantum;
        struct unwind_rule rule = rule_of(t, delta);
        int r = fn(ctx, pc, &rule);
        if (r != 0)
            return r;
        pc = bytes < f->end - pc ? pc + bytes : f->end;
    }
    if (p.bad || pc == f->start)
        return -EBADMSG;
    *ret_end = pc;
    return 0;
}
