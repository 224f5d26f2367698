/* series.c: takes a batch's processes and labels, gives its series. */
#include "server/sqlite/series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/sqlite/hashmap.h"
#include "wire/batch.h"

/* What is hashed of a series in front of its labels' hashes. */
#define SERIES_WORDS 3

static int compare_hashes(const struct hash *a, const struct hash *b)
{
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    return (a->low > b->low) - (a->low < b->low);
}

struct order {
    const struct batch *batch;
    const struct batch_hashes *hashes;
};

/* By process, then by hash of key and value: any order of the words would do, as long as it is the
 * same in every batch. */
static int compare_labels(const void *left, const void *right, void *ctx)
{
    const struct order *o = ctx;
    const struct batch_label *a = &o->batch->labels[*(const uint32_t *)left];
    const struct batch_label *b = &o->batch->labels[*(const uint32_t *)right];
    if (a->process != b->process)
        return a->process < b->process ? -1 : 1;
    int r = compare_hashes(&o->hashes->strings[a->key], &o->hashes->strings[b->key]);
    return r ? r : compare_hashes(&o->hashes->strings[a->value], &o->hashes->strings[b->value]);
}

/* Into s->labels, sorted, each once; gives how many. */
static uint32_t sort_labels(struct order *o, struct batch_series *s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < o->batch->label_count; i++)
        s->labels[i] = i;
    qsort_r(s->labels, o->batch->label_count, sizeof(*s->labels), compare_labels, o);
    for (uint32_t i = 0; i < o->batch->label_count; i++)
        if (kept == 0 || compare_labels(&s->labels[kept - 1], &s->labels[i], o) != 0)
            s->labels[kept++] = s->labels[i];
    return kept;
}

static struct hash hash_series(const struct order *o, struct hash node,
                               const struct series_row *row, const uint32_t *labels,
                               struct hash *words)
{
    const struct batch_process *p = &o->batch->processes[row->process];
    size_t n = 0;
    words[n++] = node;
    words[n++] = o->hashes->strings[p->name];
    words[n++] = o->hashes->strings[p->cgroup];
    for (uint32_t i = 0; i < row->label_count; i++) {
        const struct batch_label *l = &o->batch->labels[labels[row->first_label + i]];
        words[n++] = o->hashes->strings[l->key];
        words[n++] = o->hashes->strings[l->value];
    }
    return hash_bytes(words, n * sizeof(*words));
}

static int collect_series(const struct order *o, uint32_t labels, struct batch_series *s,
                          struct hash *words)
{
    struct hash node = hash_text(o->batch->node);
    _cleanup_(hashmap_free) struct hashmap seen = {0};
    for (uint32_t p = 0, at = 0; p < o->batch->process_count; p++) {
        struct series_row row = {.process = p, .first_label = at};
        for (; at < labels && o->batch->labels[s->labels[at]].process == p; at++)
            row.label_count++;
        row.hash = hash_series(o, node, &row, s->labels, words);
        uint64_t number = hashmap_get(&seen, row.hash);
        if (!number) {
            s->rows[s->count++] = row;
            number = s->count;
            int r = hashmap_put(&seen, row.hash, number);
            if (r < 0)
                return r;
        }
        s->of_process[p] = (uint32_t)number - 1;
    }
    return 0;
}

int batch_series_make(const struct batch *b, const struct batch_hashes *hashes,
                      struct batch_series *ret, struct err *err)
{
    struct order order = {b, hashes};
    _cleanup_(batch_series_free) struct batch_series s = {
        .of_process = malloc((b->process_count + 1ull) * sizeof(*s.of_process)),
        .rows = malloc((b->process_count + 1ull) * sizeof(*s.rows)),
        .labels = malloc((b->label_count + 1ull) * sizeof(*s.labels)),
    };
    _cleanup_free_ struct hash *words =
        malloc((SERIES_WORDS + 2ull * b->label_count) * sizeof(*words));
    int r = s.of_process && s.rows && s.labels && words ? 0 : -ENOMEM;
    if (r == 0)
        r = collect_series(&order, sort_labels(&order, &s), &s, words);
    if (r < 0)
        return err_errno(err, r, "sorting %u processes into series", b->process_count);
    *ret = s;
    memset(&s, 0, sizeof(s));
    return 0;
}

void batch_series_free(struct batch_series *s)
{
    free(s->of_process);
    free(s->rows);
    free(s->labels);
    *s = (struct batch_series){0};
}
