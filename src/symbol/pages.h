/* pages.h: an ELF file read here and there, by pages of which some are kept: whatever the file's
 * size, that takes PAGES_BYTES of memory. For src/symbol only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct elf_file;
struct pages;

#define PAGE_BYTES  4096u
#define PAGES_KEPT  64u
#define PAGES_BYTES (PAGES_KEPT * PAGE_BYTES)

/* The file has to stay open. -ENOMEM. */
int pages_new(const struct elf_file *file, struct pages **ret);
void pages_free(struct pages **p);

/* The bytes from `offset` on to the end of its page, at least one. Valid until the next call.
 * -EBADMSG: the file has none there. */
int pages_view(struct pages *p, uint64_t offset, const uint8_t **ret, size_t *ret_len);

/* Copies `len` bytes, of any number of pages. */
int pages_read(struct pages *p, uint64_t offset, void *to, size_t len);
