/* processes.c: takes a query, gives the processes of its range, and the CPU time that the nodes had
 * to give in it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/strings.h"
#include "server/api_internal.h"
#include "server/exchange.h"
#include "server/json.h"
#include "server/names.h"
#include "server/store.h"

#define MAX_ROWS 1000000u

struct process {
    uint64_t samples, cpu_ns;
    uint32_t node, name; /* texts */
};

struct list {
    const struct query *query;
    struct strings texts;
    struct process *rows;
    size_t count, cap;
    uint64_t samples, cpu_ns, capacity_ms;
};

static void list_free(struct list *list)
{
    strings_free(&list->texts);
    free(list->rows);
}

static int take_row(void *ctx, const struct store_row *row)
{
    struct list *list = ctx;
    struct process process = {.samples = row->samples, .cpu_ns = row->cpu_ns};
    if (list->count == MAX_ROWS)
        return -E2BIG;
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 256;
        struct process *rows = realloc(list->rows, cap * sizeof(*rows));
        if (!rows)
            return -ENOMEM;
        list->rows = rows;
        list->cap = cap;
    }
    const char *node = row->groups[0], *name = *row->groups[1] ? row->groups[1] : "-";
    int r = strings_intern(&list->texts, node, strlen(node), &process.node);
    if (r == 0)
        r = strings_intern(&list->texts, name, strlen(name), &process.name);
    if (r < 0)
        return r;
    list->rows[list->count++] = process;
    list->samples += row->samples;
    list->cpu_ns += row->cpu_ns;
    return 0;
}

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

static int compare(const void *a, const void *b, void *ctx)
{
    const struct process *x = a, *y = b;
    const struct strings *texts = ctx;
    if (x->samples != y->samples)
        return x->samples > y->samples ? -1 : 1;
    int order = strcmp(texts->texts[x->name], texts->texts[y->name]);
    return order ? order : strcmp(texts->texts[x->node], texts->texts[y->node]);
}

static int put_process(const struct list *list, size_t i, struct buf *out)
{
    const struct process *process = &list->rows[i];
    int r = json_key_string(out, i ? ",{" : "{", "node", list->texts.texts[process->node]);
    if (r == 0)
        r = json_key_string(out, ",", "process", list->texts.texts[process->name]);
    if (r == 0)
        r = json_key_u64(out, ",", "samples", process->samples);
    if (r == 0)
        r = json_key_u64(out, ",", "cpu_ms", process->cpu_ns / 1000000);
    if (r == 0)
        r = buf_printf(out, ",\"share\":%.6f}",
                       list->samples ? (double)process->samples / (double)list->samples : 0);
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
        r = json_key_u64(out, ",", "cpu_ms", list->cpu_ns / 1000000);
    if (r == 0)
        r = json_key_u64(out, ",", "capacity_ms", list->capacity_ms);
    if (r == 0)
        r = buf_puts(out, ",\"processes\":[");
    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = put_process(list, i, out);
    return r < 0 ? r : buf_puts(out, "]}\n");
}

void api_get_processes(struct api *api, const struct request *request, struct reply *reply)
{
    _cleanup_(query_free) struct query query = {0};
    _cleanup_(list_free) struct list list = {.query = &query};
    _cleanup_(names_free) struct names *names = NULL;
    struct err err = {0};
    if (api_read_query(request, QUERY_SAMPLES, &query, reply) < 0)
        return;
    query.store.groups[0] = "node";
    query.store.groups[1] = "process";
    query.store.group_count = 2;
    int r = names_for_query(api->store, api->cluster, &query.store, &names, &err);
    if (r == 0)
        r = api->store->ops->query(api->store, &query.store, take_row, &list, &err);
    if (r == 0)
        r = api->store->ops->nodes(api->store, take_node, &list, &err);
    if (r == -E2BIG) {
        reply_error(reply, 400, "more than %u processes; take a shorter range or more filters",
                    MAX_ROWS);
        return;
    }
    if (r < 0) {
        if (!err.text[0])
            err_errno(&err, r, "listing the processes");
        log_err("processes not listed: %s", err.text);
        reply_failure(reply, r, &err);
        return;
    }
    if (list.count)
        qsort_r(list.rows, list.count, sizeof(*list.rows), compare, &list.texts);
    api_reply_json(reply, put_list(&list, &reply->body));
}
