/* elf_section.h: one section of an ELF file, by its name. */
#pragma once

#include <gelf.h>
#include <stddef.h>

struct err;

/* Its bytes, decompressed where they are compressed (gABI, "Section Compression"); they are the
 * file's, as long as that is open. -ENODATA: there is no such section, or one without bytes, as
 * debug files have; -EFBIG: more than max_bytes; -EBADMSG. */
int elf_section_read(Elf *elf, const char *name, size_t max_bytes, GElf_Shdr *ret_header,
                     Elf_Data **ret, struct err *err);

/* NULL: there is none, or none with bytes. */
Elf_Scn *elf_section_find(Elf *elf, const char *name, GElf_Shdr *ret_header);
