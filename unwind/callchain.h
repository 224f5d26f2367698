/* callchain.h: frames out of the kernel's callchain. */
#pragma once

#include <stdbool.h>

#include "unwind/unwind.h"

/* Appends the chain's kernel or user frames. False if there were more than it holds. */
bool callchain_add(const struct unwind_sample *sample, bool kernel, struct unwind_stack *to);
