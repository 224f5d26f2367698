/* fdes.h: where functions begin and end by a file's unwind information, which compilers write for
 * each, and authors of assembly for most. For src/symbol only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "symbol/elf_file.h"

struct fdes {
    const struct elf_file *file;
    uint64_t address; /* of .eh_frame_hdr */
    uint64_t offset;  /* of its table in the file */
    uint32_t count;   /* 0: the file has none that is read here */
};

void fdes_open(const struct elf_file *file, struct fdes *ret);

/* The last function that begins at or before the address, be the address in it or behind it. Where
 * there is none both stay untouched. -errno where the file contradicts itself. */
int fdes_find(const struct fdes *f, uint64_t address, uint64_t *ret_start, uint64_t *ret_end);
