/* pod_rows.c: takes a range and what is known of a cluster, gives its pods. See pod_rows.h. */
#include "server/pod_rows.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/api_internal.h"
#include "server/cluster/cluster.h"
#include "server/json.h"
#include "server/sources.h"

void pods_free(struct pods *pods)
{
    if (pods->locked)
        cluster_unlock(pods->locked);
    label_rows_free(&pods->rows);
    pod_facts_free(&pods->facts);
    free(pods->all);
    free(pods->services);
    buf_free(&pods->sources);
    *pods = (struct pods){0};
}

/* ---- reading */

static struct pod *add_pod(struct pods *pods)
{
    if (pods->count == pods->cap) {
        size_t cap = pods->cap ? pods->cap * 2 : 256;
        struct pod *all = realloc(pods->all, cap * sizeof(*all));
        if (!all)
            return NULL;
        pods->all = all;
        pods->cap = cap;
    }
    return &pods->all[pods->count++];
}

static bool is_named(const struct pod *pod)
{
    return *pod->namespace && *pod->name;
}

static const char *uid_of(const struct pod *pod)
{
    return pod->row_count ? pod->rows[0].values[GROUP_UID] : "";
}

static int compare(const void *left, const void *right)
{
    const struct pod *a = left, *b = right;
    int order = strcmp(a->namespace, b->namespace);
    if (order == 0)
        order = strcmp(a->name, b->name);
    return order || is_named(a) ? order : strcmp(uid_of(a), uid_of(b));
}

/* Rows are sorted by namespace, name and uid: those of a pod stand together. */
static int add_rows(struct pods *pods)
{
    const struct label_rows *rows = &pods->rows;
    struct pod *last = NULL;
    for (size_t i = 0; i < rows->count; i++) {
        const char *const *values = rows->all[i].values;
        struct pod pod = {.namespace = values[GROUP_NAMESPACE],
                          .name = values[GROUP_POD],
                          .rows = &rows->all[i],
                          .row_count = 1};
        if (!is_named(&pod) && !*values[GROUP_UID])
            continue; /* it is in no pod */
        if (last && compare(last, &pod) == 0) {
            last->row_count++;
            continue;
        }
        last = add_pod(pods);
        if (!last)
            return -ENOMEM;
        *last = pod;
    }
    return 0;
}

/* Sorted by namespace and name, too. */
static int add_told(struct pods *pods)
{
    const struct pod_facts *facts = &pods->facts;
    struct pod *last = NULL;
    for (size_t i = 0; i < facts->count; i++) {
        const struct kube_object *o = &facts->pods[i].object;
        struct pod pod = {
            .namespace = o->namespace, .name = o->name, .told = &facts->pods[i], .told_count = 1};
        if (last && compare(last, &pod) == 0) {
            last->told_count++;
            continue;
        }
        last = add_pod(pods);
        if (!last)
            return -ENOMEM;
        *last = pod;
    }
    return 0;
}

struct adding {
    struct pods *pods;
    const struct store_query *query;
    bool failed;
};

static bool passes(const struct store_query *query, const char *key, const char *value)
{
    bool filtered = false;
    for (size_t i = 0; i < query->filter_count; i++) {
        if (strcmp(query->filters[i].key, key) != 0)
            continue;
        if (strcmp(query->filters[i].value, value) == 0)
            return true;
        filtered = true;
    }
    return !filtered;
}

static bool add_object(void *ctx, const struct kube_object *o)
{
    struct adding *adding = ctx;
    if (!passes(adding->query, "namespace", o->namespace) ||
        !passes(adding->query, "pod", o->name) || !passes(adding->query, "node", o->node))
        return true;
    struct pod *pod = add_pod(adding->pods);
    adding->failed = !pod;
    if (pod)
        *pod = (struct pod){.namespace = o->namespace, .name = o->name, .object = o};
    return pod != NULL;
}

static bool add_service(void *ctx, const struct kube_object *o)
{
    struct pods *pods = ctx;
    pods->services[pods->service_count++] = o;
    return true;
}

static int compare_services(const void *a, const void *b)
{
    const struct kube_object *const *x = a, *const *y = b;
    int order = strcmp((*x)->namespace, (*y)->namespace);
    return order ? order : strcmp((*x)->name, (*y)->name);
}

static int add_from_cluster(struct pods *pods, const struct store_query *query)
{
    struct adding adding = {pods, query, false};
    cluster_each(pods->locked, KUBE_POD, add_object, &adding);
    size_t services = cluster_count(pods->locked, KUBE_SERVICE);
    pods->services = malloc((services + 1) * sizeof(*pods->services));
    if (adding.failed || !pods->services)
        return -ENOMEM;
    cluster_each(pods->locked, KUBE_SERVICE, add_service, pods);
    qsort(pods->services, pods->service_count, sizeof(*pods->services), compare_services);
    return 0;
}

/* Brings together what samples, agents and the API server say of the same pod. */
static void join(struct pods *pods)
{
    size_t kept = 0;
    if (pods->count)
        qsort(pods->all, pods->count, sizeof(*pods->all), compare);
    for (size_t i = 0; i < pods->count; i++) {
        const struct pod *pod = &pods->all[i];
        struct pod *last = kept ? &pods->all[kept - 1] : NULL;
        if (!last || compare(last, pod) != 0) {
            pods->all[kept++] = *pod;
            continue;
        }
        if (pod->object)
            last->object = pod->object;
        if (pod->told) {
            last->told = pod->told;
            last->told_count = pod->told_count;
        }
        if (pod->rows) {
            last->rows = pod->rows;
            last->row_count = pod->row_count;
        }
    }
    pods->count = kept;
}

int pods_read(struct api *api, struct store_query *query, bool containers, struct pods *ret,
              struct err *err)
{
    static const char *const groups[POD_GROUPS] = {
        [GROUP_NAMESPACE] = "namespace",
        [GROUP_POD] = "pod",
        [GROUP_UID] = "pod_uid",
        [GROUP_WORKLOAD] = "workload",
        [GROUP_NODE] = "node",
        [GROUP_CONTAINER] = "container",
        [GROUP_CONTAINER_ID] = "container_id",
    };
    query->group_count = containers ? POD_GROUPS : GROUP_CONTAINER;
    memcpy(query->groups, groups, query->group_count * sizeof(*groups));
    int r = label_rows_read(api, query, &ret->rows, err);
    if (r == 0)
        r = pod_facts_read(api, query, containers, &ret->facts, err);
    if (r < 0)
        return r;
    r = add_rows(ret);
    if (r == 0)
        r = add_told(ret);
    if (r == 0)
        r = sources_put(api, true, &ret->sources);
    if (r == 0 && api->cluster) {
        cluster_lock(api->cluster);
        ret->locked = api->cluster;
        r = add_from_cluster(ret, query);
    }
    if (r < 0)
        return err_errno(err, r, "listing pods");
    join(ret);
    return 0;
}

/* ---- writing */

static const char *first_of(const struct pod *pod, enum pod_group group)
{
    for (size_t i = 0; i < pod->row_count; i++)
        if (*pod->rows[i].values[group])
            return pod->rows[i].values[group];
    return "";
}

static int put_text(struct buf *out, const char *key, const char *text)
{
    return *text ? json_key_string(out, ",", key, text) : 0;
}

const struct told_pod *pod_told(const struct pod *pod)
{
    for (size_t i = 0; i < pod->told_count; i++) {
        const struct kube_object *told = &pod->told[i].object;
        if (!pod->object || strcmp(told->uid, pod->object->uid) == 0 ||
            (*told->uid && strcmp(told->uid, pod->object->static_uid) == 0))
            return &pod->told[i];
    }
    return NULL;
}

static int put_uid(const char *uid, struct buf *out)
{
    int r = out->data[out->len - 1] == '[' ? 0 : buf_puts(out, ",");
    return r < 0 ? r : json_text(out, uid);
}

static bool is_told(const struct pod *pod, const char *uid)
{
    for (size_t i = 0; i < pod->told_count; i++)
        if (strcmp(pod->told[i].object.uid, uid) == 0)
            return true;
    return false;
}

/* One pod after another may have had the name (a StatefulSet's have), and a static pod has two at
 * once: that of the API server, and kubelet's. */
static int put_uids(const struct pod *pod, struct buf *out)
{
    const char *first = pod->object ? pod->object->uid : "";
    const char *second = pod->object ? pod->object->static_uid : "";
    const char *last = "";
    int r = buf_puts(out, ",\"uids\":[");
    if (r == 0 && *first)
        r = put_uid(first, out);
    if (r == 0 && *second)
        r = put_uid(second, out);
    for (size_t i = 0; r == 0 && i < pod->told_count; i++) {
        const char *uid = pod->told[i].object.uid;
        if (strcmp(uid, first) != 0 && strcmp(uid, second) != 0)
            r = put_uid(uid, out);
    }
    for (size_t i = 0; r == 0 && i < pod->row_count; i++) {
        const char *uid = pod->rows[i].values[GROUP_UID];
        if (!*uid || strcmp(uid, last) == 0 || strcmp(uid, first) == 0 ||
            strcmp(uid, second) == 0 || is_told(pod, uid))
            continue;
        r = put_uid(uid, out);
        last = uid;
    }
    return r < 0 ? r : buf_puts(out, "]");
}

static size_t first_service(const struct pods *pods, const char *namespace)
{
    size_t low = 0, high = pods->service_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(pods->services[middle]->namespace, namespace) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int put_services(const struct pods *pods, const struct kube_object *o, struct buf *out)
{
    const char *before = "";
    int r = buf_puts(out, ",\"services\":[");
    for (size_t i = first_service(pods, o->namespace);
         i < pods->service_count && strcmp(pods->services[i]->namespace, o->namespace) == 0; i++) {
        if (!kube_selects(pods->services[i], o))
            continue;
        if (r == 0)
            r = buf_puts(out, before);
        if (r == 0)
            r = json_text(out, pods->services[i]->name);
        before = ",";
    }
    return r < 0 ? r : buf_puts(out, "]");
}

/* What the API server does not say, an agent may. */
static const char *either(const char *first, const char *second)
{
    return *first ? first : second;
}

static int put_place(const struct pods *pods, const struct pod *pod, struct buf *out)
{
    static const struct kube_object nothing = {.node = "", .ip = "", .phase = ""};
    const struct told_pod *known = pod_told(pod);
    const struct kube_object *told = known ? &known->object : &nothing;
    const struct kube_object *o = pod->object ? pod->object : told;
    int64_t started_ms = o->started_ms > 0 ? o->started_ms : told->started_ms;
    const char *node = either(o->node, told->node);
    int r = put_text(out, "node", pod->object ? node : either(node, first_of(pod, GROUP_NODE)));
    if (r == 0)
        r = put_text(out, "ip", either(o->ip, told->ip));
    if (r == 0)
        r = put_text(out, "phase", either(o->phase, told->phase));
    if (r == 0 && started_ms > 0)
        r = json_key_u64(out, ",", "started_ms", (uint64_t)started_ms);
    if (r == 0 && pod->object && cluster_is_whole(pods->locked, KUBE_SERVICE))
        r = put_services(pods, pod->object, out);
    return r;
}

static int put_workload(const struct pods *pods, const struct pod *pod, struct buf *out)
{
    char workload[CLUSTER_WORKLOAD_MAX] = "";
    if (pod->object)
        cluster_workload(pods->locked, pod->object, workload);
    const struct told_pod *told = pod_told(pod);
    const char *text = either(workload, told ? told->workload : "");
    return put_text(out, "workload", either(text, first_of(pod, GROUP_WORKLOAD)));
}

static int put_known_by(const struct pod *pod, struct buf *out)
{
    const struct {
        bool knows;
        const char *name;
    } all[] = {
        {pod->object, "api_server"}, {pod->told_count, "agents"}, {pod->row_count, "samples"}};
    const char *before = "";
    int r = buf_puts(out, ",\"known_by\":[");
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(all); i++) {
        if (!all[i].knows)
            continue;
        r = buf_printf(out, "%s\"%s\"", before, all[i].name);
        before = ",";
    }
    return r < 0 ? r : buf_puts(out, "]");
}

int pods_put(const struct pods *pods, const struct pod *pod, struct buf *out)
{
    uint64_t samples = 0, cpu_ns = 0;
    for (size_t i = 0; i < pod->row_count; i++) {
        samples += pod->rows[i].samples;
        cpu_ns += pod->rows[i].cpu_ns;
    }
    int r = json_key_string(out, "", "namespace", pod->namespace);
    if (r == 0)
        r = json_key_string(out, ",", "pod", pod->name);
    if (r == 0)
        r = put_uids(pod, out);
    if (r == 0)
        r = put_workload(pods, pod, out);
    if (r == 0)
        r = put_place(pods, pod, out);
    if (r == 0)
        r = json_key_u64(out, ",", "samples", samples);
    if (r == 0)
        r = json_key_u64(out, ",", "cpu_ms", cpu_ns / NS_PER_MS);
    return r < 0 ? r : put_known_by(pod, out);
}
