/* renamer.h: a query's renamed labels (store_renames), in the numbers of one day. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "server/sqlite/hashmap.h"
#include "server/store.h"

struct err;
struct key_series;
struct lookup;

struct renamer {
    const struct store_renames *renames; /* NULL: nothing is renamed */
    struct lookup *lookup;
    uint32_t keys[STORE_MAX_RENAMED]; /* string numbers */
    struct hashmap known;             /* by the series' own values: tuple + 1 */
    const char **tuples;              /* of renames->count texts each; all NULL: as it was */
    size_t count, cap;
};

int renamer_init(struct renamer *r, const struct store_renames *renames, struct lookup *lookup,
                 struct err *err);
void renamer_free(struct renamer *r);

/* The series' values of renames->keys, or NULL if they are as it has them. The array is valid until
 * the next call, the texts as long as the lookup and the query. */
int renamer_find(struct renamer *r, const struct key_series *series, const char *const **ret,
                 struct err *err);
