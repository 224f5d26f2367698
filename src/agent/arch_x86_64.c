/* arch_x86_64.c: registers in arch/x86/include/uapi/asm/perf_regs.h. */
#include <asm/perf_regs.h>

#include "agent/arch.h"

#define BIT(n) (1ull << (n))

/* The 16 general registers and ip. Segment registers cannot be asked for on x86-64. */
uint64_t arch_user_regs(void)
{
    return BIT(PERF_REG_X86_AX) | BIT(PERF_REG_X86_BX) | BIT(PERF_REG_X86_CX) |
           BIT(PERF_REG_X86_DX) | BIT(PERF_REG_X86_SI) | BIT(PERF_REG_X86_DI) |
           BIT(PERF_REG_X86_BP) | BIT(PERF_REG_X86_SP) | BIT(PERF_REG_X86_IP) |
           BIT(PERF_REG_X86_R8) | BIT(PERF_REG_X86_R9) | BIT(PERF_REG_X86_R10) |
           BIT(PERF_REG_X86_R11) | BIT(PERF_REG_X86_R12) | BIT(PERF_REG_X86_R13) |
           BIT(PERF_REG_X86_R14) | BIT(PERF_REG_X86_R15);
}
