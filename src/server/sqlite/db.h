/* db.h: SQLite with errors in our words, and with the settings every day file is opened with. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum db_mode {
    DB_CREATE, /* makes the file, which must not be there */
    DB_WRITE,  /* the one writer: full sync on commit */
    DB_READ,
};

int db_open(const char *path, enum db_mode mode, sqlite3 **ret, struct err *err);
void db_close(sqlite3 **db);

/* What SQLite last said about `db`, as a negative errno, with `doing` in front of its words:
 * -EUCLEAN the file is damaged (or is no database), -ENOSPC the disk is full. */
int db_fail(sqlite3 *db, struct err *err, const char *doing);

int db_exec(sqlite3 *db, const char *sql, struct err *err);
int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct err *err);
void db_finalize(sqlite3_stmt **stmt);

/* 1: a row, 0: done, negative: an error. The caller resets. */
int db_step(sqlite3_stmt *stmt, struct err *err);
/* Steps a statement that gives no row, and resets it. */
int db_run(sqlite3_stmt *stmt, struct err *err);
/* The first column of the only row, or `none`. */
int db_get_int(sqlite3 *db, const char *sql, int64_t none, int64_t *ret, struct err *err);

#define _cleanup_db_   _cleanup_(db_close)
#define _cleanup_stmt_ _cleanup_(db_finalize)
