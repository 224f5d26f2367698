/* eh_frame.h: walks the FDEs of a CFI section: .eh_frame (LSB core, "Exception Frames") or
 * .debug_frame (DWARF 5, section 6.4.1). Untrusted bytes. */
#pragma once

#include <libelf.h>
#include <stdbool.h>
#include <stdint.h>

#include "unwind/cfa.h"

struct cfi_section {
    const unsigned char *ident; /* the ELF file's e_ident */
    Elf_Data *data;
    uint64_t address; /* where the section is loaded, for pc-relative pointers */
    bool eh_frame;    /* else .debug_frame */
};

struct cfi_fde {
    const struct cfa_cie *cie;
    uint64_t start, end;
    const uint8_t *program, *program_end;
};

/* Called with each FDE; non-zero stops and is returned. */
typedef int (*cfi_fde_fn)(void *ctx, const struct cfi_fde *fde);

/* *ret_bad: entries that made no sense and were passed over. 0, -ENOMEM, or what `fn` returned. */
int cfi_walk(const struct cfi_section *section, cfi_fde_fn fn, void *ctx, uint32_t *ret_bad);
