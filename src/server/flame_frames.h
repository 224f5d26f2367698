/* flame_frames.h: which frames of a tree one of the store's becomes: itself, or, where debug files
 * tell more, a function and what is inlined into it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/map64.h"

struct flame_tree;
struct store_frame;
struct symbols;
struct symbols_ask;

struct flame_frames {
    struct flame_tree *tree;
    struct symbols *symbols; /* NULL: there are no debug files */
    int64_t left_ns;         /* that reading debug files may still take */
    bool is_last;            /* what is not known now is not asked for again */
    struct map64 map;        /* the store's id -> where in `list` its frames stand; of one call */
    uint32_t *list;          /* for each: how many, then they */
    uint32_t list_count, list_cap;
    struct symbols_ask *asked;
    uint32_t asked_count, asked_cap;
};

void flame_frames_init(struct flame_frames *frames, struct flame_tree *tree,
                       struct symbols *symbols);
void flame_frames_free(struct flame_frames *frames);

/* Before each of the store's calls: its ids begin anew. */
void flame_frames_begin(struct flame_frames *frames, bool is_last);

/* The tree's frames of one of the store's; at least one. `as_it_is`: it is not to become several.
 * Valid until the next call. -EAGAIN: debug files have to be read first, for which it is noted;
 * -EFBIG past the tree's limits; -ENOMEM. */
int flame_frames_find(struct flame_frames *frames, const struct store_frame *frame, bool as_it_is,
                      const uint32_t **ret, uint32_t *ret_count);

/* Reads debug files for what was noted. */
void flame_frames_learn(struct flame_frames *frames);
