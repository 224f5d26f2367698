/* step.h: from one frame to its caller by a rule, over registers and the copied stack. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "unwind/arch.h"
#include "unwind/rule.h"

enum step {
    STEP_OK,
    STEP_END,   /* there is no caller */
    STEP_SHORT, /* memory at arch_state.missed would be needed */
    STEP_NONE,  /* the rule says nothing, or wants a register that is not known */
    STEP_STUCK, /* the caller would lie below */
};

/* `state` becomes the caller's, or stays as it was. */
enum step step_by_rule(struct arch_state *state, const struct unwind_rule *rule);

/* ---- what steps are made of */

static inline enum step go_to(struct arch_state *s, uint64_t pc, uint64_t sp, uint64_t fp)
{
    s->pc = pc & arch_address_mask;
    s->sp = sp;
    s->fp = fp;
    s->interrupted = false;
    return s->pc ? STEP_OK : STEP_END;
}

/* Memory that is not in the dump: above it, or on another stack, which a signal frame led to. */
static inline enum step miss(struct arch_state *s, uint64_t cfa)
{
    s->missed = cfa;
    return cfa - s->stack_base >= s->stack_len + s->tail_len ? STEP_SHORT : STEP_STUCK;
}

/* A leaf that has pushed nothing may share its caller's sp where the call pushes nothing. */
static inline bool is_stuck(const struct arch_state *s, uint64_t cfa)
{
    return cfa < s->sp || (cfa == s->sp && !s->interrupted);
}
