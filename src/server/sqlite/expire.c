/* expire.c: takes an age and a size, drops the days that are too old, then the oldest that are too
 * many. When one day is all there is and still too large, its oldest minutes go, some at a time,
 * and their pages are given back to the file system (auto_vacuum=INCREMENTAL); what its dictionary
 * knows and which batches it has stay. A day that is too large even without samples goes whole. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "server/sqlite/days.h"
#include "server/sqlite/db.h"
#include "server/sqlite/layout.h"
#include "server/sqlite/sqlite.h"
#include "server/sqlite/writer.h"

/* Of the minutes a day has, so many parts: a batch that arrives meanwhile waits for one. */
#define TRIM_STEPS 16

/* The first or the last minute that has any sample, looked up type by type (SAMPLE_CPU and so on),
 * as the table is ordered. */
#define MINUTE(which)                                                         \
    "SELECT " which "((SELECT " which "(t) FROM sample WHERE type=column1)) " \
    "FROM (VALUES (1), (2), (3))"

static int drop_day(struct sqlite_store *s, int64_t day, const char *why, struct err *err)
{
    pthread_mutex_lock(&s->write_lock);
    int r = days_drop(s->days, day, err);
    if (r == 0)
        r = days_drop_aside(s->days, day, err);
    pthread_mutex_unlock(&s->write_lock);
    if (r == 0)
        log_info("a day was dropped day=%lld why=\"%s\"", (long long)day, why);
    return r;
}

/* Moves what is in the WAL into the file and cuts both to what they need. Readers that are at work
 * may keep some of the WAL; the next pass finds it. */
static int give_back(struct writer *w, struct err *err)
{
    int r = db_exec(w->db, "PRAGMA incremental_vacuum", err);
    return r < 0 ? r : db_exec(w->db, "PRAGMA wal_checkpoint(TRUNCATE)", err);
}

static int delete_minutes(struct writer *w, int64_t below, struct err *err)
{
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    int r = db_prepare(w->db, "DELETE FROM sample WHERE type IN (?1, ?3, ?4) AND t<?2", &stmt, err);
    if (r < 0)
        return r;
    sqlite3_bind_int64(stmt, 1, SAMPLE_CPU);
    sqlite3_bind_int64(stmt, 2, below);
    sqlite3_bind_int64(stmt, 3, SAMPLE_USAGE);
    sqlite3_bind_int64(stmt, 4, SAMPLE_PROCESSES);
    return db_run(stmt, err);
}

/* Deletes a part of the day's oldest minutes; *ret_more is false when none were left. */
static int trim_step(struct sqlite_store *s, int64_t day, bool *ret_more, struct err *err)
{
    struct writer *w;
    int64_t first = 0, last = 0;
    int r = days_writer(s->days, day, &w, err);
    if (r == 0)
        r = db_get_int(w->db, MINUTE("min"), -1, &first, err);
    if (r == 0)
        r = db_get_int(w->db, MINUTE("max"), -1, &last, err);
    if (r < 0)
        return r;
    *ret_more = first >= 0;
    if (first >= 0)
        r = delete_minutes(w, first + (last - first) / TRIM_STEPS + 1, err);
    return r < 0 ? r : give_back(w, err);
}

static int trim_day(struct sqlite_store *s, int64_t day, uint64_t max_bytes, struct err *err)
{
    bool more = true;
    uint64_t bytes = 0;
    int r = 0;
    /* What the WAL holds twice is no reason to delete anything. */
    pthread_mutex_lock(&s->write_lock);
    struct writer *w;
    r = days_writer(s->days, day, &w, err);
    if (r == 0)
        r = give_back(w, err);
    pthread_mutex_unlock(&s->write_lock);
    while (r == 0 && more) {
        r = days_bytes(s->days, &bytes, err);
        if (r < 0 || bytes <= max_bytes)
            return r;
        pthread_mutex_lock(&s->write_lock);
        r = trim_step(s, day, &more, err);
        pthread_mutex_unlock(&s->write_lock);
    }
    return r < 0 ? r : drop_day(s, day, "over the limit of bytes, even without samples", err);
}

static int expire_old(struct sqlite_store *s, int64_t before_ms, struct err *err)
{
    _cleanup_free_ int64_t *days = NULL;
    size_t count = 0;
    int64_t last = day_of_ms(before_ms) - 1;
    int r = days_list(s->days, INT64_MIN, last, &days, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = drop_day(s, days[i], "over the limit of age", err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&s->write_lock);
    r = days_drop_aside(s->days, last, err);
    pthread_mutex_unlock(&s->write_lock);
    return r;
}

static int expire_bytes(struct sqlite_store *s, uint64_t max_bytes, struct err *err)
{
    _cleanup_free_ int64_t *days = NULL;
    size_t count = 0;
    uint64_t bytes = 0;
    int r = days_list(s->days, INT64_MIN, INT64_MAX, &days, &count, err);
    if (r == 0)
        r = days_bytes(s->days, &bytes, err);
    for (size_t i = 0; r == 0 && bytes > max_bytes && i + 1 < count; i++) {
        r = drop_day(s, days[i], "over the limit of bytes", err);
        if (r == 0)
            r = days_bytes(s->days, &bytes, err);
    }
    if (r < 0 || bytes <= max_bytes)
        return r;
    pthread_mutex_lock(&s->write_lock);
    r = days_drop_aside(s->days, INT64_MAX, err);
    pthread_mutex_unlock(&s->write_lock);
    return r < 0 || count == 0 ? r : trim_day(s, days[count - 1], max_bytes, err);
}

int sqlite_expire(struct store *store, int64_t before_ms, uint64_t max_bytes, struct err *err)
{
    struct sqlite_store *s = sqlite_store_of(store);
    int r = expire_old(s, before_ms, err);
    if (r == 0 && max_bytes)
        r = expire_bytes(s, max_bytes, err);
    return r;
}
