/* fuzz_kube_api.c: whatever an API server answers is read within its bounds, and what is kept of it
 * is sound. The first byte is the kind of object, the second how often the bytes of a watch are
 * split; what is no list is taken as a watch's events. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/cluster/cluster.h"
#include "server/cluster/parse.h"
#include "server/cluster/watch.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max)
{
    size_t len = strlen(text);
    assert(len <= max && utf8_valid_prefix(text, len) == len);
}

static void check_labels(const struct fact_label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_text(labels[i].key, FACT_TEXT_MAX);
        check_text(labels[i].value, FACT_TEXT_MAX);
    }
}

struct checking {
    struct cluster *cluster;
    size_t seen;
};

static bool check_object(void *ctx, const struct kube_object *o)
{
    struct checking *checking = ctx;
    char workload[CLUSTER_WORKLOAD_MAX];
    const char *container;
    assert(*o->uid && *o->name);
    const char *const names[] = {o->uid,       o->namespace, o->name, o->owner_kind, o->owner,
                                 o->owner_uid, o->node,      o->ip,   o->phase,      o->static_uid};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        check_text(names[i], FACT_NAME_MAX);
    assert(o->label_count <= FACT_LABELS_MAX && o->selector_count <= KUBE_SELECTOR_MAX);
    assert(o->container_count <= KUBE_CONTAINERS_MAX);
    check_labels(o->labels, o->label_count);
    check_labels(o->selector, o->selector_count);
    for (size_t i = 0; i < o->container_count; i++) {
        check_text(o->containers[i].name, FACT_NAME_MAX);
        check_text(o->containers[i].image, FACT_TEXT_MAX);
        check_text(o->containers[i].reason, FACT_TEXT_MAX);
    }
    cluster_workload(checking->cluster, o, workload);
    check_text(workload, CLUSTER_WORKLOAD_MAX - 1);
    assert(cluster_find(checking->cluster, o->kind, o->namespace, o->name) == o);
    assert(cluster_find_id(checking->cluster, o->uid, &container));
    kube_selects(o, o);
    checking->seen++;
    return true;
}

/* A piece in memory of its own, so that reading past it shows. */
static int feed(struct kube_watch *watch, const uint8_t *data, size_t len, struct err *err)
{
    _cleanup_free_ char *piece = malloc(len);
    if (!piece)
        return 0;
    memcpy(piece, data, len);
    return kube_watch_feed(watch, piece, len, err);
}

static void watch_events(struct kube_watch *watch, const uint8_t *data, size_t size, size_t step)
{
    struct err err = {0};
    int r = 0;
    for (size_t at = 0; at < size && r == 0; at += step)
        r = feed(watch, data + at, size - at < step ? size - at : step, &err);
    assert(r == 0 || err.text[0]);
    if (r < 0)
        kube_watch_failed(watch, 200, r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cluster *cluster = NULL;
    struct kube_watch *watch = NULL;
    struct err err = {0};
    struct kube_request request;
    if (size < 2)
        return 0;
    enum kube_kind kind = data[0] % KUBE_KIND_COUNT;
    size_t step = data[1] ? data[1] : size;
    if (cluster_new(&cluster, &err) == 0 && kube_watch_new(kind, cluster, &watch, &err) == 0) {
        int r = kube_watch_take_page(watch, (const char *)data + 2, size - 2, &err);
        assert(r == 0 || err.text[0]);
        if (r < 0)
            watch_events(watch, data + 2, size - 2, step);
        kube_watch_next(watch, &request);
        assert(strlen(request.path) < sizeof(request.path) && request.path[0] == '/');
        struct checking checking = {.cluster = cluster};
        cluster_lock(cluster);
        cluster_each(cluster, kind, check_object, &checking);
        assert(checking.seen == cluster_count(cluster, kind));
        cluster_unlock(cluster);
    }
    kube_watch_free(&watch);
    cluster_free(&cluster);
    return 0;
}
