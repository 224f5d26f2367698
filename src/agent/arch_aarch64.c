/* arch_aarch64.c: registers in arch/arm64/include/uapi/asm/perf_regs.h. */
#include <asm/perf_regs.h>

#include "agent/arch.h"

/* x0 to x30, sp and pc. */
uint64_t arch_user_regs(void)
{
    return (1ull << PERF_REG_ARM64_MAX) - 1;
}
