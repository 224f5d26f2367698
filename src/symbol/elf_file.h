/* elf_file.h: an ELF file's headers, checked and in one form whatever its class and byte order, and
 * bounded reads from it. For src/symbol only.
 *
 * The file may be changed or cut short by its owner at any time: it is read by pread(2) (a mapping
 * would raise SIGBUS) and nothing read before is believed of what is read later. libelf translates
 * class and byte order; it is not given the file, since it allocates by what a header says. */
#pragma once

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct elf_file {
    int fd; /* not owned; -1: `memory` is the file */
    const uint8_t *memory;
    uint64_t bytes;
    unsigned class, encoding; /* EI_CLASS, EI_DATA */
    GElf_Ehdr header;
    GElf_Phdr *segments;
    GElf_Shdr *sections; /* NULL, 0: none, or they lie outside the file */
    size_t segment_count, section_count;
};

/* -ENOEXEC: no regular file or no ELF; -EBADMSG, -EFBIG: malformed or over a limit. */
int elf_file_open(int fd, struct elf_file *ret, struct err *err);
/* A file in memory, which stays the caller's and must outlive it. */
int elf_file_open_memory(const void *bytes, size_t len, struct elf_file *ret, struct err *err);
void elf_file_close(struct elf_file *file);

/* Exactly `len` bytes. -EBADMSG if the file has no such bytes. */
int elf_file_read(const struct elf_file *file, uint64_t offset, void *to, size_t len);

/* Translates `len` bytes of `type` from the file's class and byte order, in place. */
int elf_file_translate(const struct elf_file *file, Elf_Type type, void *bytes, size_t len);

/* Size of one symbol in the file, and the i-th of translated ones. */
size_t elf_file_symbol_bytes(const struct elf_file *file);
GElf_Sym elf_file_symbol(const struct elf_file *file, const void *symbols, size_t i);

/* The section of that name: *ret is a copy of its header. -ENOENT; -EBADMSG. */
int elf_file_find_section(const struct elf_file *file, const char *name, GElf_Shdr *ret);

/* Whether it has DWARF, in this file or, by .gnu_debugaltlink, partly in another. */
bool elf_file_has_dwarf(const struct elf_file *file);
