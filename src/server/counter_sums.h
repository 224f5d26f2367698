/* counter_sums.h: what the agents counted of themselves, by name, added up over nodes and time. */
#pragma once

#include <stdint.h>

#include "base/strings.h"

struct err;
struct store;
struct store_query;

struct counter_sums {
    struct strings names; /* as batches have them: from outside, of any number */
    uint64_t *values;     /* by a name's number */
    uint32_t cap;
};

/* Of the batches whose window starts within the query's range and whose node its filters take; its
 * other filters say nothing. `ret` is zero before, and counter_sums_free()'s also after a failure.
 */
int counter_sums_read(struct store *store, const struct store_query *query,
                      struct counter_sums *ret, struct err *err);
void counter_sums_free(struct counter_sums *sums);
