/* flame_tree.h: a tree of calls while stacks are still added to it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strings.h"
#include "server/map64.h"
#include "server/store.h"
#include "wire/format.h"

struct flame;

struct flame_tree_frame {
    uint32_t name, object, file, line;
    uint8_t kind;
};

struct flame_tree_node {
    uint64_t self;  /* samples that end here */
    uint64_t total; /* while it grows: self and those of stacks that were cut here */
    uint32_t parent, frame;
};

/* A parent's number is smaller than its children's; 0 is the root. */
struct flame_tree {
    struct strings names, objects, files;
    struct flame_tree_frame *frames;
    uint32_t frame_count, frame_cap;
    struct map64 frame_map; /* name, object, kind -> frame */
    struct map64 place_map; /* file, line -> number; by_line only, as the next */
    struct map64 line_map;  /* frame of frame_map, place -> frame */
    uint32_t place_count;
    struct flame_tree_node *nodes;
    uint32_t node_count, node_cap, node_max;
    struct map64 node_map; /* parent, frame -> node */
    uint64_t cut;          /* nodes that were not made because of node_max */
    bool by_object;        /* frames of different objects are different */
    bool by_line;          /* frames of different lines are different */
};

#define FLAME_TREE_ROOT 0u
#define FLAME_MAX_PATH  (2 * WIRE_MAX_DEPTH) /* a stack's frames, of which some become several */
#define FLAME_MAX_DEPTH (1 + STORE_MAX_GROUPS + FLAME_MAX_PATH)

int flame_tree_init(struct flame_tree *tree, uint32_t node_max, size_t max_bytes, bool by_object,
                    bool by_line);
void flame_tree_free(struct flame_tree *tree);

/* The number of a frame of the tree. -EFBIG past the limits, -ENOMEM. */
int flame_tree_label(struct flame_tree *tree, const char *text, uint32_t *ret_frame);
int flame_tree_frame(struct flame_tree *tree, const struct store_frame *frame, uint32_t *ret_frame);

/* Walks from `node` along the frames, making what is not there. *ret_node is the last node reached:
 * when the tree is full that is not the end, and the result -EFBIG. -ENOMEM. */
int flame_tree_walk(struct flame_tree *tree, uint32_t node, const uint32_t *frames, size_t count,
                    uint32_t *ret_node);

/* Samples whose stack ends at `node`, or was cut there. */
void flame_tree_add(struct flame_tree *tree, uint32_t node, uint64_t samples, bool is_cut);

/* Fills the flame's nodes, names, objects, files and folded_nodes with at most `max_nodes` of the
 * nodes. The tree is then used up: only flame_tree_free() may follow. */
int flame_tree_finish(struct flame_tree *tree, uint32_t max_nodes, struct flame *flame);
