/* object.c: takes an object of the Kubernetes API, gives a copy of it, or what it selects. */
#include "server/cluster/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

const struct kube_kind_info *kube_kind_info(enum kube_kind kind)
{
    static const struct kube_kind_info infos[] = {
#define X(id, name, resource, path, old_path, metadata) {name, resource, path, old_path, metadata},
        KUBE_KINDS(X)
#undef X
    };
    return &infos[kind];
}

/* ---- copying: each piece is first counted, then put behind the one before */

struct piece {
    char *at; /* NULL: only count */
    size_t bytes;
};

static void put_text(struct piece *p, const char **text)
{
    size_t len = strlen(*text) + 1;
    if (p->at)
        *text = memcpy(p->at + p->bytes, *text, len);
    p->bytes += len;
}

/* To be called before any text: what it puts is aligned. */
static void *put_array(struct piece *p, const void *array, size_t bytes)
{
    void *copy = p->at ? p->at + p->bytes : NULL;
    if (copy && bytes)
        memcpy(copy, array, bytes);
    p->bytes += bytes;
    return copy;
}

static void put_label_texts(struct piece *p, const struct fact_label *from, struct fact_label *to,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fact_label label = from[i];
        put_text(p, &label.key);
        put_text(p, &label.value);
        if (to)
            to[i] = label;
    }
}

static void put_container_texts(struct piece *p, const struct kube_object *o,
                                struct kube_container *to)
{
    for (size_t i = 0; i < o->container_count; i++) {
        struct kube_container c = o->containers[i];
        put_text(p, &c.name);
        put_text(p, &c.image);
        put_text(p, &c.reason);
        put_text(p, &c.id);
        put_text(p, &c.last_id);
        if (to)
            to[i] = c;
    }
}

static struct kube_object *put_object(struct piece *p, const struct kube_object *from)
{
    struct kube_object o = *from;
    struct kube_object *copy = put_array(p, from, sizeof(*from));
    struct kube_container *containers =
        put_array(p, from->containers, from->container_count * sizeof(*from->containers));
    struct fact_label *labels =
        put_array(p, from->labels, from->label_count * sizeof(*from->labels));
    struct fact_label *selector =
        put_array(p, from->selector, from->selector_count * sizeof(*from->selector));
    put_container_texts(p, from, containers);
    put_label_texts(p, from->labels, labels, from->label_count);
    put_label_texts(p, from->selector, selector, from->selector_count);
    const char **texts[] = {&o.uid,       &o.namespace, &o.name, &o.owner_kind, &o.owner,
                            &o.owner_uid, &o.node,      &o.ip,   &o.phase,      &o.static_uid};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        put_text(p, texts[i]);
    o.containers = containers;
    o.labels = labels;
    o.selector = selector;
    if (copy)
        *copy = o;
    return copy;
}

int kube_object_copy(const struct kube_object *object, struct kube_object **ret)
{
    struct piece counted = {0};
    put_object(&counted, object);
    struct piece piece = {.at = malloc(counted.bytes)};
    if (!piece.at)
        return -ENOMEM;
    *ret = put_object(&piece, object);
    return 0;
}

/* ---- selecting */

static bool has_label(const struct kube_object *o, const struct fact_label *wanted)
{
    for (size_t i = 0; i < o->label_count; i++)
        if (strcmp(o->labels[i].key, wanted->key) == 0)
            return strcmp(o->labels[i].value, wanted->value) == 0;
    return false;
}

bool kube_selects(const struct kube_object *service, const struct kube_object *pod)
{
    if (service->selector_count == 0 || strcmp(service->namespace, pod->namespace) != 0)
        return false;
    for (size_t i = 0; i < service->selector_count; i++)
        if (!has_label(pod, &service->selector[i]))
            return false;
    return true;
}
