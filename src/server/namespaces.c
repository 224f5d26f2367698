/* namespaces.c: takes a range, gives the namespaces, what is in them and the CPU time they took. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/strings.h"
#include "server/api_internal.h"
#include "server/cluster/cluster.h"
#include "server/exchange.h"
#include "server/json.h"
#include "server/label_rows.h"
#include "server/sources.h"

enum group { NAMESPACE, POD, WORKLOAD, GROUPS };

/* Kinds of objects that have pods, or make what has. */
static const enum kube_kind workload_kinds[] = {
    KUBE_DEPLOYMENT, KUBE_STATEFULSET, KUBE_DAEMONSET, KUBE_REPLICASET, KUBE_CRONJOB, KUBE_JOB,
};

struct namespace
{
    const char *name;
    uint64_t samples, cpu_ns;
    uint64_t sampled_pods, sampled_workloads;
    uint64_t objects[KUBE_KIND_COUNT];
    uint64_t workloads; /* that no other controls */
};

struct list {
    struct strings names; /* row by row those of `all` */
    struct namespace *all;
    size_t count, cap;
    uint64_t other_samples, other_cpu_ns; /* outside of namespaces */
    bool is_whole[KUBE_KIND_COUNT];       /* what is known of such objects is all there is */
    bool is_out_of_memory;
};

static void list_free(struct list *list)
{
    strings_free(&list->names);
    free(list->all);
}

static struct namespace *find(struct list *list, const char *name)
{
    uint32_t row;
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        struct namespace *all = realloc(list->all, cap * sizeof(*all));
        if (!all)
            return NULL;
        list->all = all;
        list->cap = cap;
    }
    if (strings_add(&list->names, name, &row) < 0)
        return NULL;
    if (row == list->count)
        list->all[list->count++] = (struct namespace){.name = list->names.texts[row]};
    return &list->all[row];
}

static int count_workload(struct strings *seen, struct namespace *n, const char *workload)
{
    char key[2 * QUERY_MAX_VALUE];
    uint32_t row, before = seen->count;
    int len = snprintf(key, sizeof(key), "%s/%s", n->name, workload);
    if (!*workload || len >= (int)sizeof(key))
        return 0;
    int r = strings_add(seen, key, &row);
    n->sampled_workloads += seen->count > before;
    return r;
}

/* Rows are sorted by namespace and pod: those of a pod stand together. */
static int add_rows(struct list *list, const struct label_rows *rows)
{
    _cleanup_(strings_free) struct strings seen = {0};
    const struct label_row *last = NULL;
    int r = 0;
    for (size_t i = 0; i < rows->count && r == 0; i++) {
        const struct label_row *row = &rows->all[i];
        if (!*row->values[NAMESPACE]) {
            list->other_samples += row->samples;
            list->other_cpu_ns += row->cpu_ns;
            continue;
        }
        struct namespace *n = find(list, row->values[NAMESPACE]);
        if (!n)
            return -ENOMEM;
        bool is_same = last && strcmp(last->values[NAMESPACE], row->values[NAMESPACE]) == 0 &&
                       strcmp(last->values[POD], row->values[POD]) == 0;
        n->samples += row->samples;
        n->cpu_ns += row->cpu_ns;
        n->sampled_pods += *row->values[POD] && !is_same;
        r = count_workload(&seen, n, row->values[WORKLOAD]);
        last = row;
    }
    return r;
}

static bool count_object(void *ctx, const struct kube_object *o)
{
    struct list *list = ctx;
    bool is_namespace = o->kind == KUBE_NAMESPACE;
    struct namespace *n = find(list, is_namespace ? o->name : o->namespace);
    if (!n) {
        list->is_out_of_memory = true;
        return false;
    }
    n->objects[o->kind]++;
    for (size_t i = 0; i < ARRAY_LEN(workload_kinds); i++)
        n->workloads += o->kind == workload_kinds[i] && !*o->owner_kind;
    return true;
}

static int read_all(struct api *api, struct store_query *query, struct list *list, struct err *err)
{
    _cleanup_(label_rows_free) struct label_rows rows = {0};
    query->groups[NAMESPACE] = "namespace";
    query->groups[POD] = "pod";
    query->groups[WORKLOAD] = "workload";
    query->group_count = GROUPS;
    int r = label_rows_read(api, query, &rows, err);
    if (r < 0)
        return r;
    r = add_rows(list, &rows);
    if (!api->cluster || r < 0)
        return r;
    cluster_lock(api->cluster);
    for (size_t kind = 0; kind < KUBE_KIND_COUNT; kind++) {
        list->is_whole[kind] = cluster_is_whole(api->cluster, kind);
        if (kind != KUBE_NODE)
            cluster_each(api->cluster, kind, count_object, list);
    }
    cluster_unlock(api->cluster);
    return list->is_out_of_memory ? -ENOMEM : 0;
}

/* ---- the answer */

static int put_workloads(const struct list *list, const struct namespace *n, struct buf *out)
{
    const char *before = "{";
    bool all = true;
    int r = json_key(out, ",", "kinds");
    for (size_t i = 0; i < ARRAY_LEN(workload_kinds); i++) {
        enum kube_kind kind = workload_kinds[i];
        if (r == 0 && list->is_whole[kind]) {
            r = json_key_u64(out, before, kube_kind_info(kind)->name, n->objects[kind]);
            before = ",";
        }
        all = all && list->is_whole[kind];
    }
    if (r == 0)
        r = buf_puts(out, *before == '{' ? "{}" : "}");
    if (r < 0)
        return r;
    return json_key_u64(out, ",", "workloads", all ? n->workloads : n->sampled_workloads);
}

/* What the API server has not told whole is counted by the samples, or left out. */
static int put_namespace(const struct list *list, const struct namespace *n, const char *before,
                         struct buf *out)
{
    int r = json_key_string(out, before, "namespace", n->name);
    if (r == 0)
        r = json_key_u64(out, ",", "pods",
                         list->is_whole[KUBE_POD] ? n->objects[KUBE_POD] : n->sampled_pods);
    if (r == 0 && list->is_whole[KUBE_SERVICE])
        r = json_key_u64(out, ",", "services", n->objects[KUBE_SERVICE]);
    if (r == 0)
        r = put_workloads(list, n, out);
    if (r == 0)
        r = json_key_u64(out, ",", "samples", n->samples);
    if (r == 0)
        r = json_key_u64(out, ",", "cpu_ms", n->cpu_ns / NS_PER_MS);
    return r < 0 ? r : buf_puts(out, "}");
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct namespace *)a)->name, ((const struct namespace *)b)->name);
}

static int put_list(struct api *api, const struct store_query *query, struct list *list,
                    struct buf *out)
{
    if (list->count)
        qsort(list->all, list->count, sizeof(*list->all), compare);
    int r = json_key_u64(out, "{", "start_ms", (uint64_t)query->start_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "end_ms", (uint64_t)query->end_ms);
    if (r == 0)
        r = sources_put(api, false, out);
    if (r == 0)
        r = buf_puts(out, ",\"namespaces\":[");
    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = put_namespace(list, &list->all[i], i ? ",{" : "{", out);
    if (r == 0)
        r = buf_puts(out, "]");
    if (r == 0)
        r = json_key(out, ",", "outside");
    if (r == 0)
        r = json_key_u64(out, "{", "samples", list->other_samples);
    if (r == 0)
        r = json_key_u64(out, ",", "cpu_ms", list->other_cpu_ns / NS_PER_MS);
    return r < 0 ? r : buf_puts(out, "}}\n");
}

void api_get_namespaces(struct api *api, const struct request *request, struct reply *reply)
{
    _cleanup_(query_free) struct query query = {0};
    _cleanup_(list_free) struct list list = {0};
    struct err err = {0};
    if (api_read_query(request, QUERY_NODES, &query, reply) < 0)
        return;
    int r = read_all(api, &query.store, &list, &err);
    if (r < 0)
        api_reply_failure(reply, "namespaces not listed", r, &err);
    else
        api_reply_json(reply, put_list(api, &query.store, &list, &reply->body));
}
