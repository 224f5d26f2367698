/* go_build.h: rows for the Go code of an ELF file. */
#pragma once

#include <gelf.h>
#include <stddef.h>

#include "unwind/rule.h"

struct err;
struct runs;

/* From its .gopclntab. 0 also where there is none, or none that is understood; -EFBIG: over a
 * limit; -ENOMEM. */
int go_build_add(Elf *elf, const struct rule_registers *registers, size_t max_bytes,
                 struct runs *runs, struct err *err);
