/* usage_query.c: takes a range and filters, gives what each cgroup used. Day by day, as query.c:
 * which series pass, then their blobs in the range. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/sqlite/blob.h"
#include "server/sqlite/days.h"
#include "server/sqlite/db.h"
#include "server/sqlite/keys.h"
#include "server/sqlite/layout.h"
#include "server/sqlite/lookup.h"
#include "server/sqlite/renamer.h"
#include "server/sqlite/sqlite.h"
#include "server/sqlite/usage_blob.h"
#include "server/sqlite/usage_list.h"
#include "server/sqlite/varint.h"

#define SEEK_RATIO 8         /* as query.c's */
#define SERIES_MAX (1 << 26) /* as query.c's */
#define LAST_MS    253402300800000ll

/* A series that passes the filters; what it is called is looked up with its first reading. */
struct match {
    uint32_t id, node, cgroup;
    uint8_t *packed; /* labels, as the day has them */
    size_t packed_len;
    const char **renamed;     /* values of the query's renames->keys; NULL: as the day has them */
    bool named, told;         /* told: its last list was given */
    struct store_usage usage; /* its texts lie in the day's lookup */
    struct store_label *labels;
};

struct day {
    struct sqlite_store *s;
    struct reader *reader;
    struct lookup lookup;
    struct key_filters filters;
    const struct store_renames *renames; /* NULL: none */
    struct renamer renamer;
    struct match *matches;
    size_t count, cap, told;
    uint32_t series_count, row_of_size;
    uint32_t *row_of;        /* by series: row of `matches` + 1 */
    int type;                /* SAMPLE_USAGE or SAMPLE_PROCESSES */
    struct usage_row *rows;  /* of the first */
    struct usage_list *list; /* of the second */
    struct store_usage_process *processes;
    int64_t number, from_ms, to_ms; /* of the day */
    store_usage_fn fn;
    void *ctx;
};

static void day_free(struct day *d)
{
    renamer_free(&d->renamer);
    lookup_free(&d->lookup);
    for (size_t i = 0; i < d->count; i++) {
        free(d->matches[i].packed);
        free(d->matches[i].renamed);
        free(d->matches[i].labels);
    }
    free(d->matches);
    free(d->row_of);
    free(d->rows);
    free(d->list);
    free(d->processes);
}

/* ---- which series */

static int copy_renamed(const struct day *d, const char *const *values, struct match *to)
{
    to->renamed = calloc(d->renames->count, sizeof(*to->renamed));
    if (!to->renamed)
        return -ENOMEM;
    memcpy(to->renamed, values, d->renames->count * sizeof(*values));
    return 0;
}

static int add_match(struct day *d, uint32_t id, const struct key_series *s,
                     const char *const *renamed, struct err *err)
{
    if (d->count == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 64;
        struct match *more = reallocarray(d->matches, cap, sizeof(*more));
        if (!more)
            return err_errno(err, -ENOMEM, "listing series");
        d->matches = more;
        d->cap = cap;
    }
    struct match *m = &d->matches[d->count++];
    *m = (struct match){.id = id,
                        .node = s->node,
                        .cgroup = s->cgroup,
                        .packed = malloc(s->labels_len + 1),
                        .packed_len = s->labels_len};
    if (!m->packed || (renamed && copy_renamed(d, renamed, m) < 0))
        return err_errno(err, -ENOMEM, "listing series");
    memcpy(m->packed, s->labels, s->labels_len);
    if (id >= d->row_of_size)
        d->row_of_size = id + 1;
    return 0;
}

static int try_series(struct day *d, uint32_t id, const struct key_series *s, struct err *err)
{
    const char *const *values;
    int r = renamer_find(&d->renamer, s, &values, err);
    if (r < 0)
        return r;
    bool pass = key_filters_pass_series(&d->filters, s);
    if (values) {
        const struct key_renamed renamed = {d->renames->keys, values, d->renames->count};
        pass = key_filters_pass_renamed(&d->filters, s, &renamed);
    }
    return pass ? add_match(d, id, s, values, err) : 0;
}

/* What samples have is of processes with a name. */
static int match_series(struct day *d, struct err *err)
{
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    int r = db_prepare(d->reader->db,
                       "SELECT id, node, process, cgroup, labels FROM series WHERE process=0",
                       &stmt, err);
    while (r == 0 && (r = db_step(stmt, err)) > 0) {
        int64_t id = sqlite3_column_int64(stmt, 0);
        struct key_series s = {.node = (uint32_t)sqlite3_column_int64(stmt, 1),
                               .process = (uint32_t)sqlite3_column_int64(stmt, 2),
                               .cgroup = (uint32_t)sqlite3_column_int64(stmt, 3),
                               .labels = sqlite3_column_blob(stmt, 4),
                               .labels_len = (size_t)sqlite3_column_bytes(stmt, 4)};
        if (!s.labels)
            s.labels = (const uint8_t *)"";
        d->series_count++;
        if (id < 1 || id > SERIES_MAX)
            return err_set(err, -EUCLEAN, "%s: series %lld cannot be",
                           sqlite3_db_filename(d->reader->db, "main"), (long long)id);
        r = try_series(d, (uint32_t)id, &s, err);
    }
    if (r < 0)
        return r;
    d->row_of = calloc(d->row_of_size + 1ull, sizeof(*d->row_of));
    if (!d->row_of)
        return err_errno(err, -ENOMEM, "listing series");
    for (size_t i = 0; i < d->count; i++)
        d->row_of[d->matches[i].id] = (uint32_t)i + 1;
    return 0;
}

static uint64_t mix(uint64_t into, const char *text)
{
    struct hash hash = hash_text(text);
    return hash_of_pair(into, hash.low ^ hash.high).low;
}

static int compare_labels(const void *left, const void *right)
{
    const struct store_label *a = left, *b = right;
    int order = strcmp(a->key, b->key);
    return order ? order : strcmp(a->value, b->value);
}

static bool is_renamed(const struct day *d, const struct match *m, const char *key)
{
    for (size_t i = 0; m->renamed && i < d->renames->count; i++)
        if (strcmp(d->renames->keys[i], key) == 0)
            return true;
    return false;
}

/* By their keys: a series has the same, whether it was stored with them or named afterwards. */
static int name_labels(struct day *d, struct match *m, struct err *err)
{
    const uint8_t *at = m->packed, *end = at + m->packed_len;
    size_t room = m->packed_len / 2, count = 0;
    m->labels = calloc(room + STORE_MAX_RENAMED + 1, sizeof(*m->labels));
    if (!m->labels)
        return err_errno(err, -ENOMEM, "listing series");
    int r = 0;
    uint32_t key, value;
    while (r == 0 && count < room && varint_get_u32(&at, end, &key) &&
           varint_get_u32(&at, end, &value)) {
        struct store_label *l = &m->labels[count];
        r = lookup_text(&d->lookup, key, &l->key, err);
        if (r == 0)
            r = lookup_text(&d->lookup, value, &l->value, err);
        if (r == 0)
            count += !is_renamed(d, m, l->key);
    }
    for (size_t i = 0; r == 0 && m->renamed && i < d->renames->count; i++)
        if (*m->renamed[i])
            m->labels[count++] = (struct store_label){d->renames->keys[i], m->renamed[i]};
    qsort(m->labels, count, sizeof(*m->labels), compare_labels);
    m->usage.labels = m->labels;
    m->usage.label_count = count;
    return r;
}

/* The texts of a match, and a number for all of them. */
static int name_match(struct day *d, struct match *m, struct err *err)
{
    struct store_usage *u = &m->usage;
    int r = lookup_text(&d->lookup, m->node, &u->node, err);
    if (r == 0)
        r = lookup_text(&d->lookup, m->cgroup, &u->cgroup, err);
    if (r == 0)
        r = name_labels(d, m, err);
    if (r < 0)
        return r;
    u->series = mix(mix(0, u->node), u->cgroup);
    for (size_t i = 0; i < u->label_count; i++)
        u->series = mix(mix(u->series, u->labels[i].key), u->labels[i].value);
    m->named = true;
    return 0;
}

/* ---- blobs */

static int give_blob(struct day *d, struct match *m, uint32_t t, const void *data, size_t len,
                     struct err *err)
{
    size_t count;
    int r = usage_blob_decode(data, len, blob_seed(t, m->id), d->rows, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct usage_row *row = &d->rows[i];
        int64_t ms = t * MS_PER_MINUTE + row->time_ms;
        if (ms < d->from_ms || ms >= d->to_ms)
            continue;
        if (!m->named)
            r = name_match(d, m, err);
        if (r < 0)
            break;
        m->usage.time_ms = d->number * MS_PER_DAY + ms;
        m->usage.span_us = row->span_us;
        m->usage.network = row->network;
        m->usage.summed = row->summed;
        m->usage.figures = row->figures;
        r = d->fn(d->ctx, &m->usage);
    }
    return r;
}

static int fill_processes(struct day *d, struct err *err)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < d->list->count; i++) {
        const struct usage_list_row *from = &d->list->rows[i];
        struct store_usage_process *to = &d->processes[i];
        *to = (struct store_usage_process){.pid = from->pid,
                                           .threads = from->threads,
                                           .start_ms = (int64_t)from->start_ms,
                                           .cpu_user_ns = from->cpu_user_ns,
                                           .cpu_system_ns = from->cpu_system_ns,
                                           .rss_bytes = from->rss_bytes,
                                           .virtual_bytes = from->virtual_bytes};
        r = lookup_text(&d->lookup, from->exe, &to->exe, err);
        if (r == 0)
            r = lookup_text(&d->lookup, from->command, &to->command, err);
    }
    return r;
}

static int give_list(struct day *d, struct match *m, uint32_t t, const void *data, size_t len,
                     struct err *err)
{
    int r = usage_list_decode(data, len, blob_seed(t, m->id), d->list, err);
    if (r < 0)
        return r;
    int64_t ms = t * MS_PER_MINUTE + d->list->time_ms;
    if (ms < d->from_ms || ms >= d->to_ms)
        return 0;
    if (!m->named)
        r = name_match(d, m, err);
    if (r == 0)
        r = fill_processes(d, err);
    m->usage.time_ms = d->number * MS_PER_DAY + ms;
    m->usage.span_us = d->list->span_us;
    m->usage.processes = d->processes;
    m->usage.process_count = d->list->count;
    m->told = true;
    d->told++;
    return r < 0 ? r : d->fn(d->ctx, &m->usage);
}

/* What is damaged is left out, the rest is not. */
static int give_step(struct day *d, sqlite3_stmt *stmt, struct err *err)
{
    struct err why = {0};
    int64_t t = sqlite3_column_int64(stmt, 0), series = sqlite3_column_int64(stmt, 1);
    if (t < 0 || t >= MINUTES_PER_DAY || series < 0 || series >= d->row_of_size ||
        !d->row_of[series])
        return 0;
    struct match *m = &d->matches[d->row_of[series] - 1];
    if (m->told)
        return 0;
    const void *data = sqlite3_column_blob(stmt, 2);
    size_t len = (size_t)sqlite3_column_bytes(stmt, 2);
    int r = d->type == SAMPLE_USAGE ? give_blob(d, m, (uint32_t)t, data ? data : "", len, &why)
                                    : give_list(d, m, (uint32_t)t, data ? data : "", len, &why);
    if (r == -EUCLEAN) {
        err_wrap(&why, r, "%s: minute %lld, series %lld",
                 sqlite3_db_filename(d->reader->db, "main"), (long long)t, (long long)series);
        days_complain(d->s->days, d->number, &why);
        return 0;
    }
    return r < 0 ? err_set(err, r, "%s", why.text) : r;
}

static int give_steps(struct day *d, sqlite3_stmt *stmt, struct err *err)
{
    int r = 0;
    while (r == 0 && d->told < d->count && (r = db_step(stmt, err)) > 0)
        r = give_step(d, stmt, err);
    sqlite3_reset(stmt);
    return r;
}

static int give_walk(struct day *d, sqlite3_stmt *stmt, int64_t first, int64_t last,
                     struct err *err)
{
    sqlite3_bind_int64(stmt, 2, first);
    sqlite3_bind_int64(stmt, 3, last);
    return give_steps(d, stmt, err);
}

static int give_looks(struct day *d, sqlite3_stmt *stmt, int64_t first, int64_t last,
                      struct err *err)
{
    int r = 0;
    for (int64_t n = first; r == 0 && n <= last; n++)
        for (size_t i = 0; r == 0 && i < d->count; i++) {
            if (d->matches[i].told)
                continue;
            sqlite3_bind_int64(stmt, 2, d->type == SAMPLE_USAGE ? n : last - (n - first));
            sqlite3_bind_int64(stmt, 3, d->matches[i].id);
            r = give_steps(d, stmt, err);
        }
    return r;
}

/* Of lists of processes only each series' last is told: they are read from the end. */
static int give_day(struct day *d, struct err *err)
{
    static const char walk[] =
        "SELECT t, series, data FROM sample WHERE type=?1 AND t>=?2 AND t<=?3";
    static const char walk_back[] =
        "SELECT t, series, data FROM sample WHERE type=?1 AND t>=?2 AND t<=?3 ORDER BY t DESC";
    static const char look[] =
        "SELECT t, series, data FROM sample WHERE type=?1 AND t=?2 AND series=?3";
    int64_t first = d->from_ms / MS_PER_MINUTE, last = (d->to_ms - 1) / MS_PER_MINUTE;
    bool seek = d->count < d->series_count / SEEK_RATIO;
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    if (d->count == 0)
        return 0;
    const char *sql = seek ? look : d->type == SAMPLE_USAGE ? walk : walk_back;
    int r = db_prepare(d->reader->db, sql, &stmt, err);
    if (r < 0)
        return r;
    sqlite3_bind_int64(stmt, 1, d->type);
    return seek ? give_looks(d, stmt, first, last, err) : give_walk(d, stmt, first, last, err);
}

/* ---- days */

static int query_day(struct day *d, const struct store_query *q, struct err *err)
{
    d->rows = malloc(USAGE_BLOB_MAX_ROWS * sizeof(*d->rows));
    d->list = malloc(sizeof(*d->list));
    d->processes = malloc(USAGE_LIST_MAX * sizeof(*d->processes));
    if (!d->rows || !d->list || !d->processes)
        return err_errno(err, -ENOMEM, "reading usage");
    int r = lookup_init(&d->lookup, d->reader->db, err);
    if (r == 0)
        r = key_filters_resolve(q, &d->lookup, &d->filters, err);
    if (r == 0)
        r = renamer_init(&d->renamer, q->renames, &d->lookup, err);
    if (r == 0)
        r = match_series(d, err);
    return r < 0 ? r : give_day(d, err);
}

static int try_day(struct day *d, const struct store_query *q, struct err *err)
{
    struct err why = {0};
    int r = days_borrow(d->s->days, d->number, &d->reader, &why);
    if (r == -ENOENT)
        return 0; /* retention was faster */
    if (r == 0)
        r = query_day(d, q, &why);
    if (r < 0 && lookup_is_damage(r)) {
        days_complain(d->s->days, d->number, &why);
        r = 0;
    }
    lookup_free(&d->lookup); /* its statements end before the connection is given back */
    days_return(d->s->days, &d->reader);
    return r < 0 ? err_set(err, r, "%s", why.text) : r;
}

static int ask(struct store *store, int type, const struct store_query *query, store_usage_fn fn,
               void *ctx, struct err *err)
{
    struct sqlite_store *s = sqlite_store_of(store);
    int64_t start_ms = query->start_ms < 0 ? 0 : query->start_ms;
    int64_t end_ms = query->end_ms > LAST_MS ? LAST_MS : query->end_ms;
    _cleanup_free_ int64_t *days = NULL;
    size_t count = 0;
    if (start_ms >= end_ms)
        return 0;
    int r = days_list(s->days, day_of_ms(start_ms), day_of_ms(end_ms - 1), &days, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        /* Of processes the last are wanted, and those before them found to be older at once. */
        int64_t day = days[type == SAMPLE_USAGE ? i : count - 1 - i], day_ms = day * MS_PER_DAY;
        _cleanup_(day_free) struct day d = {
            .s = s, .type = type, .number = day, .renames = query->renames, .fn = fn, .ctx = ctx};
        d.from_ms = start_ms > day_ms ? start_ms - day_ms : 0;
        d.to_ms = end_ms - day_ms < MS_PER_DAY ? end_ms - day_ms : MS_PER_DAY;
        r = try_day(&d, query, err);
    }
    return r;
}

int sqlite_usage(struct store *store, const struct store_query *query, store_usage_fn fn, void *ctx,
                 struct err *err)
{
    return ask(store, SAMPLE_USAGE, query, fn, ctx, err);
}

int sqlite_usage_processes(struct store *store, const struct store_query *query, store_usage_fn fn,
                           void *ctx, struct err *err)
{
    return ask(store, SAMPLE_PROCESSES, query, fn, ctx, err);
}
