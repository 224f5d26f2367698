/* days.c: takes a directory of day files, gives connections to them. One mutex guards the list of
 * days and who has which; it is never held while SQLite works on samples. A file is removed only
 * when nobody has it open: the last connection to close removes a WAL by name, and that name may be
 * a new file's by then. */
#include "server/sqlite/days.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "server/sqlite/dayfile.h"
#include "server/sqlite/db.h"
#include "server/sqlite/writer.h"

#define IDLE_MAX   2 /* readers kept open, per day */
#define WRITER_MAX 3 /* today, and what stragglers and midnight write to */

struct day {
    int64_t number;
    struct writer *writer; /* the store's writer's own; NULL: not open */
    uint64_t writer_used;
    struct reader *idle[IDLE_MAX];
    unsigned idle_count, borrowed;
    bool doomed; /* about to go: nobody may borrow it any more */
    bool complained;
};

struct days {
    char *dir;
    int lock_fd;
    uint64_t uses;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct day **all; /* by rising number */
    size_t count, cap;
};

/* ---- the list; all under the lock */

static size_t position_of(const struct days *d, int64_t number)
{
    size_t i = 0;
    while (i < d->count && d->all[i]->number < number)
        i++;
    return i;
}

static struct day *find_day(const struct days *d, int64_t number)
{
    size_t i = position_of(d, number);
    return i < d->count && d->all[i]->number == number ? d->all[i] : NULL;
}

static int add_day(struct days *d, int64_t number, struct err *err)
{
    if (d->count == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 16;
        struct day **all = realloc(d->all, cap * sizeof(struct day *));
        if (!all)
            return err_errno(err, -ENOMEM, "listing days");
        d->all = all;
        d->cap = cap;
    }
    struct day *day = calloc(1, sizeof(*day));
    if (!day)
        return err_errno(err, -ENOMEM, "listing days");
    day->number = number;
    size_t at = position_of(d, number);
    memmove(d->all + at + 1, d->all + at, (d->count - at) * sizeof(struct day *));
    d->all[at] = day;
    d->count++;
    return 0;
}

static void reader_close(struct reader **reader)
{
    if (*reader)
        db_close(&(*reader)->db);
    free(*reader);
    *reader = NULL;
}

static void close_day(struct day *day)
{
    assert(day->borrowed == 0);
    while (day->idle_count)
        reader_close(&day->idle[--day->idle_count]);
    writer_close(&day->writer);
}

static void remove_day(struct days *d, struct day *day)
{
    size_t at = position_of(d, day->number);
    memmove(d->all + at, d->all + at + 1, (d->count - at - 1) * sizeof(struct day *));
    d->count--;
    free(day);
}

/* ---- opening */

static int lock_dir(struct days *d, struct err *err)
{
    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/lock", d->dir) < 0)
        return err_errno(err, -ENOMEM, "naming a file");
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0)
        return err_errno(err, -errno, "opening %s", path);
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, errno == EWOULDBLOCK ? -EBUSY : -errno,
                       "%s: another process has this store open", path);
    return 0;
}

/* A day is opened once for writing, so that what a crash left in its WAL is brought home, and
 * damage that shows at once is found now. */
static int try_day(struct days *d, int64_t number, struct err *err)
{
    _cleanup_free_ char *path = dayfile_path(d->dir, number, "");
    _cleanup_(writer_close) struct writer *w = NULL;
    struct err why = {0};
    if (!path)
        return err_errno(err, -ENOMEM, "naming a file");
    int r = writer_open(path, &w, &why);
    if (r == -EUCLEAN) {
        writer_close(&w);
        return days_set_aside(d, number, &why, err);
    }
    if (r < 0)
        return err_set(err, r, "%s", why.text);
    return add_day(d, number, err);
}

/* What a crash left: days that were being made, and what SQLite kept beside a day that is gone. */
static int clear_up(struct days *d, const char *name, enum dayfile_kind kind, int64_t day,
                    struct err *err)
{
    _cleanup_free_ char *db = dayfile_path(d->dir, day, ""), *path = NULL;
    if (!db || asprintf(&path, "%s/%s", d->dir, name) < 0)
        return err_errno(err, -ENOMEM, "naming a file");
    if (kind == DAYFILE_COMPANION && access(db, F_OK) == 0)
        return 0;
    log_info("removing what a crash left path=\"%s\"", path);
    return unlink(path) < 0 && errno != ENOENT ? err_errno(err, -errno, "removing %s", path) : 0;
}

static int scan_dir(struct days *d, struct err *err)
{
    _cleanup_closedir_ DIR *dir = opendir(d->dir);
    if (!dir)
        return err_errno(err, -errno, "opening %s", d->dir);
    int r = 0;
    for (struct dirent *e; r == 0 && (e = readdir(dir));) {
        int64_t day;
        enum dayfile_kind kind = dayfile_parse(e->d_name, &day);
        if (kind == DAYFILE_DAY)
            r = try_day(d, day, err);
        else if (kind == DAYFILE_TEMPORARY || kind == DAYFILE_COMPANION)
            r = clear_up(d, e->d_name, kind, day, err);
    }
    return r;
}

int days_open(const char *dir, struct days **ret, struct err *err)
{
    _cleanup_(days_close) struct days *d = calloc(1, sizeof(*d));
    if (!d)
        return err_errno(err, -ENOMEM, "opening %s", dir);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->returned, NULL);
    d->lock_fd = -1;
    d->dir = strdup(dir);
    if (!d->dir)
        return err_errno(err, -ENOMEM, "opening %s", dir);
    int r = fs_mkdir_p(dir, 0700, err);
    if (r == 0)
        r = lock_dir(d, err);
    if (r == 0)
        r = scan_dir(d, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(d);
    return 0;
}

void days_close(struct days **days)
{
    struct days *d = *days;
    if (!d)
        return;
    for (size_t i = 0; i < d->count; i++) {
        close_day(d->all[i]);
        free(d->all[i]);
    }
    free(d->all);
    free(d->dir);
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    pthread_cond_destroy(&d->returned);
    pthread_mutex_destroy(&d->lock);
    free(d);
    *days = NULL;
}

int days_list(struct days *d, int64_t first, int64_t last, int64_t **ret, size_t *ret_count,
              struct err *err)
{
    pthread_mutex_lock(&d->lock);
    size_t count = 0;
    int64_t *numbers = malloc((d->count + 1) * sizeof(*numbers));
    for (size_t i = 0; numbers && i < d->count; i++)
        if (d->all[i]->number >= first && d->all[i]->number <= last)
            numbers[count++] = d->all[i]->number;
    pthread_mutex_unlock(&d->lock);
    if (!numbers)
        return err_errno(err, -ENOMEM, "listing days");
    *ret = numbers;
    *ret_count = count;
    return 0;
}

/* ---- readers */

static int reader_open(struct days *d, int64_t number, struct reader **ret, struct err *err)
{
    _cleanup_(reader_close) struct reader *r = calloc(1, sizeof(*r));
    _cleanup_free_ char *path = dayfile_path(d->dir, number, "");
    if (!r || !path)
        return err_errno(err, -ENOMEM, "opening a day");
    r->day = number;
    int code = db_open(path, DB_READ, &r->db, err);
    if (code < 0)
        return code;
    *ret = TAKE_PTR(r);
    return 0;
}

static void end_borrow(struct days *d, int64_t number, struct reader **keep)
{
    pthread_mutex_lock(&d->lock);
    struct day *day = find_day(d, number);
    assert(day && day->borrowed > 0);
    if (*keep && day->idle_count < IDLE_MAX)
        day->idle[day->idle_count++] = TAKE_PTR(*keep);
    pthread_mutex_unlock(&d->lock);
    reader_close(keep); /* before the count falls: see the top of this file */
    pthread_mutex_lock(&d->lock);
    if (--day->borrowed == 0)
        pthread_cond_broadcast(&d->returned);
    pthread_mutex_unlock(&d->lock);
}

int days_borrow(struct days *d, int64_t number, struct reader **ret, struct err *err)
{
    struct reader *reader = NULL;
    pthread_mutex_lock(&d->lock);
    struct day *day = find_day(d, number);
    bool there = day && !day->doomed;
    if (there) {
        day->borrowed++;
        if (day->idle_count)
            reader = day->idle[--day->idle_count];
    }
    pthread_mutex_unlock(&d->lock);
    if (!there)
        return err_errno(err, -ENOENT, "opening a day");
    int r = reader ? 0 : reader_open(d, number, &reader, err);
    if (r == 0)
        r = db_exec(reader->db, "BEGIN", err);
    if (r < 0) {
        reader_close(&reader);
        end_borrow(d, number, &reader);
        return r;
    }
    *ret = reader;
    return 0;
}

void days_return(struct days *d, struct reader **reader)
{
    if (!*reader)
        return;
    int64_t number = (*reader)->day;
    if (db_exec((*reader)->db, "ROLLBACK", NULL) < 0)
        reader_close(reader);
    end_borrow(d, number, reader);
}

void days_complain(struct days *d, int64_t number, const struct err *why)
{
    pthread_mutex_lock(&d->lock);
    struct day *day = find_day(d, number);
    bool first = day && !day->complained;
    if (day)
        day->complained = true;
    pthread_mutex_unlock(&d->lock);
    if (first)
        log_err("part of a day cannot be read and is left out; other days are served: %s",
                why->text);
}

/* ---- the writer */

static int create_day(struct days *d, int64_t number, struct err *err)
{
    _cleanup_free_ char *path = dayfile_temporary(d->dir, number);
    if (!path)
        return err_errno(err, -ENOMEM, "naming a file");
    unlink(path); /* of an attempt that a full disk ended */
    int r = writer_create(path, err);
    if (r == 0)
        r = dayfile_publish(d->dir, number, err);
    if (r < 0) {
        unlink(path);
        return err_wrap(err, r, "making a new day");
    }
    pthread_mutex_lock(&d->lock);
    r = add_day(d, number, err);
    pthread_mutex_unlock(&d->lock);
    return r;
}

/* Closes the writer that was not used for longest, when there are too many. */
static void close_oldest_writer(struct days *d)
{
    struct day *oldest = NULL;
    unsigned open = 0;
    for (size_t i = 0; i < d->count; i++) {
        struct day *day = d->all[i];
        if (!day->writer)
            continue;
        open++;
        if (!oldest || day->writer_used < oldest->writer_used)
            oldest = day;
    }
    if (open >= WRITER_MAX)
        writer_close(&oldest->writer);
}

static int open_writer(struct days *d, struct day *day, struct err *err)
{
    _cleanup_free_ char *path = dayfile_path(d->dir, day->number, "");
    if (!path)
        return err_errno(err, -ENOMEM, "naming a file");
    close_oldest_writer(d);
    return writer_open(path, &day->writer, err);
}

static struct day *look_up(struct days *d, int64_t number)
{
    pthread_mutex_lock(&d->lock);
    struct day *day = find_day(d, number);
    pthread_mutex_unlock(&d->lock);
    return day;
}

int days_writer(struct days *d, int64_t number, struct writer **ret, struct err *err)
{
    for (int attempt = 0;; attempt++) {
        struct err why = {0};
        int r = 0;
        struct day *day = look_up(d, number);
        if (!day) {
            r = create_day(d, number, err);
            day = r < 0 ? NULL : look_up(d, number);
        }
        if (!day)
            return r;
        if (!day->writer)
            r = open_writer(d, day, &why);
        if (r == 0) {
            day->writer_used = ++d->uses;
            *ret = day->writer;
            return 0;
        }
        if (r != -EUCLEAN || attempt > 0)
            return err_set(err, r, "%s", why.text);
        r = days_set_aside(d, number, &why, err);
        if (r < 0)
            return r;
    }
}

void days_close_writer(struct days *d, int64_t number)
{
    struct day *day = look_up(d, number);
    if (day)
        writer_close(&day->writer);
}

/* Nobody has the day, and nobody will get it, when this returns; NULL if there is no such day. */
static struct day *claim(struct days *d, int64_t number)
{
    pthread_mutex_lock(&d->lock);
    struct day *day = find_day(d, number);
    if (day) {
        day->doomed = true;
        while (day->borrowed > 0)
            pthread_cond_wait(&d->returned, &d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    if (day)
        close_day(day);
    return day;
}

/* The day's file is gone or stays after all. */
static void release_claim(struct days *d, struct day *day, bool gone)
{
    pthread_mutex_lock(&d->lock);
    day->doomed = false;
    if (gone)
        remove_day(d, day);
    pthread_mutex_unlock(&d->lock);
}

int days_drop(struct days *d, int64_t number, struct err *err)
{
    struct day *day = claim(d, number);
    int r = dayfile_unlink(d->dir, number, err);
    if (day)
        release_claim(d, day, r == 0);
    return r;
}

int days_set_aside(struct days *d, int64_t number, const struct err *why, struct err *err)
{
    _cleanup_free_ char *path = NULL;
    struct day *day = claim(d, number);
    int r = dayfile_set_aside(d->dir, number, &path, err);
    if (day)
        release_claim(d, day, r == 0);
    if (r == 0)
        log_err("a day is damaged and was set aside; the store goes on without it path=\"%s\": %s",
                path, why->text);
    return r;
}

/* ---- files as such */

/* Calls fn for each file of the directory; stops when it fails. */
static int each_file(struct days *d, int (*fn)(void *ctx, int dir_fd, const char *name), void *ctx,
                     struct err *err)
{
    _cleanup_closedir_ DIR *dir = opendir(d->dir);
    if (!dir)
        return err_errno(err, -errno, "opening %s", d->dir);
    for (struct dirent *e; (e = readdir(dir));) {
        int r = fn(ctx, dirfd(dir), e->d_name);
        if (r < 0)
            return err_errno(err, r, "%s/%s", d->dir, e->d_name);
    }
    return 0;
}

static int drop_aside(void *ctx, int dir_fd, const char *name)
{
    int64_t day, last = *(int64_t *)ctx;
    if (dayfile_parse(name, &day) != DAYFILE_ASIDE || day > last)
        return 0;
    return unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int days_drop_aside(struct days *d, int64_t last, struct err *err)
{
    return each_file(d, drop_aside, &last, err);
}

static int add_bytes(void *ctx, int dir_fd, const char *name)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISREG(st.st_mode))
        *(uint64_t *)ctx += (uint64_t)st.st_size;
    return 0;
}

int days_bytes(struct days *d, uint64_t *ret, struct err *err)
{
    uint64_t bytes = 0;
    int r = each_file(d, add_bytes, &bytes, err);
    if (r == 0)
        *ret = bytes;
    return r;
}
