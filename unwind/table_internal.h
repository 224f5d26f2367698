/* table_internal.h: what the builder, the lookup and the table's file share. */
#pragma once

#include "unwind/table.h"

/* Rows 0 … row_count-1 by offset; row i holds from offsets[i] to before offsets[i+1]. A gap between
 * functions is a row of rule 0, which is RULE_NONE. */
struct unwind_table {
    struct unwind_table_info info;
    uint32_t *offsets;
    uint16_t *rule_of_row;
    struct unwind_rule *rules;
    /* First row at or behind the start of each bucket of 2^bucket_shift bytes, and one more. */
    uint32_t *buckets;
    uint32_t bucket_count, bucket_shift;
    uint32_t first; /* offsets below it have no rule */
};

/* Makes the buckets. -ENOMEM. */
int unwind_table_index(struct unwind_table *table);
