/* usage_processes.c: takes a query, gives the processes of containers and systemd units as they
 * last were in its range. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/api_internal.h"
#include "server/exchange.h"
#include "server/json.h"
#include "server/map64.h"
#include "server/names.h"
#include "server/store.h"
#include "wire/format.h"

#define MAX_SERIES 20000u

/* The latest of a series so far, as the answer will have it. */
struct latest {
    int64_t time_ms;
    struct buf json;
};

struct list {
    struct map64 rows; /* by store_usage's series */
    struct latest *all;
    size_t count, cap;
};

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        buf_free(&list->all[i].json);
    free(list->all);
    map64_free(&list->rows);
}

static int put_known(struct buf *out, const char *key, uint64_t value)
{
    if (value != WIRE_UNKNOWN)
        return json_key_u64(out, ",", key, value);
    int r = json_key(out, ",", key);
    return r < 0 ? r : buf_puts(out, "null");
}

static int put_process(struct buf *out, const char *before, const struct store_usage_process *p)
{
    int r = json_key_u64(out, before, "pid", p->pid);
    if (r == 0)
        r = json_key_u64(out, ",", "threads", p->threads);
    if (r == 0)
        r = json_key_u64(out, ",", "start_ms", (uint64_t)p->start_ms);
    if (r == 0)
        r = json_key_string(out, ",", "exe", p->exe);
    if (r == 0)
        r = json_key_string(out, ",", "command", p->command);
    if (r == 0)
        r = put_known(out, "cpu_user_ns", p->cpu_user_ns);
    if (r == 0)
        r = put_known(out, "cpu_system_ns", p->cpu_system_ns);
    if (r == 0)
        r = put_known(out, "rss_bytes", p->rss_bytes);
    if (r == 0)
        r = put_known(out, "virtual_bytes", p->virtual_bytes);
    return r < 0 ? r : buf_puts(out, "}");
}

static int put_series(struct buf *out, const struct store_usage *u)
{
    int r = json_key_string(out, "{", "node", u->node);
    if (r == 0)
        r = json_key_string(out, ",", "cgroup", u->cgroup);
    if (r == 0)
        r = json_key(out, ",", "labels");
    for (size_t i = 0; r == 0 && i < u->label_count; i++)
        r = json_key_string(out, i ? "," : "{", u->labels[i].key, u->labels[i].value);
    if (r == 0)
        r = buf_puts(out, u->label_count ? "}" : "{}");
    if (r == 0)
        r = json_key_u64(out, ",", "time_ms", (uint64_t)u->time_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "span_ms", (u->span_us + 500) / 1000);
    if (r == 0)
        r = buf_puts(out, ",\"processes\":[");
    for (size_t i = 0; r == 0 && i < u->process_count; i++)
        r = put_process(out, i ? ",{" : "{", &u->processes[i]);
    return r < 0 ? r : buf_puts(out, "]}");
}

static int add_latest(struct list *list, struct latest **ret)
{
    if (list->count == MAX_SERIES)
        return -E2BIG;
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        struct latest *all = reallocarray(list->all, cap, sizeof(*all));
        if (!all)
            return -ENOMEM;
        list->all = all;
        list->cap = cap;
    }
    *ret = &list->all[list->count++];
    **ret = (struct latest){.time_ms = INT64_MIN};
    return 0;
}

static int take_usage(void *ctx, const struct store_usage *usage)
{
    struct list *list = ctx;
    struct latest *latest = NULL;
    bool is_new = false;
    uint32_t *row = map64_place(&list->rows, usage->series, &is_new);
    if (!row)
        return -ENOMEM;
    if (is_new) {
        *row = (uint32_t)list->count;
        int r = add_latest(list, &latest);
        if (r < 0)
            return r;
    } else {
        latest = &list->all[*row];
    }
    if (usage->time_ms < latest->time_ms)
        return 0;
    latest->time_ms = usage->time_ms;
    latest->json.len = 0;
    return put_series(&latest->json, usage);
}

/* What begins with the node and the cgroup is in their order. */
static int compare(const void *a, const void *b)
{
    const struct buf *x = &((const struct latest *)a)->json, *y = &((const struct latest *)b)->json;
    int order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static int put_list(const struct list *list, const struct store_query *query, struct buf *out)
{
    int r = json_key_u64(out, "{", "start_ms", (uint64_t)query->start_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "end_ms", (uint64_t)query->end_ms);
    if (r == 0)
        r = buf_puts(out, ",\"series\":[");
    for (size_t i = 0; r == 0 && i < list->count; i++) {
        if (i)
            r = buf_puts(out, ",");
        if (r == 0)
            r = buf_append(out, list->all[i].json.data, list->all[i].json.len);
    }
    return r < 0 ? r : buf_puts(out, "]}\n");
}

void api_get_usage_processes(struct api *api, const struct request *request, struct reply *reply)
{
    _cleanup_(query_free) struct query query = {0};
    _cleanup_(names_free) struct names *names = NULL;
    _cleanup_(list_free) struct list list = {0};
    struct err err = {0};
    if (api_read_usage_query(request, &query, reply) < 0)
        return;
    int r = api_name_usage(api, &query.store, &names, &err);
    if (r == 0)
        r = api->store->ops->usage_processes(api->store, &query.store, take_usage, &list, &err);
    if (r == -E2BIG)
        err_set(&err, r, "more than %u containers and units; take more filters", MAX_SERIES);
    if (r < 0) {
        api_reply_failure(reply, "processes of containers not listed", r, &err);
        return;
    }
    if (list.count)
        qsort(list.all, list.count, sizeof(*list.all), compare);
    api_reply_json(reply, put_list(&list, &query.store, &reply->body));
}
