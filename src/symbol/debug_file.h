/* debug_file.h: the files that hold what was stripped from an ELF file: its symbols and DWARF, and
 * what dwz(1) moved from that to a file shared by several. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbol/elf.h"

struct err;

/* A file whose checksum was right: it is not read whole again while it stays as it is. */
struct debug_file_stamp {
    dev_t device;
    ino_t inode;
    off_t bytes;
    int64_t changed_ns;
    uint32_t crc;
    bool is_set;
};

struct debug_files {
    int debug; /* -1: none, or not needed */
    int alt;   /* of the file that has the DWARF, be it the first or `debug`; -1: none */
};

/* Finds the separate debug file of the file open as `fd` if it has no DWARF of its own, and the one
 * its DWARF refers to. `path` is the file's own as its process sees it; `roots` are descriptors of
 * root directories: the process's, then others. Each is looked through in the order of GDB's manual
 * ("Separate Debug Files"), and nothing outside it is opened. A file is taken if it is a regular
 * one of the same architecture and has the same build-id or, where one of both has none, the
 * checksum that .gnu_debuglink tells. Both descriptors are -1 if there is none, which is no error.
 * -ENOEXEC and others: the file itself is unreadable. */
int debug_files_find(int fd, const char *path, const int *roots, size_t root_count,
                     struct debug_file_stamp *stamp, struct debug_files *ret, struct err *err);
void debug_files_close(struct debug_files *files);

/* 0 if the file open as `fd` has this build-id and tells names. -EBADMSG: it has another one, or
 * makes no sense; -ENODATA: none, or neither symbols nor DWARF; -ENOEXEC: it is no ELF file. */
int debug_file_check(int fd, const uint8_t *id, size_t id_len, struct err *err);

/* The build-id of the file that this one's DWARF refers to (dwz). -ENOENT: to none; -EBADMSG. */
int debug_file_read_alt_id(int fd, uint8_t ret_id[ELF_BUILD_ID_MAX], size_t *ret_len);
