/* usage.c: takes a query, gives what containers and systemd units used, a series of readings for
 * each. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/strings.h"
#include "server/api_internal.h"
#include "server/exchange.h"
#include "server/json.h"
#include "server/map64.h"
#include "server/names.h"
#include "server/store.h"

/* A container for three weeks, or 200 for 2 h 46 min. */
#define MAX_READINGS 200000u

struct reading {
    int64_t time_ms;
    uint64_t span_us;
    uint64_t network;
    uint64_t figures[WIRE_USAGE_COUNT];
    uint32_t summed;
    uint32_t series; /* row */
};

struct series {
    uint32_t node, cgroup; /* texts */
    uint32_t *labels;      /* texts: key and value in turn */
    size_t label_count;
};

struct list {
    const struct query *query;
    struct strings texts;
    struct map64 rows; /* by store_usage's series */
    struct series *series;
    struct reading *readings;
    size_t series_count, series_cap, count, cap;
};

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->series_count; i++)
        free(list->series[i].labels);
    free(list->series);
    free(list->readings);
    map64_free(&list->rows);
    strings_free(&list->texts);
}

/* ---- taking */

static int grow(void **rows, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return 0;
    size_t more = *cap ? *cap * 2 : 64;
    void *larger = reallocarray(*rows, more, size);
    if (!larger)
        return -ENOMEM;
    *rows = larger;
    *cap = more;
    return 0;
}

static int add_series(struct list *list, const struct store_usage *usage)
{
    int r =
        grow((void **)&list->series, list->series_count, &list->series_cap, sizeof(*list->series));
    if (r < 0)
        return r;
    struct series *s = &list->series[list->series_count];
    *s = (struct series){.labels = calloc(usage->label_count * 2 + 1, sizeof(*s->labels))};
    if (!s->labels)
        return -ENOMEM;
    list->series_count++;
    s->label_count = usage->label_count;
    r = strings_add(&list->texts, usage->node, &s->node);
    if (r == 0)
        r = strings_add(&list->texts, usage->cgroup, &s->cgroup);
    for (size_t i = 0; r == 0 && i < usage->label_count; i++) {
        r = strings_add(&list->texts, usage->labels[i].key, &s->labels[2 * i]);
        if (r == 0)
            r = strings_add(&list->texts, usage->labels[i].value, &s->labels[2 * i + 1]);
    }
    return r;
}

static int take_usage(void *ctx, const struct store_usage *usage)
{
    struct list *list = ctx;
    bool is_new = false;
    if (list->count == MAX_READINGS)
        return -E2BIG;
    uint32_t *row = map64_place(&list->rows, usage->series, &is_new);
    if (!row)
        return -ENOMEM;
    if (is_new)
        *row = (uint32_t)list->series_count;
    uint32_t series = *row;
    int r = is_new ? add_series(list, usage) : 0;
    if (r == 0)
        r = grow((void **)&list->readings, list->count, &list->cap, sizeof(*list->readings));
    if (r < 0)
        return r;
    struct reading *to = &list->readings[list->count++];
    *to = (struct reading){.time_ms = usage->time_ms,
                           .span_us = usage->span_us,
                           .network = usage->network,
                           .summed = usage->summed,
                           .series = series};
    memcpy(to->figures, usage->figures, sizeof(to->figures));
    return 0;
}

static int compare(const void *a, const void *b, void *ctx)
{
    const struct reading *x = a, *y = b;
    const struct list *list = ctx;
    if (x->series != y->series) {
        const struct series *s = &list->series[x->series], *t = &list->series[y->series];
        int order = strcmp(list->texts.texts[s->node], list->texts.texts[t->node]);
        if (order == 0)
            order = strcmp(list->texts.texts[s->cgroup], list->texts.texts[t->cgroup]);
        return order ? order : (x->series > y->series) - (x->series < y->series);
    }
    return (x->time_ms > y->time_ms) - (x->time_ms < y->time_ms);
}

/* ---- writing */

static const char *const figure_names[WIRE_USAGE_COUNT] = {
#define X(name) #name,
    WIRE_USAGE(X)
#undef X
};

static int put_labels(const struct list *list, const struct series *s, struct buf *out)
{
    int r = json_key(out, ",", "labels");
    for (size_t i = 0; r == 0 && i < s->label_count; i++)
        r = json_key_string(out, i ? "," : "{", list->texts.texts[s->labels[2 * i]],
                            list->texts.texts[s->labels[2 * i + 1]]);
    return r < 0 ? r : buf_puts(out, s->label_count ? "}" : "{}");
}

static int put_times(const struct reading *rows, size_t count, struct buf *out)
{
    int r = json_key(out, ",", "time_ms");
    for (size_t i = 0; r == 0 && i < count; i++)
        r = buf_printf(out, "%s%" PRId64, i ? "," : "[", rows[i].time_ms);
    if (r == 0)
        r = json_key(out, "],", "span_ms");
    for (size_t i = 0; r == 0 && i < count; i++)
        r = buf_printf(out, "%s%" PRIu64, i ? "," : "[", (rows[i].span_us + 500) / 1000);
    return r < 0 ? r : buf_puts(out, "]");
}

static int put_figure(const struct reading *rows, size_t count, unsigned figure, struct buf *out)
{
    int r = json_key(out, figure ? "," : "{", figure_names[figure]);
    for (size_t i = 0; r == 0 && i < count; i++) {
        uint64_t value = rows[i].figures[figure];
        r = buf_puts(out, i ? "," : "[");
        if (r == 0)
            r = value == WIRE_UNKNOWN ? buf_puts(out, "null") : json_u64(out, value);
    }
    return r < 0 ? r : buf_puts(out, "]");
}

/* What was so in any of the rows. */
static int put_summed(const struct reading *rows, size_t count, struct buf *out)
{
    uint32_t summed = 0;
    const char *before = "[";
    for (size_t i = 0; i < count; i++)
        summed |= rows[i].summed;
    int r = json_key(out, ",", "summed");
    for (unsigned i = 0; r == 0 && i < WIRE_USAGE_COUNT; i++) {
        if (!(summed & 1u << i))
            continue;
        r = buf_puts(out, before);
        if (r == 0)
            r = json_text(out, figure_names[i]);
        before = ",";
    }
    return r < 0 ? r : buf_puts(out, *before == '[' ? "[]" : "]");
}

static int put_series(const struct list *list, const struct reading *rows, size_t count,
                      struct buf *out)
{
    const struct series *s = &list->series[rows->series];
    int r = json_key_string(out, "{", "node", list->texts.texts[s->node]);
    if (r == 0)
        r = json_key_string(out, ",", "cgroup", list->texts.texts[s->cgroup]);
    if (r == 0)
        r = put_labels(list, s, out);
    if (r == 0) /* a number that JavaScript's may not hold */
        r = buf_printf(out, ",\"network\":\"%" PRIu64 "\"", rows[count - 1].network);
    if (r == 0)
        r = put_times(rows, count, out);
    if (r == 0)
        r = json_key(out, ",", "figures");
    for (unsigned i = 0; r == 0 && i < WIRE_USAGE_COUNT; i++)
        r = put_figure(rows, count, i, out);
    if (r == 0)
        r = buf_puts(out, "}");
    if (r == 0)
        r = put_summed(rows, count, out);
    return r < 0 ? r : buf_puts(out, "}");
}

static int put_list(const struct list *list, struct buf *out)
{
    const struct store_query *query = &list->query->store;
    int r = json_key_u64(out, "{", "start_ms", (uint64_t)query->start_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "end_ms", (uint64_t)query->end_ms);
    if (r == 0)
        r = buf_puts(out, ",\"series\":[");
    for (size_t i = 0, end; r == 0 && i < list->count; i = end) {
        for (end = i + 1; end < list->count; end++)
            if (list->readings[end].series != list->readings[i].series)
                break;
        if (i)
            r = buf_puts(out, ",");
        if (r == 0)
            r = put_series(list, &list->readings[i], end - i, out);
    }
    return r < 0 ? r : buf_puts(out, "]}\n");
}

/* A cgroup's usage is not told apart by these. */
static const char *unfit_filter(const struct store_query *query)
{
    static const char *const keys[] = {"process", "thread", "pid", "cpu"};
    for (size_t i = 0; i < query->filter_count; i++)
        for (size_t j = 0; j < ARRAY_LEN(keys); j++)
            if (strcmp(query->filters[i].key, keys[j]) == 0)
                return keys[j];
    return NULL;
}

int api_read_usage_query(const struct request *request, struct query *ret, struct reply *reply)
{
    int r = api_read_query(request, QUERY_SAMPLES, ret, reply);
    const char *unfit = r == 0 ? unfit_filter(&ret->store) : NULL;
    if (!unfit)
        return r;
    reply_error(reply, 400, "parameter %s: this path does not take it", unfit);
    return -EINVAL;
}

int api_name_usage(struct api *api, struct store_query *query, struct names **ret, struct err *err)
{
    /* All labels are told. */
    static const char *const keys[] = {"namespace", "pod", "container", "workload"};
    _Static_assert(ARRAY_LEN(keys) <= STORE_MAX_GROUPS, "they fit");
    memcpy(query->groups, keys, sizeof(keys));
    query->group_count = ARRAY_LEN(keys);
    return names_for_query(api->store, api->cluster, query, ret, err);
}

void api_get_usage(struct api *api, const struct request *request, struct reply *reply)
{
    _cleanup_(query_free) struct query query = {0};
    _cleanup_(names_free) struct names *names = NULL;
    _cleanup_(list_free) struct list list = {.query = &query};
    struct err err = {0};
    if (api_read_usage_query(request, &query, reply) < 0)
        return;
    int r = api_name_usage(api, &query.store, &names, &err);
    if (r == 0)
        r = api->store->ops->usage(api->store, &query.store, take_usage, &list, &err);
    if (r == -E2BIG)
        err_set(&err, r, "more than %u readings; take a shorter range or more filters",
                MAX_READINGS);
    if (r < 0) {
        api_reply_failure(reply, "usage not told", r, &err);
        return;
    }
    if (list.count)
        qsort_r(list.readings, list.count, sizeof(*list.readings), compare, &list);
    api_reply_json(reply, put_list(&list, &reply->body));
}
