/* hot_objects.h: which objects have the most samples in frames that debug files could tell more of:
 * what is worth fetching first. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/elf.h"

struct batch;
struct err;
struct hot_objects;

#define HOT_OBJECTS_MAX 1024u /* the coldest give way to new ones */

struct hot_object {
    uint8_t build_id[ELF_BUILD_ID_MAX];
    uint8_t build_id_len;
    double samples; /* those of an hour ago count half */
};

int hot_objects_new(struct hot_objects **ret, struct err *err);
void hot_objects_free(struct hot_objects **objects);

/* Counts the batch's samples once for each such frame of their stacks. */
void hot_objects_add_batch(struct hot_objects *objects, const struct batch *batch, int64_t now_ns);
void hot_objects_add(struct hot_objects *objects, const uint8_t *build_id, size_t len,
                     double samples, int64_t now_ns);

/* The hottest of those that are not put off; false: there is none. */
bool hot_objects_find(struct hot_objects *objects, int64_t now_ns, struct hot_object *ret);

/* It is not found before `until_ns`, as long as it is hot enough to be known. */
void hot_objects_put_off(struct hot_objects *objects, const struct hot_object *object,
                         int64_t until_ns);
