/* totals.c: what is known of series, nodes and batches without looking at a sample: store_ops'
 * series, nodes, counters and stats. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/sqlite/days.h"
#include "server/sqlite/db.h"
#include "server/sqlite/groups.h"
#include "server/sqlite/hashmap.h"
#include "server/sqlite/keys.h"
#include "server/sqlite/layout.h"
#include "server/sqlite/lookup.h"
#include "server/sqlite/sqlite.h"
#include "server/sqlite/varint.h"

int sqlite_each_day(struct sqlite_store *s, int64_t first, int64_t last, sqlite_day_fn fn,
                    void *ctx, struct err *err)
{
    _cleanup_free_ int64_t *days = NULL;
    size_t count = 0;
    int r = days_list(s->days, first, last, &days, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct err why = {0};
        struct reader *reader = NULL;
        struct lookup lookup = {0};
        r = days_borrow(s->days, days[i], &reader, &why);
        if (r == -ENOENT) {
            r = 0;
            continue;
        }
        if (r == 0)
            r = lookup_init(&lookup, reader->db, &why);
        if (r == 0)
            r = fn(ctx, &lookup, days[i], &why);
        if (lookup_is_damage(r)) {
            days_complain(s->days, days[i], &why);
            r = 0;
        }
        lookup_free(&lookup);
        days_return(s->days, &reader);
        if (r < 0)
            err_set(err, r, "%s", why.text);
    }
    return r;
}

/* ---- series */

struct series {
    const char *const *keys;
    struct groups tuples;
};

static void series_free(struct series *s)
{
    groups_free(&s->tuples);
}

/* `seen`: tuples of the day's string numbers, so that each has its texts looked up once. */
static int add_tuple(struct series *s, struct lookup *lookup, const uint32_t *strings,
                     struct hashmap *seen, struct err *err)
{
    uint32_t texts[STORE_MAX_RENAMED], unused;
    size_t width = s->tuples.width;
    struct hash hash = hash_bytes(strings, width * sizeof(*strings));
    if (hashmap_get(seen, hash))
        return 0;
    for (size_t i = 0; i < width; i++) {
        const char *text = "";
        int r = strings[i] == KEY_ABSENT ? 0 : lookup_text(lookup, strings[i], &text, err);
        if (r == 0)
            r = groups_text(&s->tuples, text, &texts[i], err);
        if (r < 0)
            return r;
    }
    if (hashmap_put(seen, hash, 1) < 0)
        return err_errno(err, -ENOMEM, "listing series");
    return groups_tuple(&s->tuples, texts, &unused, err);
}

static int add_series(void *ctx, struct lookup *lookup, int64_t day, struct err *err)
{
    struct series *s = ctx;
    uint32_t keys[STORE_MAX_RENAMED], strings[STORE_MAX_RENAMED];
    _cleanup_(hashmap_free) struct hashmap seen = {0};
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    int r = db_prepare(lookup->db, "SELECT labels FROM series", &stmt, err);
    for (size_t i = 0; r == 0 && i < s->tuples.width; i++) {
        bool known = false;
        r = lookup_number(lookup, s->keys[i], &known, &keys[i], err);
        keys[i] = known ? keys[i] : KEY_ABSENT;
    }
    while (r == 0 && (r = db_step(stmt, err)) > 0) {
        struct key_series row = {.labels = sqlite3_column_blob(stmt, 0),
                                 .labels_len = (size_t)sqlite3_column_bytes(stmt, 0)};
        if (!row.labels)
            row.labels = (const uint8_t *)"";
        for (size_t i = 0; i < s->tuples.width; i++)
            strings[i] = key_of_series(&row, KEY_LABEL, keys[i]);
        r = add_tuple(s, lookup, strings, &seen, err);
    }
    return r;
}

int sqlite_series(struct store *store, int64_t start_ms, int64_t end_ms, const char *const *keys,
                  size_t count, store_series_fn fn, void *ctx, struct err *err)
{
    _cleanup_(series_free) struct series s = {.keys = keys, .tuples = {.width = count}};
    const char *values[STORE_MAX_RENAMED];
    if (start_ms >= end_ms)
        return 0;
    int r = sqlite_each_day(sqlite_store_of(store), day_of_ms(start_ms), day_of_ms(end_ms - 1),
                            add_series, &s, err);
    for (uint32_t i = 0; r == 0 && i < s.tuples.count; i++) {
        groups_read(&s.tuples, i, values);
        r = fn(ctx, values);
    }
    return r;
}

/* ---- nodes: one row a node, over all its boots and days */

/* The texts of a store_node, in its order. */
#define NODE_TEXTS 5

struct node {
    char *texts[NODE_TEXTS]; /* node, boot id, kernel, arch, agent: of the latest window */
    struct store_node row;
};

struct nodes {
    struct node *all;
    size_t count;
    struct hashmap rows; /* by name: row + 1 */
};

static void nodes_free(struct nodes *n)
{
    for (size_t i = 0; i < n->count; i++)
        for (size_t j = 0; j < NODE_TEXTS; j++)
            free(n->all[i].texts[j]);
    free(n->all);
    hashmap_free(&n->rows);
}

static int find_node(struct nodes *n, const char *name, struct node **ret, struct err *err)
{
    struct hash hash = hash_text(name);
    uint64_t row = hashmap_get(&n->rows, hash);
    if (row == 0) {
        struct node *all = realloc(n->all, (n->count + 1) * sizeof(*all));
        if (!all)
            return err_errno(err, -ENOMEM, "listing nodes");
        n->all = all;
        if (hashmap_put(&n->rows, hash, n->count + 1) < 0)
            return err_errno(err, -ENOMEM, "listing nodes");
        row = ++n->count;
        n->all[row - 1] = (struct node){.row = {.first_ms = INT64_MAX, .last_ms = INT64_MIN}};
    }
    *ret = &n->all[row - 1];
    return 0;
}

static int set_texts(struct node *node, const char *const texts[NODE_TEXTS], struct err *err)
{
    for (size_t i = 0; i < NODE_TEXTS; i++) {
        char *copy = strdup(texts[i]);
        if (!copy)
            return err_errno(err, -ENOMEM, "listing nodes");
        free(node->texts[i]);
        node->texts[i] = copy;
    }
    return 0;
}

static int add_node(struct nodes *n, struct lookup *lookup, sqlite3_stmt *stmt, struct err *err)
{
    const char *texts[NODE_TEXTS];
    struct node *node = NULL;
    for (int i = 0; i < NODE_TEXTS; i++) {
        int r = lookup_text(lookup, (uint32_t)sqlite3_column_int64(stmt, i), &texts[i], err);
        if (r < 0)
            return r;
    }
    int r = find_node(n, texts[0], &node, err);
    if (r < 0)
        return r;
    int64_t first_ms = sqlite3_column_int64(stmt, 6), last_ms = sqlite3_column_int64(stmt, 7);
    if (last_ms >= node->row.last_ms) {
        node->row.last_ms = last_ms;
        node->row.cpus = (uint32_t)sqlite3_column_int64(stmt, 5);
        r = set_texts(node, texts, err);
    }
    node->row.first_ms = first_ms < node->row.first_ms ? first_ms : node->row.first_ms;
    node->row.batches += (uint64_t)sqlite3_column_int64(stmt, 8);
    return r;
}

static int add_nodes(void *ctx, struct lookup *lookup, int64_t day, struct err *err)
{
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    int r = db_prepare(lookup->db,
                       "SELECT node, boot, kernel, arch, agent, cpus, first_ms, last_ms, batches"
                       " FROM node",
                       &stmt, err);
    while (r == 0 && (r = db_step(stmt, err)) > 0)
        r = add_node(ctx, lookup, stmt, err);
    return r;
}

int sqlite_nodes(struct store *store, store_node_fn fn, void *ctx, struct err *err)
{
    _cleanup_(nodes_free) struct nodes n = {0};
    int r = sqlite_each_day(sqlite_store_of(store), INT64_MIN, INT64_MAX, add_nodes, &n, err);
    for (size_t i = 0; r == 0 && i < n.count; i++) {
        struct node *node = &n.all[i];
        if (!node->texts[NODE_TEXTS - 1])
            continue; /* its row was damaged */
        node->row.node = node->texts[0];
        node->row.boot_id = node->texts[1];
        node->row.kernel = node->texts[2];
        node->row.arch = node->texts[3];
        node->row.agent = node->texts[4];
        r = fn(ctx, &node->row);
    }
    return r;
}

/* ---- counters */

struct counter {
    char *node, *name;
    uint64_t value;
};

struct counters {
    int64_t start_ms, end_ms;
    struct counter *all;
    size_t count;
    struct hashmap rows; /* by node and name: row + 1 */
};

static void counters_free(struct counters *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->all[i].node);
        free(c->all[i].name);
    }
    free(c->all);
    hashmap_free(&c->rows);
}

static int add_counter(struct counters *c, const char *node, const char *name, uint64_t value,
                       struct err *err)
{
    struct hash both[2] = {hash_text(node), hash_text(name)};
    struct hash hash = hash_bytes(both, sizeof(both));
    uint64_t row = hashmap_get(&c->rows, hash);
    if (row == 0) {
        struct counter *all = realloc(c->all, (c->count + 1) * sizeof(*all));
        if (!all)
            return err_errno(err, -ENOMEM, "adding up counters");
        c->all = all;
        struct counter *new = &all[c->count++];
        *new = (struct counter){strdup(node), strdup(name), 0};
        if (!new->node || !new->name || hashmap_put(&c->rows, hash, c->count) < 0)
            return err_errno(err, -ENOMEM, "adding up counters");
        row = c->count;
    }
    c->all[row - 1].value += value;
    return 0;
}

static int add_batch_counters(struct counters *c, struct lookup *lookup, sqlite3_stmt *stmt,
                              struct err *err)
{
    const char *node, *name;
    const uint8_t *at = sqlite3_column_blob(stmt, 1);
    if (!at) /* how SQLite gives an empty blob: a batch without counters */
        return 0;
    const uint8_t *end = at + sqlite3_column_bytes(stmt, 1);
    int r = lookup_text(lookup, (uint32_t)sqlite3_column_int64(stmt, 0), &node, err);
    while (r == 0 && at < end) {
        uint32_t name_id;
        uint64_t value;
        if (!varint_get_u32(&at, end, &name_id) || !varint_get(&at, end, &value))
            return err_set(err, -EUCLEAN, "%s: damaged counters",
                           sqlite3_db_filename(lookup->db, "main"));
        r = lookup_text(lookup, name_id, &name, err);
        if (r == 0)
            r = add_counter(c, node, name, value, err);
    }
    return r;
}

static int add_counters(void *ctx, struct lookup *lookup, int64_t day, struct err *err)
{
    struct counters *c = ctx;
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    int r = db_prepare(lookup->db,
                       "SELECT node, counters FROM batch"
                       " WHERE start_ms>=?1 AND start_ms<?2 AND home=1",
                       &stmt, err);
    if (r < 0)
        return r;
    sqlite3_bind_int64(stmt, 1, c->start_ms);
    sqlite3_bind_int64(stmt, 2, c->end_ms);
    while (r == 0 && (r = db_step(stmt, err)) > 0)
        r = add_batch_counters(c, lookup, stmt, err);
    return r;
}

int sqlite_counters(struct store *store, int64_t start_ms, int64_t end_ms, store_counter_fn fn,
                    void *ctx, struct err *err)
{
    _cleanup_(counters_free) struct counters c = {.start_ms = start_ms, .end_ms = end_ms};
    if (start_ms >= end_ms)
        return 0;
    int r = sqlite_each_day(sqlite_store_of(store), day_of_ms(start_ms), day_of_ms(end_ms - 1),
                            add_counters, &c, err);
    for (size_t i = 0; r == 0 && i < c.count; i++)
        r = fn(ctx, c.all[i].node, c.all[i].name, c.all[i].value);
    return r;
}

/* ---- stats */

static int add_stats(void *ctx, struct lookup *lookup, int64_t day, struct err *err)
{
    struct store_stats *stats = ctx;
    int64_t batches = 0, samples = 0, oldest = 0;
    sqlite3 *db = lookup->db;
    int r = db_get_int(db, "SELECT sum(batches) FROM node", 0, &batches, err);
    if (r == 0)
        r = db_get_int(db, "SELECT sum(samples) FROM node", 0, &samples, err);
    if (r == 0)
        r = db_get_int(db, "SELECT min(t) FROM sample WHERE type=1", -1, &oldest, err);
    if (r < 0)
        return r;
    stats->batches += (uint64_t)batches;
    stats->samples += (uint64_t)samples;
    if (stats->oldest_ms == 0 && oldest >= 0)
        stats->oldest_ms = day * MS_PER_DAY + oldest * MS_PER_MINUTE;
    return 0;
}

int sqlite_stats(struct store *store, struct store_stats *ret, struct err *err)
{
    struct sqlite_store *s = sqlite_store_of(store);
    struct store_stats stats = {.duplicates = atomic_load(&s->duplicates)};
    int r = sqlite_each_day(s, INT64_MIN, INT64_MAX, add_stats, &stats, err);
    if (r == 0)
        r = days_bytes(s->days, &stats.bytes_on_disk, err);
    if (r < 0)
        return r;
    *ret = stats;
    return 0;
}
