/* names.h: which symbol of an object's files covers an address. For src/symbol only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct name_files;

#define NAMES_TEXT_MAX 4096 /* with its NUL; a longer name names nothing */

struct name_query {
    uint64_t address;   /* in: as the ELF file counts */
    uint64_t low, high; /* in: the mapped range it lies in; out: the part of it, around the address,
                           that has the same answer */
    bool found;         /* out; in: false */
    bool is_stub;       /* the name is what a stub jumps to, and the stub's is name@plt */
    bool is_single;     /* holds for this address alone; low and high say so */
    uint8_t source;     /* which source of names.c it was found by */
    uint8_t file;       /* enum name_file: the one that has the name */
    uint8_t rank;
    uint64_t start;   /* the symbol's first byte */
    uint32_t strings; /* section of its name */
    uint32_t name;    /* where in that section */
};

/* Asks each source of names, the best first, until all queries are answered. `queries` ascend by
 * address without repeats. On failure (a malformed table) what was found is still right. */
int names_find(struct name_files *files, struct name_query *queries, size_t count, struct err *err);

/* Reads a found query's name, without the symbol version behind an '@'. -ENOENT for one that is
 * empty or too long. */
int names_read(struct name_files *files, const struct name_query *query, char ret[NAMES_TEXT_MAX]);
