/* go_header.h: the header of Go's .gopclntab, which every Go program has, stripped or not: what the
 * runtime unwinds by and names functions by. Untrusted bytes, no I/O, no allocation.
 *
 * runtime/symtab.go (pcHeader) of Go 1.16 to 1.27; cmd/link/internal/ld/pcln.go writes it. All
 * little endian, pointers of 8 bytes.
 *
 *   1.16  1.18  what
 *      0     0  magic: 0xfffffffa from 1.16, 0xfffffff0 from 1.18, 0xfffffff1 from 1.20
 *      4     4  two zeros, the size of an instruction, the size of a pointer
 *      8     8  functions
 *     16    16  files
 *      -    24  where the functions' addresses count from (text); 0 from 1.26, and where the
 *               dynamic linker fills it in
 *     24    32  offsets from here of the functions' names,
 *     32    40  of the units' lists of files: numbers of 4 bytes, offsets among
 *     40    48  the files' names,
 *     48    56  of the programs: tables of a value for each instruction
 *     56    64  and of the functions: entries of (address, offset of its record from here), in
 *               order, and one more address: the end. Of 8 bytes each before 1.18, of 4 and counted
 *               from text since
 *
 * A program has pairs of varints: the value, as zig-zag difference to the pair before (the first:
 * to -1), and the instructions it holds for; a zero ends it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/leb.h"

enum go_version { GO_1_16, GO_1_18, GO_1_20, GO_VERSIONS };

struct go_header {
    enum go_version version;
    uint64_t count; /* of functions */
    uint64_t text;  /* 0: not told, or addresses are absolute */
    uint64_t names, units, files, programs, functions;
    uint8_t quantum; /* an instruction's size */
    uint8_t word;    /* the size of a field in the list of functions */
    bool relative;   /* addresses count from text */
};

#define GO_HEADER_BYTES_MAX 72u

/* Where in the header its text stands, which a relocation may tell. */
#define GO_HEADER_TEXT_OFFSET 24u

/* `bytes` begin a table of `table_len`, of which `len` are there. Where it has its programs and its
 * list of functions is checked, the other offsets are not. -EBADMSG: malformed, or of a version or
 * machine not known here. */
int go_header_read(const void *bytes, size_t len, uint64_t table_len, struct go_header *ret);

/* One pair of a program, the first or another: adds to *value what it changes. False at its end,
 * and with p->bad set if it is malformed. */
static inline bool go_program_step(struct leb *p, bool first, int64_t *value,
                                   uint64_t *ret_instructions)
{
    uint64_t change = leb_unsigned(p);
    if (p->bad || (change == 0 && !first))
        return false;
    uint64_t instructions = leb_unsigned(p);
    if (change > UINT32_MAX || instructions == 0 || instructions > UINT32_MAX) {
        p->bad = true;
        return false;
    }
    *value += (int64_t)(change >> 1) ^ -(int64_t)(change & 1);
    *ret_instructions = instructions;
    return true;
}
