/* frames.h: the frames of a batch: what a window's nodes are called. Part of the builder's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/naming.h"
#include "base/table.h"

struct batch_object;
struct objects;
struct strings;
struct window;

struct frame_row { /* of struct table: the batch's frame, without padding */
    uint64_t address;
    uint32_t kind, object, name, file, line, unused;
};

struct frame_span { /* of one node, in `list` */
    uint32_t first, count;
};

struct frames {
    struct strings *strings; /* the batch's */
    struct objects *registry;
    struct table rows; /* struct frame_row */
    struct batch_object *objects;
    uint32_t object_count, object_room;
    uint32_t *list; /* numbers of rows */
    uint32_t list_count, list_room;
    struct frame_span *of_node; /* by the window's nodes */
    uint8_t *source_of_object;  /* enum naming_source, by the window's objects */
};

void frames_init(struct frames *frames, struct strings *strings, struct objects *registry);
void frames_free(struct frames *frames);

/* Forgets the batch, keeps memory for the next. */
void frames_clear(struct frames *frames);

/* Names every node of the window: fills rows, objects, and what frames_of_node() gives. */
int frames_name(struct frames *frames, struct naming *names, const struct window *window);

/* Rows of a node, the outermost function first: at least one, but none of the root. */
static inline const uint32_t *frames_of_node(const struct frames *frames, uint32_t node,
                                             uint32_t *ret_count)
{
    *ret_count = frames->of_node[node].count;
    return frames->list + frames->of_node[node].first;
}

/* Whether a node that is no marker has a name; if not, why is in *ret. */
bool frames_has_name(const struct frames *frames, const struct window *window, uint32_t node,
                     enum naming_source *ret);

size_t frames_bytes(const struct frames *frames);
