/* table.h: the unwind rules of one ELF object, compact: by offset in its file, so that neither load
 * address nor program headers are needed to ask. About six bytes a row.
 *
 * Built from .eh_frame, Go's .gopclntab and .debug_frame, each for what those before leave out, and
 * where there is none of them from .gnu_debugdata; read-only afterwards and shared by any number of
 * threads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/rule.h"

struct err;
struct unwind_table;

enum unwind_machine { UNWIND_X86_64 = 1, UNWIND_AARCH64 = 2 };

/* Bounds of what one object may cost; past one of them it has no table. */
struct unwind_table_limits {
    size_t max_section_bytes; /* of CFI; 0: 256 MiB */
    uint32_t max_rows;        /* 0: 16 million */
};

/* Reads the ELF file at `fd`, which stays the caller's. -ENOEXEC: no ELF file of a machine known
 * here; -ENODATA: it has no CFI; -EFBIG: over a limit; -EBADMSG: malformed beyond use. Single FDEs
 * that make no sense are passed over. */
int unwind_table_build(int fd, const struct unwind_table_limits *limits, struct unwind_table **ret,
                       struct err *err);
void unwind_table_free(struct unwind_table **table);

/* A hash of all that the file's table is built from: two files with one hash have one table. A
 * build-id would do, but anyone may write a libc's into a file of their own. With a `seed` that
 * they do not know nobody can make two files that have the same. Errors as above. */
#define UNWIND_SOURCE_SIZE 16u
int unwind_table_source(int fd, uint64_t seed, uint8_t ret[UNWIND_SOURCE_SIZE], struct err *err);

/* As unwind_table_build, and the hash of what it was built from, even if the file was written to
 * meanwhile. */
int unwind_table_build_from(int fd, const struct unwind_table_limits *limits, uint64_t seed,
                            uint8_t ret_source[UNWIND_SOURCE_SIZE], struct unwind_table **ret,
                            struct err *err);

/* The rule at an offset in the file; one of kind RULE_NONE where no CFI covers it. Never NULL. */
const struct unwind_rule *unwind_table_find(const struct unwind_table *table, uint64_t file_offset);

struct unwind_table_info {
    enum unwind_machine machine;
    uint32_t rows, rules;
    uint32_t fdes, bad_fdes; /* also Go's functions */
    size_t bytes;            /* of memory */
};

void unwind_table_describe(const struct unwind_table *table, struct unwind_table_info *ret);
