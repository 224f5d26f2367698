/* spool.c: takes a batch's bytes, keeps them in a file until somebody says that they arrived. */
#include "agent/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/spool_dir.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "wire/format.h"

struct spool {
    char *dir;
    int dir_fd, lock_fd;
    uint64_t max_bytes;

    pthread_mutex_t mutex; /* of all below */
    uint64_t last_seq;     /* ever put */
    uint64_t written_seq;  /* what the lock file holds */
    struct spool_file *queue;
    size_t queue_head, queue_count, queue_cap; /* oldest first, from queue_head on */
    struct spool_file bad[SPOOL_MAX_BAD];      /* oldest first */
    size_t bad_count;
    bool dropping; /* the last put had to drop: said once in the log */
    struct spool_stats stats;
};

/* What a file of that many bytes takes on disk, near enough: a spool of thousands of tiny batches
 * must not take many times its limit. */
static uint64_t disk_size(uint64_t bytes)
{
    return (bytes + 4095) & ~(uint64_t)4095;
}

static void queue_pop(struct spool *s)
{
    s->stats.waiting_bytes -= s->queue[s->queue_head].bytes;
    s->stats.disk_bytes -= disk_size(s->queue[s->queue_head].bytes);
    s->queue_head++;
    s->queue_count--;
}

/* Makes room for one more at the end: by moving to the front what has room behind it, or growing.
 */
static int queue_reserve(struct spool *s)
{
    if (s->queue_head + s->queue_count < s->queue_cap)
        return 0;
    if (s->queue_head > s->queue_cap / 2) {
        memmove(s->queue, s->queue + s->queue_head, s->queue_count * sizeof(*s->queue));
        s->queue_head = 0;
        return 0;
    }
    size_t cap = s->queue_cap ? 2 * s->queue_cap : 64;
    struct spool_file *queue = reallocarray(s->queue, cap, sizeof(*queue));
    if (!queue)
        return -ENOMEM;
    s->queue = queue;
    s->queue_cap = cap;
    return 0;
}

/* Into the place that queue_reserve made. */
static void queue_push(struct spool *s, uint64_t seq, uint64_t bytes)
{
    s->queue[s->queue_head + s->queue_count++] = (struct spool_file){.seq = seq, .bytes = bytes};
    s->stats.waiting_bytes += bytes;
    s->stats.disk_bytes += disk_size(bytes);
}

/* Takes `seq` out of the queue; false if it is not its head: a batch that was dropped while it was
 * being sent. */
static bool queue_take(struct spool *s, uint64_t seq, struct spool_file *ret)
{
    if (s->queue_count == 0 || s->queue[s->queue_head].seq != seq)
        return false;
    *ret = s->queue[s->queue_head];
    queue_pop(s);
    return true;
}

/* Before the highest number's file goes, the lock file must know the number: a restarted agent that
 * used it again would have its batch taken for a duplicate. */
static void remember_seq(struct spool *s, uint64_t seq)
{
    if (seq < s->last_seq || s->written_seq >= seq)
        return;
    char text[32];
    int len = snprintf(text, sizeof(text), "%019" PRIu64 "\n", seq);
    if (pwrite(s->lock_fd, text, (size_t)len, 0) != len || fdatasync(s->lock_fd) < 0)
        log_warn("the spool's lock file cannot be written: %s dir=\"%s\"", strerror(errno), s->dir);
    else
        s->written_seq = seq;
}

static void remove_file(struct spool *s, const char *name)
{
    if (unlinkat(s->dir_fd, name, 0) < 0 && errno != ENOENT)
        log_warn("a file of the spool cannot be removed: %s dir=\"%s\" file=\"%s\"",
                 strerror(errno), s->dir, name);
}

static void remove_batch(struct spool *s, uint64_t seq)
{
    char name[SPOOL_NAME_MAX];
    spool_batch_name(seq, name);
    remember_seq(s, seq);
    remove_file(s, name);
}

static void drop_oldest_bad(struct spool *s)
{
    char name[SPOOL_NAME_MAX];
    spool_bad_name(s->bad[0].seq, name);
    remove_file(s, name);
    s->stats.disk_bytes -= disk_size(s->bad[0].bytes);
    s->bad_count--;
    memmove(s->bad, s->bad + 1, s->bad_count * sizeof(s->bad[0]));
}

static void drop_oldest_batch(struct spool *s)
{
    struct spool_file *f = &s->queue[s->queue_head];
    if (!s->dropping)
        log_warn("the spool is full: dropping the oldest batches dir=\"%s\" max_bytes=%" PRIu64
                 " batches=%zu",
                 s->dir, s->max_bytes, s->queue_count);
    s->dropping = true;
    remove_batch(s, f->seq);
    s->stats.dropped_batches++;
    s->stats.dropped_bytes += f->bytes;
    queue_pop(s);
}

static void make_room(struct spool *s, uint64_t bytes)
{
    uint64_t dropped = s->stats.dropped_batches;
    while (s->stats.disk_bytes + disk_size(bytes) > s->max_bytes) {
        if (s->bad_count > 0)
            drop_oldest_bad(s);
        else if (s->queue_count > 0)
            drop_oldest_batch(s);
        else
            break;
    }
    if (s->dropping && s->stats.dropped_batches == dropped) {
        s->dropping = false;
        log_info("the spool has room again dir=\"%s\" dropped=%" PRIu64, s->dir, dropped);
    }
}

static void add_bad(struct spool *s, const struct spool_file *file)
{
    if (s->bad_count == SPOOL_MAX_BAD)
        drop_oldest_bad(s);
    s->bad[s->bad_count++] = *file;
    s->stats.disk_bytes += disk_size(file->bytes);
}

/* Out of the queue's way, under a name that no scan takes for a batch. */
static void move_aside(struct spool *s, const struct spool_file *file, const char *reason)
{
    char from[SPOOL_NAME_MAX], to[SPOOL_NAME_MAX];
    spool_batch_name(file->seq, from);
    spool_bad_name(file->seq, to);
    remember_seq(s, file->seq);
    s->stats.moved_aside++;
    int r = renameat(s->dir_fd, from, s->dir_fd, to) < 0 ? errno : 0;
    log_warn("a batch was moved aside in the spool dir=\"%s\" file=\"%s\" reason=\"%s\"%s%s",
             s->dir, to, reason, r ? "; but renaming failed: " : "", r ? strerror(r) : "");
    if (r == 0)
        add_bad(s, file);
}

uint64_t spool_last_seq(struct spool *s)
{
    pthread_mutex_lock(&s->mutex);
    uint64_t seq = s->last_seq;
    pthread_mutex_unlock(&s->mutex);
    return seq;
}

static int prepare_put(struct spool *s, uint64_t seq, size_t len, struct err *err)
{
    if (seq <= s->last_seq || seq > INT64_MAX)
        return err_set(err, -EINVAL, "batch %" PRIu64 " must come after %" PRIu64, seq,
                       s->last_seq);
    if (disk_size(len) + disk_size(1) > s->max_bytes)
        return err_set(err, -EFBIG, "a batch of %zu bytes does not fit a spool of %" PRIu64, len,
                       s->max_bytes);
    make_room(s, len);
    int r = queue_reserve(s);
    return r < 0 ? err_errno(err, r, "spooling batch %" PRIu64, seq) : 0;
}

int spool_put(struct spool *s, uint64_t seq, const void *bytes, size_t len, struct err *err)
{
    pthread_mutex_lock(&s->mutex);
    int r = prepare_put(s, seq, len, err);
    pthread_mutex_unlock(&s->mutex);
    if (r == 0) {
        /* Not under the mutex: writing may take as long as the disk likes. Only one thread puts, so
         * the place in the queue is still there afterwards. */
        char name[SPOOL_NAME_MAX];
        spool_batch_name(seq, name);
        r = fs_publish_at(s->dir_fd, name, bytes, len, 0600, err);
        if (r < 0) {
            unlinkat(s->dir_fd, name, 0); /* there if only the directory's fsync failed */
            err_wrap(err, r, "spooling in %s", s->dir);
        }
    }
    pthread_mutex_lock(&s->mutex);
    if (r == 0) {
        queue_push(s, seq, len);
        s->last_seq = seq;
        s->stats.put_batches++;
    } else {
        s->stats.put_failed++;
    }
    pthread_mutex_unlock(&s->mutex);
    return r;
}

/* The file is not to blame for these. */
static bool is_own_trouble(int r)
{
    return r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EINTR;
}

static int read_batch(struct spool *s, uint64_t seq, struct buf *buf, struct err *err)
{
    char name[SPOOL_NAME_MAX];
    spool_batch_name(seq, name);
    buf->len = 0;
    int r = fs_read_at(s->dir_fd, name, WIRE_MAX_COMPRESSED, buf, err);
    if (r == 0 && (buf->len < WIRE_HEADER_SIZE || memcmp(buf->data, WIRE_MAGIC, 4) != 0))
        r = err_set(err, -EBADMSG, "%zu bytes that are no batch", buf->len);
    return r;
}

int spool_oldest(struct spool *s, struct buf *buf, uint64_t *ret_seq, struct err *err)
{
    for (;;) {
        struct spool_file file, taken;
        pthread_mutex_lock(&s->mutex);
        bool empty = s->queue_count == 0;
        if (!empty)
            file = s->queue[s->queue_head];
        pthread_mutex_unlock(&s->mutex);
        if (empty)
            return err_set(err, -ENODATA, "no batch waits");
        struct err why;
        int r = read_batch(s, file.seq, buf, &why);
        if (r == 0) {
            *ret_seq = file.seq;
            return 0;
        }
        if (is_own_trouble(r))
            return err_set(err, r, "%s", why.text);
        pthread_mutex_lock(&s->mutex);
        if (queue_take(s, file.seq, &taken)) /* else it was dropped meanwhile */
            move_aside(s, &taken, why.text);
        pthread_mutex_unlock(&s->mutex);
    }
}

void spool_done(struct spool *s, uint64_t seq)
{
    struct spool_file file;
    pthread_mutex_lock(&s->mutex);
    if (queue_take(s, seq, &file))
        remove_batch(s, seq);
    pthread_mutex_unlock(&s->mutex);
}

void spool_reject(struct spool *s, uint64_t seq, const char *reason)
{
    struct spool_file file;
    pthread_mutex_lock(&s->mutex);
    if (queue_take(s, seq, &file))
        move_aside(s, &file, reason);
    pthread_mutex_unlock(&s->mutex);
}

void spool_read_stats(struct spool *s, struct spool_stats *ret)
{
    pthread_mutex_lock(&s->mutex);
    *ret = s->stats;
    ret->waiting_batches = s->queue_count;
    ret->bad_batches = s->bad_count;
    pthread_mutex_unlock(&s->mutex);
}

static bool parse_lock(const char *text, uint64_t *ret_seq)
{
    if (strlen(text) != 20 || strspn(text, "0123456789") != 19 || text[19] != '\n')
        return false;
    uint64_t seq = strtoull(text, NULL, 10);
    if (seq > INT64_MAX)
        return false;
    *ret_seq = seq;
    return true;
}

static int lock_dir(struct spool *s, struct err *err)
{
    s->lock_fd = openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0)
        return err_errno(err, -errno, "opening %s/lock", s->dir);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return err_set(err, -EBUSY, "the spool %s is in use by another process", s->dir);
        return err_errno(err, -errno, "locking %s/lock", s->dir);
    }
    char text[32] = "";
    ssize_t n = pread(s->lock_fd, text, sizeof(text) - 1, 0);
    if (n < 0)
        return err_errno(err, -errno, "reading %s/lock", s->dir);
    if (n > 0 && !parse_lock(text, &s->written_seq))
        log_warn("the spool's lock file holds no sequence number dir=\"%s\"", s->dir);
    s->last_seq = s->written_seq;
    s->stats.disk_bytes = disk_size(1);
    return 0;
}

/* What earlier processes left. */
static int take_over(struct spool *s, struct err *err)
{
    _cleanup_(spool_listing_free) struct spool_listing found = {0};
    int r = spool_dir_scan(s->dir_fd, &found, err);
    if (r < 0)
        return err_wrap(err, r, "scanning the spool %s", s->dir);
    for (size_t i = 0; i < found.batches.count; i++) {
        const struct spool_file *f = &found.batches.files[i];
        r = queue_reserve(s);
        if (r < 0)
            return err_errno(err, r, "scanning the spool %s", s->dir);
        queue_push(s, f->seq, f->bytes);
        if (f->seq > s->last_seq)
            s->last_seq = f->seq;
    }
    for (size_t i = 0; i < found.bad.count; i++)
        add_bad(s, &found.bad.files[i]);
    if (found.foreign > 0)
        log_warn("the spool holds files of others, which are left alone dir=\"%s\" files=%zu",
                 s->dir, found.foreign);
    make_room(s, 0);
    return 0;
}

int spool_open(const char *dir, uint64_t max_bytes, struct spool **ret, struct err *err)
{
    _cleanup_(spool_free) struct spool *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(err, -ENOMEM, "opening the spool %s", dir);
    s->dir_fd = s->lock_fd = -1;
    s->max_bytes = max_bytes;
    pthread_mutex_init(&s->mutex, NULL);
    s->dir = strdup(dir);
    int r = s->dir ? fs_mkdir_p(dir, 0700, err) : err_errno(err, -ENOMEM, "opening %s", dir);
    if (r < 0)
        return r;
    s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0)
        return err_errno(err, -errno, "opening %s", dir);
    r = lock_dir(s, err);
    if (r == 0)
        r = take_over(s, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

void spool_free(struct spool **spool)
{
    struct spool *s = *spool;
    if (!s)
        return;
    cleanup_close(&s->lock_fd);
    cleanup_close(&s->dir_fd);
    pthread_mutex_destroy(&s->mutex);
    free(s->queue);
    free(s->dir);
    free(s);
    *spool = NULL;
}
