/* sqlite.h: the store as its own files see it; one operation of store_ops a file. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "server/store.h"

struct blob_codec;
struct days;

struct sqlite_store {
    struct store store;
    struct days *days;
    pthread_mutex_t write_lock; /* whoever writes, drops or moves a day holds it */
    struct blob_codec *codec;   /* the writer's */
    atomic_uint_fast64_t duplicates;
};

static inline struct sqlite_store *sqlite_store_of(struct store *s)
{
    return (struct sqlite_store *)s; /* its first member */
}

int sqlite_ingest(struct store *s, const struct batch *batch, bool *ret_duplicate, struct err *err);
int sqlite_query(struct store *s, const struct store_query *query, store_row_fn fn, void *ctx,
                 struct err *err);
int sqlite_stacks(struct store *s, const uint64_t *stacks, size_t count, store_stack_fn fn,
                  void *ctx, struct err *err);
int sqlite_series(struct store *s, int64_t start_ms, int64_t end_ms, const char *const *keys,
                  size_t count, store_series_fn fn, void *ctx, struct err *err);
int sqlite_nodes(struct store *s, store_node_fn fn, void *ctx, struct err *err);
int sqlite_counters(struct store *s, int64_t start_ms, int64_t end_ms, store_counter_fn fn,
                    void *ctx, struct err *err);
int sqlite_usage(struct store *s, const struct store_query *query, store_usage_fn fn, void *ctx,
                 struct err *err);
int sqlite_usage_processes(struct store *s, const struct store_query *query, store_usage_fn fn,
                           void *ctx, struct err *err);
int sqlite_expire(struct store *s, int64_t before_ms, uint64_t max_bytes, struct err *err);
int sqlite_stats(struct store *s, struct store_stats *ret, struct err *err);
