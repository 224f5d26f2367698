/* writer.h: one day's file, open for writing, with the statements that write to it. */
#pragma once

#include <sqlite3.h>

struct dict;
struct err;

struct writer {
    sqlite3 *db;
    struct dict *dict;
    sqlite3_stmt *begin, *commit, *rollback;
    sqlite3_stmt *has_batch, *add_batch, *add_node;
    sqlite3_stmt *last_part, *put_part;
    sqlite3_stmt *put_fact;
};

/* Makes the file at `path` with an empty day in it, whole and synced. */
int writer_create(const char *path, struct err *err);

/* -EUCLEAN when it is no day of ours, or one of a version we do not know. */
int writer_open(const char *path, struct writer **ret, struct err *err);
void writer_close(struct writer **writer);
