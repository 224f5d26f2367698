/* client.c: takes an API server's address, keeps a cluster's table as it says. See client.h. */
#include "server/cluster/client.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "k8s/fetch.h"
#include "server/cluster/parse.h"
#include "server/cluster/watch.h"

/* Lists of large clusters take the server some seconds. A watch of what never changes is silent for
 * its whole length. */
#define LIST_SILENCE_NS  (30 * NS_PER_SEC)
#define WATCH_SILENCE_NS ((KUBE_WATCH_SECONDS + 30) * NS_PER_SEC)

#define WAIT_MIN_NS NS_PER_SEC
#define WAIT_MAX_NS (60 * NS_PER_SEC)

/* A watch that was answered and lasted so long was a good one, whatever ended it. */
#define GOOD_WATCH_NS (10 * NS_PER_SEC)

/* Follows one kind. */
struct follower {
    struct kube_client *client;
    enum kube_kind kind;
    struct kube_watch *watch;
    struct fetch *lists, *watches;
    struct buf page;
    struct err refused; /* why we ended the request ourselves; no code: we did not */
    unsigned failures;  /* in a row */
    pthread_t thread;
    bool is_running;
    struct kube_status status; /* under the client's lock */
};

struct kube_client {
    atomic_bool stop;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct follower followers[KUBE_KIND_COUNT];
};

const char *kube_state_text(enum kube_state state)
{
    static const char *const texts[] = {"listing", "ok", "failing"};
    return texts[state];
}

/* ---- status */

/* A state is logged when it begins, and an error when it is another. */
static void set_state(struct follower *f, enum kube_state state, const char *error)
{
    struct kube_watch_counts counts;
    kube_watch_read_counts(f->watch, &counts);
    pthread_mutex_lock(&f->client->lock);
    struct kube_status *s = &f->status;
    bool is_new = s->state != state;
    bool is_news = is_new || strncmp(s->error, error, sizeof(s->error) - 1) != 0;
    if (is_new)
        s->since_ms = clock_ns(CLOCK_REALTIME) / NS_PER_MS;
    s->state = state;
    s->lists = counts.lists;
    s->events = counts.events;
    s->dropped = counts.dropped;
    snprintf(s->error, sizeof(s->error), "%s", error);
    pthread_mutex_unlock(&f->client->lock);
    const char *resource = kube_kind_info(f->kind)->resource;
    if (is_news && state == KUBE_FAILING)
        log_warn("API server, %s: %s", resource, error);
    else if (is_news && state == KUBE_OK)
        log_info("API server followed resource=%s", resource);
}

/* ---- one request */

static int take_watched(void *ctx, const char *bytes, size_t len)
{
    struct follower *f = ctx;
    int r = kube_watch_feed(f->watch, bytes, len, &f->refused);
    if (r == 0)
        set_state(f, KUBE_OK, "");
    return r;
}

static int take_listed(void *ctx, const char *bytes, size_t len)
{
    struct follower *f = ctx;
    int r = buf_append(&f->page, bytes, len);
    return r < 0 ? err_errno(&f->refused, r, "a page of %zu MiB", f->page.len >> 20) : 0;
}

static int ask(struct follower *f, const struct kube_request *request, struct fetch *fetch,
               struct err *err)
{
    char accept[160];
    snprintf(accept, sizeof(accept), "Accept: %s", request->accept);
    const struct fetch_request get = {
        .path = request->path,
        .headers = (const char *const[]){accept, NULL},
    };
    f->page.len = 0;
    f->refused = (struct err){0};
    int r = fetch_stream(fetch, &get, request->is_stream ? take_watched : take_listed, f,
                         &f->client->stop, err);
    if (r == 0 && !request->is_stream)
        r = kube_watch_take_page(f->watch, (const char *)f->page.data, f->page.len, &f->refused);
    if (f->refused.code)
        *err = f->refused;
    if (kube_watch_is_live(f->watch))
        buf_free(&f->page); /* it may be large, and is not needed for long */
    return r;
}

static void explain(const struct follower *f, unsigned status, struct err *err)
{
    const char *resource = kube_kind_info(f->kind)->resource;
    if (status == 401)
        err_wrap(err, err->code, "the token is not accepted (--api-token)");
    else if (status == 403)
        err_wrap(err, err->code, "the account may not list and watch %s", resource);
}

/* ---- the thread */

static int64_t wait_ns(const struct follower *f)
{
    int64_t ns = WAIT_MIN_NS;
    for (unsigned i = 1; i < f->failures && ns < WAIT_MAX_NS; i++)
        ns *= 2;
    return ns < WAIT_MAX_NS ? ns : WAIT_MAX_NS;
}

static void wait_a_while(struct follower *f)
{
    struct kube_client *c = f->client;
    int64_t until_ns = clock_ns(CLOCK_MONOTONIC) + wait_ns(f);
    struct timespec until = {until_ns / NS_PER_SEC, until_ns % NS_PER_SEC};
    int code = 0;
    pthread_mutex_lock(&c->lock);
    while (!atomic_load(&c->stop) && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&c->wake, &c->lock, &until);
    pthread_mutex_unlock(&c->lock);
}

static void fail(struct follower *f, unsigned status, int code, struct err *err)
{
    explain(f, status, err);
    if (kube_watch_failed(f->watch, status, code))
        return;
    if (code != -ESTALE)
        set_state(f, KUBE_FAILING, err->text);
    f->failures++;
    wait_a_while(f);
}

static void step(struct follower *f)
{
    struct kube_request request;
    struct err err = {0};
    int64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
    kube_watch_next(f->watch, &request);
    struct fetch *fetch = request.is_stream ? f->watches : f->lists;
    int r = ask(f, &request, fetch, &err);
    bool was_long = clock_ns(CLOCK_MONOTONIC) - begin_ns >= GOOD_WATCH_NS;
    if (r == -ECANCELED)
        return;
    if (request.is_stream && was_long && fetch_status(fetch) == 200 && !f->refused.code) {
        f->failures = 0; /* it was good, and has ended or was cut: on from the last event */
        return;
    }
    if (r < 0) {
        fail(f, (unsigned)fetch_status(fetch), r, &err);
        return;
    }
    if (kube_watch_is_live(f->watch))
        set_state(f, KUBE_OK, "");
    if (request.is_stream) { /* a server that ends watches at once is asked slowly */
        f->failures++;
        wait_a_while(f);
    } else {
        f->failures = 0;
    }
}

static void *run(void *ctx)
{
    struct follower *f = ctx;
    while (!atomic_load(&f->client->stop))
        step(f);
    return NULL;
}

/* ---- beginning and end */

static int start_follower(struct kube_client *c, enum kube_kind kind,
                          const struct kube_client_config *config, struct cluster *cluster,
                          struct err *err)
{
    struct follower *f = &c->followers[kind];
    struct fetch_config fetch = {
        .server = config->server,
        .ca_file = config->ca_file,
        .token_file = config->token_file,
        .user_agent = "podflame-server/" PACKAGE_VERSION,
        .insecure = config->insecure,
        .connect_ns = 10 * NS_PER_SEC,
        .total_ns = LIST_SILENCE_NS, /* until an answer begins */
        .silence_ns = LIST_SILENCE_NS,
    };
    f->client = c;
    f->kind = kind;
    f->page.max = KUBE_PAGE_MAX;
    f->status.since_ms = clock_ns(CLOCK_REALTIME) / NS_PER_MS;
    int r = kube_watch_new(kind, cluster, &f->watch, err);
    if (r == 0)
        r = fetch_new(&fetch, &f->lists, err);
    fetch.silence_ns = WATCH_SILENCE_NS;
    if (r == 0)
        r = fetch_new(&fetch, &f->watches, err);
    if (r < 0)
        return r;
    int code = pthread_create(&f->thread, NULL, run, f);
    f->is_running = code == 0;
    return code ? err_errno(err, -code, "following the API server") : 0;
}

int kube_client_start(const struct kube_client_config *config, struct cluster *cluster,
                      struct kube_client **ret, struct err *err)
{
    _cleanup_(kube_client_stop) struct kube_client *c = calloc(1, sizeof(*c));
    if (!c)
        return err_errno(err, -ENOMEM, "following the API server");
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &attr);
    pthread_condattr_destroy(&attr);
    int r = 0;
    for (size_t kind = 0; kind < KUBE_KIND_COUNT && r == 0; kind++)
        r = start_follower(c, kind, config, cluster, err);
    if (r == 0)
        *ret = TAKE_PTR(c);
    return r;
}

void kube_client_stop(struct kube_client **client)
{
    struct kube_client *c = *client;
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    atomic_store(&c->stop, true);
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
    for (size_t kind = 0; kind < KUBE_KIND_COUNT; kind++) {
        struct follower *f = &c->followers[kind];
        if (f->is_running)
            pthread_join(f->thread, NULL);
        fetch_free(&f->lists);
        fetch_free(&f->watches);
        kube_watch_free(&f->watch);
        buf_free(&f->page);
    }
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(TAKE_PTR(*client));
}

void kube_client_read_status(struct kube_client *c, enum kube_kind kind, struct kube_status *ret)
{
    pthread_mutex_lock(&c->lock);
    *ret = c->followers[kind].status;
    pthread_mutex_unlock(&c->lock);
}
