/* window.c: takes stacks and whose they are, gives counts. See window.h. */
#include "agent/window.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/object.h"
#include "agent/process.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

static void clear_process(struct window_process *p)
{
    free(p->name);
    free(p->exe);
    free(p->cgroup_path);
}

void window_free(struct window **window)
{
    struct window *w = *window;
    if (!w)
        return;
    for (uint32_t i = 0; i < w->objects.count; i++) {
        struct window_object *o = table_row(&w->objects, i);
        object_unref(w->registry, &o->object);
    }
    for (uint32_t i = 0; i < w->processes.count; i++)
        clear_process(table_row(&w->processes, i));
    table_free(&w->nodes);
    table_free(&w->objects);
    table_free(&w->processes);
    table_free(&w->threads);
    table_free(&w->samples);
    free(w);
    *window = NULL;
}

static int add_root(struct window *w)
{
    struct window_node root = {.parent = UINT32_MAX};
    struct window_object none = {0};
    uint32_t row;
    int r = table_add(&w->nodes, &root, &row);
    if (r >= 0)
        r = table_add(&w->objects, &none, &row);
    return r < 0 ? r : 0;
}

int window_new(struct objects *registry, const struct window_limits *limits, struct window **ret,
               struct err *err)
{
    struct window *w = calloc(1, sizeof(*w));
    if (!w)
        return err_errno(err, -ENOMEM, "a window");
    w->registry = registry;
    w->limits = *limits;
    table_init(&w->nodes, sizeof(struct window_node), offsetof(struct window_node, last_child), 0);
    table_init(&w->objects, sizeof(struct window_object), sizeof(struct window_object),
               WIRE_MAX_OBJECTS / 2);
    table_init(&w->processes, sizeof(struct window_process), offsetof(struct window_process, pid),
               WIRE_MAX_PROCESSES);
    table_init(&w->threads, sizeof(struct window_thread), sizeof(struct window_thread), 0);
    table_init(&w->samples, sizeof(struct window_sample), offsetof(struct window_sample, count),
               limits->max_samples);
    int r = add_root(w);
    if (r < 0) {
        window_free(&w);
        return err_errno(err, r, "a window");
    }
    *ret = w;
    return 0;
}

static struct window_node *node_at(const struct window *w, uint32_t row)
{
    return table_row(&w->nodes, row);
}

/* Most stacks begin as the one before did: the way it took is tried before any hash. */
static bool went_before(const struct window *w, const struct window_node *key, uint32_t *ret_node)
{
    uint32_t child = node_at(w, key->parent)->last_child;
    const struct window_node *n = node_at(w, child);
    if (n->parent != key->parent || n->offset != key->offset || n->object != key->object ||
        n->kind != key->kind)
        return false;
    *ret_node = child;
    return true;
}

static int add_node(struct window *w, const struct window_node *key, uint32_t *ret_node)
{
    if (went_before(w, key, ret_node))
        return 0;
    int r = w->nodes.count < w->limits.max_stacks ? table_add(&w->nodes, key, ret_node)
                                                  : table_find(&w->nodes, key, ret_node);
    if (r >= 0)
        node_at(w, key->parent)->last_child = *ret_node;
    return r == -ENOENT ? -ENOSPC : r < 0 ? r : 0;
}

static int add_in_object(struct window *w, const struct window_object *o, struct window_node *key,
                         uint32_t *ret_node)
{
    key->object = node_at(w, node_at(w, key->parent)->last_child)->object;
    const struct window_object *before = table_row(&w->objects, key->object);
    if (before->object != o->object || before->process != o->process || before->epoch != o->epoch) {
        int r = table_add(&w->objects, o, &key->object);
        if (r < 0)
            return r;
        if (r == 1)
            object_ref(o->object);
    }
    return add_node(w, key, ret_node);
}

int window_add_frame(struct window *window, uint32_t parent, struct object *object, uint64_t offset,
                     enum frame_kind kind, uint32_t *ret_node)
{
    struct window_node key = {.parent = parent, .offset = offset, .kind = kind};
    return add_in_object(window, &(struct window_object){.object = object}, &key, ret_node);
}

int window_add_made(struct window *window, uint32_t parent, const struct window_object *made,
                    uint64_t address, int64_t time_ns, uint32_t *ret_node)
{
    struct window_node key = {.parent = parent, .offset = address, .kind = FRAME_JIT};
    int r = add_in_object(window, made, &key, ret_node);
    if (r < 0)
        return r;
    struct window_node *node = node_at(window, *ret_node);
    int64_t ns = time_ns > window->start_ns ? time_ns - window->start_ns : 0;
    uint32_t us = ns / NS_PER_US < UINT32_MAX ? (uint32_t)(ns / NS_PER_US) : UINT32_MAX - 1;
    if (!node->last_us || us < node->first_us)
        node->first_us = us;
    if (us >= node->last_us)
        node->last_us = us + 1;
    return 0;
}

int window_add_marker(struct window *window, uint32_t parent, enum marker marker,
                      uint32_t *ret_node)
{
    struct window_node key = {.parent = parent, .offset = marker, .kind = FRAME_MARKER};
    return add_node(window, &key, ret_node);
}

static char *copy(const char *text)
{
    return strdup(text ? text : "");
}

static int add_process(struct window *w, const struct window_key *key, uint32_t *ret_row)
{
    struct window_process row = {.serial = key->process->serial, .cgroup = key->cgroup};
    int r = table_add(&w->processes, &row, ret_row);
    if (r < 1)
        return r;
    struct window_process *p = table_row(&w->processes, *ret_row);
    p->pid = key->process->pid;
    p->ppid = key->process->ppid;
    p->start_time = key->process->start_time;
    p->name = copy(key->process->name);
    p->exe = copy(key->process->exe);
    p->cgroup_path = copy(key->cgroup_path);
    return p->name && p->exe && p->cgroup_path ? 0 : -ENOMEM;
}

static uint32_t slot_of(const struct window *w, int64_t time_ns)
{
    if (time_ns >= w->end_ns)
        time_ns = w->end_ns - 1;
    return time_ns <= w->start_ns ? 0 : (uint32_t)((time_ns - w->start_ns) / w->slot_ns);
}

int window_add_sample(struct window *window, const struct window_key *key, uint32_t stack,
                      uint32_t methods)
{
    struct window_sample sample = {
        .slot = slot_of(window, key->time_ns), .cpu = key->cpu, .stack = stack};
    int r = add_process(window, key, &sample.process);
    if (r < 0)
        return r;
    struct window_thread thread = {{0}};
    memcpy(thread.name, key->thread, strnlen(key->thread, WINDOW_THREAD_MAX - 1));
    r = table_add(&window->threads, &thread, &sample.thread);
    if (r < 0)
        return r;
    uint32_t row;
    r = table_add(&window->samples, &sample, &row);
    if (r < 0)
        return r;
    ((struct window_sample *)table_row(&window->samples, row))->count++;
    node_at(window, stack)->methods |= methods;
    window->sample_count++;
    return 0;
}

/* ---- at the cap */

static const struct window_node other_node = {.offset = MARKER_other, .kind = FRAME_MARKER};

static bool is_other(const struct window_node *node)
{
    return node->kind == FRAME_MARKER && node->offset == MARKER_other;
}

int window_add_other(struct window *window, const struct window_key *key, uint32_t methods)
{
    uint32_t node;
    int r = table_add(&window->nodes, &other_node, &node); /* one more than the limit */
    if (r >= 0)
        r = window_add_sample(window, key, node, methods);
    if (r == 0)
        window->other_count++;
    return r;
}

struct weight {
    uint32_t stack;
    uint32_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct weight *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? -1 : 1)
                                : (x->stack > y->stack) - (x->stack < y->stack);
}

/* Counts each node's own samples, and marks the rarer half of those that have any in `rare`. */
static int find_rare(const struct window *w, uint8_t *rare)
{
    _cleanup_free_ struct weight *weights = calloc(w->nodes.count, sizeof(*weights));
    if (!weights)
        return -ENOMEM;
    for (uint32_t i = 0; i < w->samples.count; i++) {
        const struct window_sample *s = table_row(&w->samples, i);
        weights[s->stack].count += s->count;
    }
    uint32_t used = 0;
    for (uint32_t i = 0; i < w->nodes.count; i++) {
        if (weights[i].count && !is_other(table_row(&w->nodes, i)))
            weights[used++] = (struct weight){i, weights[i].count};
    }
    qsort(weights, used, sizeof(*weights), by_count);
    for (uint32_t i = 0; i < used - used / 2; i++)
        rare[weights[i].stack] = 1;
    return 0;
}

/* Copies the node and those above it to the tree that stays. */
static int keep_node(const struct table *from, uint32_t node, struct table *to, uint32_t *new_row)
{
    if (new_row[node] != UINT32_MAX)
        return 0;
    uint32_t path[WIRE_MAX_DEPTH + 2];
    size_t depth = 0;
    while (new_row[node] == UINT32_MAX && depth < ARRAY_LEN(path)) {
        path[depth++] = node;
        node = ((struct window_node *)table_row(from, node))->parent;
    }
    while (depth--) {
        struct window_node key = *(struct window_node *)table_row(from, path[depth]);
        key.parent = new_row[key.parent];
        int r = table_add(to, &key, &new_row[path[depth]]);
        if (r < 0)
            return r;
        struct window_node *kept = table_row(to, new_row[path[depth]]);
        kept->first_us = key.first_us;
        kept->last_us = key.last_us;
    }
    return 0;
}

static int move_samples(struct window *w, const uint8_t *rare, uint32_t *new_row,
                        struct table *nodes, struct table *samples)
{
    uint32_t other_row;
    int r = table_add(nodes, &other_node, &other_row);
    for (uint32_t i = 0; r >= 0 && i < w->samples.count; i++) {
        const struct window_sample *old = table_row(&w->samples, i);
        struct window_sample s = *old;
        uint32_t methods = node_at(w, s.stack)->methods;
        if (rare[s.stack]) {
            w->other_count += s.count;
            s.stack = other_row;
        } else {
            if ((r = keep_node(&w->nodes, s.stack, nodes, new_row)) < 0)
                return r;
            s.stack = new_row[s.stack];
        }
        uint32_t row;
        if ((r = table_add(samples, &s, &row)) < 0)
            return r;
        ((struct window_sample *)table_row(samples, row))->count += old->count;
        ((struct window_node *)table_row(nodes, s.stack))->methods |= methods;
    }
    return r < 0 ? r : 0;
}

static int fold_rare(struct window *w)
{
    _cleanup_free_ uint8_t *rare = calloc(w->nodes.count, 1);
    _cleanup_free_ uint32_t *new_row = malloc(w->nodes.count * sizeof(*new_row));
    if (!rare || !new_row)
        return -ENOMEM;
    int r = find_rare(w, rare);
    if (r < 0)
        return r;
    memset(new_row, 0xff, w->nodes.count * sizeof(*new_row));
    struct table nodes, samples;
    table_init(&nodes, w->nodes.row_size, w->nodes.key_size, 0);
    table_init(&samples, w->samples.row_size, w->samples.key_size, w->samples.max);
    r = table_add(&nodes, table_row(&w->nodes, 0), &new_row[0]);
    if (r >= 0)
        r = move_samples(w, rare, new_row, &nodes, &samples);
    if (r < 0) {
        table_free(&nodes);
        table_free(&samples);
        return r;
    }
    table_free(&w->nodes);
    table_free(&w->samples);
    w->nodes = nodes;
    w->samples = samples;
    return 0;
}

int window_make_room(struct window *window, uint32_t frames)
{
    if (window->nodes.count + frames < window->limits.max_stacks &&
        window->samples.count < window->limits.max_samples)
        return 0;
    /* Folding costs as much as the tables are long: so many samples have to pay for it. */
    if (window->sample_count < window->fold_after)
        return 0;
    window->fold_after = window->sample_count + window->limits.max_samples / 16;
    return fold_rare(window);
}

/* ---- what is not wanted */

static int keep_rows(struct window *w, const uint8_t *wanted, uint32_t *new_row)
{
    struct table kept;
    table_init(&kept, w->processes.row_size, w->processes.key_size, w->processes.max);
    int r = 0;
    for (uint32_t i = 0; r >= 0 && i < w->processes.count; i++) {
        const struct window_process *p = table_row(&w->processes, i);
        if (wanted[i] && (r = table_add(&kept, p, &new_row[i])) >= 0)
            memcpy(table_row(&kept, new_row[i]), p, sizeof(*p));
    }
    if (r < 0) {
        table_free(&kept);
        return r;
    }
    for (uint32_t i = 0; i < w->processes.count; i++)
        if (!wanted[i])
            clear_process(table_row(&w->processes, i));
    table_free(&w->processes);
    w->processes = kept;
    return 0;
}

static int keep_wanted(struct window *w, const uint8_t *wanted, const uint32_t *new_process,
                       uint32_t *new_row, struct table *nodes, struct table *samples)
{
    for (uint32_t i = 0; i < w->samples.count; i++) {
        const struct window_sample *old = table_row(&w->samples, i);
        struct window_sample s = *old;
        uint32_t row;
        if (!wanted[s.process])
            continue;
        int r = keep_node(&w->nodes, s.stack, nodes, new_row);
        if (r < 0)
            return r;
        s.process = new_process[s.process];
        s.stack = new_row[s.stack];
        if ((r = table_add(samples, &s, &row)) < 0)
            return r;
        ((struct window_sample *)table_row(samples, row))->count = old->count;
        ((struct window_node *)table_row(nodes, s.stack))->methods |=
            node_at(w, old->stack)->methods;
    }
    return 0;
}

/* Naming closes the file of each object that has nodes. */
static int close_unused(struct window *w)
{
    _cleanup_free_ uint8_t *used = calloc(w->objects.count, 1);
    if (!used)
        return -ENOMEM;
    for (uint32_t i = 1; i < w->nodes.count; i++)
        used[node_at(w, i)->object] = 1;
    for (uint32_t i = 0; i < w->objects.count; i++) {
        const struct window_object *o = table_row(&w->objects, i);
        if (!used[i] && o->object)
            object_close(w->registry, o->object, w->number);
    }
    return 0;
}

static void discount(struct window *w, const uint8_t *wanted)
{
    for (uint32_t i = 0; i < w->samples.count; i++) {
        const struct window_sample *s = table_row(&w->samples, i);
        if (wanted[s->process])
            continue;
        w->sample_count -= s->count;
        if (is_other(node_at(w, s->stack)))
            w->other_count -= s->count;
    }
}

int window_keep_processes(struct window *window, const uint8_t *wanted)
{
    struct window *w = window;
    _cleanup_free_ uint32_t *new_process = calloc(w->processes.count + 1, sizeof(*new_process));
    _cleanup_free_ uint32_t *new_row = malloc(w->nodes.count * sizeof(*new_row));
    if (!new_process || !new_row)
        return -ENOMEM;
    memset(new_row, 0xff, w->nodes.count * sizeof(*new_row));
    struct table nodes, samples;
    table_init(&nodes, w->nodes.row_size, w->nodes.key_size, 0);
    table_init(&samples, w->samples.row_size, w->samples.key_size, w->samples.max);
    discount(w, wanted);
    int r = table_add(&nodes, table_row(&w->nodes, 0), &new_row[0]);
    if (r >= 0)
        r = keep_rows(w, wanted, new_process);
    if (r >= 0)
        r = keep_wanted(w, wanted, new_process, new_row, &nodes, &samples);
    if (r < 0) {
        table_free(&nodes);
        table_free(&samples);
        return r;
    }
    table_free(&w->nodes);
    table_free(&w->samples);
    w->nodes = nodes;
    w->samples = samples;
    return close_unused(w);
}
