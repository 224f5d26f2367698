/* query.c: takes a range, filters and groups, gives sums by group and stack. Day by day: which
 * series pass, then their blobs in the range; added up under the day's numbers, then under the
 * stacks' own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/sqlite/blob.h"
#include "server/sqlite/days.h"
#include "server/sqlite/db.h"
#include "server/sqlite/groups.h"
#include "server/sqlite/keys.h"
#include "server/sqlite/layout.h"
#include "server/sqlite/lookup.h"
#include "server/sqlite/renamer.h"
#include "server/sqlite/sqlite.h"
#include "server/sqlite/sums.h"

/* Of a minute's series, one in so many is looked up by key rather than met on a walk over all: a
 * look-up costs some microseconds, a step of the walk some tenths. */
#define SEEK_RATIO 8

/* More series than a day can have: a number above it is damage, and memory is asked for by it. */
#define SERIES_MAX (1 << 26)

/* Of a group's value that is no string of the day: this and the text's row. */
#define TEXT_ROW (UINT32_C(1) << 31)

/* Times beyond the year 9999 are as good as it. */
#define LAST_MS 253402300800000ll

struct query {
    struct sqlite_store *s;
    const struct store_query *q;
    int64_t start_ms, end_ms;
    enum key_kind kinds[STORE_MAX_GROUPS];
    bool by_task, by_cpu; /* whether groups differ within a series, within a task */
    struct groups groups;
    struct sums sums; /* by store_row's stack */
    struct blob_codec *codec;
};

/* One day of it. */
struct day_query {
    struct query *of;
    struct reader *reader;
    struct lookup lookup;
    struct key_filters filters;
    struct renamer renamer;
    bool filter_task, filter_cpu;
    uint32_t labels[STORE_MAX_GROUPS]; /* string numbers of the groups' keys that are labels */
    uint32_t *matched; /* by series: its row + 1 in the two below; 0: filtered out */
    uint32_t matched_size, series_count, match_count;
    uint32_t *match_ids;    /* series */
    uint32_t *match_values; /* group_count each: string numbers (or TEXT_ROW) of what is the series'
                               own */
    uint32_t match_cap;
    struct sums sums;       /* by the day's number of the stack */
    struct hashmap texts;   /* string number -> text row + 1 in groups */
    struct hashmap per_cpu; /* (group, cpu) -> group + 1 */
    int64_t from_ms, to_ms; /* of the day */
};

static void day_query_free(struct day_query *d)
{
    renamer_free(&d->renamer);
    lookup_free(&d->lookup);
    free(d->matched);
    free(d->match_ids);
    free(d->match_values);
    sums_free(&d->sums);
    hashmap_free(&d->texts);
    hashmap_free(&d->per_cpu);
}

/* ---- which series */

static int resolve_groups(struct day_query *d, struct err *err)
{
    const struct store_query *q = d->of->q;
    for (size_t i = 0; i < q->group_count; i++) {
        bool known = false;
        uint32_t id = 0;
        if (d->of->kinds[i] == KEY_LABEL) {
            int r = lookup_number(&d->lookup, q->groups[i], &known, &id, err);
            if (r < 0)
                return r;
        }
        d->labels[i] = known ? id : KEY_ABSENT;
    }
    return 0;
}

static int grow_u32(uint32_t **array, size_t count, struct err *err)
{
    uint32_t *more = realloc(*array, count * sizeof(**array));
    if (!more)
        return err_errno(err, -ENOMEM, "listing series");
    *array = more;
    return 0;
}

/* The value of a series' group. */
static int group_value(struct day_query *d, size_t group, const struct key_series *s,
                       const struct key_renamed *renamed, uint32_t *ret, struct err *err)
{
    const struct query *q = d->of;
    enum key_kind kind = q->kinds[group];
    *ret = kind <= KEY_LABEL ? key_of_series(s, kind, d->labels[group]) : KEY_ABSENT;
    if (*ret >= TEXT_ROW && *ret != KEY_ABSENT)
        return err_set(err, -EUCLEAN, "%s: string %u cannot be",
                       sqlite3_db_filename(d->reader->db, "main"), *ret);
    for (size_t i = 0; renamed && kind == KEY_LABEL && i < renamed->count; i++) {
        if (strcmp(renamed->keys[i], q->q->groups[group]) != 0)
            continue;
        int r = groups_text(&d->of->groups, renamed->values[i], ret, err);
        *ret |= TEXT_ROW;
        return r;
    }
    return 0;
}

static int add_match(struct day_query *d, uint32_t id, const struct key_series *s,
                     const struct key_renamed *renamed, struct err *err)
{
    const struct store_query *q = d->of->q;
    int r = 0;
    if (d->match_count == d->match_cap) {
        uint32_t cap = d->match_cap ? d->match_cap * 2 : 64;
        r = grow_u32(&d->match_ids, cap, err);
        if (r == 0)
            r = grow_u32(&d->match_values, cap * (q->group_count + 1), err);
        if (r < 0)
            return r;
        d->match_cap = cap;
    }
    d->match_ids[d->match_count] = id;
    uint32_t *values = d->match_values + (size_t)d->match_count * q->group_count;
    for (size_t i = 0; r == 0 && i < q->group_count; i++)
        r = group_value(d, i, s, renamed, &values[i], err);
    d->match_count += r == 0;
    return r;
}

static int try_series(struct day_query *d, uint32_t id, const struct key_series *s, struct err *err)
{
    const struct store_renames *renames = d->of->q->renames;
    const char *const *values;
    int r = renamer_find(&d->renamer, s, &values, err);
    if (r < 0)
        return r;
    if (!values)
        return key_filters_pass_series(&d->filters, s) ? add_match(d, id, s, NULL, err) : 0;
    const struct key_renamed renamed = {renames->keys, values, renames->count};
    if (!key_filters_pass_renamed(&d->filters, s, &renamed))
        return 0;
    return add_match(d, id, s, &renamed, err);
}

static int match_series(struct day_query *d, struct err *err)
{
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    int r = db_prepare(d->reader->db, "SELECT id, node, process, cgroup, labels FROM series", &stmt,
                       err);
    while (r == 0 && (r = db_step(stmt, err)) > 0) {
        int64_t id = sqlite3_column_int64(stmt, 0);
        struct key_series s = {.node = (uint32_t)sqlite3_column_int64(stmt, 1),
                               .process = (uint32_t)sqlite3_column_int64(stmt, 2),
                               .cgroup = (uint32_t)sqlite3_column_int64(stmt, 3),
                               .labels = sqlite3_column_blob(stmt, 4),
                               .labels_len = (size_t)sqlite3_column_bytes(stmt, 4)};
        if (!s.labels) /* how SQLite gives an empty blob: a process without labels */
            s.labels = (const uint8_t *)"";
        d->series_count++;
        if (id < 1 || id > SERIES_MAX)
            return err_set(err, -EUCLEAN, "%s: series %lld cannot be",
                           sqlite3_db_filename(d->reader->db, "main"), (long long)id);
        r = try_series(d, (uint32_t)id, &s, err);
    }
    return r;
}

/* ---- samples of a blob */

/* The text row of a string number; "" for what is absent. */
static int text_row(struct day_query *d, uint32_t string, uint32_t *ret, struct err *err)
{
    if (string >= TEXT_ROW && string != KEY_ABSENT) {
        *ret = string & ~TEXT_ROW;
        return 0;
    }
    struct hash key = hash_of_pair(string, 0);
    uint64_t row = hashmap_get(&d->texts, key);
    if (row == 0) {
        const char *text = "";
        uint32_t new_row;
        int r = string == KEY_ABSENT ? 0 : lookup_text(&d->lookup, string, &text, err);
        if (r == 0)
            r = groups_text(&d->of->groups, text, &new_row, err);
        if (r < 0)
            return r;
        row = new_row + 1ull;
        if (hashmap_put(&d->texts, key, row) < 0)
            return err_errno(err, -ENOMEM, "grouping");
    }
    *ret = (uint32_t)row - 1;
    return 0;
}

/* The group of a row's samples. */
static int group_of(struct day_query *d, uint32_t match, const struct blob_row *row, uint32_t *ret,
                    struct err *err)
{
    size_t width = d->of->q->group_count;
    const uint32_t *values = d->match_values + (size_t)match * width;
    uint32_t texts[STORE_MAX_GROUPS];
    for (size_t i = 0; i < width; i++) {
        enum key_kind kind = d->of->kinds[i];
        int r;
        if (kind == KEY_PID)
            r = groups_number(&d->of->groups, row->pid, &texts[i], err);
        else if (kind == KEY_CPU)
            r = groups_number(&d->of->groups, row->cpu, &texts[i], err);
        else
            r = text_row(d, kind == KEY_THREAD ? row->thread : values[i], &texts[i], err);
        if (r < 0)
            return r;
    }
    return groups_tuple(&d->of->groups, texts, ret, err);
}

static bool same_group(const struct query *q, const struct blob_row *a, const struct blob_row *b)
{
    return (!q->by_task || (a->pid == b->pid && a->thread == b->thread)) &&
           (!q->by_cpu || a->cpu == b->cpu);
}

static bool pass_row(const struct day_query *d, const struct blob_row *row)
{
    if (d->filter_task && (!key_filters_pass(&d->filters, KEY_PID, row->pid) ||
                           !key_filters_pass(&d->filters, KEY_THREAD, row->thread)))
        return false;
    return !d->filter_cpu || key_filters_pass(&d->filters, KEY_CPU, row->cpu);
}

static int add_blob(struct day_query *d, uint32_t t, uint32_t match, const void *data, size_t len,
                    struct err *err)
{
    struct query *q = d->of;
    struct blob blob;
    int r = blob_decode(q->codec, data, len, blob_seed(t, d->match_ids[match]), q->q->stacks, &blob,
                        err);
    if (r < 0)
        return r;
    const struct blob_row *last = NULL;
    int64_t minute_ms = t * MS_PER_MINUTE;
    bool whole = minute_ms >= d->from_ms && minute_ms + MS_PER_MINUTE <= d->to_ms;
    uint32_t group = 0;
    for (const struct blob_row *row = blob.rows; row < blob.rows + blob.count; row++) {
        int64_t ms = minute_ms + row->slot_ms;
        if ((!whole && (ms < d->from_ms || ms >= d->to_ms)) || !pass_row(d, row))
            continue;
        if (!last || !same_group(q, last, row))
            r = group_of(d, match, row, &group, err);
        if (r == 0)
            r = sums_add(&d->sums, group, row->stack, row->count,
                         row->count * (uint64_t)blob.period_ns, err);
        if (r < 0)
            return r;
        last = row;
    }
    return 0;
}

/* ---- which blobs */

static const char walk_sql[] =
    "SELECT t, series, data FROM sample WHERE type=?1 AND t>=?2 AND t<=?3";
static const char seek_sql[] =
    "SELECT t, series, data FROM sample WHERE type=?1 AND t=?2 AND series=?3";

/* A blob that is damaged is left out, the rest is not. */
static int add_step(struct day_query *d, sqlite3_stmt *stmt, struct err *err)
{
    struct err why = {0};
    int64_t t = sqlite3_column_int64(stmt, 0), series = sqlite3_column_int64(stmt, 1);
    if (t < 0 || t >= MINUTES_PER_DAY || series < 0 || series >= d->matched_size ||
        !d->matched[series])
        return 0;
    uint32_t match = d->matched[series] - 1;
    const void *data = sqlite3_column_blob(stmt, 2);
    int r = add_blob(d, (uint32_t)t, match, data, (size_t)sqlite3_column_bytes(stmt, 2), &why);
    if (r == -EUCLEAN) {
        err_wrap(&why, r, "%s: minute %lld, series %lld",
                 sqlite3_db_filename(d->reader->db, "main"), (long long)t, (long long)series);
        days_complain(d->of->s->days, d->reader->day, &why);
        return 0;
    }
    return r < 0 ? err_set(err, r, "%s", why.text) : 0;
}

static int add_steps(struct day_query *d, sqlite3_stmt *stmt, struct err *err)
{
    int r = 0;
    while (r == 0 && (r = db_step(stmt, err)) > 0)
        r = add_step(d, stmt, err);
    sqlite3_reset(stmt);
    return r;
}

static int index_matches(struct day_query *d, struct err *err)
{
    for (uint32_t i = 0; i < d->match_count; i++)
        if (d->match_ids[i] >= d->matched_size)
            d->matched_size = d->match_ids[i] + 1;
    d->matched = calloc(d->matched_size + 1ull, sizeof(*d->matched));
    if (!d->matched)
        return err_errno(err, -ENOMEM, "listing series");
    for (uint32_t i = 0; i < d->match_count; i++)
        d->matched[d->match_ids[i]] = i + 1;
    return 0;
}

static int add_samples(struct day_query *d, struct err *err)
{
    int64_t first = d->from_ms / MS_PER_MINUTE, last = (d->to_ms - 1) / MS_PER_MINUTE;
    bool seek = d->match_count < d->series_count / SEEK_RATIO;
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    int r = index_matches(d, err);
    if (r == 0)
        r = db_prepare(d->reader->db, seek ? seek_sql : walk_sql, &stmt, err);
    if (r < 0 || d->match_count == 0)
        return r;
    sqlite3_bind_int64(stmt, 1, SAMPLE_CPU);
    if (!seek) {
        sqlite3_bind_int64(stmt, 2, first);
        sqlite3_bind_int64(stmt, 3, last);
        return add_steps(d, stmt, err);
    }
    for (int64_t t = first; r == 0 && t <= last; t++)
        for (uint32_t i = 0; r == 0 && i < d->match_count; i++) {
            sqlite3_bind_int64(stmt, 2, t);
            sqlite3_bind_int64(stmt, 3, d->match_ids[i]);
            r = add_steps(d, stmt, err);
        }
    return r;
}

/* ---- from the day's numbers to the stacks' own */

static int compare_stacks(const void *left, const void *right)
{
    const struct sum *a = left, *b = right;
    return (a->stack > b->stack) - (a->stack < b->stack);
}

/* A stack whose row is lost counts as the one without frames: its samples were taken all the same.
 */
static int read_top(struct day_query *d, sqlite3_stmt *stmt, uint64_t stack, uint64_t *ret,
                    struct err *err)
{
    if (stack == 0) {
        *ret = 0;
        return 0;
    }
    sqlite3_bind_int64(stmt, 1, (int64_t)stack);
    int r = db_step(stmt, err);
    *ret = r > 0 ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_reset(stmt);
    if (r == 0) {
        r = err_set(err, -EUCLEAN, "%s: stack %llu is missing",
                    sqlite3_db_filename(d->reader->db, "main"), (unsigned long long)stack);
    }
    if (r < 0 && lookup_is_damage(r) && err) {
        days_complain(d->of->s->days, d->reader->day, err);
        r = 0;
    }
    return r < 0 ? r : 0;
}

static int fold_day(struct day_query *d, struct err *err)
{
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    struct err why = {0};
    uint64_t stack = 0, top = 0;
    int r = db_prepare(d->reader->db, "SELECT top FROM stack WHERE id=?1", &stmt, err);
    if (r < 0)
        return r;
    if (d->sums.count > 1) /* all is NULL when nothing matched, which qsort must not be given */
        qsort(d->sums.all, d->sums.count, sizeof(*d->sums.all), compare_stacks);
    for (size_t i = 0; i < d->sums.count; i++) {
        const struct sum *sum = &d->sums.all[i];
        if (i == 0 || sum->stack != stack) {
            stack = sum->stack;
            r = read_top(d, stmt, stack, &top, &why);
        }
        if (r == 0)
            r = sums_add(&d->of->sums, sum->group, top, sum->samples, sum->cpu_ns, &why);
        if (r < 0)
            return err_set(err, r, "%s", why.text);
    }
    return 0;
}

/* ---- days */

static int query_day(struct day_query *d, struct err *err)
{
    int r = lookup_init(&d->lookup, d->reader->db, err);
    if (r == 0)
        r = key_filters_resolve(d->of->q, &d->lookup, &d->filters, err);
    if (r == 0)
        r = resolve_groups(d, err);
    if (r == 0)
        r = renamer_init(&d->renamer, d->of->q->renames, &d->lookup, err);
    if (r < 0)
        return r;
    d->filter_task =
        key_filters_have(&d->filters, KEY_PID) || key_filters_have(&d->filters, KEY_THREAD);
    d->filter_cpu = key_filters_have(&d->filters, KEY_CPU);
    r = match_series(d, err);
    return r < 0 ? r : add_samples(d, err);
}

static int try_day(struct query *q, int64_t day, struct err *err)
{
    struct err why = {0};
    _cleanup_(day_query_free) struct day_query d = {.of = q};
    d.from_ms = q->start_ms - day * MS_PER_DAY;
    d.to_ms = q->end_ms - day * MS_PER_DAY;
    d.from_ms = d.from_ms < 0 ? 0 : d.from_ms;
    d.to_ms = d.to_ms > MS_PER_DAY ? MS_PER_DAY : d.to_ms;
    int r = days_borrow(q->s->days, day, &d.reader, &why);
    if (r == -ENOENT)
        return 0; /* retention was faster */
    if (r == 0)
        r = query_day(&d, &why);
    if (r < 0 && lookup_is_damage(r)) {
        days_complain(q->s->days, day, &why);
        r = 0;
    }
    if (r == 0 && d.reader)
        r = fold_day(&d, &why);
    lookup_free(&d.lookup); /* its statements end before the connection is given back */
    days_return(q->s->days, &d.reader);
    return r < 0 ? err_set(err, r, "%s", why.text) : 0;
}

static int give_rows(struct query *q, store_row_fn fn, void *ctx)
{
    const char *texts[STORE_MAX_GROUPS];
    for (size_t i = 0; i < q->sums.count; i++) {
        const struct sum *sum = &q->sums.all[i];
        struct store_row row = {
            .groups = texts, .stack = sum->stack, .samples = sum->samples, .cpu_ns = sum->cpu_ns};
        groups_read(&q->groups, sum->group, texts);
        int r = fn(ctx, &row);
        if (r)
            return r;
    }
    return 0;
}

static void query_free(struct query *q)
{
    groups_free(&q->groups);
    sums_free(&q->sums);
    blob_codec_free(&q->codec);
}

int sqlite_query(struct store *store, const struct store_query *query, store_row_fn fn, void *ctx,
                 struct err *err)
{
    _cleanup_(query_free) struct query q = {.s = sqlite_store_of(store), .q = query};
    q.start_ms = query->start_ms < 0 ? 0 : query->start_ms;
    q.end_ms = query->end_ms > LAST_MS ? LAST_MS : query->end_ms;
    q.groups.width = query->group_count;
    for (size_t i = 0; i < query->group_count; i++) {
        q.kinds[i] = key_kind_of(query->groups[i]);
        q.by_task |= q.kinds[i] == KEY_PID || q.kinds[i] == KEY_THREAD;
        q.by_cpu |= q.kinds[i] == KEY_CPU;
    }
    if (q.start_ms >= q.end_ms)
        return 0;
    _cleanup_free_ int64_t *days = NULL;
    size_t count = 0;
    int r =
        days_list(q.s->days, day_of_ms(q.start_ms), day_of_ms(q.end_ms - 1), &days, &count, err);
    if (r == 0)
        r = blob_codec_new(&q.codec, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = try_day(&q, days[i], err);
    return r < 0 ? r : give_rows(&q, fn, ctx);
}
