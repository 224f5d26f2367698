/* writer.c: takes the path of a day, gives it open for writing. The tables are told in layout.h. */
#include "server/sqlite/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/sqlite/db.h"
#include "server/sqlite/dict.h"
#include "server/sqlite/layout.h"

/* auto_vacuum must be said before the first table; retention gives pages back with it when a day is
 * all there is (expire.c). */
static const char *const schema[] = {
    "PRAGMA page_size=4096",
    "PRAGMA auto_vacuum=INCREMENTAL",
    "BEGIN",
    "CREATE TABLE string(id INTEGER PRIMARY KEY, text TEXT)",
    "CREATE TABLE string_key(hash BLOB PRIMARY KEY, id INTEGER) WITHOUT ROWID",
    "CREATE TABLE object(id INTEGER PRIMARY KEY, kind, flags, path, build_id)",
    "CREATE TABLE object_key(hash BLOB PRIMARY KEY, id INTEGER) WITHOUT ROWID",
    "CREATE TABLE frame(id INTEGER PRIMARY KEY, kind, object, address, name, file, line)",
    "CREATE TABLE frame_key(hash BLOB PRIMARY KEY, id INTEGER) WITHOUT ROWID",
    "CREATE TABLE stack(id INTEGER PRIMARY KEY, top, frames)",
    "CREATE TABLE stack_key(hash BLOB PRIMARY KEY, id INTEGER) WITHOUT ROWID",
    "CREATE TABLE series(id INTEGER PRIMARY KEY, node, process, cgroup, labels)",
    "CREATE TABLE series_key(hash BLOB PRIMARY KEY, id INTEGER) WITHOUT ROWID",
    "CREATE TABLE sample(type INTEGER, t INTEGER, series INTEGER, part INTEGER, data BLOB,"
    " PRIMARY KEY(type, t, series, part)) WITHOUT ROWID",
    "CREATE TABLE batch(node INTEGER, boot INTEGER, seq INTEGER, start_ms INTEGER, end_ms INTEGER,"
    " home INTEGER, counters BLOB, PRIMARY KEY(node, boot, seq)) WITHOUT ROWID",
    "CREATE INDEX batch_start ON batch(start_ms)",
    "CREATE TABLE node(node INTEGER, boot INTEGER, kernel INTEGER, arch INTEGER, agent INTEGER,"
    " cpus INTEGER, first_ms INTEGER, last_ms INTEGER, batches INTEGER, samples INTEGER,"
    " PRIMARY KEY(node, boot)) WITHOUT ROWID",
};

/* Younger than the layout: made where it is missing. */
static const char fact_sql[] =
    "CREATE TABLE IF NOT EXISTS fact(type INTEGER, node INTEGER, id INTEGER, first_ms INTEGER,"
    " last_ms INTEGER, data BLOB, PRIMARY KEY(type, node, id)) WITHOUT ROWID";

/* Batches may come in any order. */
static const char put_fact_sql[] =
    "INSERT INTO fact VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
    " ON CONFLICT(type, node, id) DO UPDATE SET data=iif(?5>=last_ms, ?6, data),"
    " first_ms=min(first_ms, ?4), last_ms=max(last_ms, ?5)";

static const char add_node_sql[] =
    "INSERT INTO node VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    " ON CONFLICT(node, boot) DO UPDATE SET"
    " kernel=iif(?8>=last_ms, ?3, kernel), arch=iif(?8>=last_ms, ?4, arch),"
    " agent=iif(?8>=last_ms, ?5, agent), cpus=iif(?8>=last_ms, ?6, cpus),"
    " first_ms=min(first_ms, ?7), last_ms=max(last_ms, ?8),"
    " batches=batches+?9, samples=samples+?10";

int writer_create(const char *path, struct err *err)
{
    char marks[128];
    snprintf(marks, sizeof(marks), "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
             DAY_APPLICATION_ID, DAY_VERSION);
    _cleanup_db_ sqlite3 *db = NULL;
    int r = db_open(path, DB_CREATE, &db, err);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(schema); i++)
        r = db_exec(db, schema[i], err);
    if (r == 0)
        r = db_exec(db, marks, err);
    if (r == 0)
        r = db_exec(db, "PRAGMA journal_mode=WAL", err);
    return r;
}

static int check_version(sqlite3 *db, const char *path, struct err *err)
{
    int64_t id = 0, version = 0;
    int r = db_get_int(db, "PRAGMA application_id", 0, &id, err);
    if (r == 0)
        r = db_get_int(db, "PRAGMA user_version", 0, &version, err);
    if (r < 0)
        return r;
    if (id != DAY_APPLICATION_ID)
        return err_set(err, -EUCLEAN, "%s: is no podflame day (application_id %" PRId64 ")", path,
                       id);
    if (version != DAY_VERSION)
        return err_set(err, -EUCLEAN, "%s: has layout version %" PRId64 ", known is %d", path,
                       version, DAY_VERSION);
    return 0;
}

static int prepare(struct writer *w, struct err *err)
{
    const struct {
        sqlite3_stmt **stmt;
        const char *sql;
    } statements[] = {
        {&w->begin, "BEGIN IMMEDIATE"},
        {&w->commit, "COMMIT"},
        {&w->rollback, "ROLLBACK"},
        {&w->has_batch, "SELECT 1 FROM batch WHERE node=?1 AND boot=?2 AND seq=?3"},
        {&w->add_batch, "INSERT INTO batch VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"},
        {&w->add_node, add_node_sql},
        {&w->last_part, "SELECT part, iif(length(data)<=?4, data, NULL) FROM sample WHERE type=?1 "
                        "AND t=?2 AND series=?3"
                        " ORDER BY part DESC LIMIT 1"},
        {&w->put_fact, put_fact_sql},
        {&w->put_part, "INSERT OR REPLACE INTO sample VALUES(?1, ?2, ?3, ?4, ?5)"},
    };
    int made = db_exec(w->db, fact_sql, err);
    if (made < 0)
        return made;
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        int r = db_prepare(w->db, statements[i].sql, statements[i].stmt, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int writer_open(const char *path, struct writer **ret, struct err *err)
{
    _cleanup_(writer_close) struct writer *w = calloc(1, sizeof(*w));
    if (!w)
        return err_errno(err, -ENOMEM, "opening %s", path);
    int r = db_open(path, DB_WRITE, &w->db, err);
    if (r == 0)
        r = check_version(w->db, path, err);
    if (r == 0)
        r = prepare(w, err);
    if (r == 0)
        r = dict_new(w->db, &w->dict, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(w);
    return 0;
}

void writer_close(struct writer **writer)
{
    struct writer *w = *writer;
    if (!w)
        return;
    sqlite3_stmt **statements[] = {&w->begin,     &w->commit,    &w->rollback,
                                   &w->has_batch, &w->add_batch, &w->add_node,
                                   &w->last_part, &w->put_part,  &w->put_fact};
    for (size_t i = 0; i < ARRAY_LEN(statements); i++)
        db_finalize(statements[i]);
    dict_free(&w->dict);
    db_close(&w->db);
    free(w);
    *writer = NULL;
}
