/* plt.h: the stubs of a procedure linkage table, through which an object calls functions of
 * others: x86-64 and aarch64. For src/symbol only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/elf_file.h"
#include "symbol/name_files.h"

struct err;

struct plt_stub {
    uint64_t start, end; /* addresses as the ELF file counts */
    bool has_symbol;
    enum name_file file; /* that has the name; as plt_read() gives it NAME_FILE_MAIN */
    uint32_t strings;    /* section of the name of what it jumps to; with has_symbol */
    uint32_t name;       /* where in that section */
    uint64_t resolver;   /* else, if not 0: of a function that tells where it jumps to (IFUNC) */
};

/* Whether a section holds such stubs: by its name, as there is no type for them. */
bool plt_is_section(const struct elf_file *file, size_t section);

/* All stubs of a section, ascending; not those whose code is of an unknown form, nor the entry
 * that calls the dynamic linker. -EBADMSG, -EFBIG, -ENOMEM. */
int plt_read(const struct elf_file *file, size_t section, struct plt_stub **ret, size_t *ret_count,
             struct err *err);
