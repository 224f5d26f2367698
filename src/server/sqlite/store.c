/* store.c: takes a directory, gives the store in it; the table of the SQLite store's operations. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/sqlite/blob.h"
#include "server/sqlite/days.h"
#include "server/sqlite/sqlite.h"

static void sqlite_close(struct store *store)
{
    struct sqlite_store *s = sqlite_store_of(store);
    days_close(&s->days);
    blob_codec_free(&s->codec);
    pthread_mutex_destroy(&s->write_lock);
    free(s);
}

static const struct store_ops sqlite_ops = {
    .name = "sqlite",
    .ingest = sqlite_ingest,
    .query = sqlite_query,
    .stacks = sqlite_stacks,
    .series = sqlite_series,
    .nodes = sqlite_nodes,
    .counters = sqlite_counters,
    .usage = sqlite_usage,
    .usage_processes = sqlite_usage_processes,
    .expire = sqlite_expire,
    .stats = sqlite_stats,
    .close = sqlite_close,
};

int store_sqlite_open(const char *dir, struct store **ret, struct err *err)
{
    struct sqlite_store *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(err, -ENOMEM, "opening a store");
    s->store.ops = &sqlite_ops;
    pthread_mutex_init(&s->write_lock, NULL);
    int r = blob_codec_new(&s->codec, err);
    if (r == 0)
        r = days_open(dir, &s->days, err);
    if (r < 0) {
        sqlite_close(&s->store);
        return r;
    }
    *ret = &s->store;
    return 0;
}
