/* counter_sums.c: takes a range and nodes, gives the agents' counters summed. See counter_sums.h.
 */
#include "server/counter_sums.h"

#include <errno.h>
#include <stdlib.h>

#include "server/query.h"
#include "server/store.h"

struct reader {
    const struct store_query *query;
    struct counter_sums *sums;
};

static int take_counter(void *ctx, const char *node, const char *name, uint64_t value)
{
    const struct reader *reader = ctx;
    struct counter_sums *sums = reader->sums;
    uint32_t i, before = sums->names.count;
    if (!query_takes_node(reader->query, node))
        return 0;
    int r = strings_add(&sums->names, name, &i);
    if (r < 0)
        return r;
    if (sums->names.cap > sums->cap) {
        uint64_t *values = realloc(sums->values, sums->names.cap * sizeof(*values));
        if (!values)
            return -ENOMEM;
        sums->values = values;
        sums->cap = sums->names.cap;
    }
    sums->values[i] = (i == before ? 0 : sums->values[i]) + value;
    return 0;
}

int counter_sums_read(struct store *store, const struct store_query *query,
                      struct counter_sums *ret, struct err *err)
{
    struct reader reader = {query, ret};
    return store->ops->counters(store, query->start_ms, query->end_ms, take_counter, &reader, err);
}

void counter_sums_free(struct counter_sums *sums)
{
    strings_free(&sums->names);
    free(sums->values);
    *sums = (struct counter_sums){0};
}
