/* ship.c: takes batches from the spool, oldest first, gives them to the server until it has them.
 */
#include "agent/ship.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent/post.h"
#include "agent/spool.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

/* However soon the server asks to be asked again. */
#define SHIP_SOONEST_NS (NS_PER_SEC / 4)
/* A Retry-After is believed up to so many times backoff_max_ns: a slip must not silence a node. */
#define SHIP_RETRY_AFTER_FACTOR 10

struct ship {
    struct spool *spool;
    struct poster *poster;
    int64_t backoff_min_ns, backoff_max_ns;
    int event_fd; /* wake or stop: look again */
    pthread_t thread;
    atomic_int_least64_t stop_at_ns; /* CLOCK_MONOTONIC; INT64_MAX: not stopping */

    /* of the thread alone */
    struct buf batch;
    unsigned failures; /* in a row */

    pthread_mutex_t mutex; /* of what follows */
    struct ship_counts counts;
};

static bool is_stopping(const struct ship *s)
{
    return atomic_load(&s->stop_at_ns) != INT64_MAX;
}

static bool is_over(const struct ship *s)
{
    return clock_ns(CLOCK_MONOTONIC) >= atomic_load(&s->stop_at_ns);
}

static void drain_events(const struct ship *s)
{
    uint64_t ignored;
    while (read(s->event_fd, &ignored, sizeof(ignored)) > 0)
        ;
}

static void signal_event(const struct ship *s)
{
    uint64_t one = 1;
    ssize_t n = write(s->event_fd, &one, sizeof(one));
    (void)n; /* EAGAIN: it is signalled already, 2^64 - 2 times */
}

/* Until an event or `until_ns`. */
static void wait_event(const struct ship *s, int64_t until_ns)
{
    int64_t left_ms = until_ns == INT64_MAX
                          ? -1
                          : (until_ns - clock_ns(CLOCK_MONOTONIC) + NS_PER_MS - 1) / NS_PER_MS;
    struct pollfd fd = {.fd = s->event_fd, .events = POLLIN};
    if (until_ns == INT64_MAX || left_ms > 0)
        poll(&fd, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
    drain_events(s);
}

/* post_watch: the deadline of a stop ends a post, nothing else does. */
static int post_is_over(void *ctx, int *ret_left_ms)
{
    const struct ship *s = ctx;
    drain_events(s); /* or curl_multi_wait would return at once, for ever */
    int64_t stop_at_ns = atomic_load(&s->stop_at_ns);
    int64_t left_ms = (stop_at_ns - clock_ns(CLOCK_MONOTONIC)) / NS_PER_MS + 1;
    if (stop_at_ns != INT64_MAX && left_ms < *ret_left_ms)
        *ret_left_ms = left_ms > 0 ? (int)left_ms : 0;
    return is_over(s);
}

/* 0 ... 1, so that a fleet of agents does not come back at once. */
static double dice(void)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random = (uint32_t)clock_ns(CLOCK_MONOTONIC) * 2654435761u;
    return random / (double)UINT32_MAX;
}

static int64_t backoff_ns(const struct ship *s, int64_t retry_after_ns)
{
    if (retry_after_ns >= 0) {
        int64_t most = s->backoff_max_ns * SHIP_RETRY_AFTER_FACTOR;
        int64_t wait = retry_after_ns < most ? retry_after_ns : most;
        wait = wait > SHIP_SOONEST_NS ? wait : SHIP_SOONEST_NS;
        return wait + (int64_t)((double)wait * dice() / 4);
    }
    int64_t wait = s->backoff_min_ns;
    for (unsigned i = 1; i < s->failures && wait < s->backoff_max_ns; i++)
        wait *= 2;
    wait = wait < s->backoff_max_ns ? wait : s->backoff_max_ns;
    return wait / 2 + (int64_t)((double)wait * dice() / 2);
}

static void back_off(struct ship *s, int64_t retry_after_ns)
{
    int64_t until_ns = clock_ns(CLOCK_MONOTONIC) + backoff_ns(s, retry_after_ns);
    while (!is_stopping(s) && clock_ns(CLOCK_MONOTONIC) < until_ns)
        wait_event(s, until_ns);
}

static void note_failure(struct ship *s, const char *why)
{
    pthread_mutex_lock(&s->mutex);
    s->counts.ship_failures++;
    if (s->counts.failing_since_ns == 0)
        s->counts.failing_since_ns = clock_ns(CLOCK_REALTIME);
    snprintf(s->counts.last_error, sizeof(s->counts.last_error), "%s", why);
    pthread_mutex_unlock(&s->mutex);
    if (s->failures++ == 0)
        log_warn("batches cannot be shipped; they are kept and sent again url=\"%s\" reason=\"%s\"",
                 poster_url(s->poster), why);
    else
        log_debug("shipping failed again tries=%u reason=\"%s\"", s->failures, why);
}

static void note_success(struct ship *s, bool duplicate)
{
    pthread_mutex_lock(&s->mutex);
    int64_t since_ns = s->counts.failing_since_ns;
    s->counts.failing_since_ns = 0;
    s->counts.shipped_batches++;
    s->counts.shipped_bytes += s->batch.len;
    s->counts.duplicate_batches += duplicate;
    pthread_mutex_unlock(&s->mutex);
    if (s->failures > 0)
        log_info("batches are shipped again url=\"%s\" failed_tries=%u seconds=%.1f",
                 poster_url(s->poster), s->failures,
                 (double)(clock_ns(CLOCK_REALTIME) - since_ns) / NS_PER_SEC);
    s->failures = 0;
}

/* The server answered, so it is no failure to reach it. The spool logs the reason. */
static void note_refusal(struct ship *s, const char *why)
{
    pthread_mutex_lock(&s->mutex);
    s->counts.rejected_batches++;
    s->counts.failing_since_ns = 0;
    snprintf(s->counts.last_error, sizeof(s->counts.last_error), "%s", why);
    pthread_mutex_unlock(&s->mutex);
    s->failures = 0;
}

/* Sends the batch that is read. False if it must be sent again. */
static bool ship_one(struct ship *s, uint64_t seq, int64_t *ret_retry_after_ns)
{
    struct post_watch watch = {.event_fd = s->event_fd, .is_over = post_is_over, .ctx = s};
    struct post_result result;
    poster_send(s->poster, s->batch.data, s->batch.len, &watch, &result);
    *ret_retry_after_ns = result.retry_after_ns;
    switch (result.verdict) {
    case POST_STORED:
    case POST_DUPLICATE:
        spool_done(s->spool, seq);
        note_success(s, result.verdict == POST_DUPLICATE);
        return true;
    case POST_REFUSED:
        spool_reject(s->spool, seq, result.why);
        note_refusal(s, result.why);
        return true;
    case POST_FAILED:
        break;
    }
    note_failure(s, result.why);
    return false;
}

static void log_end(struct ship *s)
{
    struct spool_stats stats;
    spool_read_stats(s->spool, &stats);
    if (stats.waiting_batches > 0)
        log_info("batches stay in the spool until the next start batches=%" PRIu64,
                 stats.waiting_batches);
}

static void *ship_run(void *ctx)
{
    struct ship *s = ctx;
    pthread_setname_np(pthread_self(), "ship");
    while (!is_over(s)) {
        uint64_t seq;
        struct err err = {0};
        int64_t retry_after_ns = -1;
        /* Read again for each try: the spool may have had to drop it meanwhile. */
        int r = spool_oldest(s->spool, &s->batch, &seq, &err);
        if (r == -ENODATA) {
            if (is_stopping(s))
                break;
            wait_event(s, INT64_MAX);
            continue;
        }
        if (r < 0)
            note_failure(s, err.text);
        else if (ship_one(s, seq, &retry_after_ns))
            continue;
        if (is_stopping(s))
            break;
        back_off(s, retry_after_ns);
    }
    log_end(s);
    return NULL;
}

/* Signals are the main thread's; and a connection that is gone shall be an error here, no SIGPIPE.
 */
static int start_thread(struct ship *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int r = pthread_create(&s->thread, NULL, ship_run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

static void ship_free(struct ship **ship)
{
    struct ship *s = *ship;
    if (!s)
        return;
    poster_free(&s->poster);
    cleanup_close(&s->event_fd);
    buf_free(&s->batch);
    pthread_mutex_destroy(&s->mutex);
    free(s);
    *ship = NULL;
}

int ship_start(const struct ship_config *config, struct spool *spool, struct ship **ret,
               struct err *err)
{
    _cleanup_(ship_free) struct ship *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(err, -ENOMEM, "starting to ship");
    s->spool = spool;
    s->backoff_min_ns = config->backoff_min_ns ? config->backoff_min_ns : NS_PER_SEC / 4;
    s->backoff_max_ns = config->backoff_max_ns ? config->backoff_max_ns : 30 * NS_PER_SEC;
    atomic_init(&s->stop_at_ns, INT64_MAX);
    pthread_mutex_init(&s->mutex, NULL);
    s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->event_fd < 0)
        return err_errno(err, -errno, "starting to ship");
    int r = poster_new(config, &s->poster, err);
    if (r < 0)
        return r;
    r = start_thread(s);
    if (r < 0)
        return err_errno(err, r, "starting the thread that ships");
    *ret = TAKE_PTR(s);
    return 0;
}

void ship_wake(struct ship *s)
{
    signal_event(s);
}

void ship_stop(struct ship **ship, int64_t within_ns)
{
    struct ship *s = *ship;
    if (!s)
        return;
    atomic_store(&s->stop_at_ns, clock_ns(CLOCK_MONOTONIC) + within_ns);
    signal_event(s);
    pthread_join(s->thread, NULL);
    ship_free(ship);
}

void ship_read_counts(struct ship *s, struct ship_counts *ret)
{
    pthread_mutex_lock(&s->mutex);
    *ret = s->counts;
    pthread_mutex_unlock(&s->mutex);
}
