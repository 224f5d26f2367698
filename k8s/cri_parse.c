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

static int no_message(const char *what, struct err *err)
{
    return err_set(err, -EBADMSG, "what came as %s is none, or has too many parts", what);
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

/* Ready ones first, then the youngest: of what is told of a pod, and of two pods of one name, the
 * first word counts, and what has ended is listed for long. */
static int compare_worth(const void *a, const void *b)
{
    const Cri__PodSandbox *const *left = a, *const *right = b;
    bool left_ready = (*left)->state == 0, right_ready = (*right)->state == 0;
    int64_t left_ns = (*left)->created_at, right_ns = (*right)->created_at;
    return left_ready != right_ready ? right_ready - left_ready
                                     : (right_ns > left_ns) - (right_ns < left_ns);
}

static int give_sandboxes(struct bounds *b, Cri__ListPodSandboxResponse *list, const char *runtime)
{
    int r = 0;
    if (list->n_items)
        qsort(list->items, list->n_items, sizeof(void *), compare_worth);
    for (size_t i = 0; r == 0 && i < list->n_items; i++)
        r = give_sandbox(b, list->items[i], runtime);
    return r;
}

/* ---- containers */

static const char *find_label(const Cri__Container *container, const char *key)
{
    for (size_t i = 0; i < container->n_labels; i++)
        if (strcmp(container->labels[i]->key, key) == 0)
            return container->labels[i]->value;
    return NULL;
}

/* What containers are looked up in, sorted by id. */
struct lists {
    Cri__ListPodSandboxResponse *sandboxes;
    Cri__ListContainersResponse *containers;
    Cri__ListImagesResponse *images;
    const char *runtime;
};

static int compare_sandboxes(const void *a, const void *b)
{
    const Cri__PodSandbox *const *left = a, *const *right = b;
    return strcmp((*left)->id, (*right)->id);
}

static int compare_images(const void *a, const void *b)
{
    const Cri__Image *const *left = a, *const *right = b;
    return strcmp((*left)->id, (*right)->id);
}

static void sort_images(Cri__ListImagesResponse *list)
{
    if (list->n_images)
        qsort(list->images, list->n_images, sizeof(void *), compare_images);
}

static void sort_lists(struct lists *lists)
{
    if (lists->sandboxes->n_items)
        qsort(lists->sandboxes->items, lists->sandboxes->n_items, sizeof(void *),
              compare_sandboxes);
    sort_images(lists->images);
}

static const char *uid_of_sandbox(const struct lists *lists, const char *id)
{
    const Cri__ListPodSandboxResponse *list = lists->sandboxes;
    Cri__PodSandbox wanted = {.id = (char *)(uintptr_t)id}, *key = &wanted, **found = NULL;
    if (list->n_items)
        found = bsearch(&key, list->items, list->n_items, sizeof(void *), compare_sandboxes);
    return found && (*found)->metadata ? (*found)->metadata->uid : NULL;
}

static const Cri__Image *find_image(const Cri__ListImagesResponse *list, const char *id)
{
    Cri__Image wanted = {.id = (char *)(uintptr_t)id}, *key = &wanted, **found = NULL;
    if (list->n_images)
        found = bsearch(&key, list->images, list->n_images, sizeof(void *), compare_images);
    return found ? *found : NULL;
}

/* As the user called it, if the runtime says so; else mostly a hash, which has a name. */
static const char *name_of_image(const struct lists *lists, const Cri__ImageSpec *spec)
{
    if (!spec || *spec->user_specified_image)
        return spec ? spec->user_specified_image : NULL;
    const Cri__Image *image = find_image(lists->images, spec->image);
    return image && image->n_repo_tags      ? image->repo_tags[0]
           : image && image->n_repo_digests ? image->repo_digests[0]
                                            : spec->image;
}

/* containerd's ids begin with their kind, CRI-O's are bare. */
static bool is_image_id(const char *text)
{
    return starts_with(text, "sha256:") ||
           (strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64);
}

static int give_container(struct bounds *b, const Cri__Container *from, const struct lists *lists)
{
    static const enum container_state states[] = {CONTAINER_CREATED, CONTAINER_RUNNING,
                                                  CONTAINER_EXITED};
    const char *uid = find_label(from, "io.kubernetes.pod.uid");
    const char *name = find_label(from, "io.kubernetes.container.name");
    struct container_fact fact = {
        .id = from->id,
        .pod_uid = uid ? uid : uid_of_sandbox(lists, from->pod_sandbox_id),
        .name = name             ? name
                : from->metadata ? from->metadata->name
                                 : NULL,
        .image = name_of_image(lists, from->image),
        .runtime = lists->runtime,
        .state = from->state >= 0 && from->state < (int)ARRAY_LEN(states) ? states[from->state]
                                                                          : CONTAINER_STATE_UNKNOWN,
        .restarts = from->metadata ? from->metadata->attempt : 0,
        .started_ns = from->state == 0 ? 0 : from->created_at,
    };
    return bounds_give_container(b, &fact);
}

static int give_all(struct bounds *b, struct lists *lists)
{
    int r = give_sandboxes(b, lists->sandboxes, lists->runtime);
    sort_lists(lists);
    for (size_t i = 0; r == 0 && i < lists->containers->n_containers; i++)
        r = give_container(b, lists->containers->containers[i], lists);
    return r;
}

/* ---- all of it */

bool cri_lacks_images(const struct cri_answers *answers)
{
    const struct cri_bytes *c = &answers->containers, *i = &answers->images;
    struct budget budget = budget_of(c->len + i->len);
    ProtobufCAllocator memory = allocator_of(&budget);
    Cri__ListImagesResponse none = CRI__LIST_IMAGES_RESPONSE__INIT;
    Cri__ListContainersResponse *list =
        cri__list_containers_response__unpack(&memory, c->len, c->data);
    Cri__ListImagesResponse *images = cri__list_images_response__unpack(&memory, i->len, i->data);
    bool lacks = false;
    if (images)
        sort_images(images);
    for (size_t n = 0; list && n < list->n_containers && !lacks; n++) {
        const Cri__ImageSpec *spec = list->containers[n]->image;
        lacks = spec && !*spec->user_specified_image && is_image_id(spec->image) &&
                !find_image(images ? images : &none, spec->image);
    }
    cri__list_images_response__free_unpacked(images, &memory);
    cri__list_containers_response__free_unpacked(list, &memory);
    return lacks;
}

int cri_parse(const struct cri_answers *answers, const struct facts_sink *sink, struct err *err)
{
    const struct cri_bytes *s = &answers->sandboxes, *c = &answers->containers,
                           *i = &answers->images;
    struct budget budget = budget_of(s->len + c->len + i->len);
    ProtobufCAllocator memory = allocator_of(&budget);
    struct bounds b = {.to = sink};
    Cri__ListImagesResponse none = CRI__LIST_IMAGES_RESPONSE__INIT;
    struct lists lists = {
        .sandboxes = cri__list_pod_sandbox_response__unpack(&memory, s->len, s->data),
        .containers = cri__list_containers_response__unpack(&memory, c->len, c->data),
        .runtime = answers->runtime,
    };
    Cri__ListImagesResponse *images = cri__list_images_response__unpack(&memory, i->len, i->data);
    lists.images = images ? images : &none;
    int r = 0;
    if (!lists.sandboxes || !lists.containers)
        r = no_message(!lists.sandboxes ? "a list of sandboxes" : "a list of containers", err);
    if (r == 0) {
        r = give_all(&b, &lists);
        if (r < 0)
            err_errno(err, r, "taking the containers");
        else
            bounds_end(&b);
    }
    cri__list_images_response__free_unpacked(images, &memory);
    cri__list_containers_response__free_unpacked(lists.containers, &memory);
    cri__list_pod_sandbox_response__free_unpacked(lists.sandboxes, &memory);
    return r;
}

int cri_parse_version(const uint8_t *version, size_t len, char ret[16], struct err *err)
{
    struct budget budget = budget_of(len);
    ProtobufCAllocator memory = allocator_of(&budget);
    Cri__VersionResponse *v = cri__version_response__unpack(&memory, len, version);
    if (!v)
        return no_message("an answer to Version", err);
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
