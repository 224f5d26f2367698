/* table.c: takes a file offset, gives the rule there. See table.h. */
#include "unwind/table.h"

#include <errno.h>
#include <stdlib.h>

#include "unwind/table_internal.h"

/* Some five steps of search, and an eighth of a byte a row. */
#define ROWS_PER_BUCKET 32u
#define BUCKETS_MAX     (1u << 22)

void unwind_table_free(struct unwind_table **table)
{
    struct unwind_table *t = *table;
    if (!t)
        return;
    free(t->offsets);
    free(t->rule_of_row);
    free(t->rules);
    free(t->buckets);
    free(t);
    *table = NULL;
}

int unwind_table_index(struct unwind_table *table)
{
    struct unwind_table *t = table;
    uint32_t rows = t->info.rows;
    t->first = rows ? t->offsets[0] : UINT32_MAX;
    uint64_t span = rows ? (uint64_t)t->offsets[rows - 1] - t->first + 1 : 1;
    t->bucket_shift = 4;
    while ((span >> t->bucket_shift) > rows / ROWS_PER_BUCKET + 1 ||
           (span >> t->bucket_shift) >= BUCKETS_MAX)
        t->bucket_shift++;
    t->bucket_count = (uint32_t)(span >> t->bucket_shift) + 1;
    t->buckets = malloc((t->bucket_count + 1) * sizeof(*t->buckets));
    if (!t->buckets)
        return -ENOMEM;
    uint32_t row = 0;
    for (uint32_t b = 0; b < t->bucket_count; b++) {
        uint64_t start = t->first + ((uint64_t)b << t->bucket_shift);
        while (row < rows && t->offsets[row] < start)
            row++;
        t->buckets[b] = row;
    }
    t->buckets[t->bucket_count] = rows;
    t->info.bytes = sizeof(*t) + (size_t)rows * 6 + t->info.rules * sizeof(*t->rules) +
                    (t->bucket_count + 1) * sizeof(*t->buckets);
    return 0;
}

const struct unwind_rule *unwind_table_find(const struct unwind_table *table, uint64_t file_offset)
{
    static const struct unwind_rule none = {.kind = RULE_NONE};
    const struct unwind_table *t = table;
    if (file_offset < t->first || file_offset > UINT32_MAX)
        return &none;
    uint32_t offset = (uint32_t)file_offset;
    uint64_t bucket = (uint64_t)(offset - t->first) >> t->bucket_shift; /* by 32, even */
    if (bucket >= t->bucket_count)
        bucket = t->bucket_count - 1;
    /* The row wanted is the last at or before offset: it may begin in an earlier bucket. */
    uint32_t low = t->buckets[bucket], high = t->buckets[bucket + 1];
    /* Each would be waited for in turn. */
    __builtin_prefetch(&t->offsets[low]);
    __builtin_prefetch(&t->offsets[high]);
    __builtin_prefetch(&t->rule_of_row[low]);
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (t->offsets[mid] <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? &t->rules[t->rule_of_row[low - 1]] : &none;
}

void unwind_table_describe(const struct unwind_table *table, struct unwind_table_info *ret)
{
    *ret = table->info;
}
