/* kubelet_parse.c: takes the JSON of kubelet's /pods, gives facts. See kubelet.h. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "k8s/bounds.h"
#include "k8s/json.h"
#include "k8s/kubelet.h"

/* What state a container is in is said by which member there is. */
static void read_state(const json_t *state, struct container_fact *fact)
{
    const json_t *detail;
    if ((detail = json_at(state, "running"))) {
        fact->state = CONTAINER_RUNNING;
    } else if ((detail = json_at(state, "terminated"))) {
        fact->state = CONTAINER_EXITED;
    } else if ((detail = json_at(state, "waiting"))) {
        fact->state = CONTAINER_WAITING;
    }
    fact->reason = json_text_at(detail, "reason");
    fact->started_ns = json_time_at(detail, "startedAt");
}

static int give(struct bounds *b, const char *id, struct container_fact *fact)
{
    char runtime[16];
    fact->id = bounds_split_id(id, runtime);
    fact->runtime = runtime;
    return fact->id ? bounds_give_container(b, fact) : 0;
}

/* A container that was never created has no id, and nothing of it can be seen. */
static int read_container(struct bounds *b, const char *uid, enum container_kind kind,
                          const json_t *status)
{
    struct container_fact fact = {
        .pod_uid = uid,
        .kind = kind,
        .name = json_text_at(status, "name"),
        .image = json_text_at(status, "image"),
        .restarts = json_u32_at(status, "restartCount"),
    };
    const char *id = json_text_at(status, "containerID");
    const char *last = json_text_at(status, "lastState.terminated.containerID");
    int r = 0;
    read_state(json_at(status, "state"), &fact);
    if (id && *id)
        r = give(b, id, &fact);
    if (r < 0 || !last || !*last || (id && strcmp(id, last) == 0))
        return r;
    read_state(json_at(status, "lastState"), &fact);
    fact.restarts -= fact.restarts > 0;
    return give(b, last, &fact);
}

static int read_containers(struct bounds *b, const char *uid, enum container_kind kind,
                           const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        int r = read_container(b, uid, kind, json_array_get(list, i));
        if (r < 0)
            return r;
    }
    return 0;
}

static void read_controller(const json_t *owners, struct pod_fact *pod)
{
    for (size_t i = 0; i < json_array_size(owners); i++) {
        const json_t *owner = json_array_get(owners, i);
        if (!json_is_true(json_at(owner, "controller")))
            continue;
        pod->owner_kind = json_text_at(owner, "kind");
        pod->owner = json_text_at(owner, "name");
        return;
    }
}

static size_t read_labels(struct bounds *b, const json_t *object, struct fact_label *labels)
{
    size_t count = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (count < FACT_LABELS_MAX && json_is_string(value))
            labels[count++] = (struct fact_label){key, json_string_value(value)};
        else
            b->dropped++;
    }
    return count;
}

static int read_pod(struct bounds *b, const json_t *item)
{
    struct fact_label labels[FACT_LABELS_MAX];
    struct pod_fact pod = {
        .uid = json_text_at(item, "metadata.uid"),
        .namespace = json_text_at(item, "metadata.namespace"),
        .name = json_text_at(item, "metadata.name"),
        .node = json_text_at(item, "spec.nodeName"),
        .ip = json_text_at(item, "status.podIP"),
        .phase = json_text_at(item, "status.phase"),
        .started_ns = json_time_at(item, "status.startTime"),
        .labels = labels,
        .label_count = read_labels(b, json_at(item, "metadata.labels"), labels),
    };
    read_controller(json_at(item, "metadata.ownerReferences"), &pod);
    int r = bounds_give_pod(b, &pod);
    if (r == 0)
        r = read_containers(b, pod.uid, CONTAINER_INIT,
                            json_at(item, "status.initContainerStatuses"));
    if (r == 0)
        r = read_containers(b, pod.uid, CONTAINER_APP, json_at(item, "status.containerStatuses"));
    if (r == 0)
        r = read_containers(b, pod.uid, CONTAINER_EPHEMERAL,
                            json_at(item, "status.ephemeralContainerStatuses"));
    return r;
}

/* Three quarters of an answer, which would become JSON values ten times as large. */
static const char *const unread[] = {"managedFields", "annotations",     "conditions",
                                     "containers",    "initContainers",  "ephemeralContainers",
                                     "volumes",       "tolerations",     "affinity",
                                     "env",           "securityContext", NULL};

int kubelet_parse_pods(const char *bytes, size_t len, const struct facts_sink *sink,
                       struct err *err)
{
    _cleanup_json_ json_t *list = NULL;
    struct bounds b = {.to = sink};
    _cleanup_(buf_free) struct buf pruned = {0};
    int r = json_prune(bytes, len, unread, &pruned);
    if (r < 0)
        return err_errno(err, r, "reading JSON");
    r = json_load_bounded((const char *)pruned.data, pruned.len, &list, err);
    buf_free(&pruned);
    if (r < 0)
        return r;
    const char *kind = json_text_at(list, "kind");
    const json_t *items = json_at(list, "items");
    if (!kind || strcmp(kind, "PodList") != 0 || !(json_is_array(items) || json_is_null(items)))
        return err_set(err, -EBADMSG, "this is no PodList; is it a kubelet?");
    for (size_t i = 0; i < json_array_size(items); i++) {
        r = read_pod(&b, json_array_get(items, i));
        if (r < 0)
            return err_errno(err, r, "taking the pods");
    }
    bounds_end(&b);
    return 0;
}
