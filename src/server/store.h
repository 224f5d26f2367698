/* store.h: where batches are kept and asked for; SQLite and ClickHouse stand behind one table of
 * functions. Everything above it is the same for both. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/store_query.h"

struct batch;
struct err;
struct store;

struct store_node {
    const char *node, *boot_id, *kernel, *arch, *agent;
    uint32_t cpus;
    int64_t first_ms, last_ms; /* of the windows stored */
    uint64_t batches;
};

struct store_stats {
    uint64_t batches, duplicates, samples, bytes_on_disk;
    int64_t oldest_ms;
};

/* Return non-zero to stop; the call then returns that value. Pointers are valid during the call. */
typedef int (*store_row_fn)(void *ctx, const struct store_row *row);
/* frames: root first, at most WIRE_MAX_DEPTH. */
typedef int (*store_stack_fn)(void *ctx, uint64_t stack, const struct store_frame *frames,
                              size_t count);
typedef int (*store_series_fn)(void *ctx, const char *const *values);
typedef int (*store_node_fn)(void *ctx, const struct store_node *node);
typedef int (*store_counter_fn)(void *ctx, const char *node, const char *name, uint64_t value);

typedef int (*store_usage_fn)(void *ctx, const struct store_usage *usage);

struct store_facts {
    int (*pod)(void *ctx, const struct store_pod *pod);
    int (*container)(void *ctx, const struct store_container *container);
};

/* All calls may come from any thread. */
struct store_ops {
    const char *name;

    /* Stores the batch, or finds that (node, boot id, seq) is already there. When it returns 0 the
     * batch is on disk for good. */
    int (*ingest)(struct store *s, const struct batch *batch, bool *ret_duplicate, struct err *err);

    /* One row per distinct (groups, stack). */
    int (*query)(struct store *s, const struct store_query *query, store_row_fn fn, void *ctx,
                 struct err *err);

    /* Calls `fn` once for each of `stacks` (of a query's rows) that is still kept, in any order;
     * the one in which much of a stack's beginning is that of the stack before it serves best. A
     * stack that retention has taken since is left out. */
    int (*stacks)(struct store *s, const uint64_t *stacks, size_t count, store_stack_fn fn,
                  void *ctx, struct err *err);

    /* Without looking at a sample: each distinct tuple of values that the series of the range have
     * for these labels of batches (STORE_MAX_RENAMED at most), "" for one they have not. Series a
     * little outside of the range may be among them. */
    int (*series)(struct store *s, int64_t start_ms, int64_t end_ms, const char *const *keys,
                  size_t count, store_series_fn fn, void *ctx, struct err *err);

    int (*nodes)(struct store *s, store_node_fn fn, void *ctx, struct err *err);

    /* Sums of the agents' own counters over a range. */
    int (*counters)(struct store *s, int64_t start_ms, int64_t end_ms, store_counter_fn fn,
                    void *ctx, struct err *err);

    /* What was read in the range, in any order. Filters by node, cgroup and the cgroups' own
     * labels; groups are not looked at. */
    int (*usage)(struct store *s, const struct store_query *query, store_usage_fn fn, void *ctx,
                 struct err *err);

    /* The same for lists of processes, of which each minute has its last. Of a series only the last
     * in the range is sure to come; it may come several times, of each day. They come without
     * network, summed and figures, which `usage` gives without processes. */
    int (*usage_processes)(struct store *s, const struct store_query *query, store_usage_fn fn,
                           void *ctx, struct err *err);

    /* What agents said of pods and containers there were in the range, each day's last word: so the
     * same one may come several times, of each day and node; those of a day with the pods first.
     * Filters by node, namespace and pod, nothing else; containers are those of such pods, and
     * without a filter by namespace or pod also those in none. */
    int (*facts)(struct store *s, const struct store_query *query, const struct store_facts *fns,
                 void *ctx, struct err *err);

    /* Drops what is older than `before_ms`, then the oldest until at most `max_bytes` remain (0: no
     * limit). */
    int (*expire)(struct store *s, int64_t before_ms, uint64_t max_bytes, struct err *err);

    int (*stats)(struct store *s, struct store_stats *ret, struct err *err);
    void (*close)(struct store *s);
};

/* The first member of every store. */
struct store {
    const struct store_ops *ops;
};

int store_sqlite_open(const char *dir, struct store **ret, struct err *err);
