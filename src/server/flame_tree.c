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

static int add_frame(struct flame_tree *tree, uint32_t name, uint32_t object, uint8_t kind,
                     uint32_t *ret_frame)
{
    bool is_new;
    uint64_t key = (uint64_t)name << 32 | (uint64_t)object << 8 | kind;
    if (object >= MAX_OBJECTS)
        return -EFBIG;
    int r =
        reserve((void **)&tree->frames, &tree->frame_cap, tree->frame_count, sizeof(*tree->frames));
    if (r < 0)
        return r;
    uint32_t *frame = map64_place(&tree->frame_map, key, &is_new);
    if (!frame)
        return -ENOMEM;
    if (is_new) {
        *frame = tree->frame_count;
        tree->frames[tree->frame_count++] = (struct flame_tree_frame){name, object, kind};
    }
    *ret_frame = *frame;
    return 0;
}

int flame_tree_label(struct flame_tree *tree, const char *text, uint32_t *ret_frame)
{
    uint32_t name;
    int r = strings_intern(&tree->names, text, strlen(text), &name);
    return r < 0 ? r : add_frame(tree, name, 0, FLAME_META, ret_frame);
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
    uint32_t name, object = 0;
    int r = strings_intern(&tree->names, text, len, &name);
    if (r == 0 && tree->by_object)
        r = strings_intern(&tree->objects, frame->object, strlen(frame->object), &object);
    return r < 0 ? r : add_frame(tree, name, object, frame->kind, ret_frame);
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

int flame_tree_init(struct flame_tree *tree, uint32_t node_max, size_t max_bytes, bool by_object)
{
    *tree = (struct flame_tree){
        .names = {.max_bytes = max_bytes},
        .objects = {.max_bytes = max_bytes},
        .node_max = node_max,
        .by_object = by_object,
    };
    uint32_t none, frame;
    int r = strings_intern(&tree->objects, "", 0, &none);
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
    free(tree->frames);
    free(tree->nodes);
    map64_free(&tree->frame_map);
    map64_free(&tree->node_map);
    *tree = (struct flame_tree){0};
}
