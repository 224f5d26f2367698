/* renamer.c: takes a series, gives what its labels should be. Series with the same labels are asked
 * about once. */
#include "server/sqlite/renamer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/sqlite/keys.h"
#include "server/sqlite/lookup.h"

int renamer_init(struct renamer *r, const struct store_renames *renames, struct lookup *lookup,
                 struct err *err)
{
    *r = (struct renamer){.renames = renames, .lookup = lookup};
    for (size_t i = 0; renames && i < renames->count; i++) {
        bool known;
        uint32_t id;
        int code = lookup_number(lookup, renames->keys[i], &known, &id, err);
        if (code < 0)
            return code;
        r->keys[i] = known ? id : KEY_ABSENT;
    }
    return 0;
}

void renamer_free(struct renamer *r)
{
    hashmap_free(&r->known);
    free(r->tuples);
    *r = (struct renamer){0};
}

static int add_tuple(struct renamer *r, const uint32_t *own, struct err *err)
{
    size_t width = r->renames->count;
    if (r->count == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        const char **tuples = realloc(r->tuples, cap * width * sizeof(*tuples));
        if (!tuples)
            return err_errno(err, -ENOMEM, "naming series");
        r->tuples = tuples;
        r->cap = cap;
    }
    const char **values = r->tuples + r->count * width;
    for (size_t i = 0; i < width; i++) {
        values[i] = "";
        int code = own[i] == KEY_ABSENT ? 0 : lookup_text(r->lookup, own[i], &values[i], err);
        if (code < 0)
            return code;
    }
    if (!r->renames->rename(r->renames->ctx, values))
        values[0] = NULL;
    r->count++;
    return 0;
}

int renamer_find(struct renamer *r, const struct key_series *series, const char *const **ret,
                 struct err *err)
{
    uint32_t own[STORE_MAX_RENAMED];
    size_t width = r->renames ? r->renames->count : 0;
    *ret = NULL;
    if (width == 0)
        return 0;
    for (size_t i = 0; i < width; i++)
        own[i] = key_of_series(series, KEY_LABEL, r->keys[i]);
    struct hash hash = hash_bytes(own, width * sizeof(*own));
    uint64_t row = hashmap_get(&r->known, hash);
    if (row == 0) {
        int code = add_tuple(r, own, err);
        if (code < 0)
            return code;
        if (hashmap_put(&r->known, hash, r->count) < 0)
            return err_errno(err, -ENOMEM, "naming series");
        row = r->count;
    }
    const char *const *values = r->tuples + (row - 1) * width;
    *ret = values[0] ? values : NULL;
    return 0;
}
