/* tables.c: takes objects, gives their unwind tables: from memory, from disk, or built. See
 * tables.h. */
#include "agent/tables.h"
#include "agent/priority.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "agent/counters.h"
#include "agent/object.h"
#include "agent/table_dir.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/lock.h"
#include "base/log.h"
#include "unwind/cfi_image.h"
#include "unwind/table.h"
#include "unwind/unwind.h"

#define QUEUE_MAX 1024u

/* A file that could not be opened or read may be there with the next process. */
#define RETRY_NS (30 * NS_PER_SEC)

/* Of one object's CFI; few frames need it, so few objects' are there. */
#define IMAGE_BYTES_MAX ((size_t)8 << 20)

enum state { STATE_NONE, STATE_ASKED, STATE_READY, STATE_FAILED };

struct entry {
    struct symbol_key key;
    enum state state, image_state;
    struct unwind_table *table;
    struct cfi_image *image;
    size_t bytes; /* of both */
    int64_t failed_ns;
    uint64_t used; /* turn in which it was last asked for */
    UT_hash_handle hh;
};

struct job {
    struct object *object;
    struct object_place place;
    struct symbol_key key;
    bool wants_image;
    struct unwind_table *table; /* the answer; NULL: none */
    struct cfi_image *image;    /* likewise */
};

struct tables {
    struct objects *objects;
    struct counters *counters;
    struct table_dir *dir;
    size_t max_bytes;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked_for, answered;
    struct job queue[QUEUE_MAX], done[QUEUE_MAX];
    uint32_t queued, done_count, building;
    bool stop;

    /* The sampling thread's. */
    struct entry *by_key;
    uint64_t turn;
    _Atomic size_t bytes;
};

/* ---- the building thread */

/* The naming thread closes files when it is done with a window, which may be just in between. */
static int open_file(struct tables *t, struct job *job, struct err *err)
{
    int fd = -ENOENT;
    for (unsigned tries = 0; tries < 3 && fd == -ENOENT; tries++) {
        int r = object_open(t->objects, job->object, &job->place, err);
        if (r < 0)
            return r;
        fd = object_dup_fd(t->objects, job->object);
    }
    return fd < 0 ? err_errno(err, fd, "opening %s", job->object->path) : fd;
}

static struct unwind_table *build(struct tables *t, struct job *job)
{
    struct err err = {0};
    struct unwind_table *table = NULL;
    _cleanup_close_ int fd = open_file(t, job, &err);
    if (fd < 0) {
        log_debug("no unwind table object=\"%s\" error=\"%s\"", job->object->path, err.text);
        return NULL;
    }
    uint8_t id[UNWIND_SOURCE_SIZE];
    int r = unwind_table_source(fd, table_dir_seed(t->dir), id, &err);
    if (r < 0) {
        log_debug("no unwind table object=\"%s\" error=\"%s\"", job->object->path, err.text);
        return NULL;
    }
    if (table_dir_load(t->dir, id, sizeof(id), &table) == 0) {
        if (!unwinder_reads(table))
            unwind_table_free(&table);
        counter_add(t->counters, tables_loaded, table ? 1 : 0);
        return table;
    }
    r = unwind_table_build_from(fd, NULL, table_dir_seed(t->dir), id, &table, &err);
    if (r < 0) {
        log_debug("no unwind table object=\"%s\" error=\"%s\"", job->object->path, err.text);
        return NULL;
    }
    if (!unwinder_reads(table)) { /* a program that an emulator runs */
        unwind_table_free(&table);
        return NULL;
    }
    counter_add(t->counters, tables_built, 1);
    table_dir_save(t->dir, id, sizeof(id), table);
    return table;
}

static struct cfi_image *read_image(struct tables *t, struct job *job)
{
    struct err err = {0};
    struct cfi_image *image = NULL;
    _cleanup_close_ int fd = open_file(t, job, &err);
    int r = fd < 0 ? fd : cfi_image_read(fd, IMAGE_BYTES_MAX, &image, &err);
    if (r < 0)
        log_debug("no CFI for libunwind object=\"%s\" error=\"%s\"", job->object->path, err.text);
    return image;
}

static void *run(void *arg)
{
    struct tables *t = arg;
    pthread_setname_np(pthread_self(), "tables");
    priority_raise_helper();
    pthread_mutex_lock(&t->lock);
    while (!t->stop) {
        if (!t->queued || t->done_count == QUEUE_MAX) {
            pthread_cond_wait(&t->asked_for, &t->lock);
            continue;
        }
        struct job job = t->queue[0];
        memmove(t->queue, t->queue + 1, --t->queued * sizeof(*t->queue));
        t->building = 1;
        pthread_mutex_unlock(&t->lock);
        if (job.wants_image)
            job.image = read_image(t, &job);
        else
            job.table = build(t, &job);
        object_unref(t->objects, &job.object);
        pthread_mutex_lock(&t->lock);
        t->building = 0;
        t->done[t->done_count++] = job;
        pthread_cond_broadcast(&t->answered);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

int tables_start(const struct tables_config *config, struct objects *objects,
                 struct counters *counters, struct tables **ret, struct err *err)
{
    struct tables *t = calloc(1, sizeof(*t));
    if (!t)
        return err_errno(err, -ENOMEM, "the unwind tables");
    t->objects = objects;
    t->counters = counters;
    t->max_bytes = config->max_bytes;
    int r = table_dir_open(config->dir, config->disk_bytes, &t->dir, err);
    if (r < 0) {
        free(t);
        return r;
    }
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    lock_init(&t->lock);
    pthread_cond_init(&t->asked_for, NULL);
    pthread_cond_init(&t->answered, &attr);
    pthread_condattr_destroy(&attr);
    r = pthread_create(&t->thread, NULL, run, t);
    if (r) {
        table_dir_close(&t->dir);
        free(t);
        return err_errno(err, -r, "starting the unwind tables' thread");
    }
    *ret = t;
    return 0;
}

static void drop(struct tables *t, struct entry *e)
{
    t->bytes -= e->bytes;
    HASH_DEL(t->by_key, e);
    unwind_table_free(&e->table);
    cfi_image_free(&e->image);
    free(e);
}

void tables_stop(struct tables **tables)
{
    struct tables *t = *tables;
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_broadcast(&t->asked_for);
    pthread_cond_broadcast(&t->answered);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    for (uint32_t i = 0; i < t->queued; i++)
        object_unref(t->objects, &t->queue[i].object);
    for (uint32_t i = 0; i < t->done_count; i++) {
        unwind_table_free(&t->done[i].table);
        cfi_image_free(&t->done[i].image);
    }
    struct entry *e, *next;
    HASH_ITER (hh, t->by_key, e, next)
        drop(t, e);
    table_dir_close(&t->dir);
    pthread_cond_destroy(&t->asked_for);
    pthread_cond_destroy(&t->answered);
    pthread_mutex_destroy(&t->lock);
    free(t);
    *tables = NULL;
}

/* ---- the sampling thread */

static bool ask(struct tables *t, struct object *object, const struct object_place *place,
                bool wants_image)
{
    pthread_mutex_lock(&t->lock);
    bool room = t->queued < QUEUE_MAX;
    if (room) {
        t->queue[t->queued++] = (struct job){.object = object_ref(object),
                                             .place = *place,
                                             .key = object->key,
                                             .wants_image = wants_image};
        pthread_cond_signal(&t->asked_for);
    }
    pthread_mutex_unlock(&t->lock);
    return room;
}

const struct unwind_table *tables_find(struct tables *tables, struct object *object,
                                       const struct object_place *place, bool *ret_pending)
{
    struct tables *t = tables;
    struct entry *e;
    *ret_pending = false;
    HASH_FIND(hh, t->by_key, &object->key, sizeof(object->key), e);
    if (e && e->state == STATE_FAILED && clock_ns(CLOCK_MONOTONIC) - e->failed_ns > RETRY_NS) {
        drop(t, e);
        e = NULL;
    }
    if (!e) {
        if (!ask(t, object, place, false) || !(e = calloc(1, sizeof(*e))))
            return NULL;
        e->key = object->key;
        e->state = STATE_ASKED;
        HASH_ADD(hh, t->by_key, key, sizeof(e->key), e);
    }
    e->used = t->turn;
    *ret_pending = e->state == STATE_ASKED;
    return e->table;
}

const struct cfi_image *tables_find_image(struct tables *tables, struct object *object,
                                          const struct object_place *place, bool *ret_pending)
{
    struct entry *e;
    *ret_pending = false;
    HASH_FIND(hh, tables->by_key, &object->key, sizeof(object->key), e);
    if (!e || e->state != STATE_READY)
        return NULL;
    if (e->image_state == STATE_NONE && ask(tables, object, place, true))
        e->image_state = STATE_ASKED;
    *ret_pending = e->image_state == STATE_ASKED;
    return e->image;
}

static void take_image(struct tables *t, struct entry *e, struct job *job)
{
    if (!e || e->image_state != STATE_ASKED) {
        cfi_image_free(&job->image);
        return;
    }
    e->image = TAKE_PTR(job->image);
    e->image_state = e->image ? STATE_READY : STATE_FAILED;
    if (e->image) {
        e->bytes += cfi_image_bytes(e->image);
        t->bytes += cfi_image_bytes(e->image);
    }
}

static void take_answer(struct tables *t, struct job *job)
{
    struct entry *e;
    HASH_FIND(hh, t->by_key, &job->key, sizeof(job->key), e);
    if (job->wants_image) {
        take_image(t, e, job);
        return;
    }
    if (!e || e->state == STATE_READY) {
        unwind_table_free(&job->table);
        return;
    }
    e->table = TAKE_PTR(job->table);
    e->state = e->table ? STATE_READY : STATE_FAILED;
    e->failed_ns = clock_ns(CLOCK_MONOTONIC);
    if (e->table) {
        struct unwind_table_info info;
        unwind_table_describe(e->table, &info);
        e->bytes += info.bytes;
        t->bytes += info.bytes;
    }
}

static void drop_oldest(struct tables *t)
{
    struct entry *e, *next, *oldest = NULL;
    HASH_ITER (hh, t->by_key, e, next) {
        if (e->table && (!oldest || e->used < oldest->used))
            oldest = e;
    }
    if (!oldest)
        return;
    counter_add(t->counters, tables_dropped, 1);
    drop(t, oldest);
}

/* That an object has no table is remembered for as long as it would not be asked for again: there
 * may be any number of objects in a node's life. */
static void forget_failed(struct tables *t)
{
    struct entry *e, *next;
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    HASH_ITER (hh, t->by_key, e, next) {
        if (e->state != STATE_FAILED || now - e->failed_ns <= RETRY_NS)
            continue;
        drop(t, e);
    }
}

bool tables_turn(struct tables *tables)
{
    struct tables *t = tables;
    t->turn++;
    pthread_mutex_lock(&t->lock);
    uint32_t count = t->done_count;
    for (uint32_t i = 0; i < count; i++)
        take_answer(t, &t->done[i]);
    t->done_count = 0;
    if (count) /* there is room for answers again */
        pthread_cond_signal(&t->asked_for);
    pthread_mutex_unlock(&t->lock);
    forget_failed(t);
    while (t->bytes > t->max_bytes)
        drop_oldest(t);
    return count > 0;
}

void tables_wait(struct tables *tables, int64_t within_ns)
{
    struct tables *t = tables;
    int64_t until = clock_ns(CLOCK_MONOTONIC) + within_ns;
    struct timespec deadline = {.tv_sec = until / NS_PER_SEC, .tv_nsec = until % NS_PER_SEC};
    pthread_mutex_lock(&t->lock);
    int r = 0;
    while ((t->queued || t->building) && t->done_count < QUEUE_MAX && !t->stop && r == 0)
        r = pthread_cond_timedwait(&t->answered, &t->lock, &deadline);
    pthread_mutex_unlock(&t->lock);
}

size_t tables_bytes(const struct tables *tables)
{
    return tables->bytes;
}
