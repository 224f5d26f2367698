/* label_rows.c: takes a query, gives its groups. See label_rows.h. */
#include "server/label_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/api_internal.h"
#include "server/names.h"

void label_rows_free(struct label_rows *rows)
{
    strings_free(&rows->texts);
    free(rows->all);
    *rows = (struct label_rows){0};
}

static int take_row(void *ctx, const struct store_row *row)
{
    struct label_rows *rows = ctx;
    struct label_row new = {.samples = row->samples, .cpu_ns = row->cpu_ns};
    if (rows->count == LABEL_ROWS_MAX)
        return -E2BIG;
    if (rows->count == rows->cap) {
        size_t cap = rows->cap ? rows->cap * 2 : 256;
        struct label_row *all = realloc(rows->all, cap * sizeof(*all));
        if (!all)
            return -ENOMEM;
        rows->all = all;
        rows->cap = cap;
    }
    for (size_t i = 0; i < rows->width; i++) {
        uint32_t text;
        int r = strings_add(&rows->texts, row->groups[i], &text);
        if (r < 0)
            return r;
        new.values[i] = rows->texts.texts[text]; /* the text itself does not move */
    }
    rows->all[rows->count++] = new;
    return 0;
}

static int compare(const void *left, const void *right, void *ctx)
{
    const struct label_row *a = left, *b = right;
    const struct label_rows *rows = ctx;
    int order = 0;
    for (size_t i = 0; i < rows->width && order == 0; i++)
        order = strcmp(a->values[i], b->values[i]);
    return order;
}

int label_rows_read(struct api *api, const struct store_query *query, struct label_rows *ret,
                    struct err *err)
{
    _cleanup_(names_free) struct names *names = NULL;
    struct store_query named = *query;
    ret->width = query->group_count;
    int r = names_for_query(api->store, api->cluster, &named, &names, err);
    if (r == 0)
        r = api->store->ops->query(api->store, &named, take_row, ret, err);
    if (r == -E2BIG)
        return err_set(err, r, "more than %u rows; take a shorter range or more filters",
                       LABEL_ROWS_MAX);
    if (r < 0)
        return err && err->text[0] ? r : err_errno(err, r, "adding up samples");
    if (ret->count)
        qsort_r(ret->all, ret->count, sizeof(*ret->all), compare, ret);
    return 0;
}
