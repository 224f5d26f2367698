/* processes.c: takes a query, gives the processes of its range, and the CPU time that the nodes had
 * to give in it. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/api_internal.h"
#include "server/exchange.h"
#include "server/json.h"
#include "server/label_rows.h"
#include "server/store.h"

struct list {
    const struct query *query;
    struct label_rows rows; /* NODE, PROCESS */
    uint64_t samples, cpu_ns, capacity_ms;
};

enum { NODE, PROCESS };

/* A node's CPUs times the part of the range in which it was seen. */
static int take_node(void *ctx, const struct store_node *node)
{
    struct list *list = ctx;
    const struct store_query *query = &list->query->store;
    int64_t from = node->first_ms > query->start_ms ? node->first_ms : query->start_ms;
    int64_t to = node->last_ms < query->end_ms ? node->last_ms : query->end_ms;
    if (from < to && query_takes_node(query, node->node))
        list->capacity_ms += (uint64_t)(to - from) * node->cpus;
    return 0;
}

/* Most samples first; they come by node and name. */
static int compare(const void *left, const void *right)
{
    const struct label_row *a = left, *b = right;
    if (a->samples != b->samples)
        return a->samples > b->samples ? -1 : 1;
    int order = strcmp(a->values[PROCESS], b->values[PROCESS]);
    return order ? order : strcmp(a->values[NODE], b->values[NODE]);
}

static int put_process(const struct list *list, size_t i, struct buf *out)
{
    const struct label_row *row = &list->rows.all[i];
    const char *name = row->values[PROCESS];
    int r = json_key_string(out, i ? ",{" : "{", "node", row->values[NODE]);
    if (r == 0)
        r = json_key_string(out, ",", "process", *name ? name : "-");
    if (r == 0)
        r = json_key_u64(out, ",", "samples", row->samples);
    if (r == 0)
        r = json_key_u64(out, ",", "cpu_ms", row->cpu_ns / NS_PER_MS);
    if (r == 0)
        r = buf_printf(out, ",\"share\":%.6f}",
                       list->samples ? (double)row->samples / (double)list->samples : 0);
    return r;
}

static int put_list(const struct list *list, struct buf *out)
{
    const struct store_query *query = &list->query->store;
    int r = json_key_u64(out, "{", "start_ms", (uint64_t)query->start_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "end_ms", (uint64_t)query->end_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "samples", list->samples);
    if (r == 0)
        r = json_key_u64(out, ",", "cpu_ms", list->cpu_ns / NS_PER_MS);
    if (r == 0)
        r = json_key_u64(out, ",", "capacity_ms", list->capacity_ms);
    if (r == 0)
        r = buf_puts(out, ",\"processes\":[");
    for (size_t i = 0; r == 0 && i < list->rows.count; i++)
        r = put_process(list, i, out);
    return r < 0 ? r : buf_puts(out, "]}\n");
}

void api_get_processes(struct api *api, const struct request *request, struct reply *reply)
{
    _cleanup_(query_free) struct query query = {0};
    struct list list = {.query = &query};
    struct err err = {0};
    if (api_read_query(request, QUERY_SAMPLES, &query, reply) < 0)
        return;
    query.store.groups[NODE] = "node";
    query.store.groups[PROCESS] = "process";
    query.store.group_count = 2;
    int r = label_rows_read(api, &query.store, &list.rows, &err);
    for (size_t i = 0; i < list.rows.count; i++) {
        list.samples += list.rows.all[i].samples;
        list.cpu_ns += list.rows.all[i].cpu_ns;
    }
    if (r == 0)
        r = api->store->ops->nodes(api->store, take_node, &list, &err);
    if (r == 0 && list.rows.count)
        qsort(list.rows.all, list.rows.count, sizeof(*list.rows.all), compare);
    if (r < 0)
        api_reply_failure(reply, "processes not listed", r, &err);
    else
        api_reply_json(reply, put_list(&list, &reply->body));
    label_rows_free(&list.rows);
}
