/* dayfile.c: takes a directory and a day, gives its files' names, moves and removes them. */
#include "server/sqlite/dayfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

#define DATE_SIZE    32 /* room for any int64's date */
#define SECS_PER_DAY 86400
#define ASIDE_MAX    1000

static void format_date(int64_t day, char date[DATE_SIZE])
{
    time_t t = (time_t)(day * SECS_PER_DAY);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(date, DATE_SIZE, "%Y-%m-%d", &tm);
}

static char *path_of(const char *dir, const char *before, int64_t day, const char *after)
{
    char date[DATE_SIZE], *path;
    format_date(day, date);
    return asprintf(&path, "%s/%s%s.db%s", dir, before, date, after) < 0 ? NULL : path;
}

char *dayfile_path(const char *dir, int64_t day, const char *suffix)
{
    return path_of(dir, "", day, suffix);
}

char *dayfile_temporary(const char *dir, int64_t day)
{
    return path_of(dir, ".", day, ".tmp");
}

static bool parse_date(const char *name, int64_t *ret_day)
{
    struct tm tm = {0};
    if (!strptime(name, "%Y-%m-%d", &tm))
        return false;
    int64_t day = timegm(&tm) / SECS_PER_DAY;
    char date[DATE_SIZE];
    format_date(day, date);
    if (strlen(date) != strlen("2026-11-23") || strncmp(name, date, strlen(date)) != 0)
        return false;
    *ret_day = day;
    return true;
}

enum dayfile_kind dayfile_parse(const char *name, int64_t *ret_day)
{
    const char *date = name + (name[0] == '.');
    int64_t day;
    if (!parse_date(date, &day) || strncmp(date + strlen("2026-11-23"), ".db", 3) != 0)
        return DAYFILE_OTHER;
    const char *suffix = date + strlen("2026-11-23.db");
    enum dayfile_kind kind = DAYFILE_OTHER;
    if (name[0] == '.')
        kind = strncmp(suffix, ".tmp", 4) == 0 ? DAYFILE_TEMPORARY : DAYFILE_OTHER;
    else if (!suffix[0])
        kind = DAYFILE_DAY;
    else if (strcmp(suffix, "-wal") == 0 || strcmp(suffix, "-shm") == 0)
        kind = DAYFILE_COMPANION;
    else if (strncmp(suffix, ".aside-", 7) == 0)
        kind = DAYFILE_ASIDE;
    if (kind != DAYFILE_OTHER)
        *ret_day = day;
    return kind;
}

static int remove_one(char *path, struct err *err)
{
    if (!path)
        return err_errno(err, -ENOMEM, "naming a file");
    int r = unlink(path) < 0 && errno != ENOENT ? -errno : 0;
    if (r < 0)
        err_errno(err, r, "removing %s", path);
    free(path);
    return r;
}

/* The database goes first: a WAL without its database is removed when the store opens, but a
 * database without its WAL is short of its last batches. */
int dayfile_unlink(const char *dir, int64_t day, struct err *err)
{
    int r = remove_one(dayfile_path(dir, day, ""), err);
    if (r == 0)
        r = remove_one(dayfile_path(dir, day, "-wal"), err);
    if (r == 0)
        r = remove_one(dayfile_path(dir, day, "-shm"), err);
    return r;
}

static int move(const char *from, const char *to, struct err *err)
{
    if (rename(from, to) == 0 || errno == ENOENT)
        return 0;
    return err_errno(err, -errno, "moving %s to %s", from, to);
}

int dayfile_set_aside(const char *dir, int64_t day, char **ret_path, struct err *err)
{
    _cleanup_free_ char *db = dayfile_path(dir, day, ""), *wal = dayfile_path(dir, day, "-wal");
    if (!db || !wal)
        return err_errno(err, -ENOMEM, "naming a file");
    for (unsigned n = 1; n < ASIDE_MAX; n++) {
        _cleanup_free_ char *to = NULL, *to_wal = NULL;
        if (asprintf(&to, "%s.aside-%u", db, n) < 0 || asprintf(&to_wal, "%s-wal", to) < 0)
            return err_errno(err, -ENOMEM, "naming a file");
        if (access(to, F_OK) == 0 || access(to_wal, F_OK) == 0)
            continue;
        /* The WAL goes first, under the name by which SQLite will find it: it must never meet a
         * fresh database of that day. */
        int r = move(wal, to_wal, err);
        if (r == 0)
            r = move(db, to, err);
        if (r == 0)
            r = remove_one(dayfile_path(dir, day, "-shm"), err);
        if (r < 0)
            return r;
        *ret_path = TAKE_PTR(to);
        return 0;
    }
    return err_set(err, -EEXIST, "%s: %u files of that day are set aside already", db, ASIDE_MAX);
}

int dayfile_publish(const char *dir, int64_t day, struct err *err)
{
    _cleanup_free_ char *from = dayfile_temporary(dir, day), *to = dayfile_path(dir, day, "");
    if (!from || !to)
        return err_errno(err, -ENOMEM, "naming a file");
    int r = remove_one(dayfile_path(dir, day, "-wal"), err);
    if (r == 0)
        r = remove_one(dayfile_path(dir, day, "-shm"), err);
    if (r < 0)
        return r;
    if (rename(from, to) < 0)
        return err_errno(err, -errno, "renaming %s to %s", from, to);
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_errno(err, -errno, "syncing %s", dir);
    return 0;
}
