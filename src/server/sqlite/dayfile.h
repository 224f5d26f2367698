/* dayfile.h: the files of a day in the store's directory, by name; nothing here knows SQLite. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;

/* "DIR/2026-11-23.db" and SUFFIX; the caller frees. NULL: no memory. */
char *dayfile_path(const char *dir, int64_t day, const char *suffix);

enum dayfile_kind {
    DAYFILE_DAY,
    DAYFILE_ASIDE,
    DAYFILE_TEMPORARY,
    DAYFILE_COMPANION,
    DAYFILE_OTHER
};

/* What the name says; the day is that in the name. COMPANION: the -wal or -shm of a day. */
enum dayfile_kind dayfile_parse(const char *name, int64_t *ret_day);

/* Removes the day's database and what SQLite keeps beside it. */
int dayfile_unlink(const char *dir, int64_t day, struct err *err);

/* Gives the day's database a name of its own, so that its bytes can be looked at later. */
int dayfile_set_aside(const char *dir, int64_t day, char **ret_path, struct err *err);

/* Gives the temporary file the day's name, for good. */
int dayfile_publish(const char *dir, int64_t day, struct err *err);
char *dayfile_temporary(const char *dir, int64_t day);
