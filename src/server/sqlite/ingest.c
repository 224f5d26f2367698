/* ingest.c: takes a batch, gives its parts to the days they belong to; each in one transaction,
 * with the batch's identity, synced to disk before it counts. See layout.h for batches that cross
 * midnight. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/sqlite/blob.h"
#include "server/sqlite/days.h"
#include "server/sqlite/db.h"
#include "server/sqlite/dict.h"
#include "server/sqlite/fact_write.h"
#include "server/sqlite/hash.h"
#include "server/sqlite/layout.h"
#include "server/sqlite/number.h"
#include "server/sqlite/series.h"
#include "server/sqlite/sqlite.h"
#include "server/sqlite/usage_write.h"
#include "server/sqlite/varint.h"
#include "server/sqlite/writer.h"
#include "wire/batch.h"

/* A window is an hour at most, so it touches two days at most. */
#define DAYS_MAX 2
_Static_assert(WIRE_MAX_WINDOW_NS / NS_PER_MS < MS_PER_DAY, "a window touches two days at most");

/* A part larger than this is left as it is, and the next window's samples of its minute become a
 * part of their own: reading and packing it again would cost more than it saves. */
#define MERGE_MAX_BYTES 4096

struct placed {
    uint64_t bucket; /* minute << 32 | series */
    struct blob_row row;
};

struct intake {
    struct sqlite_store *s;
    const struct batch *batch;
    struct batch_hashes hashes;
    struct batch_series series;
    struct placed *placed;  /* room for all samples of the batch */
    struct blob_row *rows;  /* room for all of them, and a part to be merged with */
    struct writer *writer;  /* of the day at hand */
    struct numbers numbers; /* in it */
    int64_t day;
};

static int64_t sample_ms(const struct batch *b, const struct batch_sample *s)
{
    return (b->start_ns + (int64_t)s->slot * b->slot_ns) / NS_PER_MS;
}

static int64_t home_day(const struct batch *b)
{
    return day_of_ms(b->start_ns / NS_PER_MS);
}

/* ---- samples */

/* Picks the day's samples. */
static int place_samples(struct intake *in, size_t *ret_count, uint64_t *ret_samples,
                         struct err *err)
{
    const struct batch *b = in->batch;
    size_t count = 0;
    uint64_t samples = 0;
    for (uint32_t i = 0; i < b->sample_count; i++) {
        const struct batch_sample *s = &b->samples[i];
        int64_t ms = sample_ms(b, s) - in->day * MS_PER_DAY;
        if (ms < 0 || ms >= MS_PER_DAY)
            continue;
        uint32_t series;
        struct placed *p = &in->placed[count++];
        p->row = (struct blob_row){.pid = b->processes[s->process].pid,
                                   .slot_ms = (uint32_t)(ms % MS_PER_MINUTE),
                                   .cpu = s->cpu,
                                   .count = s->count};
        int r = number_series(&in->numbers, in->series.of_process[s->process], &series, err);
        if (r == 0)
            r = number_string(&in->numbers, s->thread, &p->row.thread, err);
        if (r == 0)
            r = number_stack(&in->numbers, s->stack, &p->row.stack, err);
        if (r < 0)
            return r;
        p->bucket = (uint64_t)(ms / MS_PER_MINUTE) << 32 | series;
        samples += s->count;
    }
    *ret_count = count;
    *ret_samples = samples;
    return 0;
}

static int compare_buckets(const void *left, const void *right)
{
    const struct placed *a = left, *b = right;
    return (a->bucket > b->bucket) - (a->bucket < b->bucket);
}

static void bind_key(sqlite3_stmt *stmt, uint32_t t, uint32_t series)
{
    sqlite3_bind_int64(stmt, 1, SAMPLE_CPU);
    sqlite3_bind_int64(stmt, 2, t);
    sqlite3_bind_int64(stmt, 3, series);
}

/* Looks for a part that is small enough to be taken up: its rows go behind the `*count` that are
 * there, and *ret_part says which to replace. Otherwise the first part that is free. */
static int take_up_part(struct intake *in, uint32_t t, uint32_t series, size_t *count,
                        int64_t *ret_part, struct err *err)
{
    sqlite3_stmt *stmt = in->writer->last_part;
    struct blob old = {0};
    bool merge = false;
    int64_t part = 0;
    bind_key(stmt, t, series);
    sqlite3_bind_int64(stmt, 4, MERGE_MAX_BYTES);
    int r = db_step(stmt, err);
    if (r > 0) {
        struct err why = {0};
        part = sqlite3_column_int64(stmt, 0);
        const void *data = sqlite3_column_blob(stmt, 1);
        if (data) {
            int bad = blob_decode(in->s->codec, data, (size_t)sqlite3_column_bytes(stmt, 1),
                                  blob_seed(t, series), true, &old, &why);
            if (bad < 0)
                log_err("%s path=\"%s\" minute=%u series=%u part=%lld", why.text,
                        sqlite3_db_filename(in->writer->db, "main"), t, series, (long long)part);
            merge = bad == 0 && old.period_ns == in->batch->period_ns &&
                    *count + old.count <= BLOB_MAX_ROWS;
        }
        part += !merge;
    }
    sqlite3_reset(stmt);
    if (r < 0)
        return r;
    if (merge) {
        memcpy(in->rows + *count, old.rows, old.count * sizeof(*in->rows));
        *count += old.count;
    }
    *ret_part = part;
    return 0;
}

/* Writes in->rows, the samples of one series in one minute. */
static int write_series(struct intake *in, uint32_t t, uint32_t series, size_t count,
                        struct err *err)
{
    int64_t part;
    int r = take_up_part(in, t, series, &count, &part, err);
    if (r < 0)
        return r;
    count = blob_sort(in->rows, count);
    for (size_t at = 0; at < count && r == 0; part++) {
        size_t some = count - at < BLOB_MAX_ROWS ? count - at : BLOB_MAX_ROWS;
        const uint8_t *bytes;
        size_t len;
        r = blob_encode(in->s->codec, in->rows + at, some, in->batch->period_ns,
                        blob_seed(t, series), &bytes, &len, err);
        if (r < 0)
            break;
        sqlite3_stmt *put = in->writer->put_part;
        bind_key(put, t, series);
        sqlite3_bind_int64(put, 4, part);
        sqlite3_bind_blob64(put, 5, bytes, len, SQLITE_STATIC);
        r = db_run(put, err);
        at += some;
    }
    return r;
}

static int write_samples(struct intake *in, size_t count, struct err *err)
{
    qsort(in->placed, count, sizeof(*in->placed), compare_buckets);
    for (size_t i = 0; i < count;) {
        uint64_t bucket = in->placed[i].bucket;
        size_t n = 0;
        for (; i < count && in->placed[i].bucket == bucket; i++)
            in->rows[n++] = in->placed[i].row;
        int r = write_series(in, (uint32_t)(bucket >> 32), (uint32_t)bucket, n, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- the batch and its node */

static int pack_counters(struct intake *in, uint8_t **ret_bytes, size_t *ret_len, struct err *err)
{
    const struct batch *b = in->batch;
    _cleanup_free_ uint8_t *bytes = malloc((b->counter_count + 1ull) * 2 * VARINT_MAX);
    if (!bytes)
        return err_errno(err, -ENOMEM, "packing counters");
    uint8_t *end = bytes;
    for (uint32_t i = 0; i < b->counter_count; i++) {
        uint32_t name;
        int r = dict_string(in->writer->dict, b->counters[i].name, &name, err);
        if (r < 0)
            return r;
        end = varint_put(varint_put(end, name), b->counters[i].value);
    }
    *ret_len = (size_t)(end - bytes);
    *ret_bytes = TAKE_PTR(bytes);
    return 0;
}

static int write_batch(struct intake *in, uint32_t boot, struct err *err)
{
    const struct batch *b = in->batch;
    _cleanup_free_ uint8_t *counters = NULL;
    size_t len = 0;
    bool home = in->day == home_day(b);
    int r = home ? pack_counters(in, &counters, &len, err) : 0;
    if (r < 0)
        return r;
    sqlite3_stmt *add = in->writer->add_batch;
    sqlite3_bind_int64(add, 1, in->numbers.node_id);
    sqlite3_bind_int64(add, 2, boot);
    sqlite3_bind_int64(add, 3, (int64_t)b->seq);
    sqlite3_bind_int64(add, 4, b->start_ns / NS_PER_MS);
    sqlite3_bind_int64(add, 5, b->end_ns / NS_PER_MS);
    sqlite3_bind_int64(add, 6, home);
    sqlite3_bind_blob64(add, 7, counters, len, SQLITE_STATIC);
    return db_run(add, err);
}

static int write_node(struct intake *in, uint32_t boot, uint64_t samples, struct err *err)
{
    const struct batch *b = in->batch;
    uint32_t kernel, arch, agent;
    int r = dict_string(in->writer->dict, b->kernel, &kernel, err);
    if (r == 0)
        r = dict_string(in->writer->dict, b->arch, &arch, err);
    if (r == 0)
        r = dict_string(in->writer->dict, b->agent, &agent, err);
    if (r < 0)
        return r;
    sqlite3_stmt *add = in->writer->add_node;
    const int64_t columns[] = {in->numbers.node_id,
                               boot,
                               kernel,
                               arch,
                               agent,
                               b->cpus,
                               b->start_ns / NS_PER_MS,
                               b->end_ns / NS_PER_MS,
                               in->day == home_day(b),
                               (int64_t)samples};
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        sqlite3_bind_int64(add, (int)i + 1, columns[i]);
    return db_run(add, err);
}

/* Looks without writing: most of what is sent twice is found here. */
static int has_batch(struct intake *in, bool *ret, struct err *err)
{
    uint32_t node, boot;
    sqlite3_stmt *has = in->writer->has_batch;
    struct dict *dict = in->writer->dict;
    int r = dict_find(dict, DICT_STRING, hash_text(in->batch->node), &node, err);
    if (r == 0)
        r = dict_find(dict, DICT_STRING, hash_text(in->batch->boot_id), &boot, err);
    if (r < 0)
        return r;
    sqlite3_bind_int64(has, 1, node);
    sqlite3_bind_int64(has, 2, boot);
    sqlite3_bind_int64(has, 3, (int64_t)in->batch->seq);
    r = db_step(has, err);
    sqlite3_reset(has);
    if (r < 0)
        return r;
    *ret = r > 0;
    return 0;
}

/* ---- a day's part */

static int write_day(struct intake *in, struct err *err)
{
    uint32_t boot;
    size_t count = 0;
    uint64_t samples = 0;
    int r = numbers_init(&in->numbers, in->batch, &in->hashes, &in->series, in->writer->dict, err);
    if (r == 0)
        r = dict_string(in->writer->dict, in->batch->boot_id, &boot, err);
    if (r == 0)
        r = place_samples(in, &count, &samples, err);
    if (r == 0)
        r = write_samples(in, count, err);
    if (r == 0)
        r = usage_write_day(in->writer, &in->numbers, in->batch, &in->hashes, in->day, err);
    if (r == 0 && in->day == home_day(in->batch))
        r = fact_write_day(in->writer, &in->numbers, in->batch, err);
    if (r == 0)
        r = write_batch(in, boot, err);
    if (r == 0)
        r = write_node(in, boot, samples, err);
    numbers_free(&in->numbers);
    return r;
}

/* After a failure nothing of it is left, neither in the file nor in what we remember of it. */
static void undo(struct intake *in)
{
    struct err err = {0};
    int r = 0;
    if (!sqlite3_get_autocommit(in->writer->db)) /* SQLite undoes some failures on its own */
        r = db_run(in->writer->rollback, &err);
    if (r == 0)
        r = dict_forget(in->writer->dict, &err);
    if (r < 0) {
        log_err("undoing half a batch failed, the day is opened anew: %s", err.text);
        days_close_writer(in->s->days, in->day);
    }
}

static int try_day(struct intake *in, bool *ret_duplicate, struct err *err)
{
    bool has = false;
    int r = days_writer(in->s->days, in->day, &in->writer, err);
    if (r == 0)
        r = has_batch(in, &has, err);
    if (r < 0 || has) {
        *ret_duplicate = has;
        return r;
    }
    r = db_run(in->writer->begin, err);
    if (r == 0)
        r = write_day(in, err);
    if (r == 0)
        r = db_run(in->writer->commit, err);
    if (r < 0) {
        undo(in);
        return r;
    }
    *ret_duplicate = false;
    return 0;
}

/* A day that turns out to be damaged makes way for a fresh one. */
static int ingest_day(struct intake *in, bool *ret_duplicate, struct err *err)
{
    struct err why = {0};
    int r = try_day(in, ret_duplicate, &why);
    if (r == -EUCLEAN) {
        r = days_set_aside(in->s->days, in->day, &why, err);
        if (r < 0)
            return r;
        r = try_day(in, ret_duplicate, &why);
    }
    if (r < 0)
        return err_set(err, r, "%s", why.text);
    return 0;
}

/* The day the window starts in, and each day a slot starts in or usage was read in. */
static size_t days_touched(const struct batch *b, int64_t days[DAYS_MAX])
{
    size_t count = 0;
    days[count++] = home_day(b);
    for (uint32_t i = 0; i < b->sample_count && count < DAYS_MAX; i++)
        if (day_of_ms(sample_ms(b, &b->samples[i])) != days[0])
            days[count++] = day_of_ms(sample_ms(b, &b->samples[i]));
    for (uint32_t i = 0; i < b->usage_count && count < DAYS_MAX; i++)
        if (day_of_ms(b->usage[i].time_ns / NS_PER_MS) != days[0])
            days[count++] = day_of_ms(b->usage[i].time_ns / NS_PER_MS);
    return count;
}

static int intake_init(struct intake *in, struct sqlite_store *s, const struct batch *b,
                       struct err *err)
{
    *in = (struct intake){.s = s, .batch = b};
    in->placed = malloc((b->sample_count + 1ull) * sizeof(*in->placed));
    in->rows = malloc((b->sample_count + (size_t)BLOB_MAX_ROWS) * sizeof(*in->rows));
    if (!in->placed || !in->rows)
        return err_errno(err, -ENOMEM, "sorting %u samples", b->sample_count);
    int r = batch_hashes_make(b, &in->hashes, err);
    return r < 0 ? r : batch_series_make(b, &in->hashes, &in->series, err);
}

static void intake_free(struct intake *in)
{
    batch_series_free(&in->series);
    batch_hashes_free(&in->hashes);
    free(in->placed);
    free(in->rows);
}

int sqlite_ingest(struct store *store, const struct batch *b, bool *ret_duplicate, struct err *err)
{
    struct sqlite_store *s = sqlite_store_of(store);
    _cleanup_(intake_free) struct intake in = {0};
    int64_t days[DAYS_MAX];
    bool duplicate = true;
    int r = intake_init(&in, s, b, err);
    size_t count = days_touched(b, days);
    pthread_mutex_lock(&s->write_lock);
    for (size_t i = 0; r == 0 && i < count; i++) {
        bool had = false;
        in.day = days[i];
        r = ingest_day(&in, &had, err);
        duplicate = duplicate && had;
    }
    pthread_mutex_unlock(&s->write_lock);
    if (r < 0)
        return r;
    if (duplicate)
        atomic_fetch_add(&s->duplicates, 1);
    *ret_duplicate = duplicate;
    return 0;
}
