/* days.h: the day files of a store: which there are, who has which open, and how one goes. */
#pragma once

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

struct days;
struct err;
struct writer;

/* Opens the directory, which it makes if it is missing and locks against other processes. Clears up
 * what a crash left; moves files that SQLite cannot read aside, and says so in the log. */
int days_open(const char *dir, struct days **ret, struct err *err);
void days_close(struct days **days);

/* Days since 1970 of the files there are, from `first` to `last`, rising; the caller frees. */
int days_list(struct days *d, int64_t first, int64_t last, int64_t **ret, size_t *ret_count,
              struct err *err);

/* A reader's own connection to one day, in a transaction: it sees the day as it was at one moment,
 * however long it takes, and the day's file stays until it is returned. -ENOENT when there is no
 * such day (any more). */
struct reader {
    sqlite3 *db;
    int64_t day;
};
int days_borrow(struct days *d, int64_t day, struct reader **ret, struct err *err);
void days_return(struct days *d, struct reader **reader);

/* Says in the log, once for each day, that reading it failed. */
void days_complain(struct days *d, int64_t day, const struct err *why);

/* The rest is for the one writer of the store, who calls it under his own lock. */

/* The connection that writes to a day; makes the file if there is none. Stays the days' own, and
 * open until others are wanted. */
int days_writer(struct days *d, int64_t day, struct writer **ret, struct err *err);

/* After an error that leaves its state in doubt. */
void days_close_writer(struct days *d, int64_t day);

/* Waits for the day's readers, then removes its file. */
int days_drop(struct days *d, int64_t day, struct err *err);

/* As days_drop, but keeps the file as ...aside-N, and says why in the log. */
int days_set_aside(struct days *d, int64_t day, const struct err *why, struct err *err);

/* Removes files that were set aside of days up to `last`. */
int days_drop_aside(struct days *d, int64_t last, struct err *err);

/* Bytes of all files in the directory. */
int days_bytes(struct days *d, uint64_t *ret, struct err *err);
