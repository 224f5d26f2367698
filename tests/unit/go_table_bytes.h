/* go_table_bytes.h: tables of Go's functions that a test chose, made in memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "unwind/go_header.h"

struct buf;

#define GO_ROWS_MAX 8u

struct go_row {
    uint32_t instructions;
    int32_t
        value; /* of rows: by how much sp is lower than at the entry; of others, what they say */
};

struct go_bytes_call {
    const char *name;      /* of the function that was inlined */
    uint32_t caller;       /* an instruction of the caller: how many lie before in the function */
    int outer, file, line; /* before 1.20: the number of the call it is a part of, or -1; where */
};

struct go_bytes_function {
    uint32_t start;                  /* from text */
    uint8_t id, flags;               /* as the runtime numbers them */
    struct go_row rows[GO_ROWS_MAX]; /* up to one of no instructions; none: no sp table */
    /* The rest may be left out. */
    const char *name;
    struct go_row files[GO_ROWS_MAX], lines[GO_ROWS_MAX], inlined[GO_ROWS_MAX];
    struct go_bytes_call calls[GO_ROWS_MAX]; /* what `inlined` numbers */
};

#define GO_FUNCTIONS_MAX 16u

struct go_bytes {
    enum go_version version;
    uint8_t quantum;
    uint64_t text, text_in_header;
    const struct go_bytes_function *functions;
    size_t count;
    uint32_t end; /* of the last function */
    /* For functions with a name: */
    uint64_t address;     /* of the table */
    const char *files[4]; /* what `files` numbers */
};

/* Appends the table; gives where in it the calls inlined are. */
uint64_t go_table_bytes(const struct go_bytes *table, struct buf *to);

/* What the runtime calls moduledata, of 1.18, 1.20, 1.26 and 1.27. */
enum go_module { GO_MODULE_1_18, GO_MODULE_1_20, GO_MODULE_1_26, GO_MODULE_1_27, GO_MODULES };

#define GO_MODULE_TEXT  22u /* words */
#define GO_MODULE_WORDS 72u

/* Fills in that of a table. Gives which word tells where the calls inlined are. */
size_t go_module_words(const struct go_bytes *table, uint64_t table_len, uint64_t calls,
                       enum go_module layout, uint64_t words[GO_MODULE_WORDS]);
