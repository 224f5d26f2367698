/* engine_podflame.c: our unwinder, with all tables built. */
#include <linux/perf_event.h>
#include <stdlib.h>

#include "engine.h"
#include "unwind/cfi_image.h"
#include "unwind/code.h"
#include "unwind/table.h"

/* As in src/agent/stacker.c. */
#define CODE_NEAR 4096u
#define CODE_WIDE 65536u

struct podflame {
    const struct samples *samples;
    const struct bench_space *space;
    struct unwinder *unwinder;
    struct unwind_stack stack;
    uint8_t code[CODE_WIDE];
};

static void *open_podflame(const struct samples *samples)
{
    struct podflame *p = calloc(1, sizeof(*p));
    p->samples = samples;
    if (unwinder_new(&p->unwinder, NULL) < 0)
        abort();
    return p;
}

/* As the agent's: src/agent/stacker.c. */
static bool find(void *ctx, uint64_t pc, struct unwind_place *ret)
{
    const struct podflame *p = ctx;
    const struct bench_mapping *m = samples_find_mapping(p->space, pc);
    if (!m)
        return false;
    ret->made = m->object == SAMPLES_NO_OBJECT;
    ret->offset = ret->made ? pc : pc - m->start + m->file_offset;
    if (!ret->made) {
        ret->object = &p->samples->objects[m->object];
        ret->table = p->samples->objects[m->object].table;
    }
    return true;
}

static bool find_cfi(void *ctx, uint64_t pc, const struct cfi_image **ret, uint64_t *ret_bias)
{
    const struct podflame *p = ctx;
    const struct bench_mapping *m = samples_find_mapping(p->space, pc);
    if (!m || m->object == SAMPLES_NO_OBJECT || !p->samples->objects[m->object].image)
        return false;
    *ret = p->samples->objects[m->object].image;
    uint64_t address;
    if (!cfi_image_address(*ret, pc - m->start + m->file_offset, &address))
        return false;
    *ret_bias = pc - address;
    return true;
}

static bool read_code(void *ctx, uint64_t pc, bool wide, struct code_piece *ret)
{
    struct podflame *p = ctx;
    const struct bench_mapping *m = samples_find_mapping(p->space, pc);
    if (!m)
        return false;
    /* Three quarters lie behind the pc: that is where code goes on. */
    uint64_t before = (wide ? CODE_WIDE : CODE_NEAR) / 4;
    uint64_t from = pc - m->start > before ? pc - before : m->start;
    uint64_t to = m->end - pc > before * 3 ? pc + before * 3 : m->end;
    size_t len = samples_read_code(p->samples, p->space, m, from, to, p->code);
    *ret = (struct code_piece){p->code, len, from};
    return len > pc - from;
}

static void run(void *engine, const struct bench_sample *sample, struct chain *ret)
{
    struct podflame *p = engine;
    p->space = &p->samples->spaces[sample->space];
    struct unwind_sample input = {.regs_mask = p->samples->regs_mask,
                                  .regs = sample->regs,
                                  .regs_abi = PERF_SAMPLE_REGS_ABI_64,
                                  .stack = sample->stack,
                                  .stack_len = sample->stack_len};
    struct unwind_space space = {.id = p->space->maps_id,
                                 .find = find,
                                 .find_cfi = find_cfi,
                                 .read_code = read_code,
                                 .ctx = p};
    unwinder_run(p->unwinder, &input, &space, &p->stack);
    ret->count = (uint32_t)p->stack.count;
    ret->end = (uint8_t)p->stack.end;
    ret->bottom = p->stack.end == UNWIND_END_bottom;
    for (uint32_t i = 0; i < ret->count; i++)
        ret->pcs[i] = p->stack.frames[i].pc;
}

static size_t memory(void *engine)
{
    const struct podflame *p = engine;
    return p->samples->table_bytes;
}

const struct engine engine_podflame = {"podflame", open_podflame, run, memory};
