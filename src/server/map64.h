/* map64.h: 64-bit keys to 32-bit numbers, for tables of millions. Entries are never removed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialised is an empty map. */
struct map64 {
    struct map64_entry *entries;
    uint32_t count, mask;
};

/* The place of the key's number. A key that was not there gets *ret_new = true, and its caller puts
 * a number, not UINT32_MAX, into the place before the next call. NULL: no memory. */
uint32_t *map64_place(struct map64 *map, uint64_t key, bool *ret_new);

/* NULL: not there. */
const uint32_t *map64_find(const struct map64 *map, uint64_t key);

void map64_free(struct map64 *map);
