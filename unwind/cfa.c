/* cfa.c: takes CFA programs, gives rows. See cfa.h. */
#include "unwind/cfa.h"

#include <dwarf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "unwind/leb.h"

/* DW_CFA_remember_state nests two or three deep in practice. */
#define REMEMBER_MAX 16

/* An FDE's rows cannot outnumber its instructions; this bounds what one of a hostile file costs. */
#define INSTRUCTIONS_MAX 1000000u

/* A CIE's own program runs again for each of its FDEs; real ones have some five instructions. */
#define INITIAL_MAX 64u

enum where_kind {
    WHERE_INITIAL,
    WHERE_SAME,
    WHERE_CFA,
    WHERE_REGISTER,
    WHERE_EXPRESSION,
    WHERE_UNDEFINED,
    WHERE_OTHER
};

/* Where a register of the caller is. */
struct where {
    enum where_kind kind;
    int64_t offset; /* from the CFA; or the register */
    const uint8_t *expr, *expr_end;
};

struct state {
    bool cfa_is_expr;
    uint64_t cfa_reg;
    int64_t cfa_off;
    const uint8_t *expr, *expr_end;
    struct where fp, ra;
    bool sp_moved; /* sp has a rule of its own: not what we recover */
    bool pac;
};

struct machine {
    const struct rule_registers *registers;
    const struct cfa_cie *cie;
    struct state state, initial, remembered[REMEMBER_MAX];
    unsigned remembered_count;
    uint64_t pc, end;
    bool changed; /* since the last row */
    cfa_row_fn fn;
    void *ctx;
};

/* ---- expressions that real programs use */

static bool fits(int64_t v)
{
    return v >= INT32_MIN && v <= INT32_MAX;
}

/* breg R, offset: DW_OP_breg0..31 or DW_OP_bregx. */
static bool take_breg(struct leb *p, uint64_t *reg, int64_t *off)
{
    uint8_t op = leb_u8(p);
    if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
        *reg = (uint64_t)(op - DW_OP_breg0);
    else if (op == DW_OP_bregx)
        *reg = leb_unsigned(p);
    else
        return false;
    *off = leb_signed(p);
    return !p->bad;
}

static bool take_lit(struct leb *p, uint8_t *ret)
{
    uint8_t op = leb_u8(p);
    if (op < DW_OP_lit0 || op > DW_OP_lit31)
        return false;
    *ret = (uint8_t)(op - DW_OP_lit0);
    return true;
}

/* sp+A; pc; litM; and; litN; ge; lit3; shl; plus: what linkers write for the lazy PLT. */
static bool take_plt(const struct machine *m, struct leb *p, struct unwind_rule *rule)
{
    uint64_t reg;
    int64_t off;
    uint8_t mask, from, shift;
    if (!take_breg(p, &reg, &off) || reg != m->registers->ra || off != 0 || !take_lit(p, &mask) ||
        leb_u8(p) != DW_OP_and || !take_lit(p, &from) || leb_u8(p) != DW_OP_ge ||
        !take_lit(p, &shift) || shift != 3 || leb_u8(p) != DW_OP_shl || leb_u8(p) != DW_OP_plus ||
        p->at != p->end || p->bad)
        return false;
    rule->kind = RULE_PLT;
    rule->reg = mask;
    rule->cfa_add = from;
    return true;
}

static void set_cfa_register(const struct machine *m, uint64_t reg, int64_t off,
                             struct unwind_rule *rule)
{
    if (!fits(off) || reg >= m->registers->count)
        return;
    rule->kind = reg == m->registers->sp ? RULE_SP : reg == m->registers->fp ? RULE_FP : RULE_REG;
    rule->reg = (uint8_t)reg;
    rule->cfa_off = (int32_t)off;
}

static void set_cfa_expression(const struct machine *m, const uint8_t *expr,
                               const uint8_t *expr_end, struct unwind_rule *rule)
{
    struct leb p = {expr, expr_end, false};
    uint64_t reg;
    int64_t off;
    if (!take_breg(&p, &reg, &off) || !fits(off) || reg >= m->registers->count)
        return;
    if (p.at == p.end) {
        set_cfa_register(m, reg, off, rule);
        return;
    }
    if (reg == m->registers->sp && *p.at >= DW_OP_breg0 && *p.at <= DW_OP_breg31) {
        rule->cfa_off = (int32_t)off;
        if (!take_plt(m, &p, rule))
            rule->cfa_off = 0;
        return;
    }
    bool deref = *p.at == DW_OP_deref;
    if (deref)
        p.at++;
    uint64_t add = 0;
    if (p.at < p.end && *p.at == DW_OP_plus_uconst) {
        p.at++;
        add = leb_unsigned(&p);
    }
    if (p.bad || p.at != p.end || add > INT32_MAX)
        return;
    if (!deref) {
        set_cfa_register(m, reg, off + (int64_t)add, rule);
        return;
    }
    rule->kind = RULE_DEREF;
    rule->reg = (uint8_t)reg;
    rule->cfa_off = (int32_t)off;
    rule->cfa_add = (int32_t)add;
}

/* False if the place cannot be said. */
static bool set_place(const struct machine *m, const struct where *w, unsigned initial,
                      unsigned *place, int32_t *offset)
{
    *offset = 0;
    switch (w->kind) {
    case WHERE_INITIAL:
        *place = initial;
        return true;
    case WHERE_SAME:
        *place = PLACE_SAME;
        return true;
    case WHERE_UNDEFINED:
        *place = PLACE_UNDEFINED;
        return true;
    case WHERE_CFA:
        *place = PLACE_CFA;
        *offset = (int32_t)w->offset;
        return fits(w->offset);
    case WHERE_REGISTER:
        *place = PLACE_REG;
        *offset = (int32_t)w->offset;
        return w->offset >= 0 && w->offset < m->registers->count;
    case WHERE_EXPRESSION: {
        struct leb p = {w->expr, w->expr_end, false};
        uint64_t reg;
        int64_t off;
        if (!take_breg(&p, &reg, &off) || p.at != p.end || !fits(off))
            return false;
        *offset = (int32_t)off;
        *place = reg == m->registers->sp ? PLACE_SP : PLACE_FP;
        return reg == m->registers->sp || reg == m->registers->fp;
    }
    default:
        return false;
    }
}

static void make_rule(const struct machine *m, struct unwind_rule *rule)
{
    const struct state *s = &m->state;
    *rule = (struct unwind_rule){.kind = RULE_OTHER};
    if (m->cie->unknown)
        return;
    if (s->ra.kind == WHERE_UNDEFINED) {
        *rule = (struct unwind_rule){.kind = RULE_END};
        return;
    }
    if (s->cfa_is_expr)
        set_cfa_expression(m, s->expr, s->expr_end, rule);
    else
        set_cfa_register(m, s->cfa_reg, s->cfa_off, rule);
    unsigned fp = 0, ra = 0;
    bool said = set_place(m, &s->fp, PLACE_SAME, &fp, &rule->fp_off) &&
                set_place(m, &s->ra, m->registers->initial_ra, &ra, &rule->ra_off) &&
                (!s->sp_moved || m->cie->signal_frame) &&
                m->cie->return_register == m->registers->ra;
    /* x86-64: no rule for the return address at all is a CIE gone wrong. */
    if (!said || rule->kind == RULE_OTHER || ra == PLACE_UNDEFINED) {
        *rule = (struct unwind_rule){.kind = RULE_OTHER};
        return;
    }
    rule->fp_place = (uint8_t)(fp & 15);
    rule->ra_place = (uint8_t)(ra & 15);
    rule->flags = (m->cie->signal_frame ? RULE_SIGNAL : 0) | (s->pac ? RULE_PAC : 0);
}

/* ---- instructions */

static int emit(struct machine *m)
{
    if (!m->changed)
        return 0;
    struct unwind_rule rule;
    make_rule(m, &rule);
    m->changed = false;
    return m->fn(m->ctx, m->pc, &rule);
}

/* 1 at the end of the range. A location that does not grow is malformed. */
static int advance_to(struct machine *m, uint64_t pc)
{
    if (pc < m->pc)
        return -EBADMSG;
    if (pc == m->pc)
        return 0;
    int r = emit(m);
    if (r)
        return r < 0 ? r : -ECANCELED;
    m->pc = pc;
    return pc >= m->end;
}

static int advance(struct machine *m, uint64_t delta)
{
    uint64_t bytes;
    if (__builtin_mul_overflow(delta, m->cie->code_align, &bytes) || bytes > UINT64_MAX - m->pc)
        return -EBADMSG;
    return advance_to(m, m->pc + bytes);
}

static struct where *where_of(struct machine *m, uint64_t reg)
{
    if (reg == m->registers->fp)
        return &m->state.fp;
    if (reg == m->registers->ra)
        return &m->state.ra;
    return NULL;
}

static void set_where(struct machine *m, uint64_t reg, struct where where)
{
    struct where *w = where_of(m, reg);
    if (w)
        *w = where;
    else if (reg == m->registers->sp)
        m->state.sp_moved = where.kind != WHERE_INITIAL && where.kind != WHERE_SAME;
    else
        return;
    m->changed = true;
}

static int64_t scaled(const struct machine *m, int64_t factor)
{
    int64_t v;
    return __builtin_mul_overflow(factor, m->cie->data_align, &v) ? INT64_MAX : v;
}

static void restore(struct machine *m, uint64_t reg)
{
    if (reg == m->registers->fp)
        m->state.fp = m->initial.fp;
    else if (reg == m->registers->ra)
        m->state.ra = m->initial.ra;
    else if (reg == m->registers->sp)
        m->state.sp_moved = m->initial.sp_moved;
    else
        return;
    m->changed = true;
}

static void set_cfa(struct machine *m, uint64_t reg, int64_t off)
{
    m->changed = true;
    m->state.cfa_is_expr = false;
    m->state.cfa_reg = reg;
    m->state.cfa_off = off;
}

static void take_block(struct leb *p, const uint8_t **from, const uint8_t **to)
{
    uint64_t len = leb_unsigned(p);
    *from = leb_bytes(p, len);
    *to = *from ? *from + len : NULL;
    if (!*from)
        p->bad = true;
}

static int take_location(struct machine *m, struct leb *p, uint8_t op)
{
    switch (op) {
    case DW_CFA_advance_loc1:
        return advance(m, leb_u8(p));
    case DW_CFA_advance_loc2:
        return advance(m, leb_u16(p));
    case DW_CFA_advance_loc4:
        return advance(m, leb_u32(p));
    case DW_CFA_MIPS_advance_loc8:
        return advance(m, leb_u64(p));
    default: { /* DW_CFA_set_loc */
        uint64_t pc = m->cie->pointer_size == 4 ? leb_u32(p) : leb_u64(p);
        return advance_to(m, pc);
    }
    }
}

static int take_cfa_rule(struct machine *m, struct leb *p, uint8_t op)
{
    uint64_t reg;
    switch (op) {
    case DW_CFA_def_cfa:
        reg = leb_unsigned(p);
        set_cfa(m, reg, (int64_t)leb_unsigned(p));
        return 0;
    case DW_CFA_def_cfa_sf:
        reg = leb_unsigned(p);
        set_cfa(m, reg, scaled(m, leb_signed(p)));
        return 0;
    case DW_CFA_def_cfa_register:
        set_cfa(m, leb_unsigned(p), m->state.cfa_off);
        return 0;
    case DW_CFA_def_cfa_offset:
        set_cfa(m, m->state.cfa_reg, (int64_t)leb_unsigned(p));
        return 0;
    case DW_CFA_def_cfa_offset_sf:
        set_cfa(m, m->state.cfa_reg, scaled(m, leb_signed(p)));
        return 0;
    default: /* DW_CFA_def_cfa_expression */
        m->changed = true;
        m->state.cfa_is_expr = true;
        take_block(p, &m->state.expr, &m->state.expr_end);
        return 0;
    }
}

static int take_register_rule(struct machine *m, struct leb *p, uint8_t op)
{
    uint64_t reg = leb_unsigned(p);
    struct where w = {.kind = WHERE_OTHER};
    switch (op) {
    case DW_CFA_offset_extended:
        w = (struct where){.kind = WHERE_CFA, .offset = scaled(m, (int64_t)leb_unsigned(p))};
        break;
    case DW_CFA_offset_extended_sf:
        w = (struct where){.kind = WHERE_CFA, .offset = scaled(m, leb_signed(p))};
        break;
    case DW_CFA_GNU_negative_offset_extended:
        w = (struct where){.kind = WHERE_CFA, .offset = -scaled(m, (int64_t)leb_unsigned(p))};
        break;
    case DW_CFA_restore_extended:
        restore(m, reg);
        return 0;
    case DW_CFA_undefined:
        w.kind = WHERE_UNDEFINED;
        break;
    case DW_CFA_same_value:
        w.kind = WHERE_SAME;
        break;
    case DW_CFA_register:
        w = (struct where){.kind = WHERE_REGISTER, .offset = (int64_t)leb_unsigned(p)};
        break;
    case DW_CFA_expression:
        w.kind = WHERE_EXPRESSION;
        take_block(p, &w.expr, &w.expr_end);
        break;
    case DW_CFA_val_offset:
        leb_unsigned(p);
        break;
    case DW_CFA_val_offset_sf:
        leb_signed(p);
        break;
    default: /* DW_CFA_val_expression */
        take_block(p, &w.expr, &w.expr_end);
        break;
    }
    set_where(m, reg, w);
    return 0;
}

static int take_state(struct machine *m, uint8_t op)
{
    if (op == DW_CFA_remember_state) {
        if (m->remembered_count == REMEMBER_MAX)
            return -EBADMSG;
        m->remembered[m->remembered_count++] = m->state;
        return 0;
    }
    if (!m->remembered_count)
        return -EBADMSG;
    m->state = m->remembered[--m->remembered_count];
    m->changed = true;
    return 0;
}

#ifndef DW_CFA_AARCH64_negate_ra_state
#define DW_CFA_AARCH64_negate_ra_state 0x2d /* shares its number with DW_CFA_GNU_window_save */
#endif

static int take_instruction(struct machine *m, struct leb *p)
{
    uint8_t op = leb_u8(p);
    uint8_t low = op & 0x3f;
    switch (op & 0xc0) {
    case DW_CFA_advance_loc:
        return advance(m, low);
    case DW_CFA_offset:
        set_where(m, low,
                  (struct where){.kind = WHERE_CFA, .offset = scaled(m, (int64_t)leb_unsigned(p))});
        return 0;
    case DW_CFA_restore:
        restore(m, low);
        return 0;
    }
    switch (op) {
    case DW_CFA_nop:
        return 0;
    case DW_CFA_set_loc:
    case DW_CFA_advance_loc1:
    case DW_CFA_advance_loc2:
    case DW_CFA_advance_loc4:
    case DW_CFA_MIPS_advance_loc8:
        return take_location(m, p, op);
    case DW_CFA_def_cfa:
    case DW_CFA_def_cfa_sf:
    case DW_CFA_def_cfa_register:
    case DW_CFA_def_cfa_offset:
    case DW_CFA_def_cfa_offset_sf:
    case DW_CFA_def_cfa_expression:
        return take_cfa_rule(m, p, op);
    case DW_CFA_offset_extended:
    case DW_CFA_offset_extended_sf:
    case DW_CFA_GNU_negative_offset_extended:
    case DW_CFA_restore_extended:
    case DW_CFA_undefined:
    case DW_CFA_same_value:
    case DW_CFA_register:
    case DW_CFA_expression:
    case DW_CFA_val_offset:
    case DW_CFA_val_offset_sf:
    case DW_CFA_val_expression:
        return take_register_rule(m, p, op);
    case DW_CFA_remember_state:
    case DW_CFA_restore_state:
        return take_state(m, op);
    case DW_CFA_GNU_args_size:
        leb_unsigned(p);
        return 0;
    case DW_CFA_AARCH64_negate_ra_state:
        m->state.pac = !m->state.pac;
        m->changed = true;
        return 0;
    default:
        return -EBADMSG;
    }
}

/* 1 when the range's end was reached. */
static int run_program(struct machine *m, const uint8_t *from, const uint8_t *to, uint32_t max)
{
    struct leb p = {from, to, false};
    for (uint32_t i = 0; p.at < p.end; i++) {
        int r = i == max ? -EBADMSG : take_instruction(m, &p);
        if (p.bad)
            return -EBADMSG;
        if (r)
            return r;
    }
    return 0;
}

int cfa_run(const struct rule_registers *registers, const struct cfa_cie *cie,
            const uint8_t *program, const uint8_t *program_end, uint64_t start, uint64_t end,
            cfa_row_fn fn, void *ctx)
{
    struct machine m = {.registers = registers,
                        .cie = cie,
                        .pc = start,
                        .end = end,
                        .changed = true,
                        .fn = fn,
                        .ctx = ctx};
    m.state.cfa_reg = UINT64_MAX;
    /* A CIE's program sets rules only: one that moves on has no pc to move from. */
    int r = run_program(&m, cie->initial, cie->initial_end, INITIAL_MAX);
    if (r != 0 || m.pc != start)
        return r < 0 ? r : -EBADMSG;
    m.initial = m.state;
    m.changed = true;
    r = run_program(&m, program, program_end, INSTRUCTIONS_MAX);
    if (r < 0)
        return r;
    return r == 1 ? 0 : emit(&m);
}
