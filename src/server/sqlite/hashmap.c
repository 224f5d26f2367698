/* hashmap.c: takes hashes and numbers, keeps them in one open-addressed table. */
#include "server/sqlite/hashmap.h"

#include <errno.h>
#include <stdlib.h>

static int hashmap_grow(struct hashmap *map)
{
    size_t count = map->slots ? (map->mask + 1) * 2 : 64;
    struct hashmap next = {.slots = calloc(count, sizeof(*next.slots)), .mask = count - 1};
    if (!next.slots)
        return -ENOMEM;
    for (size_t i = 0; map->slots && i <= map->mask; i++)
        if (map->slots[i].value)
            *hashmap_probe(&next, map->slots[i].hash) = map->slots[i];
    next.used = map->used;
    free(map->slots);
    *map = next;
    return 0;
}

int hashmap_put(struct hashmap *map, struct hash hash, uint64_t value)
{
    if (!map->slots || map->used * 4 >= (map->mask + 1) * 3) {
        int r = hashmap_grow(map);
        if (r < 0)
            return r;
    }
    struct hashmap_slot *s = hashmap_probe(map, hash);
    map->used += s->value == 0;
    *s = (struct hashmap_slot){hash, value};
    return 0;
}

void hashmap_free(struct hashmap *map)
{
    free(map->slots);
    *map = (struct hashmap){0};
}
