/* groups.h: the groups a query's samples fall into: tuples of texts, the same over all days. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "server/sqlite/hashmap.h"
#include "server/store.h"

struct err;

struct groups {
    size_t width; /* values of a tuple: the query's group_count */
    char **texts;
    uint32_t text_count, text_cap;
    struct hashmap text_rows; /* by text: row + 1 */
    uint32_t *tuples;         /* of `width` text rows each */
    uint32_t count, cap;
    struct hashmap rows; /* by tuple: row + 1 */
};

void groups_free(struct groups *g);

/* The row of a text, new or not. */
int groups_text(struct groups *g, const char *text, uint32_t *ret, struct err *err);
/* The row of a number's text. */
int groups_number(struct groups *g, uint32_t number, uint32_t *ret, struct err *err);
/* The row of a tuple of text rows, new or not. */
int groups_tuple(struct groups *g, const uint32_t *texts, uint32_t *ret, struct err *err);

/* The texts of a tuple, `width` of them. */
void groups_read(const struct groups *g, uint32_t tuple, const char **ret_texts);
