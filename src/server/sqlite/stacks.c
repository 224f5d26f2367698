/* stacks.c: takes store_row's stacks, gives their frames. A stack is looked for in the newest day
 * first: what a query of last week found mostly still runs today. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/sqlite/days.h"
#include "server/sqlite/db.h"
#include "server/sqlite/layout.h"
#include "server/sqlite/lookup.h"
#include "server/sqlite/sqlite.h"
#include "server/sqlite/varint.h"
#include "wire/format.h"

/* One day, while its stacks are read. */
struct day_stacks {
    struct reader *reader;
    struct lookup lookup;
    sqlite3_stmt *find, *stack, *frame, *object;
    struct hashmap known; /* frame id -> row + 1 */
    struct store_frame *frames;
    size_t count, cap;
    struct store_frame way[WIRE_MAX_DEPTH]; /* of the last stack; */
    uint32_t way_ids[WIRE_MAX_DEPTH];       /* its frames' ids, 0 where nothing stands yet */
};

static int day_stacks_open(struct day_stacks *d, struct reader *reader, struct err *err)
{
    const struct {
        sqlite3_stmt **stmt;
        const char *sql;
    } statements[] = {
        {&d->find, "SELECT hash, id FROM stack_key WHERE hash>=?1 ORDER BY hash LIMIT 1"},
        {&d->stack, "SELECT frames FROM stack WHERE id=?1"},
        {&d->frame, "SELECT kind, object, address, name, file, line FROM frame WHERE id=?1"},
        {&d->object, "SELECT path, kind, flags, build_id FROM object WHERE id=?1"},
    };
    d->reader = reader;
    int r = lookup_init(&d->lookup, reader->db, err);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(statements); i++)
        r = db_prepare(reader->db, statements[i].sql, statements[i].stmt, err);
    return r;
}

static void day_stacks_free(struct day_stacks **day)
{
    struct day_stacks *d = *day;
    if (!d)
        return;
    lookup_free(&d->lookup);
    db_finalize(&d->find);
    db_finalize(&d->stack);
    db_finalize(&d->frame);
    db_finalize(&d->object);
    hashmap_free(&d->known);
    free(d->frames);
    free(d);
    *day = NULL;
}

static int missing(const struct day_stacks *d, const char *what, uint64_t id, struct err *err)
{
    return err_set(err, -EUCLEAN, "%s: %s %llu is missing or damaged",
                   sqlite3_db_filename(d->reader->db, "main"), what, (unsigned long long)id);
}

/* ---- frames */

static int read_object(struct day_stacks *d, uint32_t object, struct store_frame *ret,
                       struct err *err)
{
    sqlite3_bind_int64(d->object, 1, object);
    int r = db_step(d->object, err);
    uint32_t path = 0;
    if (r > 0) {
        path = (uint32_t)sqlite3_column_int64(d->object, 0);
        ret->object_kind = (uint8_t)sqlite3_column_int(d->object, 1);
        ret->object_flags = (uint8_t)sqlite3_column_int(d->object, 2);
        const void *id = sqlite3_column_blob(d->object, 3);
        int len = sqlite3_column_bytes(d->object, 3);
        ret->build_id_len = 0;
        if (id && len > 0 && len <= (int)sizeof(ret->build_id)) {
            ret->build_id_len = (uint8_t)len;
            memcpy(ret->build_id, id, (size_t)len);
        }
    }
    sqlite3_reset(d->object);
    if (r <= 0)
        return r < 0 ? r : missing(d, "object", object, err);
    return lookup_text(&d->lookup, path, &ret->object, err);
}

static int read_frame(struct day_stacks *d, uint32_t id, struct store_frame *ret, struct err *err)
{
    sqlite3_bind_int64(d->frame, 1, id);
    int r = db_step(d->frame, err);
    uint32_t object = 0, name = 0, file = 0;
    if (r > 0) {
        ret->kind = (uint8_t)sqlite3_column_int(d->frame, 0);
        object = (uint32_t)sqlite3_column_int64(d->frame, 1);
        ret->address = (uint64_t)sqlite3_column_int64(d->frame, 2);
        name = (uint32_t)sqlite3_column_int64(d->frame, 3);
        file = (uint32_t)sqlite3_column_int64(d->frame, 4);
        ret->line = (uint32_t)sqlite3_column_int64(d->frame, 5);
    }
    sqlite3_reset(d->frame);
    if (r <= 0)
        return r < 0 ? r : missing(d, "frame", id, err);
    r = read_object(d, object, ret, err);
    if (r == 0)
        r = lookup_text(&d->lookup, name, &ret->name, err);
    if (r == 0)
        r = lookup_text(&d->lookup, file, &ret->file, err);
    return r;
}

static int find_frame(struct day_stacks *d, uint32_t id, struct store_frame *ret, struct err *err)
{
    uint64_t row = hashmap_get(&d->known, hash_of_pair(id, 0));
    if (row == 0) {
        if (d->count == d->cap) {
            size_t cap = d->cap ? d->cap * 2 : 256;
            struct store_frame *frames = realloc(d->frames, cap * sizeof(*frames));
            if (!frames)
                return err_errno(err, -ENOMEM, "reading frames");
            d->frames = frames;
            d->cap = cap;
        }
        struct store_frame *frame = &d->frames[d->count];
        int r = read_frame(d, id, frame, err);
        if (r < 0)
            return r;
        /* Frame ids are a day's own; days since 1970 fit the upper half. */
        frame->id = (uint64_t)(uint32_t)(d->reader->day + 1) << 32 | id;
        if (hashmap_put(&d->known, hash_of_pair(id, 0), d->count + 1) < 0)
            return err_errno(err, -ENOMEM, "reading frames");
        row = ++d->count;
    }
    *ret = d->frames[row - 1];
    return 0;
}

/* ---- stacks */

/* The day's number of the first stack whose hash starts with `top`; 0: it has none. */
static int find_stack(struct day_stacks *d, uint64_t top, int64_t *ret_id, struct err *err)
{
    uint8_t key[HASH_SIZE];
    hash_put(key, (struct hash){top, 0});
    sqlite3_bind_blob(d->find, 1, key, sizeof(key), SQLITE_STATIC);
    int r = db_step(d->find, err);
    int64_t id = 0;
    if (r > 0 && sqlite3_column_bytes(d->find, 0) == HASH_SIZE &&
        hash_get(sqlite3_column_blob(d->find, 0)).high == top)
        id = sqlite3_column_int64(d->find, 1);
    sqlite3_reset(d->find);
    if (r < 0)
        return r;
    *ret_id = id;
    return 0;
}

static int read_way(struct day_stacks *d, int64_t id, size_t *ret_depth, struct err *err)
{
    sqlite3_bind_int64(d->stack, 1, id);
    int r = db_step(d->stack, err);
    if (r < 0)
        return r;
    const uint8_t *at = r > 0 ? sqlite3_column_blob(d->stack, 0) : NULL;
    if (!at)
        return missing(d, "stack", (uint64_t)id, err);
    const uint8_t *end = at + sqlite3_column_bytes(d->stack, 0);
    size_t depth = 0;
    while (at < end) {
        uint32_t frame;
        if (depth == WIRE_MAX_DEPTH || !varint_get_u32(&at, end, &frame))
            return missing(d, "stack", (uint64_t)id, err);
        /* Most stacks begin as the one before did. */
        if (d->way_ids[depth] != frame) {
            d->way_ids[depth] = 0;
            r = find_frame(d, frame, &d->way[depth], err);
            if (r < 0)
                return r;
            d->way_ids[depth] = frame;
        }
        depth++;
    }
    *ret_depth = depth;
    return 0;
}

/* A stack that a day has. */
struct found {
    int64_t id;
    uint64_t top;
};

struct wanted {
    struct sqlite_store *s;
    uint64_t *left; /* stacks not found yet, rising */
    size_t count;
    store_stack_fn fn;
    void *ctx;
    int stopped; /* what fn returned, when it was not 0 */
};

static int compare_u64(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static int compare_found(const void *left, const void *right)
{
    const struct found *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

/* Damage is the day's own matter: it is told, and the stack may be whole in another day. */
static int forgive(struct wanted *w, struct day_stacks *d, int r, struct err *err)
{
    if (r >= 0 || !lookup_is_damage(r) || !err)
        return r;
    days_complain(w->s->days, d->reader->day, err);
    return 0;
}

/* Takes what the day has out of `left`. By hash, which is the order of the key's table. */
static int find_stacks(struct wanted *w, struct day_stacks *d, struct found *found,
                       size_t *ret_count, struct err *err)
{
    size_t kept = 0, count = 0;
    for (size_t i = 0; i < w->count; i++) {
        int64_t id = 0;
        int r = forgive(w, d, find_stack(d, w->left[i], &id, err), err);
        if (r < 0)
            return r;
        if (id)
            found[count++] = (struct found){id, w->left[i]};
        else
            w->left[kept++] = w->left[i];
    }
    w->count = kept;
    *ret_count = count;
    return 0;
}

/* In the order they were stored: the table is read from its beginning to its end, and stacks of one
 * batch, whose beginnings are much the same, come after each other. */
static int give_stacks(struct wanted *w, struct day_stacks *d, struct err *err)
{
    _cleanup_free_ struct found *found = malloc((w->count + 1) * sizeof(*found));
    size_t count = 0;
    if (!found)
        return err_errno(err, -ENOMEM, "reading stacks");
    int r = find_stacks(w, d, found, &count, err);
    if (count)
        qsort(found, count, sizeof(*found), compare_found);
    size_t before = w->count;
    for (size_t i = 0; r == 0 && i < count && !w->stopped; i++) {
        size_t depth = 0;
        r = read_way(d, found[i].id, &depth, err);
        sqlite3_reset(d->stack);
        if (r == 0) {
            w->stopped = w->fn(w->ctx, found[i].top, d->way, depth);
        } else {
            w->left[w->count++] = found[i].top;
            r = forgive(w, d, r, err);
        }
    }
    if (w->count > before)
        qsort(w->left, w->count, sizeof(*w->left), compare_u64);
    return r;
}

static int try_day(struct wanted *w, int64_t day, struct err *err)
{
    _cleanup_(day_stacks_free) struct day_stacks *d = calloc(1, sizeof(*d));
    struct err why = {0};
    struct reader *reader = NULL;
    if (!d)
        return err_errno(err, -ENOMEM, "reading stacks");
    int r = days_borrow(w->s->days, day, &reader, &why);
    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = day_stacks_open(d, reader, &why);
    if (r == 0)
        r = give_stacks(w, d, &why);
    if (lookup_is_damage(r)) {
        days_complain(w->s->days, day, &why);
        r = 0;
    }
    day_stacks_free(&d); /* before the connection goes back */
    days_return(w->s->days, &reader);
    return r < 0 ? err_set(err, r, "%s", why.text) : 0;
}

/* Sorted, each once. The stack without frames needs no day to be told. */
static void sort_wanted(struct wanted *w)
{
    size_t kept = 0;
    qsort(w->left, w->count, sizeof(*w->left), compare_u64);
    for (size_t i = 0; i < w->count; i++)
        if (kept == 0 || w->left[kept - 1] != w->left[i])
            w->left[kept++] = w->left[i];
    w->count = kept;
    if (kept && w->left[0] == 0) {
        struct store_frame none;
        w->stopped = w->fn(w->ctx, 0, &none, 0);
        memmove(w->left, w->left + 1, --w->count * sizeof(*w->left));
    }
}

int sqlite_stacks(struct store *store, const uint64_t *stacks, size_t count, store_stack_fn fn,
                  void *ctx, struct err *err)
{
    _cleanup_free_ uint64_t *left = malloc((count + 1) * sizeof(*left));
    _cleanup_free_ int64_t *days = NULL;
    size_t day_count = 0;
    struct wanted w = {sqlite_store_of(store), left, count, fn, ctx, 0};
    if (!left)
        return err_errno(err, -ENOMEM, "reading %zu stacks", count);
    if (count)
        memcpy(left, stacks, count * sizeof(*left));
    sort_wanted(&w);
    int r = days_list(w.s->days, INT64_MIN, INT64_MAX, &days, &day_count, err);
    while (r == 0 && day_count > 0 && w.count > 0 && !w.stopped)
        r = try_day(&w, days[--day_count], err);
    return r < 0 ? r : w.stopped;
}
