/* names.c: takes what is known of a cluster, and the series of a range, gives names to those that
 * have none. See names.h. */
#include "server/names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/strings.h"
#include "base/table.h"
#include "server/cluster/cluster.h"

enum label { CONTAINER_ID, POD_UID, NAMESPACE, POD, CONTAINER, WORKLOAD, LABELS };

static const char *const keys[LABELS] = {
    [CONTAINER_ID] = "container_id", [POD_UID] = "pod_uid",
    [NAMESPACE] = "namespace",       [POD] = "pod",
    [CONTAINER] = "container",       [WORKLOAD] = "workload",
};
_Static_assert(LABELS <= STORE_MAX_RENAMED, "a store renames them all");

/* Pods and containers of a range, all its days together. What is beyond is not named by others. */
#define LEARNED_MAX 1000000u
#define BYTES_MAX   ((size_t)256 << 20)

/* What named series say of one id. */
struct learned {
    uint32_t id; /* all are texts; 0: "" */
    uint32_t namespace, pod, container, workload;
};

struct names {
    struct store_renames renames;
    struct cluster *cluster;
    struct strings texts;
    struct table learned;
    unsigned asked;   /* labels that the query looks at: bits of enum label */
    unsigned lacking; /* those that some series lacks, and might have */
};

void names_free(struct names **names)
{
    if (!*names)
        return;
    strings_free(&(*names)->texts);
    table_free(&(*names)->learned);
    free(TAKE_PTR(*names));
}

/* ---- learning */

/* The first that says something is believed. */
static int set_once(struct names *n, const char *text, uint32_t *into)
{
    return *into || !*text ? 0 : strings_add(&n->texts, text, into);
}

static int learn(struct names *n, const char *id, const char *const *values, bool has_container)
{
    struct learned key = {0};
    uint32_t row;
    int r = *id ? strings_add(&n->texts, id, &key.id) : -ENOENT;
    if (r == 0)
        r = table_add(&n->learned, &key.id, &row);
    if (r < 0)
        return r;
    struct learned *l = table_row(&n->learned, row);
    if (l->pod) { /* one pod's names, not some of each */
        if (strcmp(n->texts.texts[l->namespace], values[NAMESPACE]) != 0 ||
            strcmp(n->texts.texts[l->pod], values[POD]) != 0)
            return 0;
    }
    r = set_once(n, values[NAMESPACE], &l->namespace);
    if (r == 0)
        r = set_once(n, values[POD], &l->pod);
    if (r == 0)
        r = set_once(n, values[WORKLOAD], &l->workload);
    return r == 0 && has_container ? set_once(n, values[CONTAINER], &l->container) : r;
}

static const struct learned *find_learned(struct names *n, const char *id)
{
    uint32_t key, row;
    if (!*id || strings_add(&n->texts, id, &key) < 0 || table_find(&n->learned, &key, &row) < 0)
        return NULL;
    return table_row(&n->learned, row);
}

/* What has no id, or no place any more, is not learned. */
static int pass_over(int r)
{
    return r == -ENOSPC || r == -EFBIG || r == -ENOENT ? 0 : r;
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* What the API server may know better than the node: kubelet does not say whose they are. */
static bool is_between(const char *workload)
{
    return has_prefix(workload, "ReplicaSet/") || has_prefix(workload, "Job/");
}

static int take_series(void *ctx, const char *const *values)
{
    struct names *n = ctx;
    if (!*values[CONTAINER_ID] && !*values[POD_UID])
        return 0;
    for (size_t i = NAMESPACE; i < LABELS; i++)
        if (!*values[i] || (i == WORKLOAD && is_between(values[i])))
            n->lacking |= 1u << i;
    if (!*values[NAMESPACE] || !*values[POD])
        return 0;
    int r = pass_over(learn(n, values[CONTAINER_ID], values, true));
    return r < 0 ? r : pass_over(learn(n, values[POD_UID], values, false));
}

static int take_pod(void *ctx, const struct store_pod *pod)
{
    const char *const values[LABELS] = {
        [NAMESPACE] = pod->namespace, [POD] = pod->name, [WORKLOAD] = pod->workload};
    return *pod->namespace && *pod->name ? pass_over(learn(ctx, pod->uid, values, false)) : 0;
}

/* Its pod has been told before it. */
static int take_container(void *ctx, const struct store_container *container)
{
    struct names *n = ctx;
    const struct learned *l = find_learned(n, container->pod_uid);
    if (!l || !l->pod)
        return 0;
    const char *const values[LABELS] = {[NAMESPACE] = n->texts.texts[l->namespace],
                                        [POD] = n->texts.texts[l->pod],
                                        [WORKLOAD] = n->texts.texts[l->workload],
                                        [CONTAINER] = container->name};
    return pass_over(learn(n, container->id, values, true));
}

/* After the series: what they say goes first. Only for labels that are asked for: nodes without
 * kubelet's word lack each pod's workload, and facts are many. */
static int learn_facts(struct names *n, struct store *store, const struct store_query *query,
                       struct err *err)
{
    static const struct store_facts fns = {take_pod, take_container};
    const struct store_query range = {.start_ms = query->start_ms, .end_ms = query->end_ms};
    return n->lacking & n->asked ? store->ops->facts(store, &range, &fns, n, err) : 0;
}

/* ---- naming */

static bool set_text(struct names *n, const char *text, const char **into)
{
    uint32_t row;
    if (!*text || strcmp(*into, text) == 0 || strings_add(&n->texts, text, &row) < 0)
        return false;
    *into = n->texts.texts[row];
    return true;
}

static bool has_names_of(const char **values, const char *namespace, const char *pod)
{
    return strcmp(values[NAMESPACE], namespace) == 0 && strcmp(values[POD], pod) == 0;
}

static const struct kube_object *find_pod(const struct cluster *c, const char **values,
                                          const char **ret_container)
{
    const char *const ids[] = {values[CONTAINER_ID], values[POD_UID]};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        const struct kube_object *o = cluster_find_id(c, ids[i], ret_container);
        if (o && o->kind == KUBE_POD)
            return o;
    }
    return NULL;
}

static bool name_from_cluster(struct names *n, const char **values)
{
    char workload[CLUSTER_WORKLOAD_MAX];
    const char *container = "";
    bool changed = false;
    if (!n->cluster)
        return false;
    cluster_lock(n->cluster);
    const struct kube_object *pod = find_pod(n->cluster, values, &container);
    if (pod && (!*values[NAMESPACE] || !*values[POD])) {
        changed |= set_text(n, pod->namespace, &values[NAMESPACE]);
        changed |= set_text(n, pod->name, &values[POD]);
    }
    if (pod && has_names_of(values, pod->namespace, pod->name)) {
        if (!*values[CONTAINER])
            changed |= set_text(n, container, &values[CONTAINER]);
        cluster_workload(n->cluster, pod, workload);
        if (!*values[WORKLOAD] || is_between(values[WORKLOAD]))
            changed |= set_text(n, workload, &values[WORKLOAD]);
    }
    cluster_unlock(n->cluster);
    return changed;
}

static bool name_from_series(struct names *n, const char *id, const char **values)
{
    const struct learned *l = find_learned(n, id);
    bool changed = false;
    if (!l)
        return false;
    const char *namespace = n->texts.texts[l->namespace], *pod = n->texts.texts[l->pod];
    const char *container = n->texts.texts[l->container], *workload = n->texts.texts[l->workload];
    if (!*values[NAMESPACE] || !*values[POD]) {
        changed |= set_text(n, namespace, &values[NAMESPACE]);
        changed |= set_text(n, pod, &values[POD]);
    }
    if (!has_names_of(values, namespace, pod))
        return changed;
    if (!*values[CONTAINER])
        changed |= set_text(n, container, &values[CONTAINER]);
    if (!*values[WORKLOAD])
        changed |= set_text(n, workload, &values[WORKLOAD]);
    return changed;
}

static bool rename_series(void *ctx, const char **values)
{
    struct names *n = ctx;
    if (!*values[CONTAINER_ID] && !*values[POD_UID])
        return false;
    bool changed = name_from_cluster(n, values);
    changed |= name_from_series(n, values[CONTAINER_ID], values);
    changed |= name_from_series(n, values[POD_UID], values);
    return changed;
}

/* ---- queries */

static unsigned bit_of(const char *key)
{
    for (size_t i = NAMESPACE; i < LABELS; i++)
        if (strcmp(key, keys[i]) == 0)
            return 1u << i;
    return 0;
}

static unsigned asked_labels(const struct store_query *q)
{
    unsigned asked = 0;
    for (size_t i = 0; i < q->filter_count; i++)
        asked |= bit_of(q->filters[i].key);
    for (size_t i = 0; i < q->group_count; i++)
        asked |= bit_of(q->groups[i]);
    return asked;
}

int names_for_query(struct store *store, struct cluster *cluster, struct store_query *query,
                    struct names **ret, struct err *err)
{
    uint32_t empty;
    unsigned asked = asked_labels(query);
    *ret = NULL;
    if (!asked)
        return 0;
    _cleanup_(names_free) struct names *n = calloc(1, sizeof(*n));
    if (!n)
        return err_errno(err, -ENOMEM, "naming pods");
    n->cluster = cluster;
    n->asked = asked;
    n->texts.max_bytes = BYTES_MAX;
    n->renames = (struct store_renames){keys, LABELS, rename_series, n};
    table_init(&n->learned, sizeof(struct learned), sizeof(uint32_t), LEARNED_MAX);
    int r = strings_add(&n->texts, "", &empty);
    if (r < 0)
        return err_errno(err, r, "naming pods");
    r = store->ops->series(store, query->start_ms, query->end_ms, keys, LABELS, take_series, n,
                           err);
    if (r == 0)
        r = learn_facts(n, store, query, err);
    if (r < 0)
        return err_wrap(err, r, "naming pods");
    if (!(n->lacking & n->asked))
        return 0;
    query->renames = &n->renames;
    *ret = TAKE_PTR(n);
    return 0;
}
