/* table_file.h: an unwind table on disk, so that it is built once for each build of a program.
 *
 *   offset size  what                                              all little endian
 *        0    4  "PFUT"
 *        4    4  version, 2: of this layout, of the rules' meaning (rule.h) and of what is read for
 *                them; 1 had none of stripped Go programs
 *        8    4  machine (enum unwind_machine)
 *       12    4  rows
 *       16    4  rules
 *       20    4  FDEs, for people
 *       24    8  XXH3 (64 bits) of the whole file, with zeros here
 *       32    4  length of the key, at most 32
 *       36   32  the key: whose table it is, filled up with zeros
 *       68    4  zero
 *       72    -  rules, 20 bytes each (struct unwind_rule); offsets, 4 bytes a row; then the rows'
 *                rule numbers, 2 bytes each */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct unwind_table;

#define TABLE_FILE_MAGIC       "PFUT"
#define TABLE_FILE_VERSION     2u
#define TABLE_FILE_HEADER_SIZE 72u
#define TABLE_FILE_KEY_MAX     32u
#define TABLE_FILE_MAX         ((size_t)256 << 20)

/* Appends the whole file's bytes. -ENOMEM. */
int table_file_write(const struct unwind_table *table, const void *key, size_t key_len,
                     struct buf *out);

/* Untrusted bytes: everything a lookup relies on is checked. -EBADMSG: damaged; -ESTALE: another
 * version's, or another object's. */
int table_file_read(const void *bytes, size_t len, const void *key, size_t key_len,
                    struct unwind_table **ret, struct err *err);
