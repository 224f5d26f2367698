/* db.c: takes paths and SQL, gives rows or an error that names the file. */
#include "server/sqlite/db.h"

#include <assert.h>
#include <errno.h>

#include "base/cleanup.h"
#include "base/err.h"

/* The writer collects some batches' pages before it moves them from the WAL into the file, since a
 * minute's pages and the dictionary's are written again by each of them. A reader needs little: the
 * system's page cache stands behind it. trusted_schema and cell_size_check: a damaged file must
 * give an error and nothing else. */
static const char common_settings[] = "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;";
static const char writer_settings[] =
    "PRAGMA synchronous=FULL; PRAGMA cache_size=-32768; PRAGMA wal_autocheckpoint=4000;"
    "PRAGMA journal_size_limit=16777216; PRAGMA temp_store=MEMORY;";
static const char reader_settings[] =
    "PRAGMA query_only=ON; PRAGMA cache_size=-4096; PRAGMA temp_store=MEMORY;";

#define BUSY_MS 30000

static int errno_of(sqlite3 *db, int code)
{
    int os = sqlite3_system_errno(db);
    switch (code) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EUCLEAN;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_IOERR: /* a full disk met while the shared memory file grows, or a quota */
        return os == ENOSPC || os == EDQUOT ? -ENOSPC : -EIO;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_CANTOPEN:
        return os == ENOSPC || os == EDQUOT ? -ENOSPC : os ? -os : -EIO;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return -EACCES;
    default:
        return -EIO;
    }
}

int db_fail(sqlite3 *db, struct err *err, const char *doing)
{
    if (!db)
        return err_errno(err, -ENOMEM, "%s", doing);
    const char *path = sqlite3_db_filename(db, "main");
    int code = errno_of(db, sqlite3_extended_errcode(db) & 0xff);
    return err_set(err, code, "%s: %s: %s", path ? path : "?", doing, sqlite3_errmsg(db));
}

int db_open(const char *path, enum db_mode mode, sqlite3 **ret, struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (mode == DB_CREATE)
        flags |= SQLITE_OPEN_CREATE;
    _cleanup_db_ sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
        int code = db ? errno_of(db, sqlite3_extended_errcode(db) & 0xff) : -ENOMEM;
        return err_set(err, code, "opening %s: %s", path, sqlite3_errmsg(db));
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, BUSY_MS);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    const char *settings = mode == DB_READ ? reader_settings : writer_settings;
    if (sqlite3_exec(db, common_settings, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(db, settings, NULL, NULL, NULL) != SQLITE_OK)
        return db_fail(db, err, "opening it");
    *ret = TAKE_PTR(db);
    return 0;
}

void db_close(sqlite3 **db)
{
    /* An open statement would keep the file open: that is our bug. */
    int code = sqlite3_close(*db);
    assert(code == SQLITE_OK);
    (void)code;
    *db = NULL;
}

int db_exec(sqlite3 *db, const char *sql, struct err *err)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return db_fail(db, err, sql);
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct err *err)
{
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) == SQLITE_OK)
        return 0;
    return db_fail(db, err, sql);
}

void db_finalize(sqlite3_stmt **stmt)
{
    sqlite3_finalize(*stmt);
    *stmt = NULL;
}

int db_step(sqlite3_stmt *stmt, struct err *err)
{
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        return 1;
    if (code == SQLITE_DONE)
        return 0;
    return db_fail(sqlite3_db_handle(stmt), err, sqlite3_sql(stmt));
}

int db_run(sqlite3_stmt *stmt, struct err *err)
{
    int r = db_step(stmt, err);
    sqlite3_reset(stmt);
    return r < 0 ? r : 0;
}

int db_get_int(sqlite3 *db, const char *sql, int64_t none, int64_t *ret, struct err *err)
{
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    int r = db_prepare(db, sql, &stmt, err);
    if (r == 0)
        r = db_step(stmt, err);
    if (r < 0)
        return r;
    *ret = r && sqlite3_column_type(stmt, 0) != SQLITE_NULL ? sqlite3_column_int64(stmt, 0) : none;
    return 0;
}
