/* elf.h: what the rest of the agent asks of an ELF file: its identity, and the vdso as a file. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;

#define ELF_BUILD_ID_MAX 20 /* the kernel's BUILD_ID_SIZE_MAX, and the wire's */

/* Reads the GNU build-id from the file's notes. -ENOEXEC: no ELF file; -ENODATA: it has none (or
 * one longer than the kernel takes); -EBADMSG: malformed. Never blocks on what is no regular file,
 * and reads a bounded amount of any. Does not close `fd` nor move its offset. */
int elf_read_build_id(int fd, uint8_t ret_id[ELF_BUILD_ID_MAX], size_t *ret_len, struct err *err);

/* Gives this process's [vdso] as an open file that a symbolizer can read, or -errno (-ENOENT: the
 * kernel maps none). Every process of the machine with the same word size has the same one, mapped
 * from its file offset 0. */
int elf_open_vdso(struct err *err);
