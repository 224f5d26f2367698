/* engine_podflame.c: our unwinder, with all tables built. */
#include <linux/perf_event.h>
#include <stdlib.h>

#include "engine.h"
#include "unwind/table.h"

struct podflame {
    const struct samples *samples;
    const struct bench_space *space;
    struct unwinder *unwinder;
    struct unwind_stack stack;
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
    ret->offset = m->object == SAMPLES_NO_OBJECT ? pc : pc - m->start + m->file_offset;
    if (m->object != SAMPLES_NO_OBJECT) {
        ret->object = &p->samples->objects[m->object];
        ret->table = p->samples->objects[m->object].table;
    }
    return true;
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
    struct unwind_space space = {.id = p->space->maps_id, .find = find, .ctx = p};
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
