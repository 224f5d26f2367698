/* table.h: rows of one size, each found by the bytes it begins with.
 *
 * A row's number never changes and rows lie in the order they were added, so numbers can stand for
 * rows elsewhere. Rows are never taken out singly. Keys are compared as bytes: a key struct must
 * not have padding, or have it zeroed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct table {
    uint8_t *rows;
    uint32_t *index; /* row number + 1, 0 for an empty place; a power of two of them */
    uint32_t count, room, index_size;
    uint32_t row_size, key_size;
    uint32_t max; /* rows it may hold; 0: as many as memory */
};

/* Nothing is allocated before the first row. */
void table_init(struct table *table, size_t row_size, size_t key_size, uint32_t max);
void table_free(struct table *table);

/* Forgets all rows, keeps the memory. */
void table_clear(struct table *table);

/* 0: the key's row is there; 1: it has been added, zero behind the key. *ret_row is its number.
 * -ENOSPC at max, -ENOMEM. */
int table_add(struct table *table, const void *key, uint32_t *ret_row);

/* 0 or -ENOENT. */
int table_find(const struct table *table, const void *key, uint32_t *ret_row);

static inline void *table_row(const struct table *table, uint32_t row)
{
    return table->rows + (size_t)row * table->row_size;
}

/* Bytes of memory it holds. */
size_t table_bytes(const struct table *table);
