/* go_table.h: walks the functions of Go's .gopclntab, which the runtime unwinds by and which every
 * Go program has, stripped or not. Untrusted bytes, no I/O, no allocation.
 *
 * The layout: runtime/symtab.go (pcHeader, functab, pcvalue) and runtime/runtime2.go (_func) of Go
 * 1.16 to 1.26; cmd/link/internal/ld/pcln.go writes it. All little endian, pointers of 8 bytes.
 *
 *   header      1.16  1.18    what
 *                  0     0    magic: 0xfffffffa from 1.16, 0xfffffff0 from 1.18, 0xfffffff1
 * from 1.20 4     4    two zeros, the size of an instruction, the size of a pointer 8     8
 * functions 16    16    files
 *                  -    24    where the functions' addresses count from (text); 0 from 1.26, and
 *                             where the dynamic linker fills it in
 *                 24    32    names, units, files: offsets of sections here
 *                 48    56    offset of the sp tables
 *                 56    64    offset of the functions: entries of (address, offset of its record
 *                             from here), in order, and one more address: the end. Of 8 bytes each
 *                             before 1.18, of 4 and counted from text since
 *   record      1.16  1.18    1.20
 *                  0     0       0    address
 *                 20    16      16    offset of its sp table; 0: none, as code that Go did not
 * compile 40    36      40    the function's number among those the runtime must know 41    37 41
 * flags, from 1.17: internal/abi/symtab.go sp table                          pairs of varints: how
 * much sp is lower than at the function's entry, as zig-zag difference to the pair before (the
 * first: to -1), and the instructions it holds for; a zero ends it */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/cfa.h"

struct go_table {
    const struct rule_registers *registers;
    const uint8_t *bytes;
    size_t len;
    uint64_t text;        /* of the header; 0: the caller must find it and fill it in */
    uint64_t count;       /* of functions */
    uint64_t programs;    /* offset of the sp tables */
    uint64_t functions;   /* offset of the functions */
    uint8_t quantum;      /* an instruction's size */
    uint8_t word;         /* the size of a functab field */
    bool relative;        /* addresses count from text */
    uint8_t flags_offset; /* in a function's record */
};

struct go_function {
    uint64_t start, end;
    const uint8_t *program; /* NULL: it has no sp table */
    bool bottom;            /* its stack's first function */
    bool returned_to;       /* its first instruction may be a return address */
};

/* Where in the section the header's text stands, which a relocation may tell. */
#define GO_TABLE_TEXT_OFFSET 24u

/* Borrows the bytes. -EBADMSG: malformed, or of a version or machine not known here. */
int go_table_open(const void *bytes, size_t len, const struct rule_registers *registers,
                  struct go_table *ret);

/* Function `i`, below table->count. -EBADMSG. */
int go_table_function(const struct go_table *table, uint64_t i, struct go_function *ret);

/* Rows of a function with an sp table: at least one. *ret_end: up to where they tell, at most
 * function->end. 0, what `fn` returned, or -EBADMSG: the rows given so far are worth nothing. */
int go_table_run(const struct go_table *table, const struct go_function *function, cfa_row_fn fn,
                 void *ctx, uint64_t *ret_end);
