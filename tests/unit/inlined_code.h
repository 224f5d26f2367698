/* inlined_code.h: code of the test's own program of which it is known what is inlined where, for
 * the tests of debug information. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inlined_place {
    uint64_t address;         /* as the ELF file counts */
    const char *functions[3]; /* the outermost first; NULL behind the last */
    uint32_t lines[3];        /* what is executed, or of the call to the next */
    uint64_t start;           /* the outermost's first byte */
};

#define INLINED_PLACES 3

/* Ascending by address. Empty if the program was compiled without -g. */
size_t inlined_code_places(struct inlined_place ret[INLINED_PLACES]);

/* The ELF address of what lies at `p` in this program. */
uint64_t inlined_code_address(const void *p);
