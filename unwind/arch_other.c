/* arch_other.c: a processor podflame does not unwind on. */
#include "unwind/arch.h"

const struct rule_registers *const arch_registers = &rule_registers_x86_64; /* never asked */
const uint64_t arch_address_mask = UINT64_MAX;
const int arch_pc_number = 0;

bool arch_load(uint64_t mask, const uint64_t *regs, uint64_t abi, struct arch_state *ret)
{
    return false;
}

bool arch_load_signal_frame(struct arch_state *state)
{
    return false;
}
