/* unwinder.c: takes a sample and its process's code, gives the stack: kernel frames from the
 * callchain, user frames from registers, the copied stack and the rules of CFI. See unwind.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "unwind/arch.h"
#include "unwind/callchain.h"
#include "unwind/code.h"
#include "unwind/remote.h"
#include "unwind/step.h"
#include "unwind/table.h"
#include "unwind/unwind.h"

/* M, 16,000 samples of 16 programs: 512 entries hit 80 % of all frames, 4096 93 %. */
#define CACHE_ENTRIES 4096u

/* Programs without CFI, above all JIT code, run at some thousand places in a window. To follow one
 * takes some 13 us, so that two which share an entry are dear. */
#define FOLLOWED_ENTRIES 32768u

/* How far above an interrupted function without CFI its return address is looked for: such
 * functions are hand-written loops that push a few registers. */
#define SCAN_WORDS 32

/* What lies farther above sp is no frame pointer of a caller. */
#define FRAME_BYTES_MAX (1u << 20)

/* Frames of one stack that are libunwind's; real ones have one or two. */
#define REMOTE_MAX 8u

/* Of a call from compiled to interpreted code: 255 arguments (JVM specification, 4.3.3). */
#define ARGUMENT_BYTES_MAX 2048u

/* What is known of one pc of one space: a cache line, since each frame of each stack reads one. */
struct known {
    _Alignas(64) uint64_t pc;
    uint32_t space;
    bool mapped, filled;
    bool plain;   /* the rule is the usual: is_plain */
    bool pending; /* a rule will come */
    struct unwind_rule rule;
    void *object;
    uint64_t offset;
    bool made;
    bool guessed; /* the rule comes from following the code, not from CFI */
};
static_assert(sizeof(struct known) == 64, "a cache line");

/* What following the code from a pc gave: kept longer, since the code had to be fetched. */
struct followed {
    uint64_t pc;
    uint32_t space, turn;
    struct unwind_rule rule; /* RULE_NONE: nothing */
};

struct unwinder {
    struct known cache[CACHE_ENTRIES];
    struct known uncached;     /* of a pc that must not be remembered */
    struct followed *followed; /* FOLLOWED_ENTRIES; memory is taken by those that are used */
    uint32_t turn;             /* what was followed in another one is forgotten */
    struct remote *remote;

    /* The sample at hand. */
    const struct unwind_sample *sample;
    size_t depth;         /* of the frame at hand: user frames below it */
    unsigned remote_left; /* steps that may yet be libunwind's: each goes up from the leaf again */
};

int unwinder_new(struct unwinder **ret, struct err *err)
{
    struct unwinder *u = aligned_alloc(_Alignof(struct unwinder), sizeof(*u));
    if (!u)
        return err_errno(err, -ENOMEM, "an unwinder");
    memset(u, 0, sizeof(*u));
    u->turn = 1;
    u->followed = calloc(FOLLOWED_ENTRIES, sizeof(*u->followed));
    int r = u->followed ? remote_new(&u->remote, err) : err_errno(err, -ENOMEM, "an unwinder");
    if (r < 0)
        unwinder_free(&u);
    else
        *ret = u;
    return r;
}

void unwinder_free(struct unwinder **unwinder)
{
    if (!*unwinder)
        return;
    remote_free(&(*unwinder)->remote);
    free((*unwinder)->followed);
    free(*unwinder);
    *unwinder = NULL;
}

void unwinder_forget(struct unwinder *unwinder)
{
    memset(unwinder->cache, 0, sizeof(unwinder->cache));
}

void unwinder_forget_code(struct unwinder *unwinder)
{
    unwinder->turn++;
}

bool unwinder_reads(const struct unwind_table *table)
{
    struct unwind_table_info info;
    unwind_table_describe(table, &info);
    return arch_registers ==
           (info.machine == UNWIND_X86_64 ? &rule_registers_x86_64 : &rule_registers_aarch64);
}

/* CFA from sp or fp, the return address at the CFA, the frame pointer there or untouched: what
 * nearly all frames of compiled code are. */
static bool is_plain(const struct unwind_rule *r)
{
    return (r->kind == RULE_SP || r->kind == RULE_FP) && !(r->flags & RULE_SIGNAL) &&
           r->ra_place == PLACE_CFA && (r->fp_place == PLACE_SAME || r->fp_place == PLACE_CFA);
}

__attribute__((noinline)) static struct known *ask(struct unwinder *u,
                                                   const struct unwind_space *space, uint64_t pc,
                                                   struct known *k)
{
    struct unwind_place place = {0};
    bool mapped = space->find(space->ctx, pc, &place);
    if (place.pending)
        k = &u->uncached;
    *k = (struct known){.pc = pc,
                        .space = space->id,
                        .object = place.object,
                        .offset = place.offset,
                        .mapped = mapped,
                        .filled = true,
                        .pending = place.pending,
                        .made = place.made};
    if (mapped && place.table)
        k->rule = *unwind_table_find(place.table, place.offset);
    k->plain = is_plain(&k->rule);
    return k;
}

static inline uint64_t hash_of(uint64_t pc, uint32_t space)
{
    return (pc ^ (uint64_t)space << 40) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Valid until the next call. */
static inline struct known *look_up(struct unwinder *u, const struct unwind_space *space,
                                    uint64_t pc)
{
    struct known *k = &u->cache[hash_of(pc, space->id) >> 52];
    static_assert(CACHE_ENTRIES == 1 << 12, "the hash's upper 12 bits");
    if (k->pc == pc && k->space == space->id && k->filled)
        return k;
    return ask(u, space, pc, k);
}

/* ---- one step */

/* As step_by_rule, for the rules that are plain; without the indirect jumps of its switches. */
static inline enum step step_plainly(struct arch_state *s, const struct unwind_rule *rule)
{
    uint64_t cfa = (rule->kind == RULE_SP ? s->sp : s->fp) + (uint64_t)(int64_t)rule->cfa_off;
    uint64_t fp_at = cfa + (uint64_t)(int64_t)rule->fp_off, pc, fp = s->fp;
    if (is_stuck(s, cfa))
        return STEP_STUCK;
    if (!arch_read(s, cfa + (uint64_t)(int64_t)rule->ra_off, &pc))
        return miss(s, cfa);
    /* In an epilogue the frame pointer has been popped, but compilers go on saying where it was:
     * below sp by now. */
    if (rule->fp_place == PLACE_CFA && fp_at >= s->sp && !arch_read(s, fp_at, &fp))
        return miss(s, cfa);
    return go_to(s, pc, cfa, fp);
}

static bool has_rule(const struct known *k)
{
    return k->mapped && k->rule.kind != RULE_NONE && k->rule.kind != RULE_OTHER && !k->guessed;
}

/* Code without CFI that was interrupted where a call leaves the return address in a register: the
 * entries of a PLT there have none, and no frame of their own. */
static enum step step_by_link(struct unwinder *u, const struct unwind_space *space,
                              struct arch_state *s)
{
    uint64_t pc = s->reg[arch_registers->ra] & arch_address_mask;
    if (arch_registers->initial_ra != PLACE_SAME || !has_rule(look_up(u, space, pc - 1)))
        return STEP_NONE;
    return go_to(s, pc, s->sp, s->fp);
}

/* CFI that the table cannot say, or that wants registers which it does not recover. */
static enum step step_by_libunwind(struct unwinder *u, const struct unwind_space *space,
                                   struct arch_state *s)
{
    struct arch_state leaf;
    const struct unwind_sample *sample = u->sample;
    if (!space->find_cfi || u->remote_left == 0 ||
        !arch_load(sample->regs_mask, sample->regs, sample->regs_abi, &leaf))
        return STEP_NONE;
    leaf.stack_base = s->stack_base;
    leaf.stack = s->stack;
    leaf.stack_len = s->stack_len;
    leaf.tail = s->tail;
    leaf.tail_len = s->tail_len;
    struct arch_state next = *s;
    u->remote_left--;
    if (!remote_step(u->remote, space, &leaf, u->depth, &next) ||
        !look_up(u, space, next.pc - 1)->mapped)
        return STEP_NONE;
    *s = next;
    return STEP_OK;
}

/* The entry of a pc or, *ret_new, one to put it in: of two that may be, the older. */
static struct followed *find_followed(struct unwinder *u, const struct unwind_space *space,
                                      uint64_t pc, bool *ret_new)
{
    struct followed *pair = &u->followed[hash_of(pc, space->id) >> 49 & ~UINT64_C(1)];
    static_assert(FOLLOWED_ENTRIES == 1 << 15, "the hash's upper 15 bits");
    for (unsigned i = 0; i < 2; i++) {
        if (pair[i].turn == u->turn && pair[i].pc == pc && pair[i].space == space->id) {
            *ret_new = false;
            return &pair[i];
        }
    }
    *ret_new = true;
    pair[1] = pair[0];
    return &pair[0];
}

static const struct unwind_rule *follow_anew(struct unwinder *u, const struct unwind_space *space,
                                             uint64_t pc)
{
    bool is_new;
    struct followed *f = find_followed(u, space, pc, &is_new);
    if (!is_new)
        return &f->rule;
    *f = (struct followed){.pc = pc, .space = space->id, .turn = u->turn};
    struct code_piece code;
    for (int wide = 0; wide < 2 && space->read_code; wide++) {
        if (!space->read_code(space->ctx, pc, wide, &code))
            break;
        if (arch_is_signal_return(code.bytes + (pc - code.start), code.len - (pc - code.start)))
            f->rule = (struct unwind_rule){.kind = RULE_SP, .flags = RULE_SIGNAL};
        if (f->rule.kind != RULE_NONE || code_find_rule(&code, pc, &f->rule))
            break;
    }
    return &f->rule;
}

/* Of a pc without CFI: read and followed once, and then known like one from a table. */
static struct unwind_rule follow(struct unwinder *u, const struct unwind_space *space, uint64_t pc,
                                 struct known *known, uint64_t known_pc)
{
    const struct unwind_rule rule = *follow_anew(u, space, pc);
    if (known->filled && known->pc == known_pc && known->space == space->id && !known->pending) {
        known->rule = rule;
        known->guessed = true;
    }
    return rule;
}

/* Code without CFI, followed to where it returns. That is no proof: a call on the way may never
 * come back. So the caller must be code, at the least. */
static enum step step_by_code(struct unwinder *u, const struct unwind_space *space,
                              struct arch_state *s, const struct unwind_rule *rule)
{
    if (rule->kind == RULE_NONE || (rule->kind == RULE_FP && s->fp - s->sp >= FRAME_BYTES_MAX))
        return STEP_NONE;
    const uint64_t pc = s->pc, sp = s->sp, fp = s->fp;
    const bool interrupted = s->interrupted;
    enum step r = is_plain(rule) ? step_plainly(s, rule) : step_by_rule(s, rule);
    if (r == STEP_SHORT || (r == STEP_OK && look_up(u, space, s->pc - !s->interrupted)->mapped))
        return r;
    s->pc = pc;
    s->sp = sp;
    s->fp = fp;
    s->interrupted = interrupted;
    return STEP_NONE;
}

/* Where the caller's sp was before its arguments were put down for an interpreter: HotSpot keeps it
 * below the frame pointer (interpreter_frame_sender_sp_offset in its frame_x86.hpp), and callers
 * that were compiled are found by sp. What else lies there points elsewhere. */
static uint64_t sp_of_caller(const struct arch_state *s, bool made)
{
    uint64_t above = s->fp + 16, sp;
    if (!made || !arch_read(s, s->fp - 8, &sp) || sp % 8 || sp < above ||
        sp - above > ARGUMENT_BYTES_MAX)
        return above;
    return sp;
}

/* Code without CFI that keeps the frame pointer: fp points at the caller's, the return address lies
 * above. */
static enum step step_by_frame_pointer(struct unwinder *u, const struct unwind_space *space,
                                       struct arch_state *s, bool made)
{
    uint64_t fp, pc;
    if (s->fp == 0 && !s->interrupted)
        return STEP_END; /* psABI 3.4.1: what starts a thread sets it to zero */
    if (s->fp < s->sp || s->fp % 8)
        return STEP_NONE;
    s->missed = s->fp + 16;
    if (!arch_read(s, s->fp, &fp) || !arch_read(s, s->fp + 8, &pc))
        return s->fp - s->sp < FRAME_BYTES_MAX ? STEP_SHORT : STEP_NONE;
    pc &= arch_address_mask;
    if (pc && !look_up(u, space, pc - 1)->mapped)
        return STEP_NONE;
    return go_to(s, pc, sp_of_caller(s, made), fp);
}

/* Hand-written code without CFI that was interrupted: the first word above sp that points behind
 * code with CFI. Of a caller: only one that points to what has no caller itself, for what starts a
 * program need not be able to return (musl's libc_start_main_stage2). */
static enum step step_by_scan(struct unwinder *u, const struct unwind_space *space,
                              struct arch_state *s)
{
    uint64_t sp = s->sp, pc;
    for (unsigned i = 0; i < SCAN_WORDS && arch_read(s, sp, &pc); i++, sp += 8) {
        pc &= arch_address_mask;
        const struct known *k = look_up(u, space, pc - 1);
        if (s->interrupted ? has_rule(k) : k->mapped && k->rule.kind == RULE_END)
            return go_to(s, pc, sp + 8, s->fp);
    }
    return STEP_NONE;
}

/* ---- the whole */

static enum unwind_end end_of(enum step step)
{
    switch (step) {
    case STEP_END:
        return UNWIND_END_bottom;
    case STEP_SHORT:
        return UNWIND_END_truncated;
    case STEP_STUCK:
        return UNWIND_END_stuck;
    default:
        return UNWIND_END_no_rule;
    }
}

/* Of a frame whose rule is not plain. Kept out of the way of those whose is. */
__attribute__((noinline)) static enum step step_by_any(struct unwinder *u,
                                                       const struct unwind_space *space,
                                                       struct arch_state *s, struct known *known,
                                                       enum unwind_method *ret_method)
{
    const bool leaf = s->interrupted, made = known->made, guessed = known->guessed;
    const bool bare = guessed || known->rule.kind == RULE_NONE;
    const uint64_t known_pc = known->pc;
    struct unwind_rule rule = known->rule;
    *ret_method = UNWIND_METHOD_table;
    enum step r = bare ? STEP_NONE : step_by_rule(s, &rule);
    /* No guess where a rule will tell: one by the frame pointer may pass over callers unseen. */
    if (known->pending)
        return r;
    if (r == STEP_NONE && leaf) {
        *ret_method = UNWIND_METHOD_scan;
        r = step_by_link(u, space, s);
    }
    if (r == STEP_NONE && !bare) {
        *ret_method = UNWIND_METHOD_libunwind;
        r = step_by_libunwind(u, space, s);
    }
    if (r == STEP_NONE && bare) {
        *ret_method = UNWIND_METHOD_code;
        if (!guessed)
            rule = follow(u, space, s->pc, known, known_pc);
        r = step_by_code(u, space, s, &rule);
    }
    /* Where there is CFI a frame pointer of zero means nothing. */
    if (r == STEP_NONE && (bare || s->fp)) {
        *ret_method = UNWIND_METHOD_frame_pointer;
        r = step_by_frame_pointer(u, space, s, made);
    }
    if (r == STEP_NONE && (leaf || bare)) {
        *ret_method = UNWIND_METHOD_scan;
        r = step_by_scan(u, space, s);
    }
    return r;
}

static inline enum step go_up(struct unwinder *u, const struct unwind_space *space,
                              struct arch_state *s, struct known *known, struct unwind_stack *ret)
{
    enum unwind_method method = UNWIND_METHOD_table;
    enum step r =
        known->plain ? step_plainly(s, &known->rule) : step_by_any(u, space, s, known, &method);
    if (r == STEP_OK)
        ret->methods[s->tail ? UNWIND_METHOD_live : method]++;
    return r;
}

/* The copy ends within a frame: what follows in memory now may serve, if all of that frame and the
 * return address below it are as they were. */
static bool get_tail(const struct unwind_space *space, struct arch_state *s)
{
    uint64_t from = s->sp - 16, checked = s->stack_base + s->stack_len - from;
    if (s->tail || !space->read_tail || s->missed - s->stack_base < s->stack_len ||
        checked > s->stack_len)
        return false;
    s->tail_len = space->read_tail(space->ctx, from, checked, &s->tail);
    return s->tail_len > 0;
}

static void unwind_user(struct unwinder *u, const struct unwind_space *space, struct arch_state *s,
                        struct unwind_stack *ret)
{
    size_t kernel = ret->count;
    for (;;) {
        if (ret->count == UNWIND_FRAMES_MAX) {
            ret->end = UNWIND_END_truncated;
            return;
        }
        uint64_t pc = s->interrupted ? s->pc : s->pc - 1;
        struct known *k = look_up(u, space, pc);
        /* In execve(2) the old program's code is gone and the new one's not there yet. */
        if (!k->mapped && ret->count) {
            ret->end = ret->count == kernel ? UNWIND_END_kernel_only : UNWIND_END_unmapped;
            return;
        }
        ret->frames[ret->count++] =
            (struct unwind_frame){.pc = pc, .object = k->object, .offset = k->offset};
        u->depth = ret->count - 1 - kernel;
        enum step r = go_up(u, space, s, k, ret);
        if (r == STEP_SHORT && get_tail(space, s))
            r = go_up(u, space, s, look_up(u, space, pc), ret);
        if (r != STEP_OK) {
            ret->end = end_of(r);
            ret->stack_used = (r == STEP_SHORT ? s->missed : s->sp) - s->stack_base;
            return;
        }
    }
}

/* Frames of the callchain that lie nowhere end it: the program keeps something else in the frame
 * pointer. */
static void place_chain(struct unwinder *u, const struct unwind_space *space, size_t from,
                        struct unwind_stack *ret)
{
    for (size_t i = from; i < ret->count; i++) {
        struct unwind_frame *f = &ret->frames[i];
        const struct known *k = look_up(u, space, f->pc);
        f->object = k->object;
        f->offset = k->offset;
        if (!k->mapped && i > from) {
            ret->count = i;
            ret->end = UNWIND_END_unmapped;
            return;
        }
        ret->methods[UNWIND_METHOD_chain]++;
    }
}

void unwinder_run(struct unwinder *unwinder, const struct unwind_sample *sample,
                  const struct unwind_space *space, struct unwind_stack *ret)
{
    ret->count = 0;
    ret->end = UNWIND_END_kernel_only;
    ret->stack_used = ret->readings = 0;
    memset(ret->methods, 0, sizeof(ret->methods));
    bool whole = callchain_add(sample, true, ret);
    struct arch_state s;
    if (sample->regs && sample->stack &&
        arch_load(sample->regs_mask, sample->regs, sample->regs_abi, &s)) {
        s.stack_base = s.sp;
        s.stack = sample->stack;
        s.stack_len = sample->stack_len;
        unwinder->sample = sample;
        unwinder->remote_left = REMOTE_MAX;
        uint64_t readings = remote_readings(unwinder->remote);
        s.tail = NULL;
        s.tail_len = 0;
        unwind_user(unwinder, space, &s, ret);
        ret->readings = remote_readings(unwinder->remote) - readings;
        return;
    }
    size_t kernel = ret->count;
    whole = callchain_add(sample, false, ret) && whole;
    if (ret->count > kernel)
        ret->end = UNWIND_END_bottom;
    if (!whole)
        ret->end = UNWIND_END_truncated;
    place_chain(unwinder, space, kernel, ret);
    if (!ret->count && sample->ip)
        ret->frames[ret->count++] = (struct unwind_frame){.pc = sample->ip, .kernel = true};
}
