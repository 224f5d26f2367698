/* stacker.c: takes samples, gives stacks: answers the unwinder's questions about the process. See
 * stacker.h. */
#include "agent/stacker.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/counters.h"
#include "agent/object.h"
#include "agent/process.h"
#include "agent/record.h"
#include "agent/tables.h"
#include "base/err.h"

struct stacker {
    struct stacker_config config;
    struct objects *objects;
    struct counters *counters;
    struct unwinder *unwinder;
    uint32_t window;
    struct unwind_stack stack;

    /* The sample at hand. */
    struct process *process;
    bool pending;
};

int stacker_new(const struct stacker_config *config, struct objects *objects,
                struct counters *counters, struct stacker **ret, struct err *err)
{
    struct stacker *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(err, -ENOMEM, "the stacker");
    s->config = *config;
    s->objects = objects;
    s->counters = counters;
    int r = unwinder_new(&s->unwinder, err);
    if (r < 0) {
        free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void stacker_free(struct stacker **stacker)
{
    if (!*stacker)
        return;
    unwinder_free(&(*stacker)->unwinder);
    free(*stacker);
    *stacker = NULL;
}

void stacker_turn(struct stacker *stacker, uint32_t window)
{
    unwinder_forget(stacker->unwinder);
    stacker->window = window;
}

static bool has_code_of_file(const struct object *o)
{
    return o->kind == OBJECT_ELF || o->kind == OBJECT_VDSO;
}

static bool find(void *ctx, uint64_t pc, struct unwind_place *ret)
{
    struct stacker *s = ctx;
    const struct mapping *m = process_find_mapping(s->process, pc);
    if (!m)
        return false;
    struct object *o = m->object;
    ret->object = o;
    ret->offset = o->kind == OBJECT_ANON ? pc : pc - m->start + m->file_offset;
    if (!has_code_of_file(o))
        return true;
    struct object_place place = {.pid = (pid_t)s->process->pid,
                                 .ppid = (pid_t)s->process->ppid,
                                 .start = m->start,
                                 .end = m->end};
    if (object_wants_open(s->objects, o, s->window, place.pid))
        s->config.open(s->config.ctx, o, &place);
    if (s->config.tables) {
        ret->table = tables_find(s->config.tables, o, &place, &ret->pending);
        s->pending = s->pending || ret->pending;
    }
    return true;
}

void stacker_count(struct stacker *stacker)
{
    struct stacker *s = stacker;
    static const size_t ends[] = {
#define X(name, help) [UNWIND_END_##name] = offsetof(struct counters, stacks_##name),
        UNWIND_ENDS(X)
#undef X
    };
    static const size_t methods[] = {
#define X(name, help) [UNWIND_METHOD_##name] = offsetof(struct counters, frames_##name),
        UNWIND_METHODS(X)
#undef X
    };
    char *base = (char *)s->counters;
    atomic_fetch_add_explicit((_Atomic uint64_t *)(base + ends[s->stack.end]), 1,
                              memory_order_relaxed);
    for (size_t i = 0; i < UNWIND_METHOD_COUNT; i++) {
        if (s->stack.methods[i])
            atomic_fetch_add_explicit((_Atomic uint64_t *)(base + methods[i]), s->stack.methods[i],
                                      memory_order_relaxed);
    }
    if (s->pending)
        counter_add(s->counters, stacks_pending, 1);
}

/* Memory may have become executable by mprotect(2), which tells nobody. */
static bool leaf_is_unmapped(const struct unwind_stack *stack)
{
    size_t i = 0;
    while (i < stack->count && stack->frames[i].kernel)
        i++;
    return i < stack->count && !stack->frames[i].object;
}

const struct unwind_stack *stacker_run(struct stacker *stacker, struct process *process,
                                       uint64_t now, const struct record_sample *sample)
{
    struct stacker *s = stacker;
    struct unwind_sample input = {
        .ip = sample->ip,
        .chain = sample->chain,
        .chain_count = sample->chain_count,
        .chain_max = s->config.chain_max,
        .regs_mask = s->config.regs_mask,
        .regs = sample->regs,
        .regs_abi = sample->regs_abi,
        .stack = s->config.tables ? sample->stack : NULL,
        .stack_len = sample->stack_len,
    };
    s->process = process;
    s->pending = false;
    struct unwind_space space = {process_maps_id(process), find, s};
    unwinder_run(s->unwinder, &input, &space, &s->stack);
    if (leaf_is_unmapped(&s->stack) && s->config.rescan(s->config.ctx, process, now)) {
        space.id = process_maps_id(process);
        unwinder_run(s->unwinder, &input, &space, &s->stack);
    }
    return &s->stack;
}

bool stacker_is_pending(const struct stacker *stacker)
{
    return stacker->pending;
}
