/* stacker.c: takes samples, gives stacks: answers the unwinder's questions about the process. See
 * stacker.h. */
#include "agent/stacker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/counters.h"
#include "agent/object.h"
#include "agent/peek.h"
#include "agent/process.h"
#include "agent/record.h"
#include "agent/tables.h"
#include "base/clock.h"
#include "base/err.h"
#include "unwind/cfi_image.h"
#include "unwind/code.h"

/* Code around a pc that is followed to its return: most functions are small, some are not. */
#define CODE_BEFORE 1024u
#define CODE_BEHIND 3072u

/* Pieces of code that are read, and readings of libunwind's, on the average and after a pause. Of
 * code, programs that are not out for trouble need some thousand pieces when they start and few
 * later, of libunwind little. One that makes up frames or CFI without end gets no more than a
 * fortieth of a CPU: M, 34 us a piece, 10 ns a reading. */
#define CODE_A_SECOND     500u
#define CODE_AT_ONCE      4000u
#define READINGS_A_SECOND 500000u
#define READINGS_AT_ONCE  5000000u

/* Of the rest of a stack. */
#define TAIL_MAX (128u << 10)

/* What a stack needed farther above sp was no part of it: it led to another one. */
#define STACK_BYTES_MAX (8u << 20)

/* So much of something now, and so much a second. */
struct grant {
    uint64_t time; /* of the samples' clock, up to which it has been given */
    uint64_t left;
};

struct stacker {
    struct stacker_config config;
    struct objects *objects;
    struct counters *counters;
    struct unwinder *unwinder;
    uint32_t window;
    struct unwind_stack stack;

    /* The sample at hand. */
    struct process *process;
    const struct record_sample *sample;
    uint64_t time;
    bool pending;

    struct grant code_grant, readings_grant;
    struct stacker_dumps dumps;
    uint8_t *tail; /* PEEK_MAX bytes, where they are wanted */
    uint8_t code[2 * CODE_REACH];
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
    if (r == 0 && config->tail_ns && !(s->tail = malloc(PEEK_MAX)))
        r = err_errno(err, -ENOMEM, "the stacker");
    if (r < 0) {
        stacker_free(&s);
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
    free((*stacker)->tail);
    free(*stacker);
    *stacker = NULL;
}

void stacker_turn(struct stacker *stacker, uint32_t window)
{
    unwinder_forget(stacker->unwinder);
    unwinder_forget_code(stacker->unwinder);
    stacker->window = window;
}

void stacker_take_tables(struct stacker *stacker)
{
    unwinder_forget(stacker->unwinder);
}

static bool has_code_of_file(const struct object *o)
{
    return o->kind == OBJECT_ELF || o->kind == OBJECT_VDSO;
}

static struct object_place place_of(const struct process *p, const struct mapping *m)
{
    return (struct object_place){
        .pid = (pid_t)p->pid, .ppid = (pid_t)p->ppid, .start = m->start, .end = m->end};
}

static bool find(void *ctx, uint64_t pc, struct unwind_place *ret)
{
    struct stacker *s = ctx;
    const struct mapping *m = process_find_mapping(s->process, pc);
    if (!m)
        return false;
    struct object *o = m->object;
    ret->object = o;
    ret->made = o->kind == OBJECT_ANON;
    ret->offset = ret->made ? pc : pc - m->start + m->file_offset;
    if (!has_code_of_file(o))
        return true;
    struct object_place place = place_of(s->process, m);
    if (object_wants_open(s->objects, o, s->window, place.pid))
        s->config.open(s->config.ctx, o, &place);
    if (s->config.tables) {
        ret->table = tables_find(s->config.tables, o, &place, &ret->pending);
        s->pending = s->pending || ret->pending;
    }
    return true;
}

static bool find_cfi(void *ctx, uint64_t pc, const struct cfi_image **ret, uint64_t *ret_bias)
{
    struct stacker *s = ctx;
    const struct mapping *m = process_find_mapping(s->process, pc);
    if (!m || !s->config.tables || !has_code_of_file(m->object))
        return false;
    struct object_place place = place_of(s->process, m);
    bool pending;
    uint64_t address;
    const struct cfi_image *image =
        tables_find_image(s->config.tables, m->object, &place, &pending);
    s->pending = s->pending || pending;
    if (!image || !cfi_image_address(image, pc - m->start + m->file_offset, &address))
        return false;
    *ret = image;
    *ret_bias = pc - address;
    return true;
}

/* A sample that has waited brings no new time. */
static uint64_t granted(struct grant *g, uint64_t now, uint64_t a_second, uint64_t at_once)
{
    const uint64_t each = (uint64_t)NS_PER_SEC / a_second;
    uint64_t more = now > g->time ? (now - g->time) / each : 0;
    g->left = more < at_once && g->left + more < at_once ? g->left + more : at_once;
    g->time += more * each;
    return g->left;
}

static bool may_read_code(struct stacker *s)
{
    if (!granted(&s->code_grant, s->time, CODE_A_SECOND, CODE_AT_ONCE)) {
        counter_add(s->counters, peeks_refused, 1);
        return false;
    }
    s->code_grant.left--;
    return true;
}

static bool may_use_libunwind(struct stacker *s)
{
    return granted(&s->readings_grant, s->time, READINGS_A_SECOND, READINGS_AT_ONCE);
}

static void run_unwinder(struct stacker *s, const struct unwind_sample *input,
                         struct unwind_space *space)
{
    space->find_cfi = may_use_libunwind(s) ? find_cfi : NULL;
    unwinder_run(s->unwinder, input, space, &s->stack);
    uint64_t used = s->stack.readings;
    s->readings_grant.left = used < s->readings_grant.left ? s->readings_grant.left - used : 0;
}

/* Of the mapping that `pc` lies in; what was read is what is there now, and made code may have been
 * made over since the sample: the unwinder takes it for the guess it is. */
static bool read_code(void *ctx, uint64_t pc, bool wide, struct code_piece *ret)
{
    struct stacker *s = ctx;
    const struct mapping *m = process_find_mapping(s->process, pc);
    if (!m || !may_read_code(s))
        return false;
    uint64_t before = wide ? CODE_REACH : CODE_BEFORE, behind = wide ? CODE_REACH : CODE_BEHIND;
    uint64_t from = pc - m->start > before ? pc - before : m->start;
    uint64_t to = m->end - pc > behind ? pc + behind : m->end;
    size_t len = s->config.peek(s->config.ctx, s->process, from, s->code, to - from);
    *ret = (struct code_piece){s->code, len, from};
    return len > pc - from;
}

/* Only just after the sample: the thread has gone on since, but who called it changes less. */
static size_t read_tail(void *ctx, uint64_t from, size_t checked, const uint8_t **ret)
{
    struct stacker *s = ctx;
    const struct record_sample *sample = s->sample;
    if (clock_ns(CLOCK_MONOTONIC) - (int64_t)s->time > s->config.tail_ns ||
        checked > PEEK_MAX - TAIL_MAX)
        return 0;
    size_t got = s->config.peek(s->config.ctx, s->process, from, s->tail, checked + TAIL_MAX);
    if (got <= checked ||
        memcmp(s->tail, sample->stack + sample->stack_len - checked, checked) != 0)
        return 0;
    *ret = s->tail + checked;
    return got - checked;
}

static void count_dump(struct stacker *s)
{
    const struct unwind_stack *stack = &s->stack;
    uint64_t used = stack->stack_used;
    if (stack->end == UNWIND_END_kernel_only || !s->sample->stack || s->pending)
        return;
    s->dumps.stacks++;
    if (used > s->sample->stack_len && used < STACK_BYTES_MAX)
        s->dumps.cut += s->sample->stack_len == s->sample->stack_room;
    else if (used < STACK_BYTES_MAX)
        s->dumps.deep += used > s->sample->stack_room / 2;
}

struct stacker_dumps stacker_take_dumps(struct stacker *stacker)
{
    struct stacker_dumps dumps = stacker->dumps;
    stacker->dumps = (struct stacker_dumps){0};
    return dumps;
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
    count_dump(s);
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
                                       uint64_t time, const struct record_sample *sample)
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
    s->sample = sample;
    s->time = time;
    s->pending = false;
    struct unwind_space space = {.id = process_maps_id(process),
                                 .find = find,
                                 .read_code = s->config.peek ? read_code : NULL,
                                 .read_tail = s->tail && s->config.peek ? read_tail : NULL,
                                 .ctx = s};
    run_unwinder(s, &input, &space);
    if (leaf_is_unmapped(&s->stack) && s->config.rescan(s->config.ctx, process, time)) {
        space.id = process_maps_id(process);
        run_unwinder(s, &input, &space);
    }
    return &s->stack;
}

bool stacker_is_pending(const struct stacker *stacker)
{
    return stacker->pending;
}
