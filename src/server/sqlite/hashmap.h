/* hashmap.h: 128-bit hash to a number, in memory. Open because its lookup is the innermost loop of
 * ingest and query. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/sqlite/hash.h"

/* Zero-initialised is an empty map. The hash's bits must be spread evenly; the values are not 0. */
struct hashmap {
    struct hashmap_slot {
        struct hash hash;
        uint64_t value; /* 0: free */
    } * slots;
    size_t mask; /* slots - 1, or 0 before the first */
    size_t used;
};

/* The slot of this hash, or the free one where it belongs; NULL for an empty map. */
static inline struct hashmap_slot *hashmap_probe(const struct hashmap *map, struct hash hash)
{
    if (!map->slots)
        return NULL;
    for (size_t i = hash.low & map->mask;; i = (i + 1) & map->mask) {
        struct hashmap_slot *s = &map->slots[i];
        if (s->value == 0 || (s->hash.low == hash.low && s->hash.high == hash.high))
            return s;
    }
}

/* 0: not there. */
static inline uint64_t hashmap_get(const struct hashmap *map, struct hash hash)
{
    const struct hashmap_slot *s = hashmap_probe(map, hash);
    return s ? s->value : 0;
}

/* -ENOMEM, and the map is as it was. */
int hashmap_put(struct hashmap *map, struct hash hash, uint64_t value);
void hashmap_free(struct hashmap *map);

/* A hash made of two numbers, for keys that are none. */
static inline struct hash hash_of_pair(uint64_t a, uint64_t b)
{
    uint64_t mix = (a ^ b * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    mix ^= mix >> 32;
    /* (a, low) determines b, so that equal hashes mean equal pairs: every step from b is one to one
     * for a given a (odd factors; xor with a shift of itself). */
    return (struct hash){a, mix};
}
