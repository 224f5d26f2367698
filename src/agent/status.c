/* status.c: takes the counters of all parts, gives them over HTTP. See status.h. */
#include "agent/status.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/counters.h"
#include "agent/namer.h"
#include "agent/sampler.h"
#include "agent/ship.h"
#include "agent/spool.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/metrics.h"
#include "k8s/sources.h"

struct status {
    struct MHD_Daemon *daemon;
    struct status_sources sources;
    pthread_mutex_t lock; /* of sources.ship */
};

static void one(struct buf *b, const char *name, enum metrics_type type, const char *help,
                uint64_t value)
{
    metrics_family(b, name, type, help);
    metrics_u64(b, name, NULL, value);
}

static void write_counters(struct buf *b, struct counters *counters)
{
    struct counters_snapshot now = counters_read(counters);
#define X(name, help) \
    one(b, "podflamed_" #name "_total", METRICS_COUNTER, help, now.v[COUNTER_##name]);
    AGENT_COUNTERS(X)
#undef X
}

static void write_spool(struct buf *b, struct spool *spool)
{
    struct spool_stats s;
    spool_read_stats(spool, &s);
#define X(name, help) one(b, "podflamed_spool_" #name, METRICS_GAUGE, help, s.name);
    SPOOL_GAUGES(X)
#undef X
#define X(name, help) one(b, "podflamed_spool_" #name "_total", METRICS_COUNTER, help, s.name);
    SPOOL_COUNTERS(X)
#undef X
}

static void write_ship(struct buf *b, struct status *s)
{
    struct ship_counts c = {0};
    pthread_mutex_lock(&s->lock);
    if (s->sources.ship)
        ship_read_counts(s->sources.ship, &c);
    pthread_mutex_unlock(&s->lock);
#define X(name, help) one(b, "podflamed_" #name "_total", METRICS_COUNTER, help, c.name);
    SHIP_COUNTERS(X)
#undef X
}

static void write_sampler(struct buf *b, struct sampler *sampler)
{
    struct sampler_status s = {0};
    if (sampler)
        sampler_read_status(sampler, &s);
    one(b, "podflamed_cpus", METRICS_GAUGE, "CPUs that are sampled.", s.cpus);
    one(b, "podflamed_stack_bytes", METRICS_GAUGE, "Of a user stack that each sample holds.",
        s.stack_bytes);
    one(b, "podflamed_ring_bytes", METRICS_GAUGE, "Memory of the rings.", s.ring_bytes);
    one(b, "podflamed_processes", METRICS_GAUGE, "Processes in the table.", s.processes);
    one(b, "podflamed_drains_total", METRICS_COUNTER, "Times the rings were drained.", s.drains);
}

/* One number of each source. */
static void write_source_values(struct buf *b, const struct source_status *all, size_t count,
                                const char *name, enum metrics_type type, const char *help,
                                uint64_t (*value)(const struct source_status *))
{
    metrics_family(b, name, type, help);
    for (size_t i = 0; i < count; i++)
        metrics_u64(b, name, METRICS_LABELS({"source", all[i].name}), value(&all[i]));
}

#define SOURCE_VALUES(X)                                                                        \
    X(up, "", METRICS_GAUGE, "Whether a source of pods' names answers.", s->state == SOURCE_OK) \
    X(pods, "", METRICS_GAUGE, "Pods in its last answer.", s->counts.pods)                      \
    X(containers, "", METRICS_GAUGE, "Containers in its last answer.", s->counts.containers)    \
    X(left_out, "", METRICS_GAUGE, "Facts of it that were too many or broken.",                 \
      s->counts.left_out)                                                                       \
    X(answers, "_total", METRICS_COUNTER, "How often it has answered.", s->answers)             \
    X(failures, "_total", METRICS_COUNTER, "How often it has failed.", s->failures)

#define X(name, suffix, type, help, expression)                  \
    static uint64_t source_##name(const struct source_status *s) \
    {                                                            \
        return expression;                                       \
    }
SOURCE_VALUES(X)
#undef X

/* The state in words, with what is wrong. */
static void write_source_states(struct buf *b, const struct source_status *all, size_t count)
{
    static const char state[] = "podflamed_source_state_seconds",
                      age[] = "podflamed_source_age_seconds";
    metrics_family(b, state, METRICS_GAUGE, "How long a source has been in its state.");
    for (size_t i = 0; i < count; i++)
        metrics_double(b, state,
                       METRICS_LABELS({"source", all[i].name},
                                      {"state", source_state_word(all[i].state)},
                                      {"error", all[i].error}),
                       (double)all[i].since_ns / (double)NS_PER_SEC);
    metrics_family(b, age, METRICS_GAUGE, "How old its last answer is.");
    for (size_t i = 0; i < count; i++)
        if (all[i].age_ns >= 0)
            metrics_double(b, age, METRICS_LABELS({"source", all[i].name}),
                           (double)all[i].age_ns / (double)NS_PER_SEC);
}

static void write_sources(struct buf *b, struct sources *sources)
{
    struct source_status all[PODS_RANKS];
    size_t count = 0;
    for (int rank = 0; rank < PODS_RANKS; rank++)
        count += sources_status(sources, (enum pods_rank)rank, &all[count]);
#define X(name, suffix, type, help, expression) \
    write_source_values(b, all, count, "podflamed_source_" #name suffix, type, help, source_##name);
    SOURCE_VALUES(X)
#undef X
    write_source_states(b, all, count);
}

/* Names as the Prometheus client libraries have them. */
static void write_self(struct buf *b, struct namer *namer)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    metrics_family(b, "process_cpu_seconds_total", METRICS_COUNTER,
                   "User and system CPU time of podflamed.");
    metrics_double(b, "process_cpu_seconds_total", NULL,
                   (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    one(b, "podflamed_peak_resident_bytes", METRICS_GAUGE, "Most memory ever resident.",
        (uint64_t)u.ru_maxrss * 1024);
    one(b, "podflamed_names_bytes", METRICS_GAUGE,
        "Memory that names and tables hold from window to window.", namer_bytes(namer));
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned code, const char *type,
                                   const void *text, size_t len)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(len, (void *)text, MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(c, code, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result answer_metrics(struct status *s, struct MHD_Connection *c)
{
    _cleanup_(buf_free) struct buf b = {.max = 1 << 20};
    write_counters(&b, s->sources.counters);
    write_spool(&b, s->sources.spool);
    write_ship(&b, s);
    write_sampler(&b, s->sources.sampler);
    write_sources(&b, s->sources.sources);
    write_self(&b, s->sources.namer);
    return answer_text(c, MHD_HTTP_OK, METRICS_CONTENT_TYPE, b.data, b.len);
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_len, void **state)
{
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", "GET only\n", 9);
    if (strcmp(url, "/metrics") == 0)
        return answer_metrics(ctx, c);
    if (strcmp(url, "/healthz") == 0)
        return answer_text(c, MHD_HTTP_OK, "text/plain", "ok\n", 3);
    static const char help[] = "there are /metrics and /healthz\n";
    return answer_text(c, MHD_HTTP_NOT_FOUND, "text/plain", help, sizeof(help) - 1);
}

int status_start(const char *address, const struct status_sources *sources, struct status **ret,
                 struct err *err)
{
    struct listener listener;
    int r = listen_open(address, &listener, err);
    if (r < 0)
        return err_wrap(err, r, "--metrics-listen");
    struct status *s = calloc(1, sizeof(*s));
    if (!s) {
        close(listener.fd);
        return err_errno(err, -ENOMEM, "the metrics server");
    }
    s->sources = *sources;
    pthread_mutex_init(&s->lock, NULL);
    s->daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0, NULL, NULL, answer, s,
                         MHD_OPTION_LISTEN_SOCKET, listener.fd, MHD_OPTION_CONNECTION_LIMIT, 16u,
                         MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)16384, MHD_OPTION_END);
    if (!s->daemon) {
        close(listener.fd);
        pthread_mutex_destroy(&s->lock);
        free(s);
        return err_set(err, -EIO, "--metrics-listen: libmicrohttpd did not start on %s",
                       listener.address);
    }
    log_info("metrics address=%s", listener.address);
    *ret = s;
    return 0;
}

void status_set_ship(struct status *status, struct ship *ship)
{
    pthread_mutex_lock(&status->lock);
    status->sources.ship = ship;
    pthread_mutex_unlock(&status->lock);
}

void status_stop(struct status **status)
{
    struct status *s = *status;
    if (!s)
        return;
    MHD_stop_daemon(s->daemon);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *status = NULL;
}
