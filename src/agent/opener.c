/* opener.c: takes objects and where to look for them, leaves them open. See opener.h. */
#include "agent/opener.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "agent/counters.h"
#include "agent/object.h"
#include "agent/priority.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/lock.h"
#include "base/log.h"

#define QUEUE_MAX 4096u

struct wish {
    struct object *object;
    struct object_place place;
};

struct opener {
    struct objects *objects;
    struct counters *counters;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked, tried;
    struct wish queue[QUEUE_MAX];
    uint64_t asked_count, tried_count; /* their difference is the queue's length */
    bool stop;
};

static void try_one(struct opener *o, struct wish *wish)
{
    struct err err = {0};
    if (object_open(o->objects, wish->object, &wish->place, &err) == 0) {
        counter_add(o->counters, files_opened, 1);
    } else {
        counter_add(o->counters, files_not_opened, 1);
        log_debug("file not found again error=\"%s\"", err.text);
    }
    object_unref(o->objects, &wish->object);
}

static void *run(void *arg)
{
    struct opener *o = arg;
    pthread_setname_np(pthread_self(), "opener");
    priority_raise_helper();
    pthread_mutex_lock(&o->lock);
    for (;;) {
        while (!o->stop && o->tried_count == o->asked_count)
            pthread_cond_wait(&o->asked, &o->lock);
        if (o->stop)
            break;
        struct wish wish = o->queue[o->tried_count % QUEUE_MAX];
        pthread_mutex_unlock(&o->lock);
        try_one(o, &wish);
        pthread_mutex_lock(&o->lock);
        o->tried_count++;
        pthread_cond_broadcast(&o->tried);
    }
    for (; o->tried_count < o->asked_count; o->tried_count++)
        object_unref(o->objects, &o->queue[o->tried_count % QUEUE_MAX].object);
    pthread_mutex_unlock(&o->lock);
    return NULL;
}

int opener_start(struct objects *objects, struct counters *counters, struct opener **ret,
                 struct err *err)
{
    struct opener *o = calloc(1, sizeof(*o));
    if (!o)
        return err_errno(err, -ENOMEM, "the file opener");
    o->objects = objects;
    o->counters = counters;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    lock_init(&o->lock);
    pthread_cond_init(&o->asked, NULL);
    pthread_cond_init(&o->tried, &attr);
    pthread_condattr_destroy(&attr);
    int r = pthread_create(&o->thread, NULL, run, o);
    if (r) {
        free(o);
        return err_errno(err, -r, "starting the file opener's thread");
    }
    *ret = o;
    return 0;
}

void opener_ask(struct opener *opener, struct object *object, const struct object_place *place)
{
    pthread_mutex_lock(&opener->lock);
    bool room = opener->asked_count - opener->tried_count < QUEUE_MAX;
    if (room) {
        opener->queue[opener->asked_count++ % QUEUE_MAX] =
            (struct wish){object_ref(object), *place};
        pthread_cond_signal(&opener->asked);
    }
    pthread_mutex_unlock(&opener->lock);
    if (!room)
        counter_add(opener->counters, opens_dropped, 1);
}

void opener_wait(struct opener *opener, int64_t within_ns)
{
    int64_t until = clock_ns(CLOCK_MONOTONIC) + within_ns;
    struct timespec deadline = {.tv_sec = until / NS_PER_SEC, .tv_nsec = until % NS_PER_SEC};
    pthread_mutex_lock(&opener->lock);
    uint64_t target = opener->asked_count;
    int r = 0;
    while (opener->tried_count < target && !opener->stop && r == 0)
        r = pthread_cond_timedwait(&opener->tried, &opener->lock, &deadline);
    pthread_mutex_unlock(&opener->lock);
}

void opener_stop(struct opener **opener)
{
    struct opener *o = *opener;
    if (!o)
        return;
    pthread_mutex_lock(&o->lock);
    o->stop = true;
    pthread_cond_signal(&o->asked);
    pthread_cond_broadcast(&o->tried);
    pthread_mutex_unlock(&o->lock);
    pthread_join(o->thread, NULL);
    pthread_cond_destroy(&o->asked);
    pthread_cond_destroy(&o->tried);
    pthread_mutex_destroy(&o->lock);
    free(o);
    *opener = NULL;
}
