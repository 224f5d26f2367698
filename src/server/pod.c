/* pod.c: takes the name of a pod and a range, gives all that is known of it. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/api_internal.h"
#include "server/cluster/object.h"
#include "server/exchange.h"
#include "server/json.h"
#include "server/pod_rows.h"

/* What samples say of one container. */
struct used {
    const char *id, *name;
    uint64_t samples, cpu_ns;
    bool is_written;
};

/* A pod's containers: some thousands where one fails all day. */
struct containers {
    const struct pod *pod;
    struct used *used; /* by id and name */
    size_t used_count;
};

static void containers_free(struct containers *containers)
{
    free(containers->used);
}

static int compare_used(const void *left, const void *right)
{
    const struct used *a = left, *b = right;
    int order = strcmp(a->id, b->id);
    return order ? order : strcmp(a->name, b->name);
}

static int sum_used(const struct pod *pod, struct containers *ret)
{
    struct used *used = calloc(pod->row_count + 1, sizeof(*used));
    size_t kept = 0;
    if (!used)
        return -ENOMEM;
    for (size_t i = 0; i < pod->row_count; i++)
        used[i] = (struct used){.id = pod->rows[i].values[GROUP_CONTAINER_ID],
                                .name = pod->rows[i].values[GROUP_CONTAINER],
                                .samples = pod->rows[i].samples,
                                .cpu_ns = pod->rows[i].cpu_ns};
    qsort(used, pod->row_count, sizeof(*used), compare_used);
    for (size_t i = 0; i < pod->row_count; i++) {
        if (kept == 0 || compare_used(&used[kept - 1], &used[i]) != 0) {
            used[kept++] = used[i];
            continue;
        }
        used[kept - 1].samples += used[i].samples;
        used[kept - 1].cpu_ns += used[i].cpu_ns;
    }
    *ret = (struct containers){pod, used, kept};
    return 0;
}

/* All that has this id, whatever its name was taken for. */
static struct used take_used(struct containers *c, const char *id)
{
    struct used sum = {.id = id};
    size_t low = 0, high = c->used_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(c->used[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; *id && low < c->used_count && strcmp(c->used[low].id, id) == 0; low++) {
        sum.samples += c->used[low].samples;
        sum.cpu_ns += c->used[low].cpu_ns;
        c->used[low].is_written = true;
    }
    return sum;
}

static int put_start(struct buf *out, const char *name, const char *id)
{
    const char *before = out->data[out->len - 1] == '[' ? "{" : ",{";
    int r = json_key_string(out, before, "container", name);
    return r == 0 && *id ? json_key_string(out, ",", "id", id) : r;
}

static int put_end(struct buf *out, const struct used *used)
{
    int r = json_key_u64(out, ",", "samples", used->samples);
    if (r == 0)
        r = json_key_u64(out, ",", "cpu_ms", used->cpu_ns / NS_PER_MS);
    return r < 0 ? r : buf_puts(out, "}");
}

static int put_container(struct containers *all, const struct kube_container *c, struct buf *out)
{
    static const char *const kinds[] = {"app", "init", "ephemeral", "sandbox"};
    static const char *const states[] = {"unknown", "created", "running", "waiting", "exited"};
    struct used used = take_used(all, c->id);
    int r = put_start(out, c->name, c->id);
    if (r == 0)
        r = json_key_string(out, ",", "kind", kinds[c->kind]);
    if (r == 0)
        r = json_key_string(out, ",", "state", states[c->state]);
    if (r == 0 && *c->reason)
        r = json_key_string(out, ",", "reason", c->reason);
    if (r == 0 && *c->image)
        r = json_key_string(out, ",", "image", c->image);
    if (r == 0)
        r = json_key_u64(out, ",", "restarts", c->restarts);
    if (r == 0 && c->started_ms > 0)
        r = json_key_u64(out, ",", "started_ms", (uint64_t)c->started_ms);
    return r < 0 ? r : put_end(out, &used);
}

static bool has_container(const struct kube_object *o, const char *id)
{
    for (size_t i = 0; o && *id && i < o->container_count; i++)
        if (strcmp(o->containers[i].id, id) == 0)
            return true;
    return false;
}

/* Agents know those that have gone, too, and those of pods that had the name before. */
static int put_told(struct containers *all, struct buf *out)
{
    const struct pod *pod = all->pod;
    int r = 0;
    for (size_t i = 0; r == 0 && i < pod->told_count; i++) {
        const struct kube_object *told = &pod->told[i].object;
        for (size_t k = 0; r == 0 && k < told->container_count; k++)
            if (!has_container(pod->object, told->containers[k].id))
                r = put_container(all, &told->containers[k], out);
    }
    return r;
}

static int put_containers(const struct pod *pod, struct buf *out)
{
    const struct kube_object *o = pod->object;
    _cleanup_(containers_free) struct containers all = {0};
    int r = sum_used(pod, &all);
    if (r < 0)
        return r;
    r = buf_puts(out, ",\"containers\":[");
    for (size_t i = 0; r == 0 && o && i < o->container_count; i++)
        r = put_container(&all, &o->containers[i], out);
    if (r == 0)
        r = put_told(&all, out);
    for (size_t i = 0; r == 0 && i < all.used_count; i++) {
        const struct used *used = &all.used[i];
        if (used->is_written)
            continue; /* else only samples tell of it */
        r = put_start(out, used->name, used->id);
        if (r == 0)
            r = put_end(out, used);
    }
    return r < 0 ? r : buf_puts(out, "]");
}

static int put_labels(const struct kube_object *o, struct buf *out)
{
    int r = buf_puts(out, ",\"labels\":{");
    for (size_t i = 0; r == 0 && i < o->label_count; i++)
        r = json_key_string(out, i ? "," : "", o->labels[i].key, o->labels[i].value);
    return r < 0 ? r : buf_puts(out, "}");
}

static int put_answer(const struct store_query *query, const struct pods *pods, struct buf *out)
{
    const struct pod *pod = &pods->all[0];
    const struct told_pod *told = pod_told(pod);
    int r = json_key_u64(out, "{", "start_ms", (uint64_t)query->start_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "end_ms", (uint64_t)query->end_ms);
    if (r == 0)
        r = buf_append(out, pods->sources.data, pods->sources.len);
    if (r == 0)
        r = buf_puts(out, ",");
    if (r == 0)
        r = pods_put(pods, pod, out);
    if (r == 0 && (pod->object || (told && told->object.label_count)))
        r = put_labels(pod->object ? pod->object : &told->object, out);
    if (r == 0)
        r = put_containers(pod, out);
    return r < 0 ? r : buf_puts(out, "}\n");
}

/* /api/v1/pods/NAMESPACE/POD, as the route has it. */
static int filter_by_path(const char *path, char *text, size_t size, struct query *query)
{
    struct store_query *store = &query->store;
    int len = snprintf(text, size, "%s", path + sizeof("/api/v1/pods/") - 1);
    char *slash = strchr(text, '/');
    if (len >= (int)size || !slash || store->filter_count + 2 > STORE_MAX_FILTERS)
        return -E2BIG;
    *slash = 0;
    store->filters[store->filter_count++] = (struct store_label){"namespace", text};
    store->filters[store->filter_count++] = (struct store_label){"pod", slash + 1};
    return 0;
}

void api_get_pod(struct api *api, const struct request *request, struct reply *reply)
{
    _cleanup_(query_free) struct query query = {0};
    _cleanup_(pods_free) struct pods pods = {0};
    char names[2 * FACT_NAME_MAX + 2];
    struct err err = {0};
    if (api_read_query(request, QUERY_NODES, &query, reply) < 0)
        return;
    if (filter_by_path(request->path, names, sizeof(names), &query) < 0) {
        reply_error(reply, 400, "the names are too long, or more than %d filters",
                    STORE_MAX_FILTERS - 2);
        return;
    }
    int r = pods_read(api, &query.store, true, &pods, &err);
    if (r < 0)
        api_reply_failure(reply, "pod not read", r, &err);
    else if (pods.count == 0)
        reply_error(reply, 404, "nothing is known of a pod %.300s in this range",
                    request->path + sizeof("/api/v1/pods/") - 1);
    else
        api_reply_json(reply, put_answer(&query.store, &pods, &reply->body));
}
