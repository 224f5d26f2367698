/* go_table_bytes.h: tables of Go's functions that a test chose, made in memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "unwind/go_header.h"

struct buf;

#define GO_ROWS_MAX 8u

struct go_row {
    uint32_t instructions;
    int32_t delta; /* by how much sp is lower than at the entry */
};

struct go_bytes_function {
    uint32_t start;                  /* from text */
    uint8_t id, flags;               /* as the runtime numbers them */
    struct go_row rows[GO_ROWS_MAX]; /* up to one of no instructions; none: no sp table */
};

struct go_bytes {
    enum go_version version;
    uint8_t quantum;
    uint64_t text, text_in_header;
    const struct go_bytes_function *functions;
    size_t count;
    uint32_t end; /* of the last function */
};

/* Appends the table. */
void go_table_bytes(const struct go_bytes *table, struct buf *to);
