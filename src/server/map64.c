/* map64.c: takes keys, gives the places of their numbers; open addressing with linear probing. See
 * map64.h. */
#include "server/map64.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define EMPTY       UINT32_MAX
#define FIRST_SLOTS 64u

/* Packed: 12 bytes an entry, so that a lookup touches one cache line in most cases. */
struct __attribute__((packed, aligned(4))) map64_entry {
    uint64_t key;
    uint32_t value;
};

/* The finalizer of MurmurHash3: keys are (parent, child) pairs of small numbers, whose low bits say
 * little. */
static uint32_t slot_of(uint64_t key)
{
    key ^= key >> 33;
    key *= 0xff51afd7ed558ccdULL;
    key ^= key >> 33;
    key *= 0xc4ceb9fe1a85ec53ULL;
    return (uint32_t)(key >> 32);
}

static struct map64_entry *probe(const struct map64 *map, uint64_t key)
{
    uint32_t slot = slot_of(key) & map->mask;
    while (map->entries[slot].value != EMPTY && map->entries[slot].key != key)
        slot = (slot + 1) & map->mask;
    return &map->entries[slot];
}

static bool grow(struct map64 *map)
{
    size_t slots = map->entries ? ((size_t)map->mask + 1) * 2 : FIRST_SLOTS;
    if (slots > (size_t)1 << 31)
        return false;
    struct map64 bigger = {.count = map->count, .mask = (uint32_t)(slots - 1)};
    bigger.entries = malloc(slots * sizeof(*bigger.entries));
    if (!bigger.entries)
        return false;
    memset(bigger.entries, 0xff, slots * sizeof(*bigger.entries));
    if (map->entries) {
        for (size_t i = 0; i <= map->mask; i++)
            if (map->entries[i].value != EMPTY)
                *probe(&bigger, map->entries[i].key) = map->entries[i];
        free(map->entries);
    }
    *map = bigger;
    return true;
}

uint32_t *map64_place(struct map64 *map, uint64_t key, bool *ret_new)
{
    /* At most 2/3 full. */
    if ((!map->entries || map->count >= (map->mask / 3) * 2) && !grow(map))
        return NULL;
    struct map64_entry *entry = probe(map, key);
    *ret_new = entry->value == EMPTY;
    if (*ret_new) {
        entry->key = key;
        map->count++;
    }
    return &entry->value;
}

const uint32_t *map64_find(const struct map64 *map, uint64_t key)
{
    if (!map->entries)
        return NULL;
    const struct map64_entry *entry = probe(map, key);
    return entry->value == EMPTY ? NULL : &entry->value;
}

void map64_free(struct map64 *map)
{
    free(map->entries);
    *map = (struct map64){0};
}
