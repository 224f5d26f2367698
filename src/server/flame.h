/* flame.h: the samples of a query as a tree of calls, ready to be written. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/strings.h"

struct err;
struct query;
struct store;
struct symbols;

/* The kind of the root and of group rows; the others are enum frame_kind. */
#define FLAME_META 0

/* 40 bytes, and a million of them in an answer: this is why the layout stands here. */
struct flame_node {
    uint64_t self, total; /* samples */
    uint32_t name, object, file;
    uint32_t line;  /* with query.by_line; 0: unknown */
    uint16_t depth; /* of the root 0 */
    uint8_t kind;
};

struct flame {
    struct flame_node *nodes; /* pre-order, siblings sorted by name; node 0 is the root, `all` */
    uint32_t node_count;
    uint64_t folded_nodes; /* left out; the totals above them hold their samples */
    uint64_t cpu_ns;
    struct strings names;
    struct strings objects; /* 0 is "" */
    struct strings files;   /* 0 is "" */
};

/* How many rows (stacks times groups) one answer is made of at most, and how many bytes of names.
 */
#define FLAME_MAX_ROWS  8000000u
#define FLAME_MAX_BYTES ((size_t)256 << 20)

/* Runs the query; names are looked for in `symbols` too if it is not NULL. Frames are one node when
 * name, object and kind are the same, for folded output name and kind, and with query.by_line file
 * and line, too; else a node's file is one of its frames'. An unnamed frame is named by its
 * object's base name and its address. Of a tree of more than query.max_nodes nodes the smallest are
 * left out, but not for folded output, which is refused with -E2BIG past QUERY_MAX_NODES. -E2BIG:
 * too much is asked for; otherwise the store's error, or -ENOMEM. */
int flame_query(struct store *store, struct symbols *symbols, const struct query *query,
                struct flame **ret, struct err *err);
void flame_free(struct flame **flame);
