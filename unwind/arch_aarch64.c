/* arch_aarch64.c: AArch64, AAPCS64. Registers in samples: arch/arm64/include/uapi/asm/perf_regs.h.
 */
#include <asm/perf_regs.h>
#include <linux/perf_event.h>

#include "unwind/arch.h"

const struct rule_registers *const arch_registers = &rule_registers_aarch64;

/* Pointer authentication keeps its code above the address's 48 bits (52 with large addresses, which
 * a program gets on request only); bit 55 tells user from kernel. */
const uint64_t arch_address_mask = (UINT64_C(1) << 48) - 1;

const int arch_pc_number = 32; /* UNW_AARCH64_PC */

bool arch_load(uint64_t mask, const uint64_t *regs, uint64_t abi, struct arch_state *ret)
{
    const uint64_t wanted = (1ull << PERF_REG_ARM64_PC << 1) - 1;
    if (abi != PERF_SAMPLE_REGS_ABI_64 || (mask & wanted) != wanted)
        return false;
    /* perf's numbers are DWARF's, up to sp, 31; pc follows. */
    for (unsigned i = 0; i <= PERF_REG_ARM64_SP; i++)
        ret->reg[i] = regs[i];
    ret->pc = regs[PERF_REG_ARM64_PC];
    ret->sp = ret->reg[31];
    ret->fp = ret->reg[29];
    ret->interrupted = true;
    return true;
}

/* At the signal frame sp points at struct rt_sigframe (arch/arm64/kernel/signal.c): siginfo, 128
 * bytes; ucontext, whose sigcontext begins 176 bytes on: fault address, x0 … x30, sp, pc. */
bool arch_load_signal_frame(struct arch_state *state)
{
    struct arch_state next = *state;
    uint64_t at = state->sp + 128 + 176 + 8;
    for (unsigned i = 0; i < 32; i++, at += 8) {
        if (!arch_read(state, at, &next.reg[i]))
            return false;
    }
    if (!arch_read(state, at, &next.pc))
        return false;
    next.sp = next.reg[31];
    next.fp = next.reg[29];
    next.interrupted = true;
    *state = next;
    return true;
}
