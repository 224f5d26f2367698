/* flame_tree.c: takes stacks of frames and their samples, gives a tree in which equal paths are
 * one. See flame_tree.h. */
#include "server/flame_tree.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/flame.h"

#define MAX_OBJECTS (1u << 24) /* an object shares a key's lower half with its frame's kind */

static int reserve(void **array, uint32_t *cap, uint32_t count, size_t size)
{
    if (count < *cap)
        return 0;
    uint32_t more = *cap ? *cap * 2 : 256;
    void *bigger = realloc(*array, more * size);
    if (!bigger)
        return -ENOMEM;
    *array = bigger;
    *cap = more;
    return 0;
}

/* The frame that the key has in the map; one like `frame` if it had none. */
static int add_frame(struct flame_tree *tree, struct map64 *map, uint64_t key,
                     const struct flame_tree_frame *frame, uint32_t *ret_frame)
{
    bool is_new;
    int r =
        reserve((void **)&tree->frames, &tree->frame_cap, tree->frame_count, sizeof(*tree->frames));
    if (r < 0)
        return r;
    uint32_t *place = map64_place(map, key, &is_new);
    if (!place)
        return -ENOMEM;
    if (is_new) {
        *place = tree->frame_count;
        tree->frames[tree->frame_count++] = *frame;
    }
    *ret_frame = *place;
    return 0;
}

/* By name, object and kind. */
static int add_function(struct flame_tree *tree, const struct flame_tree_frame *frame,
                        uint32_t *ret_frame)
{
    uint64_t key = (uint64_t)frame->name << 32 | (uint64_t)frame->object << 8 | frame->kind;
    if (frame->object >= MAX_OBJECTS)
        return -EFBIG;
    return add_frame(tree, &tree->frame_map, key, frame, ret_frame);
}

/* Also by file and line, of which there is no room in one key. */
static int add_line(struct flame_tree *tree, const struct flame_tree_frame *frame,
                    uint32_t *ret_frame)
{
    uint32_t function;
    bool is_new;
    int r = add_function(tree, frame, &function);
    if (r < 0)
        return r;
    uint32_t *place =
        map64_place(&tree->place_map, (uint64_t)frame->file << 32 | frame->line, &is_new);
    if (!place)
        return -ENOMEM;
    if (is_new)
        *place = tree->place_count++;
    return add_frame(tree, &tree->line_map, (uint64_t)function << 32 | *place, frame, ret_frame);
}

int flame_tree_label(struct flame_tree *tree, const char *text, uint32_t *ret_frame)
{
    uint32_t name;
    int r = strings_intern(&tree->names, text, strlen(text), &name);
    struct flame_tree_frame frame = {.name = name, .kind = FLAME_META};
    return r < 0 ? r : add_function(tree, &frame, ret_frame);
}

/* What an unnamed frame is called. */
static size_t print_address(const struct store_frame *frame, char *text, size_t size)
{
    const char *slash = strrchr(frame->object, '/');
    const char *base = slash && slash[1] ? slash + 1 : frame->object;
    int len = snprintf(text, size, "%.*s+0x%" PRIx64, (int)(size - 32), *base ? base : "[unknown]",
                       frame->address);
    return (size_t)len;
}

int flame_tree_frame(struct flame_tree *tree, const struct store_frame *frame, uint32_t *ret_frame)
{
    char address[WIRE_MAX_STRING + 32];
    const char *text = frame->name;
    size_t len = strlen(text);
    if (len == 0) {
        len = print_address(frame, address, sizeof(address));
        text = address;
    }
    struct flame_tree_frame is = {.kind = frame->kind, .line = tree->by_line ? frame->line : 0};
    int r = strings_intern(&tree->names, text, len, &is.name);
    if (r == 0 && tree->by_object)
        r = strings_intern(&tree->objects, frame->object, strlen(frame->object), &is.object);
    if (r == 0 && tree->by_object)
        r = strings_intern(&tree->files, frame->file, strlen(frame->file), &is.file);
    if (r < 0)
        return r;
    if (tree->by_line)
        return add_line(tree, &is, ret_frame);
    r = add_function(tree, &is, ret_frame);
    if (r < 0)
        return r;
    /* The first by name, so that the answer does not hang on the order of stacks. */
    uint32_t *file = &tree->frames[*ret_frame].file;
    if (is.file && (*file == 0 || strcmp(tree->files.texts[is.file], tree->files.texts[*file]) < 0))
        *file = is.file;
    return 0;
}

static int add_node(struct flame_tree *tree, uint32_t parent, uint32_t frame)
{
    int r = reserve((void **)&tree->nodes, &tree->node_cap, tree->node_count, sizeof(*tree->nodes));
    if (r == 0)
        tree->nodes[tree->node_count++] =
            (struct flame_tree_node){.parent = parent, .frame = frame};
    return r;
}

/* The child, or -ENOENT if it is not there and must not be made. */
static int step(struct flame_tree *tree, uint32_t parent, uint32_t frame, uint32_t *ret_node)
{
    uint64_t key = (uint64_t)parent << 32 | frame;
    if (tree->node_count >= tree->node_max) {
        const uint32_t *there = map64_find(&tree->node_map, key);
        if (there)
            *ret_node = *there;
        return there ? 0 : -ENOENT;
    }
    bool is_new;
    uint32_t *node = map64_place(&tree->node_map, key, &is_new);
    if (!node)
        return -ENOMEM;
    if (is_new) {
        int r = add_node(tree, parent, frame);
        if (r < 0)
            return r;
        *node = tree->node_count - 1;
    }
    *ret_node = *node;
    return 0;
}

int flame_tree_walk(struct flame_tree *tree, uint32_t node, const uint32_t *frames, size_t count,
                    uint32_t *ret_node)
{
    int r = 0;
    for (size_t i = 0; i < count; i++) {
        r = step(tree, node, frames[i], &node);
        if (r == -ENOENT) {
            tree->cut += count - i;
            r = -EFBIG;
        }
        if (r < 0)
            break;
    }
    *ret_node = node;
    return r;
}

void flame_tree_add(struct flame_tree *tree, uint32_t node, uint64_t samples, bool is_cut)
{
    assert(node < tree->node_count);
    if (!is_cut)
        tree->nodes[node].self += samples;
    tree->nodes[node].total += samples;
}

int flame_tree_init(struct flame_tree *tree, uint32_t node_max, size_t max_bytes, bool by_object,
                    bool by_line)
{
    *tree = (struct flame_tree){
        .names = {.max_bytes = max_bytes},
        .objects = {.max_bytes = max_bytes},
        .files = {.max_bytes = max_bytes},
        .node_max = node_max,
        .by_object = by_object,
        .by_line = by_line,
    };
    uint32_t none, frame;
    int r = strings_intern(&tree->objects, "", 0, &none);
    if (r == 0)
        r = strings_intern(&tree->files, "", 0, &none);
    if (r == 0)
        r = flame_tree_label(tree, "all", &frame);
    if (r == 0)
        r = add_node(tree, FLAME_TREE_ROOT, frame);
    if (r < 0)
        flame_tree_free(tree);
    return r;
}

void flame_tree_free(struct flame_tree *tree)
{
    strings_free(&tree->names);
    strings_free(&tree->objects);
    strings_free(&tree->files);
    free(tree->frames);
    free(tree->nodes);
    map64_free(&tree->frame_map);
    map64_free(&tree->place_map);
    map64_free(&tree->line_map);
    map64_free(&tree->node_map);
    *tree = (struct flame_tree){0};
}
