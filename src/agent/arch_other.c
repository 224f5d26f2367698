/* arch_other.c: a processor podflame does not unwind on. */
#include "agent/arch.h"

uint64_t arch_user_regs(void)
{
    return 0;
}
