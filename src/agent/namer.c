/* namer.c: takes windows, leaves batches in the spool. See namer.h. */
#include "agent/namer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "agent/builder.h"
#include "agent/counters.h"
#include "agent/identity.h"
#include "agent/jit.h"
#include "agent/opener.h"
#include "agent/ship.h"
#include "agent/spool.h"
#include "agent/window.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/lock.h"
#include "base/log.h"
#include "wire/batch.h"

#define QUEUE_MAX    4u
#define OPEN_WAIT_NS (2 * NS_PER_SEC)
#define JIT_WAIT_NS  (3 * NS_PER_SEC)
#define PODS_WAIT_NS (2 * NS_PER_SEC)

struct namer {
    struct builder *builder;
    struct namer_inputs in;
    struct jit *jit;
    struct counters *counters;
    struct counters_snapshot sent;
    struct spool *spool;
    struct ship *ship;
    uint64_t seq;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct window *queue[QUEUE_MAX];
    uint32_t queued;
    bool stop;
    _Atomic uint64_t batches;
    _Atomic size_t bytes;
};

/* The difference to what the last batch told, so that the server may add up. */
static uint32_t fill_counters(const struct counters_snapshot *now,
                              const struct counters_snapshot *sent,
                              struct batch_counter to[COUNTER_COUNT])
{
    static const char *const names[] = {
#define X(name, help) #name,
        AGENT_COUNTERS(X)
#undef X
    };
    for (uint32_t i = 0; i < COUNTER_COUNT; i++)
        to[i] = (struct batch_counter){names[i], now->v[i] - sent->v[i]};
    return COUNTER_COUNT;
}

static int name_window(struct namer *n, struct window *window, struct err *err)
{
    struct batch batch;
    struct batch_counter counters[COUNTER_COUNT];
    _cleanup_(buf_free) struct buf bytes = {0};
    int r = n->in.identity ? identity_select(n->in.identity, window, err) : 0;
    if (r == 0)
        r = builder_build(n->builder, window, &batch, err);
    if (r < 0)
        return r;
    struct counters_snapshot now = counters_read(n->counters);
    batch.seq = n->seq;
    batch.counters = counters;
    batch.counter_count = fill_counters(&now, &n->sent, counters);
    r = batch_encode(&batch, &bytes, err);
    if (r == 0)
        r = spool_put(n->spool, n->seq, bytes.data, bytes.len, err);
    if (r < 0)
        return r;
    n->sent = now;
    n->seq++;
    int64_t late_ns = clock_ns(CLOCK_REALTIME) - window->end_ns;
    log_debug("batch spooled seq=%llu samples=%llu stacks=%u bytes=%zu late_ms=%lld",
              (unsigned long long)batch.seq, (unsigned long long)window->sample_count,
              batch.stack_count, bytes.len, (long long)(late_ns / NS_PER_MS));
    return 0;
}

static void finish_window(struct namer *n, struct window *window)
{
    struct err err = {0};
    if (n->in.opener)
        opener_wait(n->in.opener, OPEN_WAIT_NS);
    if (n->in.identity)
        identity_wait(n->in.identity, window, PODS_WAIT_NS);
    if (n->jit)
        jit_wait(n->jit, window->number, JIT_WAIT_NS);
    if (name_window(n, window, &err) < 0) {
        counter_add(n->counters, batches_failed, 1);
        log_err("a window is lost samples=%llu error=\"%s\"",
                (unsigned long long)window->sample_count, err.text);
    } else {
        atomic_fetch_add(&n->batches, 1);
        pthread_mutex_lock(&n->lock);
        if (n->ship)
            ship_wake(n->ship);
        pthread_mutex_unlock(&n->lock);
    }
    if (n->jit)
        jit_turn(n->jit, window->number, (uint64_t)(window->end_ns - window->to_real_ns));
    atomic_store(&n->bytes, builder_bytes(n->builder));
    window_free(&window);
}

static void *run(void *arg)
{
    struct namer *n = arg;
    pthread_setname_np(pthread_self(), "namer");
    pthread_mutex_lock(&n->lock);
    while (!n->stop || n->queued) {
        if (!n->queued) {
            pthread_cond_wait(&n->changed, &n->lock);
            continue;
        }
        struct window *window = n->queue[0];
        n->queued--;
        for (uint32_t i = 0; i < n->queued; i++)
            n->queue[i] = n->queue[i + 1];
        pthread_cond_broadcast(&n->changed);
        pthread_mutex_unlock(&n->lock);
        finish_window(n, window);
        pthread_mutex_lock(&n->lock);
    }
    pthread_mutex_unlock(&n->lock);
    return NULL;
}

/* Sequence numbers grow also when the state directory is lost: they start from the clock. */
static uint64_t first_seq(struct spool *spool)
{
    uint64_t seq = (uint64_t)(clock_ns(CLOCK_REALTIME) / 1000);
    uint64_t last = spool_last_seq(spool);
    return seq > last ? seq : last + 1;
}

int namer_start(const struct builder_config *config, struct objects *objects,
                const struct namer_inputs *inputs, struct counters *counters, struct spool *spool,
                struct ship *ship, struct namer **ret, struct err *err)
{
    struct namer *n = calloc(1, sizeof(*n));
    if (!n)
        return err_errno(err, -ENOMEM, "the namer");
    n->in = *inputs;
    n->jit = config->jit;
    n->counters = counters;
    n->spool = spool;
    n->ship = ship;
    n->seq = first_seq(spool);
    int r = builder_new(config, objects, counters, &n->builder, err);
    if (r < 0) {
        free(n);
        return r;
    }
    lock_init(&n->lock);
    pthread_cond_init(&n->changed, NULL);
    r = pthread_create(&n->thread, NULL, run, n);
    if (r) {
        builder_free(&n->builder);
        free(n);
        return err_errno(err, -r, "starting the naming thread");
    }
    *ret = n;
    return 0;
}

void namer_put(struct namer *namer, struct window *window, bool wait)
{
    pthread_mutex_lock(&namer->lock);
    while (wait && namer->queued == QUEUE_MAX)
        pthread_cond_wait(&namer->changed, &namer->lock);
    bool room = namer->queued < QUEUE_MAX;
    if (room)
        namer->queue[namer->queued++] = window;
    pthread_cond_broadcast(&namer->changed);
    pthread_mutex_unlock(&namer->lock);
    if (room)
        return;
    counter_add(namer->counters, windows_dropped, 1);
    log_warn("naming does not keep up: a window is dropped samples=%llu",
             (unsigned long long)window->sample_count);
    window_free(&window);
}

void namer_set_ship(struct namer *namer, struct ship *ship)
{
    pthread_mutex_lock(&namer->lock);
    namer->ship = ship;
    pthread_mutex_unlock(&namer->lock);
}

void namer_stop(struct namer **namer)
{
    struct namer *n = *namer;
    if (!n)
        return;
    pthread_mutex_lock(&n->lock);
    n->stop = true;
    pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->lock);
    pthread_join(n->thread, NULL);
    pthread_cond_destroy(&n->changed);
    pthread_mutex_destroy(&n->lock);
    builder_free(&n->builder);
    free(n);
    *namer = NULL;
}

uint64_t namer_batches(struct namer *namer)
{
    return atomic_load(&namer->batches);
}

size_t namer_bytes(struct namer *namer)
{
    return atomic_load(&namer->bytes);
}
