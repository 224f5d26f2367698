/* pod_facts.c: takes a range, gives what agents said of its pods. See pod_facts.h. */
#include "server/pod_facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/api_internal.h"
#include "server/label_rows.h"
#include "server/store.h"

#define X(name)                                                    \
    _Static_assert((int)WIRE_CONTAINER_##name == CONTAINER_##name, \
                   "the store and the API server have the same numbers");
WIRE_CONTAINER_KINDS(X)
WIRE_CONTAINER_STATES(X)
#undef X

void pod_facts_free(struct pod_facts *facts)
{
    free(facts->pods);
    free(facts->told_containers);
    free(facts->containers);
    free(facts->labels);
    strings_free(&facts->texts);
    *facts = (struct pod_facts){0};
}

/* ---- taking */

static int grow(void *rows, size_t count, size_t *cap, size_t size)
{
    void *old, *more;
    if (count < *cap)
        return 0;
    if (count >= LABEL_ROWS_MAX)
        return -E2BIG;
    size_t room = *cap ? *cap * 2 : 64;
    memcpy(&old, rows, sizeof(old));
    more = reallocarray(old, room, size);
    if (!more)
        return -ENOMEM;
    memcpy(rows, &more, sizeof(more));
    *cap = room;
    return 0;
}

static int keep_texts(struct pod_facts *f, const char **const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t number;
        int r = strings_add(&f->texts, *texts[i], &number);
        if (r < 0)
            return r;
        *texts[i] = f->texts.texts[number]; /* the text itself does not move */
    }
    return 0;
}

static int take_label(struct pod_facts *f, const struct store_label *label)
{
    struct fact_label l = {label->key, label->value};
    const char **const texts[] = {&l.key, &l.value};
    int r = grow(&f->labels, f->label_count, &f->label_cap, sizeof(l));
    if (r == 0)
        r = keep_texts(f, texts, ARRAY_LEN(texts));
    if (r == 0)
        f->labels[f->label_count++] = l;
    return r;
}

static int take_pod(void *ctx, const struct store_pod *p)
{
    struct pod_facts *f = ctx;
    struct told_pod told = {.object = {.kind = KUBE_POD,
                                       .uid = p->uid,
                                       .namespace = p->namespace,
                                       .name = p->name,
                                       .owner_kind = "",
                                       .owner = "",
                                       .owner_uid = "",
                                       .label_count = f->whole ? p->label_count : 0,
                                       .node = p->node,
                                       .ip = p->ip,
                                       .phase = p->phase,
                                       .static_uid = "",
                                       .started_ms = p->started_ms},
                            .workload = p->workload,
                            .last_ms = p->last_ms,
                            .first_label = f->label_count};
    struct kube_object *o = &told.object;
    const char **const texts[] = {&o->uid, &o->namespace, &o->name,      &o->node,
                                  &o->ip,  &o->phase,     &told.workload};
    if (!*p->namespace || !*p->name)
        return 0;
    int r = grow(&f->pods, f->count, &f->cap, sizeof(told));
    if (r == 0)
        r = keep_texts(f, texts, ARRAY_LEN(texts));
    for (size_t i = 0; r == 0 && i < o->label_count; i++)
        r = take_label(f, &p->labels[i]);
    if (r == 0)
        f->pods[f->count++] = told;
    return r;
}

static int take_container(void *ctx, const struct store_container *c)
{
    struct pod_facts *f = ctx;
    struct told_container told = {.container = {.name = c->name,
                                                .image = c->image,
                                                .reason = c->reason,
                                                .id = c->id,
                                                .last_id = "",
                                                .kind = c->kind,
                                                .state = c->state,
                                                .restarts = c->restarts,
                                                .started_ms = c->started_ms},
                                  .pod_uid = c->pod_uid,
                                  .last_ms = c->last_ms};
    struct kube_container *k = &told.container;
    const char **const texts[] = {&k->name, &k->image, &k->reason, &k->id, &told.pod_uid};
    if (!*c->pod_uid || !f->whole)
        return 0;
    int r = grow(&f->told_containers, f->container_count, &f->container_cap, sizeof(told));
    if (r == 0)
        r = keep_texts(f, texts, ARRAY_LEN(texts));
    if (r == 0)
        f->told_containers[f->container_count++] = told;
    return r;
}

/* ---- each once, in order */

static int latest_first(int64_t a, int64_t b)
{
    return (a < b) - (a > b);
}

static int by_uid(const void *left, const void *right)
{
    const struct told_pod *a = left, *b = right;
    int order = strcmp(a->object.uid, b->object.uid);
    return order ? order : latest_first(a->last_ms, b->last_ms);
}

static int by_name(const void *left, const void *right)
{
    const struct told_pod *a = left, *b = right;
    int order = strcmp(a->object.namespace, b->object.namespace);
    if (order == 0)
        order = strcmp(a->object.name, b->object.name);
    if (order == 0)
        order = latest_first(a->last_ms, b->last_ms);
    return order ? order : strcmp(a->object.uid, b->object.uid);
}

static int by_id(const void *left, const void *right)
{
    const struct told_container *a = left, *b = right;
    int order = strcmp(a->container.id, b->container.id);
    return order ? order : latest_first(a->last_ms, b->last_ms);
}

static int by_pod(const void *left, const void *right)
{
    const struct told_container *a = left, *b = right;
    int order = strcmp(a->pod_uid, b->pod_uid);
    if (order == 0)
        order = strcmp(a->container.name, b->container.name);
    if (order == 0)
        order = latest_first(a->last_ms, b->last_ms);
    return order ? order : strcmp(a->container.id, b->container.id);
}

static void keep_latest(struct pod_facts *f)
{
    size_t pods = 0, containers = 0;
    if (f->count)
        qsort(f->pods, f->count, sizeof(*f->pods), by_uid);
    for (size_t i = 0; i < f->count; i++)
        if (i == 0 || strcmp(f->pods[i].object.uid, f->pods[pods - 1].object.uid) != 0)
            f->pods[pods++] = f->pods[i];
    if (f->container_count)
        qsort(f->told_containers, f->container_count, sizeof(*f->told_containers), by_id);
    for (size_t i = 0; i < f->container_count; i++)
        if (i == 0 || strcmp(f->told_containers[i].container.id,
                             f->told_containers[containers - 1].container.id) != 0)
            f->told_containers[containers++] = f->told_containers[i];
    f->count = pods;
    f->container_count = containers;
}

/* The first of a pod's containers, or where they would stand. */
static size_t first_container(const struct pod_facts *f, const char *uid)
{
    size_t low = 0, high = f->container_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(f->told_containers[middle].pod_uid, uid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int join(struct pod_facts *f)
{
    f->containers = malloc((f->container_count + 1) * sizeof(*f->containers));
    if (!f->containers)
        return -ENOMEM;
    if (f->container_count)
        qsort(f->told_containers, f->container_count, sizeof(*f->told_containers), by_pod);
    for (size_t i = 0; i < f->container_count; i++)
        f->containers[i] = f->told_containers[i].container;
    for (size_t i = 0; i < f->count; i++) {
        struct kube_object *o = &f->pods[i].object;
        size_t first = first_container(f, o->uid), end = first;
        while (end < f->container_count && strcmp(f->told_containers[end].pod_uid, o->uid) == 0)
            end++;
        o->containers = f->containers + first;
        o->container_count = end - first;
        o->labels = o->label_count ? f->labels + f->pods[i].first_label : NULL;
    }
    if (f->count)
        qsort(f->pods, f->count, sizeof(*f->pods), by_name);
    return 0;
}

int pod_facts_read(struct api *api, const struct store_query *query, bool whole,
                   struct pod_facts *ret, struct err *err)
{
    static const struct store_facts fns = {take_pod, take_container};
    ret->whole = whole;
    int r = api->store->ops->facts(api->store, query, &fns, ret, err);
    if (r == -E2BIG)
        return err_set(
            err, r, "more than %u pods, containers or labels; take a shorter range or more filters",
            LABEL_ROWS_MAX);
    if (r == 0) {
        keep_latest(ret);
        r = join(ret);
    }
    return r < 0 && !(err && err->text[0]) ? err_errno(err, r, "listing pods") : r;
}
