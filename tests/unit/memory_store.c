/* memory_store.c: see memory_store.h. */
#include "memory_store.h"

#include <stdbool.h>
#include <string.h>

#include "base/err.h"

static const char *label_of(const struct memory_sample *sample, const char *key)
{
    const char *value = strcmp(key, "node") == 0      ? sample->node
                        : strcmp(key, "process") == 0 ? sample->process
                        : strcmp(key, "thread") == 0  ? sample->thread
                                                      : NULL;
    return value ? value : "";
}

static bool matches(const struct memory_sample *sample, const struct store_query *query)
{
    for (size_t i = 0; i < query->filter_count; i++) {
        const char *key = query->filters[i].key;
        bool any = false;
        for (size_t k = 0; k < query->filter_count; k++)
            if (strcmp(query->filters[k].key, key) == 0 &&
                strcmp(query->filters[k].value, label_of(sample, key)) == 0)
                any = true;
        if (!any)
            return false;
    }
    return true;
}

static int memory_query(struct store *s, const struct store_query *query, store_row_fn fn,
                        void *ctx, struct err *err)
{
    struct memory_store *memory = (struct memory_store *)s;
    if (memory->query_result)
        return err_set(err, memory->query_result, "%s", memory->query_error);
    for (size_t i = 0; i < memory->count; i++) {
        const struct memory_sample *sample = &memory->samples[i];
        const char *groups[STORE_MAX_GROUPS];
        if (!matches(sample, query))
            continue;
        for (size_t g = 0; g < query->group_count; g++)
            groups[g] = label_of(sample, query->groups[g]);
        struct store_row row = {
            .groups = groups,
            .stack = query->stacks ? i + 1 : 0,
            .samples = sample->samples,
            .cpu_ns = sample->samples * sample->period_ns,
        };
        int r = fn(ctx, &row);
        if (r)
            return r;
    }
    return 0;
}

/* Backwards, since any order is allowed. */
static int memory_stacks(struct store *s, const uint64_t *stacks, size_t count, store_stack_fn fn,
                         void *ctx, struct err *err)
{
    struct memory_store *memory = (struct memory_store *)s;
    for (size_t i = count; i > 0; i--) {
        const struct memory_sample *sample = &memory->samples[stacks[i - 1] - 1];
        if (stacks[i - 1] == memory->lost_stack)
            continue;
        int r = fn(ctx, stacks[i - 1], sample->frames, sample->frame_count);
        if (r)
            return r;
    }
    return 0;
}

static int memory_nodes(struct store *s, store_node_fn fn, void *ctx, struct err *err)
{
    struct memory_store *memory = (struct memory_store *)s;
    int r = 0;
    for (size_t i = 0; i < memory->node_count && r == 0; i++)
        r = fn(ctx, &memory->nodes[i]);
    return r;
}

static const struct store_ops memory_ops = {
    .name = "memory",
    .query = memory_query,
    .stacks = memory_stacks,
    .nodes = memory_nodes,
};

struct memory_store memory_store(const struct memory_sample *samples, size_t count)
{
    return (struct memory_store){
        .store = {.ops = &memory_ops},
        .samples = samples,
        .count = count,
    };
}
