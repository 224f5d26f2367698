/* arch_x86_64.c: x86-64, System V psABI. Registers in samples:
 * arch/x86/include/uapi/asm/perf_regs.h. */
#include <asm/perf_regs.h>
#include <linux/perf_event.h>

#include "unwind/arch.h"

const struct rule_registers *const arch_registers = &rule_registers_x86_64;
const uint64_t arch_address_mask = UINT64_MAX;
const int arch_pc_number = 16; /* UNW_X86_64_RIP */

/* perf's numbers in the order of DWARF's: psABI 1.0, figure 3.36. */
static const uint8_t perf_of_dwarf[16] = {
    PERF_REG_X86_AX,  PERF_REG_X86_DX,  PERF_REG_X86_CX,  PERF_REG_X86_BX,
    PERF_REG_X86_SI,  PERF_REG_X86_DI,  PERF_REG_X86_BP,  PERF_REG_X86_SP,
    PERF_REG_X86_R8,  PERF_REG_X86_R9,  PERF_REG_X86_R10, PERF_REG_X86_R11,
    PERF_REG_X86_R12, PERF_REG_X86_R13, PERF_REG_X86_R14, PERF_REG_X86_R15,
};

#define BIT(n) (UINT64_C(1) << (n))
#define USUAL  (BIT(PERF_REG_X86_IP + 1) - 1 + (BIT(PERF_REG_X86_R15 + 1) - BIT(PERF_REG_X86_R8)))

static inline bool pick(uint64_t mask, const uint64_t *regs, unsigned number, uint64_t *ret)
{
    if (!(mask >> number & 1))
        return false;
    *ret = regs[__builtin_popcountll(mask & (BIT(number) - 1))];
    return true;
}

static inline bool load(uint64_t mask, const uint64_t *regs, struct arch_state *ret)
{
    for (unsigned i = 0; i < 16; i++) {
        if (!pick(mask, regs, perf_of_dwarf[i], &ret->reg[i]))
            return false;
    }
    ret->sp = ret->reg[7];
    ret->fp = ret->reg[6];
    ret->interrupted = true;
    /* DWARF's register 16 is the return address's column; as one that holds something, it is rip.
     */
    return pick(mask, regs, PERF_REG_X86_IP, &ret->pc) &&
           pick(mask, regs, PERF_REG_X86_IP, &ret->reg[16]);
}

bool arch_load(uint64_t mask, const uint64_t *regs, uint64_t abi, struct arch_state *ret)
{
    if (abi != PERF_SAMPLE_REGS_ABI_64)
        return false;
    /* A mask that the compiler knows leaves nothing to count. */
    return mask == USUAL ? load(USUAL, regs, ret) : load(mask, regs, ret);
}

/* At the signal frame sp points at struct ucontext (arch/x86/include/uapi/asm/ucontext.h), whose
 * sigcontext begins 40 bytes on: r8 … r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip. */
bool arch_load_signal_frame(struct arch_state *state)
{
    static const uint8_t dwarf[] = {8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7};
    struct arch_state next = *state;
    uint64_t at = state->sp + 40;
    for (unsigned i = 0; i < sizeof(dwarf); i++, at += 8) {
        if (!arch_read(state, at, &next.reg[dwarf[i]]))
            return false;
    }
    if (!arch_read(state, at, &next.pc))
        return false;
    next.sp = next.reg[7];
    next.fp = next.reg[6];
    next.interrupted = true;
    *state = next;
    return true;
}
