/* sums.c: takes counts of samples, keeps their sums by group and stack. */
#include "server/sqlite/sums.h"

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"

static int add_row(struct sums *s, uint32_t group, uint64_t stack, struct err *err)
{
    if (s->count >= SUMS_MAX)
        return err_set(err, -E2BIG,
                       "the answer has more than %u rows: ask for a shorter time, filter, or group "
                       "by less",
                       SUMS_MAX);
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 256;
        struct sum *all = realloc(s->all, cap * sizeof(*all));
        if (!all)
            return err_errno(err, -ENOMEM, "adding up %zu rows", cap);
        s->all = all;
        s->cap = cap;
    }
    int r = hashmap_put(&s->rows, hash_of_pair(stack, group), s->count + 1);
    if (r < 0)
        return err_errno(err, r, "adding up %zu rows", s->count);
    s->all[s->count++] = (struct sum){.group = group, .stack = stack};
    return 0;
}

int sums_add(struct sums *s, uint32_t group, uint64_t stack, uint64_t samples, uint64_t cpu_ns,
             struct err *err)
{
    size_t row = s->last;
    if (row == 0 || s->all[row - 1].group != group || s->all[row - 1].stack != stack) {
        row = hashmap_get(&s->rows, hash_of_pair(stack, group));
        if (row == 0) {
            int r = add_row(s, group, stack, err);
            if (r < 0)
                return r;
            row = s->count;
        }
        s->last = row;
    }
    s->all[row - 1].samples += samples;
    s->all[row - 1].cpu_ns += cpu_ns;
    return 0;
}

void sums_free(struct sums *s)
{
    free(s->all);
    hashmap_free(&s->rows);
    *s = (struct sums){0};
}
