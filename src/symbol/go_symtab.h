/* go_symtab.h: what .gopclntab tells of a program's functions: names, files, lines, inlined calls.
 * Untrusted bytes. For src/symbol only.
 *
 * unwind/go_header.h has the layout of the table; runtime/runtime2.go (_func) that of a function's
 * record, runtime/symtabinl.go (inlinedCall) that of the calls inlined into it:
 *
 *   1.16  1.18  1.20  record
 *      0     0     0  address
 *      8     4     4  its name: offset among names
 *     24    20    20  programs of its files: numbers in its unit's list,
 *     28    24    24  and lines. 0: none, as of C that Go's linker put among Go's code
 *     32    28    28  how many more programs follow,
 *     43    39    43  and after them how many addresses, of 8 bytes and aligned before 1.18, of 4
 *                     and counted from the trees of inlined calls since; all ones: none. Of the
 *                     programs the third tells which inlined call code belongs to, of the
 *                     addresses the fourth where those calls are
 *     36    32    32  its unit: offset among the units' lists
 *     44    40    44  programs, addresses
 *
 *   1.16  1.20  inlined call
 *      0     -  number of the call it is a part of, of 2 bytes; -1: none
 *      4     -  file (as programs number them) and line of the call
 *     12     4  the name of the function that was inlined
 *      -     8  an instruction with the line of the call, from the record's address. Before 1.20
 * the same is at 16, but at times it is 0 where there was no such instruction 20    16  its size */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct go_image;

struct go_record {
    uint64_t start, end; /* addresses */
    uint32_t name, unit;
    uint32_t files, lines, inlined; /* programs */
    uint64_t tree;                  /* address of its inlined calls; 0: none, or not known */
};

/* The function of an address. -ENOENT: none of Go's; -EBADMSG. */
int go_symtab_find(const struct go_image *image, uint64_t address, struct go_record *ret);

/* What a program tells of a function, by bytes from its start. Zero-initialised is empty. */
struct go_values {
    struct go_run *runs;
    size_t count, room;
};

#define GO_NONE (-1) /* where a program has no value */

/* `left`: of work, about in bytes to read, of all calls that share it; -E2BIG when it is used up.
 * -EBADMSG, also for a program that is too long; -ENOMEM. On failure it is empty. */
int go_values_read(const struct go_image *image, const struct go_record *record, uint32_t program,
                   uint64_t *left, struct go_values *values);
int32_t go_values_at(const struct go_values *values, uint64_t offset);
uint64_t go_values_end(const struct go_values *values);
void go_values_free(struct go_values *values);

struct go_call {
    uint32_t name;   /* of the function that was inlined */
    bool has_caller; /* from Go 1.20 on: */
    uint32_t caller; /* bytes from the outermost function's start, of an instruction of the caller's
                        at the line of the call */
    int32_t outer;   /* before: the call that this one is a part of, or GO_NONE */
    int32_t file, line; /* of the call */
};

/* The inlined call of a number. -EBADMSG, -E2BIG. */
int go_symtab_call(const struct go_image *image, const struct go_record *record, int32_t number,
                   uint64_t *left, struct go_call *ret);

/* Appends a text and its NUL. -EBADMSG: there is none, or one of more than 16 KiB; -E2BIG,
 * -ENOMEM. */
int go_symtab_name(const struct go_image *image, uint32_t name, uint64_t *left, struct buf *to);
int go_symtab_file(const struct go_image *image, const struct go_record *record, int32_t number,
                   uint64_t *left, struct buf *to);
