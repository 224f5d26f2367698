/* docker_parse.c: takes the JSON of docker's /containers/json, gives facts. See docker.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "k8s/bounds.h"
#include "k8s/docker.h"
#include "k8s/json.h"

static enum container_state read_state(const char *state)
{
    static const struct {
        const char *word;
        enum container_state state;
    } states[] = {
        {"created", CONTAINER_CREATED},     {"running", CONTAINER_RUNNING},
        {"paused", CONTAINER_RUNNING},      {"restarting", CONTAINER_WAITING},
        {"removing", CONTAINER_EXITED},     {"exited", CONTAINER_EXITED},
        {"stopped", CONTAINER_EXITED},      {"dead", CONTAINER_EXITED},
        {"initialized", CONTAINER_CREATED}, /* podman's, as is "stopped" */
    };
    for (size_t i = 0; state && i < ARRAY_LEN(states); i++)
        if (strcmp(state, states[i].word) == 0)
            return states[i].state;
    return CONTAINER_STATE_UNKNOWN;
}

/* dockershim puts kubelet's labels on both kinds, and annotations behind a prefix of their own; its
 * sandboxes have the pod's labels, too. */
static size_t read_labels(struct bounds *b, const json_t *object, struct fact_label *labels)
{
    size_t count = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (strncmp(key, "io.kubernetes.pod.", 18) == 0 ||
            strncmp(key, "io.kubernetes.container.", 24) == 0 ||
            strncmp(key, "io.kubernetes.docker.", 21) == 0 ||
            strncmp(key, "io.kubernetes.sandbox.", 22) == 0 || strncmp(key, "annotation.", 11) == 0)
            continue;
        if (count < FACT_LABELS_MAX && json_is_string(value))
            labels[count++] = (struct fact_label){key, json_string_value(value)};
        else
            b->dropped++;
    }
    return count;
}

static const char *label(const json_t *labels, const char *key)
{
    return json_string_value(json_object_get(labels, key));
}

/* Which of the two a container is says a label, or, of old, its name. */
static bool is_sandbox(const json_t *labels)
{
    const char *type = label(labels, "io.kubernetes.docker.type");
    const char *name = label(labels, "io.kubernetes.container.name");
    return (type && strcmp(type, "podsandbox") == 0) || (name && strcmp(name, "POD") == 0);
}

static int give_pod(struct bounds *b, const json_t *from, const char *uid, int64_t created_ns)
{
    struct fact_label labels[FACT_LABELS_MAX];
    struct pod_fact pod = {
        .uid = uid,
        .namespace = label(from, "io.kubernetes.pod.namespace"),
        .name = label(from, "io.kubernetes.pod.name"),
        .started_ns = created_ns,
        .labels = labels,
        .label_count = read_labels(b, from, labels),
    };
    return bounds_give_pod(b, &pod);
}

/* "/db"; a link of another container to it gives it one more, "/web/db". */
static const char *own_name(const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name && !strchr(name + (*name == '/'), '/'))
            return name + (*name == '/');
    }
    return NULL;
}

static int give(struct bounds *b, const json_t *item)
{
    const json_t *labels = json_at(item, "Labels");
    const char *uid = label(labels, "io.kubernetes.pod.uid");
    const char *restarts = label(labels, "annotation.io.kubernetes.container.restartCount");
    json_int_t created = json_integer_value(json_at(item, "Created"));
    int64_t created_ns = created > 0 && created < INT64_MAX / NS_PER_SEC ? created * NS_PER_SEC : 0;
    struct container_fact fact = {
        .id = json_text_at(item, "Id"),
        .pod_uid = uid,
        .name =
            uid ? label(labels, "io.kubernetes.container.name") : own_name(json_at(item, "Names")),
        .image = json_text_at(item, "Image"),
        .state = read_state(json_text_at(item, "State")),
        .restarts = restarts ? (uint32_t)strtoul(restarts, NULL, 10) : 0,
    };
    int r = 0;
    if (uid)
        fact.started_ns = fact.state == CONTAINER_CREATED ? 0 : created_ns;
    if (uid && is_sandbox(labels)) {
        fact.kind = CONTAINER_SANDBOX;
        fact.name = NULL;
        r = give_pod(b, labels, uid, created_ns);
    }
    return r < 0 ? r : bounds_give_container(b, &fact);
}

int docker_parse_containers(const char *bytes, size_t len, const struct facts_sink *sink,
                            struct err *err)
{
    _cleanup_json_ json_t *list = NULL;
    struct bounds b = {.to = sink};
    int r = json_load_bounded(bytes, len, &list, err);
    if (r < 0)
        return r;
    if (!json_is_array(list))
        return err_set(err, -EBADMSG, "this is no list of containers; is it dockerd?");
    for (size_t i = 0; i < json_array_size(list); i++) {
        r = give(&b, json_array_get(list, i));
        if (r < 0)
            return err_errno(err, r, "taking the containers");
    }
    bounds_end(&b);
    return 0;
}
