/* table_dir.h: unwind tables on disk, a file each, named by the hash of what they were built from
 * (unwind_table_source()). What is damaged, old or another version's is as good as missing. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;
struct table_dir;
struct unwind_table;

/* Makes the directory where it is missing. `dir` NULL: nothing is kept. */
int table_dir_open(const char *dir, size_t max_bytes, struct table_dir **ret, struct err *err);
void table_dir_close(struct table_dir **dir);

/* The hashes' seed, chosen by chance when the directory was made, and known to its owner alone. */
uint64_t table_dir_seed(const struct table_dir *dir);

/* 0, or -ENOENT. */
int table_dir_load(struct table_dir *dir, const uint8_t *id, size_t id_len,
                   struct unwind_table **ret);

/* Files used longest ago make room. A failure is logged: the next start builds again. */
void table_dir_save(struct table_dir *dir, const uint8_t *id, size_t id_len,
                    const struct unwind_table *table);
