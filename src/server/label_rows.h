/* label_rows.h: what samples say of labels: the sums of a query's groups, all at once and sorted.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/strings.h"
#include "server/store.h"

struct api;
struct err;

#define LABEL_ROWS_MAX 1000000u

struct label_row {
    const char *values[STORE_MAX_GROUPS]; /* as store_row's */
    uint64_t samples, cpu_ns;
};

struct label_rows {
    struct label_row *all; /* by their values */
    size_t count, cap;
    size_t width; /* the query's group_count */
    struct strings texts;
};

/* Runs the query, with names as they are known by now. `ret` is zeroed. -E2BIG: more than
 * LABEL_ROWS_MAX. */
int label_rows_read(struct api *api, const struct store_query *query, struct label_rows *ret,
                    struct err *err);
void label_rows_free(struct label_rows *rows);
