/* groups.c: takes texts and tuples of them, gives their rows. */
#include "server/sqlite/groups.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

void groups_free(struct groups *g)
{
    for (uint32_t i = 0; i < g->text_count; i++)
        free(g->texts[i]);
    free(g->texts);
    free(g->tuples);
    hashmap_free(&g->text_rows);
    hashmap_free(&g->rows);
    *g = (struct groups){0};
}

static int out_of_memory(struct err *err)
{
    return err_errno(err, -ENOMEM, "grouping");
}

int groups_text(struct groups *g, const char *text, uint32_t *ret, struct err *err)
{
    struct hash hash = hash_text(text);
    uint64_t row = hashmap_get(&g->text_rows, hash);
    if (row == 0) {
        if (g->text_count == g->text_cap) {
            uint32_t cap = g->text_cap ? g->text_cap * 2 : 64;
            char **texts = realloc(g->texts, cap * sizeof(char *));
            if (!texts)
                return out_of_memory(err);
            g->texts = texts;
            g->text_cap = cap;
        }
        _cleanup_free_ char *copy = strdup(text);
        if (!copy || hashmap_put(&g->text_rows, hash, g->text_count + 1ull) < 0)
            return out_of_memory(err);
        g->texts[g->text_count++] = TAKE_PTR(copy);
        row = g->text_count;
    }
    *ret = (uint32_t)row - 1;
    return 0;
}

int groups_number(struct groups *g, uint32_t number, uint32_t *ret, struct err *err)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", number);
    return groups_text(g, text, ret, err);
}

int groups_tuple(struct groups *g, const uint32_t *texts, uint32_t *ret, struct err *err)
{
    struct hash hash = hash_bytes(texts, g->width * sizeof(*texts));
    uint64_t row = hashmap_get(&g->rows, hash);
    if (row == 0) {
        if (g->count == g->cap) {
            uint32_t cap = g->cap ? g->cap * 2 : 64;
            uint32_t *tuples = realloc(g->tuples, (g->width + 1) * cap * sizeof(*tuples));
            if (!tuples)
                return out_of_memory(err);
            g->tuples = tuples;
            g->cap = cap;
        }
        if (hashmap_put(&g->rows, hash, g->count + 1ull) < 0)
            return out_of_memory(err);
        for (size_t i = 0; i < g->width; i++)
            g->tuples[g->count * g->width + i] = texts[i];
        row = ++g->count;
    }
    *ret = (uint32_t)row - 1;
    return 0;
}

void groups_read(const struct groups *g, uint32_t tuple, const char **ret_texts)
{
    for (size_t i = 0; i < g->width; i++)
        ret_texts[i] = g->texts[g->tuples[tuple * g->width + i]];
}
