/* table.h: rows of text in aligned columns. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct err;
struct table;

#define TABLE_MAX_COLUMNS 8
/* A longer cell does not widen its column for all others. */
#define TABLE_MAX_WIDTH 64

/* `heads` ends with NULL; one that starts with '>' aligns its column to the right. */
int table_new(const char *const *heads, struct table **ret, struct err *err);
void table_free(struct table **table);

/* The next cell, left to right, row by row. What a terminal would obey is replaced: names come from
 * anywhere. */
int table_add(struct table *table, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

int table_print(const struct table *table, FILE *to, struct err *err);
