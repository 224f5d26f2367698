/* go_table.h: walks the functions of Go's .gopclntab and how each moves the stack pointer.
 * Untrusted bytes, no I/O, no allocation.
 *
 * go_header.h has the layout; runtime/runtime2.go (_func) that of a function's record:
 *
 *   1.16  1.18  1.20  what
 *      0     0     0  address
 *     20    16    16  offset of its sp table, the program of how much sp is lower than at the
 *                     function's entry; 0: none, as code that Go did not compile
 *     40    36    40  the function's number among those the runtime must know
 *     41    37    41  flags, from 1.17: internal/abi/symtab.go */
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

/* Borrows the bytes. -EBADMSG: malformed, or of a version or machine not known here. */
int go_table_open(const void *bytes, size_t len, const struct rule_registers *registers,
                  struct go_table *ret);

/* Function `i`, below table->count. -EBADMSG. */
int go_table_function(const struct go_table *table, uint64_t i, struct go_function *ret);

/* Rows of a function with an sp table: at least one. *ret_end: up to where they tell, at most
 * function->end. 0, what `fn` returned, or -EBADMSG: the rows given so far are worth nothing. */
int go_table_run(const struct go_table *table, const struct go_function *function, cfa_row_fn fn,
                 void *ctx, uint64_t *ret_end);
