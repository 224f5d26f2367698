/* fact_query.c: takes a range and filters, gives what agents said of pods and containers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/sqlite/days.h"
#include "server/sqlite/db.h"
#include "server/sqlite/hashmap.h"
#include "server/sqlite/keys.h"
#include "server/sqlite/layout.h"
#include "server/sqlite/lookup.h"
#include "server/sqlite/sqlite.h"
#include "server/sqlite/varint.h"

#define HOLD_MS (WIRE_FACTS_NS / NS_PER_MS)
#define LAST_MS 253402300800000ll /* as usage_query.c's */

struct asking {
    struct sqlite_store *s;
    const struct store_query *query;
    const struct store_facts *fns;
    void *ctx;
    int64_t start_ms, end_ms;
};

/* One row, in the numbers of its day. */
struct fact {
    uint32_t node, id;
    int64_t first_ms, last_ms;
    const uint8_t *at, *end;
};

struct day {
    const struct asking *asking;
    struct lookup *lookup;
    struct key_filters filters;
    struct hashmap pods; /* those that pass, by node and uid */
    struct store_label labels[STORE_MAX_POD_LABELS];
};

static const struct key_filter *find_filter(const struct day *d, const char *key)
{
    for (size_t i = 0; i < d->filters.count; i++)
        if (strcmp(d->filters.keys[i].key, key) == 0)
            return &d->filters.keys[i];
    return NULL;
}

static bool passes(const struct day *d, const char *key, uint32_t number)
{
    const struct key_filter *f = find_filter(d, key);
    for (size_t i = 0; f && i < f->count; i++)
        if (f->values[i] == number)
            return true;
    return !f;
}

static int damaged(const struct day *d, struct err *err)
{
    return err_set(err, -EUCLEAN, "%s: what is known of a pod or container is damaged",
                   sqlite3_db_filename(d->lookup->db, "main"));
}

static int read_numbers(const struct day *d, struct fact *f, uint32_t *ret, size_t count,
                        struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!varint_get_u32(&f->at, f->end, &ret[i]))
            return damaged(d, err);
    return 0;
}

static int read_time(const struct day *d, struct fact *f, int64_t *ret, struct err *err)
{
    uint64_t ms;
    if (!varint_get(&f->at, f->end, &ms) || ms > INT64_MAX / NS_PER_MS)
        return damaged(d, err);
    *ret = (int64_t)ms;
    return 0;
}

static int look_up(struct day *d, const uint32_t *numbers, const char **const *texts, size_t count,
                   struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = lookup_text(d->lookup, numbers[i], texts[i], err);
    return r;
}

static int read_labels(struct day *d, struct fact *f, size_t *ret_count, struct err *err)
{
    size_t count = 0;
    while (f->at < f->end && count < STORE_MAX_POD_LABELS) {
        struct store_label *l = &d->labels[count++];
        const char **const texts[] = {&l->key, &l->value};
        uint32_t pair[2];
        int r = read_numbers(d, f, pair, ARRAY_LEN(pair), err);
        if (r == 0)
            r = look_up(d, pair, texts, ARRAY_LEN(pair), err);
        if (r < 0)
            return r;
    }
    *ret_count = count;
    return 0;
}

static int give_pod(struct day *d, struct fact *f, struct err *err)
{
    enum { NAMESPACE, NAME, IP, PHASE, WORKLOAD, NODE, UID, NUMBERS };
    struct store_pod p = {.labels = d->labels, .first_ms = f->first_ms, .last_ms = f->last_ms};
    const char **const texts[NUMBERS] = {&p.namespace, &p.name, &p.ip, &p.phase,
                                         &p.workload,  &p.node, &p.uid};
    uint32_t numbers[NUMBERS] = {[NODE] = f->node, [UID] = f->id};
    int r = read_numbers(d, f, numbers, NODE, err);
    if (r == 0)
        r = read_time(d, f, &p.started_ms, err);
    if (r < 0 || !passes(d, "namespace", numbers[NAMESPACE]) || !passes(d, "pod", numbers[NAME]))
        return r;
    r = look_up(d, numbers, texts, NUMBERS, err);
    if (r == 0)
        r = read_labels(d, f, &p.label_count, err);
    if (r == 0 && hashmap_put(&d->pods, hash_of_pair(f->node, f->id), 1) < 0)
        r = err_errno(err, -ENOMEM, "listing pods");
    return r < 0 ? r : d->asking->fns->pod(d->asking->ctx, &p);
}

static int give_container(struct day *d, struct fact *f, struct err *err)
{
    enum { POD_UID, NAME, IMAGE, REASON, NODE, ID, NUMBERS };
    struct store_container c = {.first_ms = f->first_ms, .last_ms = f->last_ms};
    const char **const texts[NUMBERS] = {&c.pod_uid, &c.name, &c.image, &c.reason, &c.node, &c.id};
    uint32_t numbers[NUMBERS] = {[NODE] = f->node, [ID] = f->id}, kind, state;
    bool all_pods = !find_filter(d, "namespace") && !find_filter(d, "pod");
    int r = read_numbers(d, f, numbers, NODE, err);
    if (r == 0)
        r = read_numbers(d, f, &c.restarts, 1, err);
    if (r == 0)
        r = read_time(d, f, &c.started_ms, err);
    if (r == 0)
        r = read_numbers(d, f, &kind, 1, err);
    if (r == 0)
        r = read_numbers(d, f, &state, 1, err);
    if (r == 0 && (kind >= WIRE_CONTAINER_KIND_COUNT || state >= WIRE_CONTAINER_STATE_COUNT))
        r = damaged(d, err);
    if (r < 0 || (!all_pods && !hashmap_get(&d->pods, hash_of_pair(f->node, numbers[POD_UID]))))
        return r;
    c.kind = (uint8_t)kind;
    c.state = (uint8_t)state;
    r = look_up(d, numbers, texts, NUMBERS, err);
    return r < 0 ? r : d->asking->fns->container(d->asking->ctx, &c);
}

static int give_all(struct day *d, int type, struct err *err)
{
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    int r = db_prepare(d->lookup->db,
                       "SELECT node, id, first_ms, last_ms, data FROM fact WHERE type=?1"
                       " AND first_ms<?2 AND last_ms>?3",
                       &stmt, err);
    if (r < 0)
        return r;
    sqlite3_bind_int64(stmt, 1, type);
    sqlite3_bind_int64(stmt, 2, d->asking->end_ms);
    sqlite3_bind_int64(stmt, 3, d->asking->start_ms - HOLD_MS);
    while (r == 0 && (r = db_step(stmt, err)) > 0) {
        struct fact f = {.node = (uint32_t)sqlite3_column_int64(stmt, 0),
                         .id = (uint32_t)sqlite3_column_int64(stmt, 1),
                         .first_ms = sqlite3_column_int64(stmt, 2),
                         .last_ms = sqlite3_column_int64(stmt, 3),
                         .at = sqlite3_column_blob(stmt, 4)};
        f.at = f.at ? f.at : (const uint8_t *)"";
        f.end = f.at + sqlite3_column_bytes(stmt, 4);
        r = 0;
        if (passes(d, "node", f.node))
            r = type == FACT_POD ? give_pod(d, &f, err) : give_container(d, &f, err);
    }
    return r;
}

static int give_day(void *ctx, struct lookup *lookup, int64_t day, struct err *err)
{
    const struct asking *asking = ctx;
    _cleanup_free_ struct day *d = calloc(1, sizeof(*d));
    int64_t tables = 0;
    if (!d)
        return err_errno(err, -ENOMEM, "listing pods");
    *d = (struct day){.asking = asking, .lookup = lookup};
    int r = db_get_int(lookup->db, "SELECT count(*) FROM sqlite_master WHERE name='fact'", 0,
                       &tables, err);
    if (r < 0 || tables == 0)
        return r;
    r = key_filters_resolve(asking->query, lookup, &d->filters, err);
    if (r == 0)
        r = give_all(d, FACT_POD, err);
    if (r == 0)
        r = give_all(d, FACT_CONTAINER, err);
    hashmap_free(&d->pods);
    return r;
}

int sqlite_facts(struct store *store, const struct store_query *query,
                 const struct store_facts *fns, void *ctx, struct err *err)
{
    struct asking asking = {
        .s = sqlite_store_of(store),
        .query = query,
        .fns = fns,
        .ctx = ctx,
        .start_ms = query->start_ms < 0 ? 0 : query->start_ms,
        .end_ms = query->end_ms > LAST_MS ? LAST_MS : query->end_ms,
    };
    if (asking.start_ms >= asking.end_ms)
        return 0;
    return sqlite_each_day(asking.s, day_of_ms(asking.start_ms - HOLD_MS),
                           day_of_ms(asking.end_ms - 1), give_day, &asking, err);
}
