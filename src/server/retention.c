/* retention.c: takes a store and its limits, keeps it within them. */
#include "server/retention.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/store.h"

#define PASS_EVERY_SECS 60

struct retention {
    struct store *store;
    struct retention_config config;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
};

int retention_run(struct store *store, const struct retention_config *config, int64_t now_ms,
                  struct err *err)
{
    int64_t before_ms = 0;
    if (config->retention_ns > 0 && now_ms > config->retention_ns / NS_PER_MS)
        before_ms = now_ms - config->retention_ns / NS_PER_MS;
    return store->ops->expire(store, before_ms, config->max_bytes, err);
}

/* False when it is time to stop. */
static bool wait_a_while(struct retention *r)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PASS_EVERY_SECS;
    pthread_mutex_lock(&r->lock);
    int code = 0;
    while (!r->stop && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&r->wake, &r->lock, &until);
    bool stop = r->stop;
    pthread_mutex_unlock(&r->lock);
    return !stop;
}

static void *run(void *ctx)
{
    struct retention *r = ctx;
    do {
        struct err err = {0};
        int64_t now_ms = clock_ns(CLOCK_REALTIME) / NS_PER_MS;
        if (retention_run(r->store, &r->config, now_ms, &err) < 0)
            log_err("keeping the store within its limits failed: %s", err.text);
    } while (wait_a_while(r));
    return NULL;
}

int retention_start(struct store *store, const struct retention_config *config,
                    struct retention **ret, struct err *err)
{
    _cleanup_free_ struct retention *r = calloc(1, sizeof(*r));
    if (!r)
        return err_errno(err, -ENOMEM, "starting retention");
    r->store = store;
    r->config = *config;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* setting the clock must not stop it */
    pthread_cond_init(&r->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&r->lock, NULL);
    int code = pthread_create(&r->thread, NULL, run, r);
    if (code)
        return err_errno(err, -code, "starting retention");
    *ret = TAKE_PTR(r);
    return 0;
}

void retention_stop(struct retention **retention)
{
    struct retention *r = *retention;
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    free(r);
    *retention = NULL;
}
