/* step.c: takes a frame and its rule, gives the caller. See step.h. */
#include "unwind/step.h"

static bool read_register(const struct arch_state *s, unsigned number, uint64_t *ret)
{
    if (number == arch_registers->sp)
        *ret = s->sp;
    else if (number == arch_registers->fp)
        *ret = s->fp;
    else if (s->interrupted)
        *ret = s->reg[number];
    else
        return false;
    return true;
}

static bool read_place(const struct arch_state *s, unsigned place, int32_t offset, uint64_t cfa,
                       uint64_t same, uint64_t *ret)
{
    switch (place) {
    case PLACE_SAME:
        *ret = same;
        return true;
    case PLACE_CFA:
        return arch_read(s, cfa + (uint64_t)(int64_t)offset, ret);
    case PLACE_SP:
        return arch_read(s, s->sp + (uint64_t)(int64_t)offset, ret);
    case PLACE_FP:
        return arch_read(s, s->fp + (uint64_t)(int64_t)offset, ret);
    case PLACE_REG:
        return read_register(s, (unsigned)offset, ret);
    default:
        *ret = 0;
        return true;
    }
}

static enum step find_cfa(struct arch_state *s, const struct unwind_rule *rule, uint64_t *cfa)
{
    uint64_t off = (uint64_t)(int64_t)rule->cfa_off;
    switch (rule->kind) {
    case RULE_SP:
        *cfa = s->sp + off;
        return STEP_OK;
    case RULE_FP:
        *cfa = s->fp + off;
        return STEP_OK;
    case RULE_REG:
        if (!read_register(s, rule->reg, cfa))
            return STEP_NONE;
        *cfa += off;
        return STEP_OK;
    case RULE_PLT:
        *cfa = s->sp + off + ((int32_t)(s->pc & rule->reg) >= rule->cfa_add ? 8 : 0);
        return STEP_OK;
    case RULE_DEREF:
        if (!read_register(s, rule->reg, cfa))
            return STEP_NONE;
        s->missed = *cfa + off;
        if (!arch_read(s, *cfa + off, cfa))
            return STEP_SHORT;
        *cfa += (uint64_t)(int64_t)rule->cfa_add;
        return STEP_OK;
    case RULE_END:
        return STEP_END;
    default:
        return STEP_NONE;
    }
}

enum step step_by_rule(struct arch_state *s, const struct unwind_rule *rule)
{
    uint64_t cfa, pc, fp;
    enum step r = find_cfa(s, rule, &cfa);
    if (r != STEP_OK)
        return r;
    if (rule->flags & RULE_SIGNAL) {
        s->missed = cfa;
        return arch_load_signal_frame(s) ? STEP_OK : STEP_SHORT;
    }
    if (is_stuck(s, cfa))
        return STEP_STUCK;
    /* What has called something no longer has its return address where it came. */
    if (rule->ra_place == PLACE_SAME && !s->interrupted)
        return STEP_NONE;
    if (!read_place(s, rule->ra_place, rule->ra_off, cfa, s->reg[arch_registers->ra], &pc) ||
        !read_place(s, rule->fp_place, rule->fp_off, cfa, s->fp, &fp))
        return miss(s, cfa);
    return go_to(s, pc, cfa, fp);
}
