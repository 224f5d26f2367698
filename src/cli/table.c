/* table.c: takes cells, prints them in columns as wide as they need. */
#include "cli/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

struct table {
    const char *heads[TABLE_MAX_COLUMNS];
    bool right[TABLE_MAX_COLUMNS];
    size_t columns;
    size_t widths[TABLE_MAX_COLUMNS];
    char **cells;
    size_t count, cap;
};

/* Characters, not bytes: near enough to what they take on a terminal. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += (*text & 0xc0) != 0x80;
    return width;
}

int table_new(const char *const *heads, struct table **ret, struct err *err)
{
    struct table *t = calloc(1, sizeof(*t));
    if (!t)
        return err_errno(err, -ENOMEM, "making a table");
    for (; heads[t->columns]; t->columns++) {
        const char *head = heads[t->columns];
        t->right[t->columns] = *head == '>';
        t->heads[t->columns] = head + (*head == '>');
        t->widths[t->columns] = strlen(t->heads[t->columns]);
    }
    *ret = t;
    return 0;
}

void table_free(struct table **table)
{
    struct table *t = *table;
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
    *table = NULL;
}

/* C0, DEL and (as UTF-8) C1: each may start a terminal's command. */
static void defuse(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < ' ' || *c == 0x7f)
            *c = '?';
        else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
            *c = c[1] = '?';
    }
}

int table_add(struct table *t, struct err *err, const char *fmt, ...)
{
    if (t->count == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        char **cells = reallocarray(t->cells, cap, sizeof(*cells));
        if (!cells)
            return err_errno(err, -ENOMEM, "making a table");
        t->cells = cells;
        t->cap = cap;
    }
    char *cell;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&cell, fmt, ap);
    va_end(ap);
    if (n < 0)
        return err_errno(err, -ENOMEM, "making a table");
    defuse(cell);
    size_t *width = &t->widths[t->count % t->columns], wanted = width_of(cell);
    if (wanted > TABLE_MAX_WIDTH)
        wanted = TABLE_MAX_WIDTH;
    if (wanted > *width)
        *width = wanted;
    t->cells[t->count++] = cell;
    return 0;
}

static void print_cell(const struct table *t, size_t column, const char *text, FILE *to)
{
    size_t width = width_of(text);
    int pad = t->widths[column] > width ? (int)(t->widths[column] - width) : 0;
    bool last = column + 1 == t->columns;
    fprintf(to, "%*s%s%*s", t->right[column] ? pad : 0, "", text,
            t->right[column] || last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", to);
}

int table_print(const struct table *t, FILE *to, struct err *err)
{
    for (size_t i = 0; i < t->columns; i++)
        print_cell(t, i, t->heads[i], to);
    for (size_t i = 0; i < t->count; i++)
        print_cell(t, i % t->columns, t->cells[i], to);
    if (fflush(to) != 0)
        return err_errno(err, -errno, "writing to the standard output");
    return 0;
}
