/* schema.h: the batch's tables and columns, declared once. Encoding, decoding and checking walk
 * this list; what a field means stands in format.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;

enum column_type {
    COLUMN_U8,
    COLUMN_U32,
    COLUMN_METHODS, /* uint32_t, bits of enum wire_method */
    COLUMN_U64,
    COLUMN_TIME,     /* int64_t, 0 ... 2^63 - 1; what is negative in memory is written as 0 */
    COLUMN_BUILD_ID, /* of struct batch_object: build_id and build_id_len */
    COLUMN_FIGURE,   /* uint64_t below 2^63, or WIRE_UNKNOWN, which is nil */
};

/* What a COLUMN_U32 is a row number in. */
enum column_refers {
    REFERS_NONE,
    REFERS_STRING,
    REFERS_OBJECT,
    REFERS_PROCESS,
    REFERS_STACK,
    REFERS_USAGE,
    REFERS_POD
};

struct wire_column {
    const char *name;
    uint16_t offset; /* in the row's struct */
    uint8_t type;    /* enum column_type */
    uint8_t refers;  /* enum column_refers */
    uint32_t min;
    uint32_t max; /* 0: no limit but the type's */
};

#define SCHEMA_MAX_COLUMNS 24

struct wire_table {
    const char *name;
    const char *limit; /* max_rows as format.h calls it */
    uint32_t max_rows;
    uint16_t row_size;
    uint16_t rows_at, count_at; /* offsets in struct batch of the rows' pointer and number */
    uint16_t column_count;
    uint16_t may_lack; /* so many of the last: added since the format's first batches */
    bool optional;     /* missing when it is empty; all such tables come last */
    struct wire_column columns[SCHEMA_MAX_COLUMNS];
};

enum {
    TABLE_OBJECTS,
    TABLE_FRAMES,
    TABLE_STACKS,
    TABLE_PROCESSES,
    TABLE_LABELS,
    TABLE_SAMPLES,
    TABLE_USAGE,
    TABLE_USAGE_LABELS,
    TABLE_USAGE_PROCESSES,
    TABLE_PODS,
    TABLE_POD_LABELS,
    TABLE_CONTAINERS,
    TABLE_COUNT,
    TABLE_FIRST_OPTIONAL = TABLE_USAGE
};

extern const struct wire_table schema_tables[TABLE_COUNT];

const uint8_t *schema_rows(const struct batch *batch, const struct wire_table *table);
uint32_t schema_count(const struct batch *batch, const struct wire_table *table);
void schema_set(struct batch *batch, const struct wire_table *table, const void *rows,
                uint32_t count);
