/* parse.c: takes JSON of the Kubernetes API, gives objects and events. See parse.h. */
#include "server/cluster/parse.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "k8s/json.h"

/* What an object under way points into, besides the JSON. */
struct reader {
    struct kube_object object;
    struct fact_label labels[FACT_LABELS_MAX];
    struct fact_label selector[KUBE_SELECTOR_MAX];
    struct kube_container containers[KUBE_CONTAINERS_MAX];
};

/* ---- words */

/* "" where there is none, or one that is too long. */
static const char *text_of(const json_t *object, const char *key, size_t max)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    return text && json_string_length(value) <= max ? text : "";
}

static const char *name_of(const json_t *object, const char *key)
{
    return text_of(object, key, FACT_NAME_MAX);
}

/* containerd://9d17... as the runtime itself calls it. */
static const char *id_of(const json_t *object, const char *key)
{
    const char *text = name_of(object, key), *slashes = strstr(text, "://");
    return slashes ? slashes + 3 : text;
}

static size_t read_labels(json_t *from, struct fact_label *to, size_t max)
{
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach(from, key, value)
    {
        const char *text = json_string_value(value);
        if (count < max && text && strlen(key) <= FACT_TEXT_MAX &&
            json_string_length(value) <= FACT_TEXT_MAX)
            to[count++] = (struct fact_label){key, text};
    }
    return count;
}

/* ---- objects */

/* Of several owners one is the controller, at most. A single one counts in any case: kubectl create
 * job --from=cronjob does not say that it is. A node "owns" its static pods, which says nothing
 * that the pod's own node does not. */
static void read_owner(const json_t *metadata, struct kube_object *o)
{
    const json_t *owners = json_object_get(metadata, "ownerReferences");
    size_t count = json_array_size(owners);
    for (size_t i = 0; i < count; i++) {
        const json_t *owner = json_array_get(owners, i);
        const char *kind = name_of(owner, "kind"), *name = name_of(owner, "name");
        bool is_controller = count == 1 || json_is_true(json_object_get(owner, "controller"));
        if (!is_controller || !*kind || !*name || strcmp(kind, "Node") == 0)
            continue;
        o->owner_kind = kind;
        o->owner = name;
        o->owner_uid = name_of(owner, "uid");
        return;
    }
}

/* Of a static pod the API server has a mirror, whose uid is another than kubelet's. */
static const char *read_static_uid(const json_t *metadata)
{
    const json_t *annotations = json_object_get(metadata, "annotations");
    const char *mirror = name_of(annotations, "kubernetes.io/config.mirror");
    const char *hash = name_of(annotations, "kubernetes.io/config.hash");
    return *hash && *mirror ? hash : mirror;
}

static void read_state(const json_t *status, struct kube_container *c)
{
    static const struct {
        const char *key;
        enum container_state state;
    } states[] = {
        {"running", CONTAINER_RUNNING},
        {"waiting", CONTAINER_WAITING},
        {"terminated", CONTAINER_EXITED},
    };
    const json_t *state = json_object_get(status, "state");
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        const json_t *is = json_object_get(state, states[i].key);
        if (!is)
            continue;
        c->state = states[i].state;
        c->reason = text_of(is, "reason", FACT_TEXT_MAX);
    }
}

static void read_containers(const json_t *status, const char *key, enum container_kind kind,
                            struct reader *reader)
{
    const json_t *list = json_object_get(status, key);
    struct kube_object *o = &reader->object;
    for (size_t i = 0; i < json_array_size(list) && o->container_count < KUBE_CONTAINERS_MAX; i++) {
        const json_t *from = json_array_get(list, i);
        const json_t *last = json_at(from, "lastState.terminated");
        struct kube_container c = {
            .name = name_of(from, "name"),
            .image = text_of(from, "image", FACT_TEXT_MAX),
            .reason = "",
            .id = id_of(from, "containerID"),
            .last_id = id_of(last, "containerID"),
            .kind = kind,
            .restarts = json_u32_at(from, "restartCount"),
        };
        read_state(from, &c);
        if (*c.name)
            reader->containers[o->container_count++] = c;
    }
}

static void read_pod(const json_t *metadata, const json_t *json, struct reader *reader)
{
    const json_t *status = json_object_get(json, "status");
    struct kube_object *o = &reader->object;
    o->node = name_of(json_object_get(json, "spec"), "nodeName");
    o->ip = name_of(status, "podIP");
    o->phase = name_of(status, "phase");
    o->static_uid = read_static_uid(metadata);
    o->started_ms = json_time_at(status, "startTime") / NS_PER_MS;
    read_containers(status, "containerStatuses", CONTAINER_APP, reader);
    read_containers(status, "initContainerStatuses", CONTAINER_INIT, reader);
    read_containers(status, "ephemeralContainerStatuses", CONTAINER_EPHEMERAL, reader);
    o->containers = reader->containers;
}

/* False: it has no name. */
static bool read_object(const json_t *json, enum kube_kind kind, struct reader *reader)
{
    const json_t *metadata = json_object_get(json, "metadata");
    struct kube_object *o = &reader->object;
    *o = (struct kube_object){
        .kind = kind,
        .uid = name_of(metadata, "uid"),
        .namespace = name_of(metadata, "namespace"),
        .name = name_of(metadata, "name"),
        .owner_kind = "",
        .owner = "",
        .owner_uid = "",
        .labels = reader->labels,
        .selector = reader->selector,
        .node = "",
        .ip = "",
        .phase = "",
        .static_uid = "",
    };
    bool has_namespace = kind != KUBE_NAMESPACE && kind != KUBE_NODE;
    if (!*o->uid || !*o->name || has_namespace != (*o->namespace != 0))
        return false;
    o->label_count =
        read_labels(json_object_get(metadata, "labels"), reader->labels, FACT_LABELS_MAX);
    read_owner(metadata, o);
    if (kind == KUBE_SERVICE) {
        json_t *selector = json_object_get(json_object_get(json, "spec"), "selector");
        o->selector_count = read_labels(selector, reader->selector, KUBE_SELECTOR_MAX);
        if (o->selector_count < json_object_size(selector))
            o->selector_count = 0; /* a part of it would select too much */
    }
    if (kind == KUBE_POD)
        read_pod(metadata, json, reader);
    return true;
}

/* ---- lists and events */

static int parse(const char *bytes, size_t len, size_t max, json_t **ret, struct err *err)
{
    /* Most of the JSON; of annotations a static pod's are read. */
    static const char *const unread[] = {
        "managedFields",
        "containers",
        "initContainers",
        "ephemeralContainers",
        "volumes",
        "tolerations",
        "affinity",
        "conditions",
        "securityContext",
        "images",
        NULL,
    };
    _cleanup_(buf_free) struct buf pruned = {0};
    if (len > max)
        return err_set(err, -EFBIG, "more than %zu MiB of JSON", max >> 20);
    int r = json_prune(bytes, len, unread, &pruned);
    if (r < 0)
        return err_errno(err, r, "reading JSON");
    return json_load_bounded((const char *)pruned.data, pruned.len, ret, err);
}

static int copy_text(const json_t *object, const char *key, char *to, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text && strlen(text) >= size)
        return -EBADMSG;
    memcpy(to, text ? text : "", text ? strlen(text) + 1 : 1);
    return 0;
}

/* PodList, or PartialObjectMetadataList where metadata were asked for: a server that does not know
 * these sends the objects. */
static bool is_list_of(const json_t *json, enum kube_kind kind)
{
    const struct kube_kind_info *info = kube_kind_info(kind);
    const char *name = name_of(json, "kind");
    size_t len = strlen(info->name);
    if (info->metadata && strcmp(name, "PartialObjectMetadataList") == 0)
        return true;
    return strncmp(name, info->name, len) == 0 && strcmp(name + len, "List") == 0;
}

int kube_parse_list(const char *bytes, size_t len, enum kube_kind kind, kube_object_fn fn,
                    void *ctx, struct kube_page *ret, struct err *err)
{
    _cleanup_json_ json_t *json = NULL;
    _cleanup_free_ struct reader *reader = NULL;
    struct kube_page page = {0};
    int r = parse(bytes, len, KUBE_PAGE_MAX, &json, err);
    if (r < 0)
        return r;
    const json_t *items = json_object_get(json, "items");
    const json_t *metadata = json_object_get(json, "metadata");
    if (!is_list_of(json, kind) || (items && !json_is_array(items) && !json_is_null(items)))
        return err_set(err, -EBADMSG, "no list of %s, but '%.64s'", kube_kind_info(kind)->resource,
                       name_of(json, "kind"));
    if (copy_text(metadata, "resourceVersion", page.version, sizeof(page.version)) < 0 ||
        copy_text(metadata, "continue", page.more, sizeof(page.more)) < 0)
        return err_set(err, -EBADMSG, "resourceVersion or continue is too long");
    reader = malloc(sizeof(*reader));
    if (!reader)
        return err_errno(err, -ENOMEM, "reading a list");
    for (size_t i = 0; i < json_array_size(items) && r == 0; i++) {
        if (!read_object(json_array_get(items, i), kind, reader)) {
            page.dropped++;
            continue;
        }
        r = fn(ctx, &reader->object);
        page.objects++;
    }
    if (r < 0)
        return r;
    *ret = page;
    return 0;
}

static int read_type(const json_t *json, enum kube_event_type *ret)
{
    static const struct {
        const char *word;
        enum kube_event_type type;
    } types[] = {
        {"ADDED", KUBE_EVENT_PUT},       {"MODIFIED", KUBE_EVENT_PUT},
        {"DELETED", KUBE_EVENT_REMOVED}, {"BOOKMARK", KUBE_EVENT_BOOKMARK},
        {"ERROR", KUBE_EVENT_ERROR},
    };
    const char *word = name_of(json, "type");
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(word, types[i].word) == 0) {
            *ret = types[i].type;
            return 0;
        }
    return -EBADMSG;
}

int kube_parse_event(const char *bytes, size_t len, enum kube_kind kind, kube_event_fn fn,
                     void *ctx, struct err *err)
{
    _cleanup_json_ json_t *json = NULL;
    _cleanup_free_ struct reader *reader = malloc(sizeof(*reader));
    struct kube_event event = {.message = ""};
    if (!reader)
        return err_errno(err, -ENOMEM, "reading an event");
    int r = parse(bytes, len, KUBE_EVENT_MAX, &json, err);
    if (r < 0)
        return r;
    const json_t *object = json_object_get(json, "object");
    const json_t *metadata = json_object_get(object, "metadata");
    if (read_type(json, &event.type) < 0 || !json_is_object(object) ||
        copy_text(metadata, "resourceVersion", event.version, sizeof(event.version)) < 0)
        return err_set(err, -EBADMSG, "no event of a watch");
    if (event.type == KUBE_EVENT_ERROR) {
        event.code = json_u32_at(object, "code");
        event.message = text_of(object, "message", FACT_TEXT_MAX);
    }
    if (event.type == KUBE_EVENT_PUT || event.type == KUBE_EVENT_REMOVED) {
        if (read_object(object, kind, reader))
            event.object = &reader->object;
        else
            event.type = KUBE_EVENT_DROPPED;
    }
    return fn(ctx, &event);
}
