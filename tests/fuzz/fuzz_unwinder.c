/* fuzz_unwinder.c: any rules, registers and stack give a stack of frames that ends, and the same
 * one however often it is asked for.
 *
 *   offset      what
 *        0      rules - 1, at most 15
 *        1      rows, at most 31; row i holds for the 16 bytes of code from 0x1000 + 16 i on
 *        2 64   registers, 8 bytes each, by perf's numbers, times 1
 *      514      the rules, 20 bytes each; a rule's number for each row
 *        -      the stack */
#include <assert.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "unwind/arch.h"
#include "unwind/table.h"
#include "unwind/table_file.h"
#include "unwind/unwind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REGISTERS 64
#define CODE      UINT64_C(0x1000)
#define HASH_AT   24

/* The header in table_file.h; the key is empty. */
static struct unwind_table *make_table(const uint8_t *rules, uint32_t rule_count,
                                       const uint8_t *rows, uint32_t row_count)
{
    uint32_t header[TABLE_FILE_HEADER_SIZE / 4] = {0, TABLE_FILE_VERSION, UNWIND_X86_64, row_count,
                                                   rule_count};
    if (arch_registers == &rule_registers_aarch64)
        header[2] = UNWIND_AARCH64;
    memcpy(header, TABLE_FILE_MAGIC, 4);
    _cleanup_(buf_free) struct buf b = {0};
    buf_append(&b, header, sizeof(header));
    buf_append(&b, rules, rule_count * sizeof(struct unwind_rule));
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t offset = i * 16;
        buf_append(&b, &offset, sizeof(offset));
    }
    for (uint32_t i = 0; i < row_count; i++) {
        uint16_t rule = (uint16_t)(rows[i] % rule_count);
        buf_append(&b, &rule, sizeof(rule));
    }
    uint64_t hash = XXH3_64bits(b.data, b.len);
    memcpy(b.data + HASH_AT, &hash, sizeof(hash));
    struct unwind_table *t = NULL;
    return table_file_read(b.data, b.len, "", 0, &t, NULL) == 0 ? t : NULL;
}

static bool find(void *ctx, uint64_t pc, struct unwind_place *ret)
{
    if (pc < CODE || pc >= 2 * CODE)
        return false;
    ret->object = ctx;
    ret->offset = pc - CODE;
    ret->table = pc < CODE + 512 ? ctx : NULL;
    return true;
}

static void check_stack(const struct unwind_stack *s)
{
    assert(s->count >= 1 && s->count <= UNWIND_FRAMES_MAX && s->end < UNWIND_END_COUNT);
    for (size_t i = 1; i < s->count; i++)
        assert(s->frames[i].pc >= CODE && s->frames[i].pc < 2 * CODE && !s->frames[i].kernel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct unwind_stack first, again;
    static struct unwinder *u;
    if (!u)
        assert(unwinder_new(&u, NULL) == 0);
    if (size < 2)
        return 0;
    uint32_t rules = (data[0] & 15) + 1u, rows = data[1] & 31;
    size_t fixed = 2 + REGISTERS * 8 + rules * sizeof(struct unwind_rule) + rows;
    if (size < fixed || !rows)
        return 0;
    uint64_t regs[REGISTERS];
    memcpy(regs, data + 2, sizeof(regs));
    const uint8_t *rule_bytes = data + 2 + sizeof(regs);
    _cleanup_(unwind_table_free) struct unwind_table *t =
        make_table(rule_bytes, rules, rule_bytes + rules * sizeof(struct unwind_rule), rows);
    if (!t)
        return 0;
    size_t stack_len = size - fixed;
    _cleanup_free_ uint8_t *stack = malloc(stack_len ? stack_len : 1);
    assert(stack);
    memcpy(stack, data + fixed, stack_len);
    struct unwind_sample sample = {.regs_mask = UINT64_MAX,
                                   .regs = regs,
                                   .regs_abi = PERF_SAMPLE_REGS_ABI_64,
                                   .stack = stack,
                                   .stack_len = stack_len};
    struct unwind_space space = {.id = 1, .find = find, .ctx = t};
    unwinder_forget(u);
    unwinder_run(u, &sample, &space, &first);
    check_stack(&first);
    unwinder_run(u, &sample, &space, &again);
    assert(first.count == again.count && first.end == again.end);
    for (size_t i = 0; i < first.count; i++)
        assert(first.frames[i].pc == again.frames[i].pc &&
               first.frames[i].offset == again.frames[i].offset);
    return 0;
}
