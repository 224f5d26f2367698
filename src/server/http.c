/* http.c: takes a listening socket, serves it until it is stopped. libmicrohttpd's own threads read
 * and write; what waits for the disk runs in two pools, so that a long query holds no connection
 * but its own, and no batch. See http.h. */
#include "server/http.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/http_internal.h"

#define IO_THREADS       2u
#define MAX_CONNECTIONS  1024u
#define SPARE_FDS        128u   /* the store's and the page's files */
#define CONNECTION_BYTES 65536u /* headers, and a piece of a body or an answer */
#define IDLE_SECONDS     90u    /* three windows of an agent: its connection is kept */
#define INGEST_THREADS   2u     /* one decodes while the other commits */
#define MAX_WAITING      256u
#define STOP_WAIT_S      10

static void __attribute__((format(printf, 2, 0))) log_mhd(void *ctx, const char *fmt, va_list ap)
{
    char text[256];
    vsnprintf(text, sizeof(text), fmt, ap);
    text[strcspn(text, "\n")] = 0;
    log_debug("libmicrohttpd: %s", text);
}

static unsigned query_threads(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 2 ? 2 : cpus > 8 ? 8 : (unsigned)cpus;
}

/* As many connections as the file descriptors allow, of which those of the store must be kept. */
static unsigned connection_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return MAX_CONNECTIONS / 2;
    rlim_t wanted = MAX_CONNECTIONS + SPARE_FDS;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            log_warn("raising the limit of open files failed: %s", strerror(errno));
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= wanted)
        return MAX_CONNECTIONS;
    return limit.rlim_cur > 2 * SPARE_FDS ? (unsigned)limit.rlim_cur - SPARE_FDS : SPARE_FDS;
}

static int start_daemon(struct http *http, struct err *err)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    unsigned limit = connection_limit();
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_mhd, NULL}, /* first, for what the others say */
        {MHD_OPTION_LISTEN_SOCKET, http->config.listen_fd, NULL},
        {MHD_OPTION_THREAD_POOL_SIZE, IO_THREADS, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, limit, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)exchange_begin, http},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)exchange_end, http},
        {MHD_OPTION_END, 0, NULL},
    };
    http->daemon = MHD_start_daemon(flags, 0, NULL, NULL, exchange_continue, http, MHD_OPTION_ARRAY,
                                    options, MHD_OPTION_END);
    if (!http->daemon)
        return err_errno(err, errno ? -errno : -EIO, "starting the HTTP server");
    http->config.listen_fd = -1;
    return 0;
}

static void http_free(struct http *http)
{
    if (http->config.listen_fd >= 0)
        close(http->config.listen_fd);
    pool_free(&http->queries);
    pool_free(&http->ingests);
    pthread_cond_destroy(&http->idle);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

static void init_lock(struct http *http)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&http->idle, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&http->lock, NULL);
}

int http_start(const struct http_config *config, struct http **ret, struct err *err)
{
    struct http *http = calloc(1, sizeof(*http));
    if (!http) {
        close(config->listen_fd);
        return err_errno(err, -ENOMEM, "starting the HTTP server");
    }
    http->config = *config;
    init_lock(http);
    int r = pool_new("query", query_threads(), MAX_WAITING, &http->queries, err);
    if (r == 0)
        r = pool_new("ingest", INGEST_THREADS, MAX_WAITING, &http->ingests, err);
    if (r == 0)
        r = start_daemon(http, err);
    if (r < 0) {
        http_free(http);
        return r;
    }
    *ret = http;
    return 0;
}

static void wait_until_idle(struct http *http)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STOP_WAIT_S;
    int r = 0;
    pthread_mutex_lock(&http->lock);
    while (http->under_way > 0 && r == 0)
        r = pthread_cond_timedwait(&http->idle, &http->lock, &until);
    unsigned left = http->under_way;
    pthread_mutex_unlock(&http->lock);
    if (left > 0)
        log_warn("stopping with requests under way requests=%u", left);
}

void http_stop(struct http **http)
{
    struct http *h = TAKE_PTR(*http);
    if (!h)
        return;
    int fd = MHD_quiesce_daemon(h->daemon);
    if (fd >= 0)
        close(fd);
    atomic_store(&h->stopping, true);
    wait_until_idle(h);
    /* Every job wakes its connection; MHD must not be stopped while one sleeps. */
    pool_stop(h->queries);
    pool_stop(h->ingests);
    MHD_stop_daemon(h->daemon);
    http_free(h);
}
