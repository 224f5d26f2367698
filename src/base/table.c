/* table.c: takes keys, gives row numbers. Open addressing with linear probing over row numbers, at
 * most half full: each probe is a row read somewhere in memory, and at three quarters a key that is
 * new takes four times as many. Hashes are computed again when the index grows, which is cheaper
 * than keeping them. See table.h. */
#include "base/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

void table_init(struct table *table, size_t row_size, size_t key_size, uint32_t max)
{
    assert(key_size > 0 && key_size <= row_size);
    *table =
        (struct table){.row_size = (uint32_t)row_size, .key_size = (uint32_t)key_size, .max = max};
}

void table_free(struct table *table)
{
    free(table->rows);
    free(table->index);
    table_init(table, table->row_size, table->key_size, table->max);
}

void table_clear(struct table *table)
{
    table->count = 0;
    if (table->index)
        memset(table->index, 0, (size_t)table->index_size * sizeof(*table->index));
}

/* The place of the key's row, or the empty place where it belongs. */
static uint32_t place_of(const struct table *t, const void *key)
{
    uint32_t mask = t->index_size - 1;
    uint32_t at = (uint32_t)XXH3_64bits(key, t->key_size) & mask;
    while (t->index[at] && memcmp(table_row(t, t->index[at] - 1), key, t->key_size) != 0)
        at = (at + 1) & mask;
    return at;
}

static int grow_index(struct table *t)
{
    uint32_t size = t->index_size ? t->index_size * 2 : 64;
    uint32_t *index = size ? calloc(size, sizeof(*index)) : NULL;
    if (!index)
        return -ENOMEM;
    free(t->index);
    t->index = index;
    t->index_size = size;
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t at = (uint32_t)XXH3_64bits(table_row(t, i), t->key_size) & (size - 1);
        while (index[at])
            at = (at + 1) & (size - 1);
        index[at] = i + 1;
    }
    return 0;
}

static int grow_rows(struct table *t)
{
    /* By half: doubling would hold a third more of what is never used. */
    uint32_t room = t->room + t->room / 2 + 32;
    if (room < t->room)
        return -ENOMEM;
    uint8_t *rows = realloc(t->rows, (size_t)room * t->row_size);
    if (!rows)
        return -ENOMEM;
    t->rows = rows;
    t->room = room;
    return 0;
}

int table_find(const struct table *table, const void *key, uint32_t *ret_row)
{
    if (!table->count)
        return -ENOENT;
    uint32_t at = place_of(table, key);
    if (!table->index[at])
        return -ENOENT;
    *ret_row = table->index[at] - 1;
    return 0;
}

int table_add(struct table *table, const void *key, uint32_t *ret_row)
{
    if (table_find(table, key, ret_row) == 0)
        return 0;
    if (table->max && table->count >= table->max)
        return -ENOSPC;
    if (table->count == table->room) {
        int r = grow_rows(table);
        if (r < 0)
            return r;
    }
    if (table->index_size / 2 <= table->count) {
        int r = grow_index(table);
        if (r < 0)
            return r;
    }
    uint8_t *row = table_row(table, table->count);
    memcpy(row, key, table->key_size);
    memset(row + table->key_size, 0, table->row_size - table->key_size);
    *ret_row = table->count++;
    table->index[place_of(table, key)] = *ret_row + 1;
    return 1;
}

size_t table_bytes(const struct table *table)
{
    return (size_t)table->room * table->row_size + (size_t)table->index_size * sizeof(uint32_t);
}
