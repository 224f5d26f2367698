/* builder.c: takes a window, gives a batch: asks for each object's names once, folds addresses of
 * one function together, and lays the tables out as format.h has them. See builder.h. */
#include "agent/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/counters.h"
#include "agent/naming.h"
#include "agent/object.h"
#include "agent/window.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/strings.h"
#include "k8s/cgroup.h"
#include "wire/batch.h"

struct frame_row { /* of struct table: the batch's frame, without padding */
    uint64_t address;
    uint32_t kind, object, name, unused;
};

struct builder {
    char node[256], boot_id[64];
    struct utsname uname;
    uint32_t cpus;
    int64_t period_ns;
    struct objects *objects;
    struct counters *counters;
    struct naming *names;

    /* Of the batch being built. */
    struct strings strings;
    struct table frames, stacks, samples;
    struct batch_object *batch_objects;
    struct batch_frame *batch_frames;
    struct batch_process *batch_processes;
    struct batch_label *batch_labels;
    uint32_t label_count, label_room;
    uint32_t *frame_of_node, *stack_of_node;
    uint8_t *source_of_object; /* enum naming_source, by the window's rows */
    uint32_t object_count, object_room;
};

static void clear_batch(struct builder *b)
{
    strings_clear(&b->strings);
    table_clear(&b->frames);
    table_clear(&b->stacks);
    table_clear(&b->samples);
    free(b->batch_objects);
    free(b->batch_frames);
    free(b->batch_processes);
    free(b->batch_labels);
    free(b->frame_of_node);
    free(b->stack_of_node);
    free(b->source_of_object);
    b->source_of_object = NULL;
    b->batch_objects = NULL;
    b->batch_frames = NULL;
    b->batch_processes = NULL;
    b->batch_labels = NULL;
    b->frame_of_node = b->stack_of_node = NULL;
    b->label_count = b->label_room = b->object_count = b->object_room = 0;
}

void builder_free(struct builder **builder)
{
    struct builder *b = *builder;
    if (!b)
        return;
    clear_batch(b);
    table_free(&b->frames);
    table_free(&b->stacks);
    table_free(&b->samples);
    strings_free(&b->strings);
    naming_free(&b->names);
    free(b);
    *builder = NULL;
}

static int read_machine(struct builder *b, const char *node, struct err *err)
{
    if (uname(&b->uname) < 0)
        return err_errno(err, -errno, "uname");
    const char *name = node && *node ? node : b->uname.nodename;
    snprintf(b->node, sizeof(b->node), "%s", name);
    _cleanup_(buf_free) struct buf text = {0};
    int r = fs_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, err);
    if (r < 0)
        return r;
    snprintf(b->boot_id, sizeof(b->boot_id), "%.*s", (int)strcspn((const char *)text.data, "\n"),
             (const char *)text.data);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    b->cpus = cpus > 0 ? (uint32_t)cpus : 1;
    return 0;
}

int builder_new(const struct builder_config *config, struct objects *objects,
                struct counters *counters, struct builder **ret, struct err *err)
{
    struct builder *b = calloc(1, sizeof(*b));
    if (!b)
        return err_errno(err, -ENOMEM, "the batch builder");
    b->period_ns = config->period_ns;
    b->objects = objects;
    b->counters = counters;
    b->strings.max_count = WIRE_MAX_STRINGS;
    table_init(&b->frames, sizeof(struct frame_row), sizeof(struct frame_row), WIRE_MAX_FRAMES);
    table_init(&b->stacks, sizeof(struct batch_stack), offsetof(struct batch_stack, methods),
               WIRE_MAX_STACKS);
    table_init(&b->samples, sizeof(struct batch_sample), offsetof(struct batch_sample, count),
               WIRE_MAX_SAMPLES);
    int r = read_machine(b, config->node, err);
    if (r == 0)
        r = naming_new(config->symbol_bytes, objects, &b->names, err);
    if (r < 0) {
        builder_free(&b);
        return r;
    }
    *ret = b;
    return 0;
}

/* ---- objects and frames */

static int add_object(struct builder *b, const char *path, const struct object *o, uint8_t kind,
                      uint32_t *ret_row)
{
    if (b->object_count == b->object_room) {
        uint32_t room = b->object_room * 2 + 16;
        struct batch_object *objects = realloc(b->batch_objects, room * sizeof(*objects));
        if (!objects)
            return -ENOMEM;
        b->batch_objects = objects;
        b->object_room = room;
    }
    struct batch_object *to = &b->batch_objects[b->object_count];
    *to = (struct batch_object){.kind = kind};
    int r = strings_add(&b->strings, path, &to->path);
    if (r < 0)
        return r;
    if (o) {
        to->flags = o->flags;
        to->build_id_len = object_build_id(b->objects, o, to->build_id);
    }
    *ret_row = b->object_count++;
    return 0;
}

static const char *marker_name(uint64_t marker)
{
    static const char *const names[] = {
#define X(id, name, help) [MARKER_##id] = name,
        MARKERS(X)
#undef X
    };
    return names[marker];
}

static int add_frame(struct builder *b, const struct frame_row *key, uint32_t *ret)
{
    int r = table_add(&b->frames, key, ret);
    return r < 0 ? r : 0;
}

/* The kernel's symbols belong to the core image or to a module, each an object of its own. */
static int kernel_object(struct builder *b, const char *module, uint32_t *ret_row)
{
    char path[128];
    if (!module || strcmp(module, "kernel") == 0)
        module = "kernel";
    snprintf(path, sizeof(path), "[%s]", module);
    uint32_t string;
    int r = strings_add(&b->strings, path, &string);
    for (uint32_t i = 0; r >= 0 && i < b->object_count; i++) {
        if (b->batch_objects[i].kind == OBJECT_KERNEL && b->batch_objects[i].path == string) {
            *ret_row = i;
            return 0;
        }
    }
    return r < 0 ? r : add_object(b, path, NULL, OBJECT_KERNEL, ret_row);
}

/* Nodes of one object, which are named together. */
struct group {
    const struct window *window;
    const uint32_t *nodes;
    size_t count;
    uint32_t object; /* row of the window */
};

static int name_markers(struct builder *b, const struct group *g)
{
    for (size_t i = 0; i < g->count; i++) {
        const struct window_node *node = table_row(&g->window->nodes, g->nodes[i]);
        struct frame_row key = {.kind = FRAME_MARKER};
        int r = strings_add(&b->strings, marker_name(node->offset), &key.name);
        if (r == 0)
            r = add_frame(b, &key, &b->frame_of_node[g->nodes[i]]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_named(struct builder *b, const struct group *g, const struct name *names,
                     uint32_t object_row)
{
    for (size_t i = 0; i < g->count; i++) {
        const struct window_node *node = table_row(&g->window->nodes, g->nodes[i]);
        struct frame_row key = {
            .kind = node->kind, .object = object_row, .address = names[i].address};
        int r = node->kind == FRAME_KERNEL ? kernel_object(b, names[i].module, &key.object) : 0;
        if (r == 0 && names[i].name)
            r = strings_add(&b->strings, names[i].name, &key.name);
        if (r == 0)
            r = add_frame(b, &key, &b->frame_of_node[g->nodes[i]]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int name_group(struct builder *b, const struct group *g)
{
    const struct window_object *wo = table_row(&g->window->objects, g->object);
    if (!wo->object)
        return name_markers(b, g);
    _cleanup_free_ uint64_t *offsets = malloc(g->count * sizeof(*offsets));
    _cleanup_free_ struct name *names = calloc(g->count, sizeof(*names));
    if (!offsets || !names)
        return -ENOMEM;
    for (size_t i = 0; i < g->count; i++)
        offsets[i] = ((struct window_node *)table_row(&g->window->nodes, g->nodes[i]))->offset;
    enum naming_source source = naming_find(b->names, wo->object, offsets, g->count, names);
    b->source_of_object[g->object] = (uint8_t)source;
    uint32_t row = 0;
    int r = 0;
    if (wo->object->kind != OBJECT_KERNEL)
        r = add_object(b, wo->object->path, wo->object, wo->object->kind, &row);
    if (r == 0 && source != NAMING_FILE)
        b->batch_objects[row].flags |= OBJECT_FILE_OFFSETS;
    if (r == 0)
        r = add_named(b, g, names, row);
    object_close(b->objects, wo->object, g->window->number);
    return r;
}

struct node_ref {
    uint32_t object, node;
};

static int by_object(const void *a, const void *b)
{
    const struct node_ref *x = a, *y = b;
    return x->object != y->object ? (x->object < y->object ? -1 : 1)
                                  : (x->node > y->node) - (x->node < y->node);
}

static int name_nodes(struct builder *b, const struct window *w)
{
    uint32_t count = w->nodes.count;
    _cleanup_free_ struct node_ref *refs = malloc(count * sizeof(*refs));
    _cleanup_free_ uint32_t *nodes = malloc(count * sizeof(*nodes));
    if (!refs || !nodes)
        return -ENOMEM;
    for (uint32_t i = 1; i < count; i++)
        refs[i] = (struct node_ref){((struct window_node *)table_row(&w->nodes, i))->object, i};
    if (count > 1)
        qsort(refs + 1, count - 1, sizeof(*refs), by_object);
    for (uint32_t i = 1; i < count; i++)
        nodes[i] = refs[i].node;
    for (uint32_t i = 1, end; i < count; i = end) {
        for (end = i + 1; end < count && refs[end].object == refs[i].object; end++)
            ;
        struct group g = {w, nodes + i, end - i, refs[i].object};
        int r = name_group(b, &g);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- stacks, samples, processes */

static int build_stacks(struct builder *b, const struct window *w)
{
    struct batch_stack root = {.parent = UINT32_MAX};
    int r = table_add(&b->stacks, &root, &b->stack_of_node[0]);
    /* A parent's row comes before its children's. */
    for (uint32_t i = 1; r >= 0 && i < w->nodes.count; i++) {
        const struct window_node *node = table_row(&w->nodes, i);
        struct batch_stack key = {.parent = b->stack_of_node[node->parent],
                                  .frame = b->frame_of_node[i]};
        r = table_add(&b->stacks, &key, &b->stack_of_node[i]);
        if (r >= 0)
            ((struct batch_stack *)table_row(&b->stacks, b->stack_of_node[i]))->methods |=
                node->methods;
    }
    if (r < 0)
        return r;
    ((struct batch_stack *)table_row(&b->stacks, 0))->parent = 0;
    return 0;
}

static void count_unnamed(struct builder *b, const struct window *w, uint32_t node, uint32_t count)
{
    const struct window_node *n = table_row(&w->nodes, node);
    const struct frame_row *f = table_row(&b->frames, b->frame_of_node[node]);
    if (n->kind == FRAME_MARKER || f->name)
        return;
    if (n->kind == FRAME_KERNEL)
        counter_add(b->counters, unsymbolized_kernel, count);
    else if (n->kind == FRAME_JIT)
        counter_add(b->counters, unsymbolized_jit, count);
    else if (b->source_of_object[n->object] == NAMING_FILE)
        counter_add(b->counters, unsymbolized_no_symbol, count);
    else if (b->source_of_object[n->object] == NAMING_NO_ELF)
        counter_add(b->counters, unsymbolized_no_elf, count);
    else
        counter_add(b->counters, unsymbolized_no_file, count);
}

static int build_samples(struct builder *b, const struct window *w)
{
    for (uint32_t i = 0; i < w->samples.count; i++) {
        const struct window_sample *s = table_row(&w->samples, i);
        const struct window_thread *t = table_row(&w->threads, s->thread);
        struct batch_sample key = {.slot = s->slot,
                                   .process = s->process,
                                   .cpu = s->cpu,
                                   .stack = b->stack_of_node[s->stack]};
        uint32_t row;
        int r = strings_add(&b->strings, t->name, &key.thread);
        if (r == 0)
            r = table_add(&b->samples, &key, &row);
        if (r < 0)
            return r;
        ((struct batch_sample *)table_row(&b->samples, row))->count += s->count;
        if (s->stack)
            count_unnamed(b, w, s->stack, s->count);
    }
    return 0;
}

static int add_label(struct builder *b, uint32_t process, const char *key, const char *value)
{
    if (!value[0])
        return 0;
    if (b->label_count == b->label_room) {
        uint32_t room = b->label_room * 2 + 64;
        struct batch_label *labels = realloc(b->batch_labels, room * sizeof(*labels));
        if (!labels)
            return -ENOMEM;
        b->batch_labels = labels;
        b->label_room = room;
    }
    struct batch_label *l = &b->batch_labels[b->label_count];
    l->process = process;
    int r = strings_add(&b->strings, key, &l->key);
    if (r == 0)
        r = strings_add(&b->strings, value, &l->value);
    if (r == 0)
        b->label_count++;
    return r;
}

static int add_labels(struct builder *b, uint32_t process, const char *cgroup_path)
{
    struct cgroup_id id;
    cgroup_parse_path(cgroup_path, strlen(cgroup_path), &id);
    int r = add_label(b, process, "pod_uid", id.pod_uid);
    if (r == 0)
        r = add_label(b, process, "container_id", id.container_id);
    if (r == 0)
        r = add_label(b, process, "runtime", id.runtime);
    return r == 0 ? add_label(b, process, "unit", id.unit) : r;
}

static int build_processes(struct builder *b, const struct window *w)
{
    b->batch_processes = calloc(w->processes.count + 1, sizeof(*b->batch_processes));
    if (!b->batch_processes)
        return -ENOMEM;
    for (uint32_t i = 0; i < w->processes.count; i++) {
        const struct window_process *from = table_row(&w->processes, i);
        struct batch_process *to = &b->batch_processes[i];
        to->pid = from->pid;
        to->ppid = from->ppid;
        int64_t start = from->start_time ? (int64_t)from->start_time + w->to_real_ns : 0;
        to->start_ns = start > 0 ? start : 0;
        const char *name = from->name[0] ? from->name : "[unknown]";
        int r = strings_add(&b->strings, name, &to->name);
        if (r == 0)
            r = strings_add(&b->strings, from->exe, &to->exe);
        if (r == 0)
            r = strings_add(&b->strings, from->cgroup_path, &to->cgroup);
        if (r == 0)
            r = add_labels(b, i, from->cgroup_path);
        if (r < 0)
            return r;
    }
    return 0;
}

static int build_frames(struct builder *b)
{
    b->batch_frames = calloc(b->frames.count + 1, sizeof(*b->batch_frames));
    if (!b->batch_frames)
        return -ENOMEM;
    for (uint32_t i = 0; i < b->frames.count; i++) {
        const struct frame_row *f = table_row(&b->frames, i);
        b->batch_frames[i] = (struct batch_frame){
            .address = f->address, .object = f->object, .name = f->name, .kind = (uint8_t)f->kind};
    }
    return 0;
}

/* ---- the whole */

static int build_tables(struct builder *b, const struct window *w)
{
    b->frame_of_node = calloc(w->nodes.count, sizeof(*b->frame_of_node));
    b->stack_of_node = calloc(w->nodes.count, sizeof(*b->stack_of_node));
    b->source_of_object = calloc(w->objects.count, 1);
    if (!b->frame_of_node || !b->stack_of_node || !b->source_of_object)
        return -ENOMEM;
    uint32_t row;
    int r = strings_add(&b->strings, "", &row);
    if (r == 0)
        r = add_object(b, "", NULL, OBJECT_NONE, &row);
    if (r == 0)
        r = name_nodes(b, w);
    if (r == 0)
        r = build_stacks(b, w);
    if (r == 0)
        r = build_samples(b, w);
    if (r == 0)
        r = build_processes(b, w);
    return r == 0 ? build_frames(b) : r;
}

int builder_build(struct builder *builder, const struct window *window, struct batch *ret,
                  struct err *err)
{
    struct builder *b = builder;
    clear_batch(b);
    int r = build_tables(b, window);
    if (r < 0)
        return err_errno(err, r, "building a batch of %u samples", window->samples.count);
    *ret = (struct batch){
        .node = b->node,
        .boot_id = b->boot_id,
        .kernel = b->uname.release,
        .arch = b->uname.machine,
        .agent = "podflamed/" PACKAGE_VERSION,
        .cpus = b->cpus,
        .start_ns = window->start_ns,
        .end_ns = window->end_ns,
        .slot_ns = window->slot_ns,
        .period_ns = b->period_ns,
        .strings = b->strings.texts,
        .objects = b->batch_objects,
        .frames = b->batch_frames,
        .stacks = (const struct batch_stack *)b->stacks.rows,
        .processes = b->batch_processes,
        .labels = b->batch_labels,
        .samples = (const struct batch_sample *)b->samples.rows,
        .string_count = b->strings.count,
        .object_count = b->object_count,
        .frame_count = b->frames.count,
        .stack_count = b->stacks.count,
        .process_count = window->processes.count,
        .label_count = b->label_count,
        .sample_count = b->samples.count,
    };
    return 0;
}

size_t builder_bytes(const struct builder *builder)
{
    return naming_bytes(builder->names) + table_bytes(&builder->frames) +
           table_bytes(&builder->stacks) + table_bytes(&builder->samples);
}
