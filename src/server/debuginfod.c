/* debuginfod.c: takes build-ids, the hottest first, gives their debug files into a directory. See
 * debuginfod.h. */
#include "server/debuginfod.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/debug_cache.h"
#include "server/debug_dirs.h"
#include "server/debuginfod_get.h"
#include "server/hot_objects.h"
#include "symbol/debug_file.h"

/* How long an object is not asked for again. */
#define HAVE_NS      (3600 * NS_PER_SEC) /* its file is there; it may be dropped from the cache */
#define NOT_FOUND_NS (6 * 3600 * NS_PER_SEC) /* or no good: servers learn of new files */
#define FAILED_NS    (600 * NS_PER_SEC)

#define WAIT_MAX_NS (600 * NS_PER_SEC) /* for servers that do not answer */
#define URLS_MAX    16

struct debuginfod {
    struct debuginfod_config config;
    char *urls[URLS_MAX];
    size_t url_count;
    struct debug_cache *cache;
    struct debuginfod_getter *getter;
    unsigned failures; /* in a row */
    pthread_t thread;
    bool is_running;
    atomic_bool stop;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct debuginfod_status status;
};

static bool is_url(const char *text)
{
    const char *host = strncasecmp(text, "http://", 7) == 0    ? text + 7
                       : strncasecmp(text, "https://", 8) == 0 ? text + 8
                                                               : "";
    return *host && *host != '/';
}

static int read_urls(struct debuginfod *d, const char *text, struct err *err)
{
    static const char between[] = " ,\t\n";
    for (text += strspn(text, between); *text; text += strspn(text, between)) {
        size_t len = strcspn(text, between);
        if (d->url_count == URLS_MAX)
            return err_set(err, -E2BIG, "more than %d servers of debug files", URLS_MAX);
        char *url = strndup(text, len);
        if (!url)
            return err_errno(err, -ENOMEM, "preparing to fetch debug files");
        d->urls[d->url_count++] = url;
        if (!is_url(url))
            return err_set(err, -EINVAL, "'%s' is no server: write http://HOST or https://HOST",
                           url);
        text += len;
    }
    return 0;
}

static void count(struct debuginfod *d, uint64_t *counter, uint64_t n)
{
    pthread_mutex_lock(&d->lock);
    *counter += n;
    pthread_mutex_unlock(&d->lock);
}

/* A failure that lasts is told once. */
static void tell(struct debuginfod *d, const char *error)
{
    pthread_mutex_lock(&d->lock);
    bool is_new = strncmp(d->status.error, error, sizeof(d->status.error) - 1) != 0;
    snprintf(d->status.error, sizeof(d->status.error), "%s", error);
    pthread_mutex_unlock(&d->lock);
    if (is_new && *error)
        log_warn("fetching debug files: %s", error);
}

/* ---- one object */

static int take_file(struct debuginfod *d, int fd, const struct hot_object *o, uint64_t bytes,
                     const char *url)
{
    uint8_t alt[ELF_BUILD_ID_MAX];
    size_t alt_len = 0;
    struct err err = {0}, why = {0};
    int r = debug_file_check(fd, o->build_id, o->build_id_len, &why);
    if (r < 0) {
        err_set(&err, r, "%s sent a file that is no good: %s", url, why.text);
        count(d, &d->status.debuginfod_refused, 1);
        tell(d, err.text);
        return r;
    }
    bool has_alt = debug_file_read_alt_id(fd, alt, &alt_len) == 0;
    r = debug_cache_keep_file(d->cache, fd, o->build_id, o->build_id_len, &err);
    if (r < 0) {
        count(d, &d->status.debuginfod_failed, 1);
        tell(d, err.text);
        return r;
    }
    /* What its DWARF refers to (dwz) comes next. */
    if (has_alt)
        hot_objects_add(d->config.hot_objects, alt, alt_len, o->samples, clock_ns(CLOCK_MONOTONIC));
    pthread_mutex_lock(&d->lock);
    d->status.debuginfod_fetched++;
    d->status.cache_bytes = debug_cache_bytes(d->cache);
    pthread_mutex_unlock(&d->lock);
    tell(d, "");
    log_info("debug file fetched url=\"%s\" bytes=%llu", url, (unsigned long long)bytes);
    return 0;
}

/* From one server. -ENOENT; -EFBIG or what take_file() says: another will not have a better one. */
static int ask(struct debuginfod *d, const char *url, const struct hot_object *o)
{
    _cleanup_close_ int fd = -1;
    struct err err = {0};
    uint64_t bytes = 0;
    int r = debug_cache_make_file(d->cache, &fd, &err);
    if (r == 0) {
        count(d, &d->status.debuginfod_requests, 1);
        r = debuginfod_get(d->getter, url, o->build_id, o->build_id_len, fd,
                           debug_cache_file_max(d->cache), &bytes, &err);
        count(d, &d->status.debuginfod_bytes, bytes);
    }
    if (r == 0)
        return take_file(d, fd, o, bytes, url);
    if (r == -ENOENT) {
        count(d, &d->status.debuginfod_not_found, 1);
        tell(d, "");
    } else {
        bool refused = r == -EFBIG;
        count(d, refused ? &d->status.debuginfod_refused : &d->status.debuginfod_failed, 1);
        if (r != -ECANCELED)
            tell(d, err.text);
    }
    return r;
}

static bool have(const struct debuginfod *d, const struct hot_object *o)
{
    _cleanup_close_ int fd = debug_dirs_open(d->config.dirs, o->build_id, o->build_id_len, NULL);
    return fd >= 0;
}

static void fetch(struct debuginfod *d, const struct hot_object *o)
{
    int r = -ENOENT;
    bool any_failed = false;
    for (size_t i = 0; i < d->url_count && r != 0 && !atomic_load(&d->stop); i++) {
        r = ask(d, d->urls[i], o);
        any_failed = any_failed || (r < 0 && r != -ENOENT && r != -EFBIG);
    }
    d->failures = any_failed && r != 0 ? d->failures + 1 : 0;
    int64_t put_off_ns = r == 0 ? HAVE_NS : any_failed ? FAILED_NS : NOT_FOUND_NS;
    hot_objects_put_off(d->config.hot_objects, o, clock_ns(CLOCK_MONOTONIC) + put_off_ns);
}

/* ---- the thread */

/* The hottest object without a debug file. */
static bool pick(struct debuginfod *d, struct hot_object *ret)
{
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    while (hot_objects_find(d->config.hot_objects, now_ns, ret)) {
        if (!have(d, ret))
            return true;
        hot_objects_put_off(d->config.hot_objects, ret, now_ns + HAVE_NS);
    }
    return false;
}

/* Twice as long after each failure, so that a server that is away is not asked for every object. */
static int64_t wait_ns(const struct debuginfod *d)
{
    int64_t ns = d->config.interval_ns;
    for (unsigned i = 0; i < d->failures && ns < WAIT_MAX_NS; i++)
        ns *= 2;
    return ns < WAIT_MAX_NS || ns == d->config.interval_ns ? ns : WAIT_MAX_NS;
}

static void wait_a_while(struct debuginfod *d)
{
    int64_t until_ns = clock_ns(CLOCK_MONOTONIC) + wait_ns(d);
    struct timespec until = {until_ns / NS_PER_SEC, until_ns % NS_PER_SEC};
    int code = 0;
    pthread_mutex_lock(&d->lock);
    while (!atomic_load(&d->stop) && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&d->wake, &d->lock, &until);
    pthread_mutex_unlock(&d->lock);
}

static void *run(void *ctx)
{
    struct debuginfod *d = ctx;
    struct hot_object object;
    while (!atomic_load(&d->stop)) {
        if (pick(d, &object))
            fetch(d, &object);
        wait_a_while(d);
    }
    return NULL;
}

int debuginfod_start(const struct debuginfod_config *config, struct debuginfod **ret,
                     struct err *err)
{
    _cleanup_(debuginfod_stop) struct debuginfod *d = calloc(1, sizeof(*d));
    if (!d)
        return err_errno(err, -ENOMEM, "preparing to fetch debug files");
    d->config = *config;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&d->wake, &attr);
    pthread_condattr_destroy(&attr);
    int r = read_urls(d, config->urls, err);
    if (r == 0)
        r = debug_cache_open(config->dir, config->cache_bytes, &d->cache, err);
    if (r == 0)
        r = debug_dirs_add_cache(config->dirs, config->dir, err);
    if (r == 0)
        r = debuginfod_getter_new(config->silence_ns, &d->stop, &d->getter, err);
    if (r < 0)
        return r;
    d->config.urls = d->config.dir = NULL; /* the caller's, and used up */
    d->status.cache_bytes = debug_cache_bytes(d->cache);
    int code = pthread_create(&d->thread, NULL, run, d);
    if (code)
        return err_errno(err, -code, "preparing to fetch debug files");
    d->is_running = true;
    *ret = TAKE_PTR(d);
    return 0;
}

void debuginfod_stop(struct debuginfod **debuginfod)
{
    struct debuginfod *d = *debuginfod;
    if (!d)
        return;
    if (d->is_running) {
        pthread_mutex_lock(&d->lock);
        atomic_store(&d->stop, true);
        pthread_cond_signal(&d->wake);
        pthread_mutex_unlock(&d->lock);
        pthread_join(d->thread, NULL);
    }
    debuginfod_getter_free(&d->getter);
    debug_cache_close(&d->cache);
    for (size_t i = 0; i < d->url_count; i++)
        free(d->urls[i]);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    free(d);
    *debuginfod = NULL;
}

void debuginfod_read_status(struct debuginfod *d, struct debuginfod_status *ret)
{
    pthread_mutex_lock(&d->lock);
    *ret = d->status;
    pthread_mutex_unlock(&d->lock);
}
