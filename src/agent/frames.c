/* frames.c: takes the nodes of a window, gives each its frames: one function, or several where some
 * are inlined. Asks for the names of each object at once. See frames.h. */
#include "agent/frames.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/jit.h"
#include "agent/marker.h"
#include "agent/object.h"
#include "agent/window.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strings.h"
#include "wire/batch.h"

void frames_init(struct frames *f, struct strings *strings, struct objects *registry)
{
    *f = (struct frames){.strings = strings, .registry = registry};
    table_init(&f->rows, sizeof(struct frame_row), sizeof(struct frame_row), WIRE_MAX_FRAMES);
}

void frames_clear(struct frames *f)
{
    table_clear(&f->rows);
    free(f->objects);
    free(f->list);
    free(f->of_node);
    free(f->source_of_object);
    f->objects = NULL;
    f->list = NULL;
    f->of_node = NULL;
    f->source_of_object = NULL;
    f->object_count = f->object_room = f->list_count = f->list_room = 0;
}

void frames_free(struct frames *f)
{
    frames_clear(f);
    table_free(&f->rows);
}

size_t frames_bytes(const struct frames *f)
{
    return table_bytes(&f->rows);
}

/* ---- objects */

static int add_object(struct frames *f, const char *path, const struct object *o, uint8_t kind,
                      uint32_t *ret_row)
{
    if (f->object_count == f->object_room) {
        uint32_t room = f->object_room * 2 + 16;
        struct batch_object *objects = realloc(f->objects, room * sizeof(*objects));
        if (!objects)
            return -ENOMEM;
        f->objects = objects;
        f->object_room = room;
    }
    struct batch_object *to = &f->objects[f->object_count];
    *to = (struct batch_object){.kind = kind};
    int r = strings_add(f->strings, path, &to->path);
    if (r < 0)
        return r;
    if (o) {
        to->flags = o->flags;
        to->build_id_len = object_build_id(f->registry, o, to->build_id);
    }
    *ret_row = f->object_count++;
    return 0;
}

/* One row for all that share a path and are no files. */
static int shared_object(struct frames *f, const char *path, uint8_t kind, uint32_t *ret_row)
{
    uint32_t string;
    int r = strings_add(f->strings, path, &string);
    for (uint32_t i = 0; r >= 0 && i < f->object_count; i++) {
        if (f->objects[i].kind == kind && f->objects[i].path == string) {
            *ret_row = i;
            return 0;
        }
    }
    return r < 0 ? r : add_object(f, path, NULL, kind, ret_row);
}

/* The kernel's symbols belong to the core image or to a module, each an object of its own. */
static int kernel_object(struct frames *f, const char *module, uint32_t *ret_row)
{
    char path[128];
    snprintf(path, sizeof(path), "[%s]", module ? module : "kernel");
    return shared_object(f, path, OBJECT_KERNEL, ret_row);
}

/* ---- nodes */

static const char *marker_name(uint64_t marker)
{
    static const char *const names[] = {
#define X(id, name, help) [MARKER_##id] = name,
        MARKERS(X)
#undef X
    };
    return names[marker];
}

static int add_row(struct frames *f, const struct frame_row *key)
{
    if (f->list_count == f->list_room) {
        uint32_t room = f->list_room * 2 + 1024;
        uint32_t *list = reallocarray(f->list, room, sizeof(*list));
        if (!list)
            return -ENOMEM;
        f->list = list;
        f->list_room = room;
    }
    int r = table_add(&f->rows, key, &f->list[f->list_count]);
    if (r < 0)
        return r;
    f->list_count++;
    return 0;
}

static int add_function(struct frames *f, struct frame_row key, const struct symbol_frame *function)
{
    int r = strings_add(f->strings, function->name, &key.name);
    if (r == 0 && function->file)
        r = strings_add(f->strings, function->file, &key.file);
    key.line = function->line;
    return r == 0 ? add_row(f, &key) : r;
}

/* Nodes of one object, which are named together. */
struct group {
    const struct window *window;
    const uint32_t *nodes;
    size_t count;
    uint32_t object; /* row of the window */
};

static int name_markers(struct frames *f, const struct group *g)
{
    for (size_t i = 0; i < g->count; i++) {
        const struct window_node *node = table_row(&g->window->nodes, g->nodes[i]);
        f->of_node[g->nodes[i]] = (struct frame_span){f->list_count, 1};
        struct symbol_frame marker = {.name = marker_name(node->offset)};
        int r = add_function(f, (struct frame_row){.kind = FRAME_MARKER}, &marker);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_named(struct frames *f, const struct group *g, const struct name *names,
                     uint32_t object_row)
{
    for (size_t i = 0; i < g->count; i++) {
        const struct window_node *node = table_row(&g->window->nodes, g->nodes[i]);
        struct frame_row key = {
            .kind = node->kind, .object = object_row, .address = names[i].address};
        int r = node->kind == FRAME_KERNEL ? kernel_object(f, names[i].module, &key.object) : 0;
        uint32_t first = f->list_count;
        if (r == 0 && !names[i].frame_count)
            r = add_row(f, &key);
        for (uint32_t k = 0; r == 0 && k < names[i].frame_count; k++) {
            r = add_function(f, key, &names[i].frames[k]);
            key.kind = FRAME_INLINED;
        }
        if (r < 0)
            return r;
        f->of_node[g->nodes[i]] = (struct frame_span){first, f->list_count - first};
    }
    return 0;
}

/* Code that a process made at run time. */
static int name_made(struct frames *f, struct naming *naming, const struct group *g,
                     const struct window_object *wo)
{
    const struct window *w = g->window;
    _cleanup_free_ struct jit_span *spans = malloc(g->count * sizeof(*spans));
    _cleanup_free_ struct name *names = calloc(g->count, sizeof(*names));
    if (!spans || !names)
        return -ENOMEM;
    uint64_t start = (uint64_t)(w->start_ns - w->to_real_ns);
    for (size_t i = 0; i < g->count; i++) {
        const struct window_node *node = table_row(&w->nodes, g->nodes[i]);
        spans[i] = (struct jit_span){.address = node->offset,
                                     .first_ns = start + node->first_us * (uint64_t)NS_PER_US,
                                     .last_ns = start + node->last_us * (uint64_t)NS_PER_US};
    }
    naming_find_made(naming, wo->process, spans, g->count, names);
    f->source_of_object[g->object] = NAMING_FILE;
    uint32_t row;
    int r = shared_object(f, wo->object->path, wo->object->kind, &row);
    return r < 0 ? r : add_named(f, g, names, row);
}

static int name_group(struct frames *f, struct naming *naming, const struct group *g)
{
    const struct window_object *wo = table_row(&g->window->objects, g->object);
    if (!wo->object)
        return name_markers(f, g);
    if (wo->process)
        return name_made(f, naming, g, wo);
    _cleanup_free_ uint64_t *offsets = malloc(g->count * sizeof(*offsets));
    _cleanup_free_ struct name *names = calloc(g->count, sizeof(*names));
    if (!offsets || !names)
        return -ENOMEM;
    for (size_t i = 0; i < g->count; i++)
        offsets[i] = ((struct window_node *)table_row(&g->window->nodes, g->nodes[i]))->offset;
    enum naming_source source = naming_find(naming, wo->object, offsets, g->count, names);
    f->source_of_object[g->object] = (uint8_t)source;
    uint32_t row = 0;
    int r = 0;
    if (wo->object->kind != OBJECT_KERNEL)
        r = add_object(f, wo->object->path, wo->object, wo->object->kind, &row);
    if (r == 0 && source != NAMING_FILE)
        f->objects[row].flags |= OBJECT_FILE_OFFSETS;
    else if (r == 0 && wo->object->kind == OBJECT_ELF && naming_is_exact(naming))
        f->objects[row].flags |= OBJECT_EXACT;
    if (r == 0)
        r = add_named(f, g, names, row);
    object_close(f->registry, wo->object, g->window->number);
    return r;
}

struct node_ref {
    uint64_t heat; /* samples whose innermost frame is in the object */
    uint32_t object, node;
};

static int by_object(const void *a, const void *b)
{
    const struct node_ref *x = a, *y = b;
    if (x->heat != y->heat)
        return x->heat > y->heat ? -1 : 1;
    return x->object != y->object ? (x->object < y->object ? -1 : 1)
                                  : (x->node > y->node) - (x->node < y->node);
}

/* The nodes of each object together, the hottest first: time for debug information may run out. */
static int sort_nodes(const struct window *w, struct node_ref *ret)
{
    _cleanup_free_ uint64_t *heat = calloc(w->objects.count + 1, sizeof(*heat));
    if (!heat)
        return -ENOMEM;
    for (uint32_t i = 0; i < w->samples.count; i++) {
        const struct window_sample *sample = table_row(&w->samples, i);
        const struct window_node *node = table_row(&w->nodes, sample->stack);
        if (sample->stack)
            heat[node->object] += sample->count;
    }
    for (uint32_t i = 1; i < w->nodes.count; i++) {
        uint32_t object = ((const struct window_node *)table_row(&w->nodes, i))->object;
        ret[i - 1] = (struct node_ref){heat[object], object, i};
    }
    if (w->nodes.count > 1)
        qsort(ret, w->nodes.count - 1, sizeof(*ret), by_object);
    return 0;
}

static int name_nodes(struct frames *f, struct naming *naming, const struct window *w)
{
    uint32_t count = w->nodes.count - 1; /* without the root */
    _cleanup_free_ struct node_ref *refs = malloc((count + 1) * sizeof(*refs));
    _cleanup_free_ uint32_t *nodes = malloc((count + 1) * sizeof(*nodes));
    int r = refs && nodes ? sort_nodes(w, refs) : -ENOMEM;
    for (uint32_t i = 0; i < count && r == 0; i++)
        nodes[i] = refs[i].node;
    for (uint32_t i = 0, end; i < count && r == 0; i = end) {
        for (end = i + 1; end < count && refs[end].object == refs[i].object; end++)
            ;
        struct group g = {w, nodes + i, end - i, refs[i].object};
        r = name_group(f, naming, &g);
    }
    return r;
}

/* Nodes between the root and the deepest node; a parent's row comes before its children's. */
static uint32_t find_depth(const struct window *w, uint16_t *depths)
{
    uint32_t deepest = 0;
    depths[0] = 0;
    for (uint32_t i = 1; i < w->nodes.count; i++) {
        const struct window_node *node = table_row(&w->nodes, i);
        depths[i] = (uint16_t)(depths[node->parent] + 1);
        deepest = depths[i] > deepest ? depths[i] : deepest;
    }
    return deepest;
}

/* A stack has at most WIRE_MAX_DEPTH frames: inlined functions have the place that the window's
 * deepest stack leaves; past it a node stays the function that its symbol names. */
static int keep_within_depth(struct frames *f, const struct window *w)
{
    _cleanup_free_ uint16_t *sums = calloc(w->nodes.count, sizeof(*sums));
    if (!sums)
        return -ENOMEM;
    uint32_t deepest = find_depth(w, sums);
    uint32_t room = deepest < WIRE_MAX_DEPTH ? WIRE_MAX_DEPTH - deepest : 0;
    sums[0] = 0;
    for (uint32_t i = 1; i < w->nodes.count; i++) {
        const struct window_node *node = table_row(&w->nodes, i);
        uint32_t inlined = f->of_node[i].count - 1;
        if (sums[node->parent] + inlined > room)
            inlined = 0;
        f->of_node[i].count = 1 + inlined;
        sums[i] = (uint16_t)(sums[node->parent] + inlined);
    }
    return 0;
}

int frames_name(struct frames *f, struct naming *naming, const struct window *w)
{
    uint32_t row;
    f->of_node = calloc(w->nodes.count, sizeof(*f->of_node));
    f->source_of_object = calloc(w->objects.count + 1, 1);
    if (!f->of_node || !f->source_of_object)
        return -ENOMEM;
    int r = add_object(f, "", NULL, OBJECT_NONE, &row);
    if (r == 0)
        r = name_nodes(f, naming, w);
    return r == 0 ? keep_within_depth(f, w) : r;
}

bool frames_has_name(const struct frames *f, const struct window *w, uint32_t node,
                     enum naming_source *ret)
{
    const struct window_node *n = table_row(&w->nodes, node);
    const struct frame_row *frame = table_row(&f->rows, f->list[f->of_node[node].first]);
    *ret = f->source_of_object[n->object];
    return frame->name != 0;
}
