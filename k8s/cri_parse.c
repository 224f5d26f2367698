/* cri_parse.c: takes the protobuf messages of a container runtime, gives facts. See cri.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "k8s/bounds.h"
#include "k8s/cri.h"
#include "k8s/cri.pb-c.h"

/* ---- memory: two bytes of a message may become a struct of 100 */

struct budget {
    size_t left;
};

static void *take_memory(void *ctx, size_t size)
{
    struct budget *budget = ctx;
    if (size + 16 > budget->left)
        return NULL;
    budget->left -= size + 16;
    return malloc(size);
}

static void give_back(void *ctx, void *memory)
{
    free(memory);
}

/* What a message of honest size needs many times over, and no more than 256 MiB. */
static struct budget budget_of(size_t len)
{
    return (struct budget){.left = 65536 + (len < (16u << 20) ? 16 * len : 256u << 20)};
}

static ProtobufCAllocator allocator_of(struct budget *budget)
{
    return (ProtobufCAllocator){take_memory, give_back, budget};
}

static int no_message(const char *what, size_t len, struct err *err)
{
    return err_set(err, -EBADMSG, "%zu bytes that are no %s, or too many parts", len, what);
}

/* ---- sandboxes */

static bool starts_with(const char *text, const char *head)
{
    return strncmp(text, head, strlen(head)) == 0;
}

/* The pod's own labels: kubelet and the runtime add theirs. */
static size_t read_labels(struct bounds *b, const Cri__PodSandbox *sandbox,
                          struct fact_label *labels)
{
    size_t count = 0;
    for (size_t i = 0; i < sandbox->n_labels; i++) {
        const Cri__Label *label = sandbox->labels[i];
        if (starts_with(label->key, "io.kubernetes.pod.") ||
            starts_with(label->key, "io.kubernetes.container.") ||
            starts_with(label->key, "io.cri-containerd."))
            continue;
        if (count < FACT_LABELS_MAX)
            labels[count++] = (struct fact_label){label->key, label->value};
        else
            b->dropped++;
    }
    return count;
}

static int give_sandbox(struct bounds *b, const Cri__PodSandbox *sandbox, const char *runtime)
{
    struct fact_label labels[FACT_LABELS_MAX];
    const Cri__PodSandboxMetadata *metadata = sandbox->metadata;
    struct pod_fact pod = {
        .uid = metadata ? metadata->uid : NULL,
        .namespace = metadata ? metadata->namespace_ : NULL,
        .name = metadata ? metadata->name : NULL,
        .started_ns = sandbox->created_at,
        .labels = labels,
        .label_count = read_labels(b, sandbox, labels),
    };
    struct container_fact container = {
        .id = sandbox->id,
        .pod_uid = pod.uid,
        .runtime = runtime,
        .kind = CONTAINER_SANDBOX,
        .state = sandbox->state == 0 ? CONTAINER_RUNNING : CONTAINER_EXITED,
        .started_ns = sandbox->created_at,
    };
    int r = bounds_give_pod(b, &pod);
    return r < 0 ? r : bounds_give_container(b, &container);
}

/* A pod may have several, of which one is ready: it comes last, so that what it says stays. */
static int give_sandboxes(struct bounds *b, const Cri__ListPodSandboxResponse *list,
                          const char *runtime)
{
    for (int ready = 0; ready <= 1; ready++)
        for (size_t i = 0; i < list->n_items; i++) {
            if ((list->items[i]->state == 0) != ready)
                continue;
            int r = give_sandbox(b, list->items[i], runtime);
            if (r < 0)
                return r;
        }
    return 0;
}

/* ---- containers */

static const char *find_label(const Cri__Container *container, const char *key)
{
    for (size_t i = 0; i < container->n_labels; i++)
        if (strcmp(container->labels[i]->key, key) == 0)
            return container->labels[i]->value;
    return NULL;
}

static int compare_sandboxes(const void *a, const void *b)
{
    const Cri__PodSandbox *const *left = a, *const *right = b;
    return strcmp((*left)->id, (*right)->id);
}

/* `list` is sorted by id. */
static const char *uid_of_sandbox(const Cri__ListPodSandboxResponse *list, const char *id)
{
    Cri__PodSandbox wanted = {.id = (char *)(uintptr_t)id}, *key = &wanted, **found;
    found = list->n_items
                ? bsearch(&key, list->items, list->n_items, sizeof(*list->items), compare_sandboxes)
                : NULL;
    return found && (*found)->metadata ? (*found)->metadata->uid : NULL;
}

static int give_container(struct bounds *b, const Cri__Container *from,
                          const Cri__ListPodSandboxResponse *sandboxes, const char *runtime)
{
    static const enum container_state states[] = {CONTAINER_CREATED, CONTAINER_RUNNING,
                                                  CONTAINER_EXITED};
    const char *uid = find_label(from, "io.kubernetes.pod.uid");
    const char *name = find_label(from, "io.kubernetes.container.name");
    const Cri__ImageSpec *image = from->image;
    struct container_fact fact = {
        .id = from->id,
        .pod_uid = uid ? uid : uid_of_sandbox(sandboxes, from->pod_sandbox_id),
        .name = name             ? name
                : from->metadata ? from->metadata->name
                                 : NULL,
        .image = !image                         ? NULL
                 : *image->user_specified_image ? image->user_specified_image
                                                : image->image,
        .runtime = runtime,
        .state = from->state >= 0 && from->state < (int)ARRAY_LEN(states) ? states[from->state]
                                                                          : CONTAINER_STATE_UNKNOWN,
        .restarts = from->metadata ? from->metadata->attempt : 0,
        .started_ns = from->state == 0 ? 0 : from->created_at,
    };
    return bounds_give_container(b, &fact);
}

static int give_containers(struct bounds *b, const Cri__ListContainersResponse *list,
                           Cri__ListPodSandboxResponse *sandboxes, const char *runtime)
{
    if (sandboxes->n_items)
        qsort(sandboxes->items, sandboxes->n_items, sizeof(*sandboxes->items), compare_sandboxes);
    for (size_t i = 0; i < list->n_containers; i++) {
        int r = give_container(b, list->containers[i], sandboxes, runtime);
        if (r < 0)
            return r;
    }
    return 0;
}

int cri_parse(const uint8_t *sandboxes, size_t sandboxes_len, const uint8_t *containers,
              size_t containers_len, const char *runtime, const struct facts_sink *sink,
              struct err *err)
{
    struct budget pod_budget = budget_of(sandboxes_len), budget = budget_of(containers_len);
    ProtobufCAllocator pod_memory = allocator_of(&pod_budget), memory = allocator_of(&budget);
    struct bounds b = {.to = sink};
    Cri__ListPodSandboxResponse *pods =
        cri__list_pod_sandbox_response__unpack(&pod_memory, sandboxes_len, sandboxes);
    if (!pods)
        return no_message("list of sandboxes", sandboxes_len, err);
    Cri__ListContainersResponse *list =
        cri__list_containers_response__unpack(&memory, containers_len, containers);
    int r = list ? give_sandboxes(&b, pods, runtime)
                 : no_message("list of containers", containers_len, err);
    if (r == 0)
        r = give_containers(&b, list, pods, runtime);
    if (r < 0 && list)
        r = err_errno(err, r, "taking the containers");
    if (r == 0)
        bounds_end(&b);
    cri__list_containers_response__free_unpacked(list, &memory);
    cri__list_pod_sandbox_response__free_unpacked(pods, &pod_memory);
    return r;
}

int cri_parse_version(const uint8_t *version, size_t len, char ret[16], struct err *err)
{
    struct budget budget = budget_of(len);
    ProtobufCAllocator memory = allocator_of(&budget);
    Cri__VersionResponse *v = cri__version_response__unpack(&memory, len, version);
    if (!v)
        return no_message("answer to Version", len, err);
    const char *name = strcmp(v->runtime_name, "cri-o") == 0 ? "crio" : v->runtime_name;
    snprintf(ret, 16, "%s", name);
    cri__version_response__free_unpacked(v, &memory);
    return 0;
}

/*  0      1               5
 *  | flag | length, BE32  | message ... | flag | length ...
 *  flag 1: compressed. A list in several messages is one: protobuf joins by concatenation. */
int cri_unframe(uint8_t *body, size_t len, size_t *ret_len, struct err *err)
{
    size_t at = 0, out = 0;
    while (at < len) {
        if (len - at < 5)
            return err_set(err, -EBADMSG, "an answer that ends within a frame's head");
        if (body[at] != 0)
            return err_set(err, -EBADMSG, "an answer that is compressed, or no gRPC");
        size_t size = (size_t)body[at + 1] << 24 | (size_t)body[at + 2] << 16 |
                      (size_t)body[at + 3] << 8 | body[at + 4];
        at += 5;
        if (size > len - at)
            return err_set(err, -EBADMSG, "a message of %zu bytes of which %zu came", size,
                           len - at);
        memmove(body + out, body + at, size);
        out += size;
        at += size;
    }
    if (len == 0)
        return err_set(err, -EBADMSG, "an answer without a message");
    *ret_len = out;
    return 0;
}
