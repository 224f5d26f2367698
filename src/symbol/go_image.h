/* go_image.h: where in an ELF file Go's linker put what the runtime knows of the program's
 * functions. For src/symbol only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "unwind/go_header.h"

struct elf_file;
struct pages;

struct go_image {
    const struct elf_file *file; /* neither is owned */
    struct pages *pages;
    uint64_t relocations, relocations_len; /* where in the file; none: 0 */
    struct go_header header;
    uint64_t table, table_len; /* .gopclntab: where in the file */
    uint64_t table_address;
    uint64_t text;  /* where functions' addresses count from; 0 if they are absolute */
    uint64_t trees; /* where the addresses of inlined calls count from, likewise; 0: unknown */
};

/* -ENODATA: it is no Go program, or of a kind not known here: before Go 1.16, of 32 bits or big
 * endian, with code in several parts. -ENOMEM. */
int go_image_find(const struct elf_file *file, struct pages *pages, struct go_image *ret);

/* What is loaded at an address. -EBADMSG: nothing of the file is. */
int go_image_read(const struct go_image *image, uint64_t address, void *to, size_t len);

/* The pointer at an address, as the dynamic linker leaves it. 0: none. */
uint64_t go_image_pointer(const struct go_image *image, uint64_t address);
