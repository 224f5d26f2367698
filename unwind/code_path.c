/* code_path.c: takes instructions one after the other, keeps what each register is made of, and
 * where they return gives the rule that this amounts to. See code_path.h. */
#include "unwind/code_path.h"

#include <stdlib.h>

/* In bytes. No frame is as large; sums of two still fit. */
#define OFFSET_MAX (1 << 28)

/* psABI 3.2.2, AAPCS64 6.4.5: at a call sp is a multiple of 16, as is the CFA. */
#define CALL_ALIGN 16

/* Of instructions between where sp was raised and the jump to another function. */
#define RELEASED_MAX 7

static const struct code_value unknown = {.depth = DEPTH_UNKNOWN};

/* ---- values */

static struct code_value moved(struct code_value v, int32_t by)
{
    int32_t *sum = v.depth == DEPTH_VALUE ? &v.off : &v.add;
    if (by == 0)
        return v;
    if (v.depth > DEPTH_MEMORY || by > OFFSET_MAX || by < -OFFSET_MAX ||
        abs(*sum + by) > OFFSET_MAX)
        return unknown;
    *sum += by;
    return v;
}

static bool same(const struct code_value *a, const struct code_value *b)
{
    return a->depth == b->depth && a->reg == b->reg && a->off == b->off && a->add == b->add;
}

static struct code_value loaded(const struct code_path *p, struct code_value address)
{
    for (unsigned i = 0; i < p->slots; i++) {
        if (same(&p->slot[i].address, &address))
            return p->slot[i].holds;
    }
    if (address.depth >= DEPTH_TWICE)
        return unknown;
    address.depth++;
    return address;
}

static void store(struct code_path *p, struct code_value address, struct code_value v)
{
    unsigned i = 0;
    while (i < p->slots && !same(&p->slot[i].address, &address))
        i++;
    if (address.depth >= DEPTH_TWICE || i == CODE_SLOTS)
        return;
    p->slot[i] = (struct code_slot){address, v};
    p->slots += i == p->slots;
}

static struct code_value result(const struct code_path *p, const struct code_op *op)
{
    struct code_value base = p->reg[op->base];
    switch (op->kind) {
    case CODE_COPY:
        return moved(base, op->off);
    case CODE_LOAD:
        return loaded(p, moved(base, op->off));
    case CODE_NUMBER:
        return (struct code_value){.depth = DEPTH_NUMBER, .off = op->off};
    case CODE_PLUS:
    case CODE_MINUS: {
        struct code_value by = p->reg[op->off];
        if (by.depth == DEPTH_NUMBER)
            return moved(base, op->kind == CODE_PLUS ? by.off : -by.off);
        return unknown;
    }
    default:
        return unknown;
    }
}

/* ---- instructions */

static void note_sp(struct code_path *p, const struct code_value *before,
                    const struct code_value *after, bool argument)
{
    bool raised = before->depth != after->depth || before->reg != after->reg ||
                  after->off > before->off || after->add > before->add;
    p->released = raised;
    if (!raised && (p->has_called || argument) && !p->pushing) {
        p->pushing = true;
        p->level = before->off;
    }
    if (raised && (before->reg != after->reg || after->off >= p->level))
        p->pushing = p->owes = false;
}

static void pass_call(const struct code_processor *on, struct code_path *p)
{
    const struct code_value *sp = &p->reg[on->registers->sp];
    if (sp->depth == DEPTH_VALUE && sp->reg == on->registers->sp) {
        if (!p->has_called || sp->off > p->call_off)
            p->call_off = sp->off;
        p->has_called = true;
    }
    p->owes = p->pushing;
    for (unsigned r = 0; r < CODE_REGISTERS; r++) {
        if (on->call_loses >> r & 1)
            p->reg[r] = unknown;
    }
}

void code_path_begin(struct code_path *p, uint32_t at, bool behind_call)
{
    *p = (struct code_path){.at = at, .has_called = behind_call};
    for (uint8_t r = 0; r < CODE_REGISTERS; r++)
        p->reg[r] = (struct code_value){.reg = r};
}

bool code_path_apply(const struct code_processor *on, struct code_path *p,
                     const struct code_insn *insn)
{
    struct code_value before = p->reg[on->registers->sp];
    /* Compilers take arguments off the stack before they branch, unless a call does not return. */
    if (p->owes && insn->flow != CODE_ON && insn->flow != CODE_CALL)
        return false;
    p->released = p->released && p->released < RELEASED_MAX ? p->released + 1 : 0;
    for (unsigned k = 0; k < insn->count; k++) {
        const struct code_op *op = &insn->ops[k];
        if (op->kind == CODE_STORE)
            store(p, moved(p->reg[op->base], op->off),
                  op->reg == CODE_NO_REGISTER ? unknown : p->reg[op->reg]);
        else
            p->reg[op->reg] = result(p, op);
    }
    if (!same(&before, &p->reg[on->registers->sp]))
        note_sp(p, &before, &p->reg[on->registers->sp], insn->argument);
    if (insn->flow == CODE_CALL)
        pass_call(on, p);
    return true;
}

/* ---- what a return says */

/* Where what a return finds in `reg` lies at the pc. False: it is not what the caller had. */
static bool find_place(const struct rule_registers *g, const struct code_value *v, uint8_t reg,
                       const struct unwind_rule *rule, unsigned *ret_place, int32_t *ret_off)
{
    bool in_memory = rule->kind == RULE_DEREF;
    *ret_off = 0;
    *ret_place = PLACE_UNDEFINED;
    if (v->depth == DEPTH_VALUE && v->reg == reg && v->off == 0) {
        *ret_place = PLACE_SAME;
    } else if (v->depth == DEPTH_MEMORY && v->add == 0) {
        *ret_off = v->off;
        if (!in_memory && v->reg == rule->reg) {
            *ret_place = PLACE_CFA;
            *ret_off -= rule->cfa_off;
        } else if (v->reg == g->sp || v->reg == g->fp) {
            *ret_place = v->reg == g->sp ? PLACE_SP : PLACE_FP;
        }
    } else if (v->depth == DEPTH_TWICE && in_memory && v->reg == rule->reg &&
               v->off == rule->cfa_off) {
        *ret_place = PLACE_CFA;
        *ret_off = v->add - rule->cfa_add;
    }
    return *ret_place != PLACE_UNDEFINED;
}

static bool find_cfa(const struct code_processor *on, const struct code_path *p, bool caller,
                     struct unwind_rule *ret)
{
    uint8_t is_sp = on->registers->sp, is_fp = on->registers->fp;
    struct code_value sp = moved(p->reg[is_sp], on->return_pops);
    if (sp.depth > DEPTH_MEMORY)
        return false;
    *ret = (struct unwind_rule){.reg = sp.reg, .cfa_off = sp.off, .cfa_add = sp.add};
    if (sp.depth == DEPTH_MEMORY)
        ret->kind = RULE_DEREF;
    else
        ret->kind = sp.reg == is_sp ? RULE_SP : sp.reg == is_fp ? RULE_FP : RULE_REG;
    /* Of callers no other registers are known. */
    if (caller && sp.reg != is_sp && sp.reg != is_fp)
        return false;
    /* What a function takes off the stack and has not put there is its caller's. */
    return ret->kind != RULE_SP || (sp.off >= on->return_pops && sp.off % 8 == 0);
}

/* How odd it is that a function with this CFA has called another on the way. False if it cannot be
 * believed: then the call did not return, and this is the next function's CFA. */
static bool fits_calls(const struct code_path *p, const struct unwind_rule *rule, unsigned *doubts)
{
    if (!p->has_called || rule->kind != RULE_SP)
        return true;
    int32_t frame = rule->cfa_off - p->call_off;
    if (frame % CALL_ALIGN)
        ++*doubts;
    return frame >= CALL_ALIGN;
}

bool code_path_rule(const struct code_processor *on, const struct code_path *p, bool caller,
                    struct unwind_rule *ret, unsigned *ret_doubts)
{
    const struct rule_registers *g = on->registers;
    struct unwind_rule rule;
    unsigned place, doubts = 0;
    if (!find_cfa(on, p, caller, &rule) || !fits_calls(p, &rule, &doubts))
        return false;
    if (!find_place(g, &p->reg[g->fp], g->fp, &rule, &place, &rule.fp_off))
        doubts++;
    rule.fp_place = place & 15;
    if (g->initial_ra == PLACE_SAME) {
        /* What has called something had to load it again. */
        if (!find_place(g, &p->reg[g->ra], g->ra, &rule, &place, &rule.ra_off) ||
            (caller && place == PLACE_SAME))
            return false;
        rule.ra_place = place & 15;
    } else {
        rule.ra_place = PLACE_CFA;
        rule.ra_off = -on->return_pops;
    }
    *ret = rule;
    *ret_doubts = doubts;
    return true;
}
