/* fact_rows.c: takes the cgroups of a batch, gives its tables of pods and containers. See
 * fact_rows.h.
 *
 * Of all that was told there is a digest, which tells whether it has changed. The digests are
 * forgotten all at once: so nothing has to be told apart by age, none is left of what has gone, and
 * an agent that starts, or a batch that was lost, is no special case. */
#include "agent/fact_rows.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "agent/counters.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strings.h"
#include "base/table.h"
#include "k8s/cgroup.h"
#include "k8s/pods.h"
#include "wire/batch.h"

/* They must not make a batch too large to be sent. */
#define BYTES_MAX   (4u << 20)
#define TEXTS_MAX   (2 * FACT_LABELS_MAX + 8)
#define DAY_NS      (86400 * NS_PER_SEC)
#define TOLD_MAX    100000u
#define TOLD_ID_MAX 128

#define X(name)                                                    \
    _Static_assert((int)WIRE_CONTAINER_##name == CONTAINER_##name, \
                   "the wire and the sources have the same numbers");
WIRE_CONTAINER_KINDS(X)
WIRE_CONTAINER_STATES(X)
#undef X

/* A pod's uid or a container's id, and what was told of it last. */
struct told {
    char id[TOLD_ID_MAX];
    /* behind the key */
    uint64_t digest;
};

struct fact_rows {
    struct pods *sources;
    struct counters *counters;
    struct table told;
    int64_t told_since_ns; /* the start of the window that began it */
    /* Of the batch at hand. */
    struct strings *strings;
    struct table seen; /* numbers of cgroups' paths */
    struct table pods, labels, containers;
    size_t bytes;
};

/* All that is told of one pod or container: the texts in the order of their columns. */
struct telling {
    const char *texts[TEXTS_MAX]; /* NULL: not known */
    size_t count;
    uint64_t numbers[4];
};

int fact_rows_new(struct pods *pods, struct counters *counters, struct fact_rows **ret)
{
    struct fact_rows *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->sources = pods;
    f->counters = counters;
    table_init(&f->told, sizeof(struct told), TOLD_ID_MAX, TOLD_MAX);
    table_init(&f->seen, sizeof(uint32_t), sizeof(uint32_t), WIRE_MAX_STRINGS);
    /* Once each: their first member is the key. */
    table_init(&f->pods, sizeof(struct batch_pod), sizeof(uint32_t), WIRE_MAX_PODS);
    table_init(&f->labels, sizeof(struct batch_pod_label), sizeof(struct batch_pod_label),
               WIRE_MAX_POD_LABELS);
    table_init(&f->containers, sizeof(struct batch_container), sizeof(uint32_t),
               WIRE_MAX_CONTAINERS);
    *ret = f;
    return 0;
}

void fact_rows_free(struct fact_rows **rows)
{
    struct fact_rows *f = *rows;
    if (!f)
        return;
    table_free(&f->told);
    table_free(&f->seen);
    table_free(&f->pods);
    table_free(&f->labels);
    table_free(&f->containers);
    free(f);
    *rows = NULL;
}

void fact_rows_begin(struct fact_rows *rows, struct strings *strings, int64_t start_ns)
{
    struct fact_rows *f = rows;
    int64_t age_ns = start_ns - f->told_since_ns;
    /* The wall clock may have been set back. */
    if (age_ns < 0 || age_ns >= WIRE_FACTS_NS || start_ns / DAY_NS != f->told_since_ns / DAY_NS) {
        table_clear(&f->told);
        f->told_since_ns = start_ns;
    }
    table_clear(&f->seen);
    table_clear(&f->pods);
    table_clear(&f->labels);
    table_clear(&f->containers);
    f->strings = strings;
    f->bytes = 0;
}

/* ---- whether it is told */

static size_t bytes_of(const struct telling *t)
{
    size_t bytes = 0;
    for (size_t i = 0; i < t->count; i++)
        bytes += t->texts[i] ? strlen(t->texts[i]) + 1 : 0;
    return bytes;
}

static uint64_t digest_of(const struct telling *t)
{
    uint64_t digest = XXH3_64bits(t->numbers, sizeof(t->numbers));
    for (size_t i = 0; i < t->count; i++) {
        const char *text = t->texts[i] ? t->texts[i] : "";
        digest = XXH3_64bits_withSeed(text, strlen(text) + 1, digest);
    }
    return digest;
}

/* 1: to be told, 0: it was told before. -ENOSPC, -ENOMEM. `ret` is valid until the next. */
static int find_told(struct fact_rows *f, const char *id, uint64_t digest, struct told **ret)
{
    struct told key = {0};
    uint32_t row;
    size_t len = strnlen(id, sizeof(key.id));
    if (len == sizeof(key.id))
        return -ENOSPC;
    memcpy(key.id, id, len);
    int r = table_add(&f->told, key.id, &row);
    if (r < 0)
        return r;
    *ret = table_row(&f->told, row);
    return r || (*ret)->digest != digest;
}

static int add_text(struct fact_rows *f, const char *text, uint32_t *ret)
{
    if (text && *text)
        return strings_add(f->strings, text, ret);
    *ret = 0; /* row 0 is "" */
    return 0;
}

/* ---- rows */

static int add_labels(struct fact_rows *f, const struct pod_fact *pod, uint32_t row)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < pod->label_count; i++) {
        struct batch_pod_label label = {.pod = row};
        uint32_t at;
        r = add_text(f, pod->labels[i].key, &label.key);
        if (r == 0)
            r = add_text(f, pod->labels[i].value, &label.value);
        if (r == 0)
            r = table_add(&f->labels, &label, &at);
    }
    return r < 0 ? r : 0;
}

static int write_pod(struct fact_rows *f, const struct pod_fact *pod, const char *workload)
{
    struct batch_pod to = {.started_ns = pod->started_ns > 0 ? pod->started_ns : 0};
    const struct {
        const char *text;
        uint32_t *to;
    } texts[] = {{pod->uid, &to.uid}, {pod->namespace, &to.namespace}, {pod->name, &to.name},
                 {pod->ip, &to.ip},   {pod->phase, &to.phase},         {workload, &to.workload}};
    uint32_t row;
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
        r = add_text(f, texts[i].text, texts[i].to);
    if (r == 0)
        r = table_add(&f->pods, &to, &row);
    if (r <= 0)
        return r;
    memcpy(table_row(&f->pods, row), &to, sizeof(to));
    return add_labels(f, pod, row);
}

static int write_container(struct fact_rows *f, const struct container_fact *c, const char *name)
{
    struct batch_container to = {.restarts = c->restarts,
                                 .kind = (uint8_t)c->kind,
                                 .state = (uint8_t)c->state,
                                 .started_ns = c->started_ns > 0 ? c->started_ns : 0};
    const struct {
        const char *text;
        uint32_t *to;
    } texts[] = {{c->id, &to.id},
                 {c->pod_uid, &to.pod_uid},
                 {name, &to.name},
                 {c->image, &to.image},
                 {c->reason, &to.reason}};
    uint32_t row;
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
        r = add_text(f, texts[i].text, texts[i].to);
    if (r == 0)
        r = table_add(&f->containers, &to, &row);
    if (r > 0)
        memcpy(table_row(&f->containers, row), &to, sizeof(to));
    return r < 0 ? r : 0;
}

static int add_pod(struct fact_rows *f, const struct pod_fact *pod)
{
    char workload[PODS_WORKLOAD_SIZE];
    struct told *told;
    pods_workload(pod, workload);
    struct telling t = {.texts = {pod->namespace, pod->name, pod->ip, pod->phase, workload},
                        .count = 5,
                        .numbers = {(uint64_t)pod->started_ns}};
    for (size_t i = 0; i < pod->label_count && t.count + 2 <= TEXTS_MAX; i++) {
        t.texts[t.count++] = pod->labels[i].key;
        t.texts[t.count++] = pod->labels[i].value;
    }
    uint64_t digest = digest_of(&t);
    int r = find_told(f, pod->uid, digest, &told);
    if (r <= 0)
        return r;
    if (f->bytes + bytes_of(&t) > BYTES_MAX)
        return -ENOSPC;
    f->bytes += bytes_of(&t);
    r = write_pod(f, pod, workload);
    if (r == 0)
        told->digest = digest;
    return r;
}

static int add_container(struct fact_rows *f, const struct container_fact *c)
{
    const char *name = c->kind == CONTAINER_SANDBOX ? PODS_SANDBOX_NAME : c->name;
    struct telling t = {.texts = {c->pod_uid, name, c->image, c->reason},
                        .count = 4,
                        .numbers = {c->kind, c->state, c->restarts, (uint64_t)c->started_ns}};
    uint64_t digest = digest_of(&t);
    struct told *told;
    int r = find_told(f, c->id, digest, &told);
    if (r <= 0)
        return r;
    if (f->bytes + bytes_of(&t) > BYTES_MAX)
        return -ENOSPC;
    f->bytes += bytes_of(&t);
    r = write_container(f, c, name);
    if (r == 0)
        told->digest = digest;
    return r;
}

static int count_dropped(struct fact_rows *f, int r)
{
    if (r != -ENOSPC && r != -EFBIG)
        return r;
    counter_add(f->counters, facts_dropped, 1);
    return 0;
}

static int take(void *ctx, const struct pod_fact *pod, const struct container_fact *container)
{
    struct fact_rows *f = ctx;
    int r = pod ? count_dropped(f, add_pod(f, pod)) : 0;
    return r == 0 && container ? count_dropped(f, add_container(f, container)) : r;
}

int fact_rows_add(struct fact_rows *rows, const char *cgroup_path)
{
    struct fact_rows *f = rows;
    struct cgroup_id id;
    uint32_t path, row;
    if (!f->sources)
        return 0;
    int r = strings_add(f->strings, cgroup_path, &path);
    if (r == 0)
        r = table_add(&f->seen, &path, &row);
    if (r <= 0)
        return r;
    cgroup_parse_path(cgroup_path, strlen(cgroup_path), &id);
    return pods_visit(f->sources, id.container_id, id.pod_uid, take, f);
}

void fact_rows_give(const struct fact_rows *rows, struct batch *to)
{
    to->pods = (const struct batch_pod *)rows->pods.rows;
    to->pod_count = rows->pods.count;
    to->pod_labels = (const struct batch_pod_label *)rows->labels.rows;
    to->pod_label_count = rows->labels.count;
    to->containers = (const struct batch_container *)rows->containers.rows;
    to->container_count = rows->containers.count;
}
