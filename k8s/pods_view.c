/* pods_view.c: takes the facts of one answer, gives them by pod uid and container id. See
 * pods_view.h. */
#include "k8s/pods_view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_MAX 1000000u /* of all pods together */

int pods_view_new(const struct pods_limits *limits, struct pods_view **ret)
{
    struct pods_view *v = calloc(1, sizeof(*v));
    if (!v)
        return -ENOMEM;
    v->texts.max_bytes = limits->text_bytes;
    table_init(&v->pods, sizeof(struct pod_row), POD_UID_SIZE, limits->pods);
    table_init(&v->containers, sizeof(struct container_row), CONTAINER_ID_SIZE, limits->containers);
    uint32_t nothing;
    int r = strings_add(&v->texts, "", &nothing);
    if (r < 0) {
        pods_view_free(&v);
        return r;
    }
    *ret = v;
    return 0;
}

void pods_view_free(struct pods_view **view)
{
    struct pods_view *v = *view;
    if (!v)
        return;
    strings_free(&v->texts);
    table_free(&v->pods);
    table_free(&v->containers);
    free(v->labels);
    free(v);
    *view = NULL;
}

/* ---- in */

/* A text that is too long is not said: half a name is another name. */
static int add_text(struct pods_view *v, const char *text, size_t max, uint32_t *ret)
{
    uint32_t number = 0;
    size_t len = text ? strnlen(text, max + 1) : 0;
    int r = len && len <= max ? strings_intern(&v->texts, text, len, &number) : 0;
    if (r == 0)
        *ret = number;
    return r;
}

static int add_label(struct pods_view *v, const struct fact_label *label)
{
    if (v->label_count == LABELS_MAX)
        return -ENOSPC;
    if (v->label_count == v->label_room) {
        uint32_t room = v->label_room * 2 + 64;
        struct label_row *labels = reallocarray(v->labels, room, sizeof(*labels));
        if (!labels)
            return -ENOMEM;
        v->labels = labels;
        v->label_room = room;
    }
    struct label_row *row = &v->labels[v->label_count];
    int r = strings_add(&v->texts, label->key, &row->key);
    if (r == 0)
        r = strings_add(&v->texts, label->value, &row->value);
    if (r == 0)
        v->label_count++;
    return r;
}

static bool is_label(const struct fact_label *label)
{
    return label->key && label->value && label->key[0] &&
           strnlen(label->key, FACT_TEXT_MAX + 1) <= FACT_TEXT_MAX &&
           strnlen(label->value, FACT_TEXT_MAX + 1) <= FACT_TEXT_MAX;
}

static int add_labels(struct pods_view *v, const struct pod_fact *pod, struct pod_row *row)
{
    uint32_t first = v->label_count;
    for (size_t i = 0; i < pod->label_count && v->label_count - first < FACT_LABELS_MAX; i++) {
        int r = is_label(&pod->labels[i]) ? add_label(v, &pod->labels[i]) : 0;
        if (r < 0) {
            v->label_count = first;
            return r;
        }
    }
    row->has_labels = pod->labels;
    row->first_label = first;
    row->label_count = v->label_count - first;
    return 0;
}

/* False, and nothing copied, if it is no key. */
static bool copy_key(char *to, size_t size, const char *text)
{
    size_t len = text ? strnlen(text, size) : 0;
    if (len == 0 || len == size)
        return false;
    memset(to, 0, size);
    memcpy(to, text, len);
    return true;
}

/* What did not fit is no failure of the whole answer. */
static int leave_out(struct pods_view *v, int error)
{
    if (error == -ENOMEM)
        return error;
    v->left_out++;
    return 0;
}

int pods_view_add_pod(struct pods_view *view, const struct pod_fact *pod, int64_t gone_ns)
{
    struct pod_row row = {.started_ns = pod->started_ns, .gone_ns = gone_ns};
    uint32_t at;
    if (!copy_key(row.uid, sizeof(row.uid), pod->uid))
        return leave_out(view, -EINVAL);
    if (table_find(&view->pods, &row, &at) == 0)
        return 0; /* told twice: the first word counts */
    const struct {
        const char *text;
        uint32_t *to;
    } texts[] = {{pod->namespace, &row.namespace}, {pod->name, &row.name},
                 {pod->node, &row.node},           {pod->ip, &row.ip},
                 {pod->phase, &row.phase},         {pod->owner_kind, &row.owner_kind},
                 {pod->owner, &row.owner}};
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(texts) / sizeof(*texts); i++)
        r = add_text(view, texts[i].text, FACT_NAME_MAX, texts[i].to);
    if (r == 0)
        r = add_labels(view, pod, &row);
    if (r == 0)
        r = table_add(&view->pods, &row, &at);
    if (r < 0)
        return leave_out(view, r);
    memcpy(table_row(&view->pods, at), &row, sizeof(row));
    view->gone_pods += gone_ns != 0;
    return 0;
}

int pods_view_add_container(struct pods_view *view, const struct container_fact *container,
                            int64_t gone_ns)
{
    struct container_row row = {.restarts = container->restarts,
                                .kind = container->kind,
                                .state = container->state,
                                .started_ns = container->started_ns,
                                .gone_ns = gone_ns};
    uint32_t at;
    if (!copy_key(row.id, sizeof(row.id), container->id))
        return leave_out(view, -EINVAL);
    if (table_find(&view->containers, &row, &at) == 0)
        return 0;
    int r = add_text(view, container->pod_uid, POD_UID_SIZE - 1, &row.pod_uid);
    if (r == 0)
        r = add_text(view, container->name, FACT_NAME_MAX, &row.name);
    if (r == 0)
        r = add_text(view, container->image, FACT_TEXT_MAX, &row.image);
    if (r == 0)
        r = add_text(view, container->reason, FACT_TEXT_MAX, &row.reason);
    if (r == 0)
        r = add_text(view, container->runtime, FACT_NAME_MAX, &row.runtime);
    if (r == 0)
        r = table_add(&view->containers, &row, &at);
    if (r < 0)
        return leave_out(view, r);
    memcpy(table_row(&view->containers, at), &row, sizeof(row));
    view->gone_containers += gone_ns != 0;
    return 0;
}

/* ---- out */

static const char *text_of(const struct pods_view *v, uint32_t number)
{
    return number ? v->texts.texts[number] : NULL;
}

static void tell(const struct pods_view *v, uint32_t number, const char **field)
{
    if (!*field)
        *field = text_of(v, number);
}

void pods_view_tell_pod(const struct pods_view *view, const struct pod_row *row,
                        struct pod_fact *pod, struct fact_label *labels)
{
    if (!pod->uid)
        pod->uid = row->uid;
    tell(view, row->namespace, &pod->namespace);
    tell(view, row->name, &pod->name);
    tell(view, row->node, &pod->node);
    tell(view, row->ip, &pod->ip);
    tell(view, row->phase, &pod->phase);
    if (!pod->owner) { /* the two belong together */
        pod->owner_kind = text_of(view, row->owner_kind);
        pod->owner = text_of(view, row->owner);
    }
    if (!pod->started_ns)
        pod->started_ns = row->started_ns;
    if (pod->labels || !row->has_labels)
        return;
    for (uint32_t i = 0; i < row->label_count; i++) {
        const struct label_row *l = &view->labels[row->first_label + i];
        labels[i] = (struct fact_label){view->texts.texts[l->key], view->texts.texts[l->value]};
    }
    pod->labels = labels;
    pod->label_count = row->label_count;
}

void pods_view_tell_container(const struct pods_view *view, const struct container_row *row,
                              struct container_fact *container)
{
    if (!container->id) { /* what has no word for "not said" is the first source's */
        container->id = row->id;
        container->kind = row->kind;
    }
    tell(view, row->pod_uid, &container->pod_uid);
    tell(view, row->name, &container->name);
    tell(view, row->image, &container->image);
    tell(view, row->runtime, &container->runtime);
    if (container->state == CONTAINER_STATE_UNKNOWN) { /* these describe one state */
        container->state = row->state;
        container->reason = text_of(view, row->reason);
    }
    if (!container->restarts)
        container->restarts = row->restarts;
    if (!container->started_ns)
        container->started_ns = row->started_ns;
}

/* ---- found */

const struct pod_row *pods_view_pod(const struct pods_view *view, const char *uid)
{
    char key[POD_UID_SIZE];
    uint32_t at;
    bool found = view && copy_key(key, sizeof(key), uid) && table_find(&view->pods, key, &at) == 0;
    return found ? table_row(&view->pods, at) : NULL;
}

const struct container_row *pods_view_container(const struct pods_view *view, const char *id)
{
    char key[CONTAINER_ID_SIZE];
    uint32_t at;
    bool found =
        view && copy_key(key, sizeof(key), id) && table_find(&view->containers, key, &at) == 0;
    return found ? table_row(&view->containers, at) : NULL;
}

/* ---- what has gone */

static bool is_kept(int64_t gone_ns, int64_t now_ns, int64_t keep_ns)
{
    return !gone_ns || now_ns - gone_ns < keep_ns;
}

int pods_view_keep_gone(struct pods_view *view, const struct pods_view *old, int64_t now_ns,
                        int64_t keep_ns)
{
    /* What has gone must not look as if it did not fit. */
    uint32_t left_out = view->left_out;
    int r = 0;
    for (uint32_t i = 0; old && r == 0 && i < old->pods.count; i++) {
        const struct pod_row *row = table_row(&old->pods, i);
        struct fact_label labels[FACT_LABELS_MAX];
        struct pod_fact pod = {0};
        if (!is_kept(row->gone_ns, now_ns, keep_ns))
            continue;
        pods_view_tell_pod(old, row, &pod, labels);
        r = pods_view_add_pod(view, &pod, row->gone_ns ? row->gone_ns : now_ns);
    }
    for (uint32_t i = 0; old && r == 0 && i < old->containers.count; i++) {
        const struct container_row *row = table_row(&old->containers, i);
        struct container_fact container = {0};
        if (!is_kept(row->gone_ns, now_ns, keep_ns))
            continue;
        pods_view_tell_container(old, row, &container);
        r = pods_view_add_container(view, &container, row->gone_ns ? row->gone_ns : now_ns);
    }
    view->left_out = left_out;
    return r;
}
