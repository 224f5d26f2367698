/* status.c: takes nothing but the question, gives how the server and its agents are: /api/v1/nodes,
 * /api/v1/status, /readyz and /metrics. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "server/api.h"
#include "server/api_internal.h"
#include "server/counter_sums.h"
#include "server/debuginfod.h"
#include "server/exchange.h"
#include "server/ingest.h"
#include "server/json.h"
#include "server/sources.h"
#include "server/store.h"
#include "server/symbols.h"

#define HOUR_MS 3600000

static int read_nothing(const struct request *request, struct reply *reply)
{
    struct query query = {0};
    int r = api_read_query(request, QUERY_NOTHING, &query, reply);
    query_free(&query);
    return r;
}

static void fail(struct reply *reply, const char *what, int r, struct err *err)
{
    if (!err->text[0])
        err_errno(err, r, "%s", what);
    log_err("%s failed: %s", what, err->text);
    reply_failure(reply, r, err);
}

/* ---- /api/v1/nodes */

static int put_node(void *ctx, const struct store_node *node)
{
    struct buf *out = ctx;
    const char *before = out->data[out->len - 1] == '[' ? "{" : ",{";
    int r = json_key_string(out, before, "node", node->node);
    if (r == 0)
        r = json_key_string(out, ",", "boot_id", node->boot_id);
    if (r == 0)
        r = json_key_string(out, ",", "kernel", node->kernel);
    if (r == 0)
        r = json_key_string(out, ",", "arch", node->arch);
    if (r == 0)
        r = json_key_string(out, ",", "agent", node->agent);
    if (r == 0)
        r = json_key_u64(out, ",", "cpus", node->cpus);
    if (r == 0)
        r = json_key_u64(out, ",", "first_ms", (uint64_t)node->first_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "last_ms", (uint64_t)node->last_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "batches", node->batches);
    return r < 0 ? r : buf_puts(out, "}");
}

void api_get_nodes(struct api *api, const struct request *request, struct reply *reply)
{
    struct err err = {0};
    if (read_nothing(request, reply) < 0)
        return;
    int r = buf_puts(&reply->body, "{\"nodes\":[");
    if (r == 0)
        r = api->store->ops->nodes(api->store, put_node, &reply->body, &err);
    if (r < 0) {
        fail(reply, "listing the nodes", r, &err);
        return;
    }
    api_reply_json(reply, buf_puts(&reply->body, "]}\n"));
}

/* ---- /api/v1/status */

static int put_store(struct buf *out, const char *name, const struct store_stats *stats)
{
    int r = json_key(out, ",", "store");
    if (r == 0)
        r = json_key_string(out, "{", "name", name);
    if (r == 0)
        r = json_key_u64(out, ",", "batches", stats->batches);
    if (r == 0)
        r = json_key_u64(out, ",", "duplicates", stats->duplicates);
    if (r == 0)
        r = json_key_u64(out, ",", "samples", stats->samples);
    if (r == 0)
        r = json_key_u64(out, ",", "bytes", stats->bytes_on_disk);
    if (r == 0)
        r = json_key_u64(out, ",", "oldest_ms", (uint64_t)stats->oldest_ms);
    return r < 0 ? r : buf_puts(out, "}");
}

static int put_ingest(struct buf *out, const struct ingest_counts *counts)
{
    int r = json_key(out, ",", "ingest");
    const char *before = "{";
#define X(name, help)                                       \
    if (r == 0)                                             \
        r = json_key_u64(out, before, #name, counts->name); \
    before = ",";
    INGEST_COUNTERS(X)
#undef X
    return r < 0 ? r : buf_puts(out, "}");
}

static int put_symbols(struct buf *out, const struct symbols_counts *counts)
{
    int r = json_key(out, ",", "symbols");
    const char *before = "{";
#define X(name, help)                                       \
    if (r == 0)                                             \
        r = json_key_u64(out, before, #name, counts->name); \
    before = ",";
    SYMBOLS_COUNTERS(X)
#undef X
    if (r == 0)
        r = json_key_u64(out, ",", "cache_bytes", counts->cache_bytes);
    return r < 0 ? r : buf_puts(out, "}");
}

static int put_debuginfod(struct buf *out, const struct debuginfod_status *status)
{
    int r = json_key(out, ",", "debuginfod");
    const char *before = "{";
#define X(name, help)                                       \
    if (r == 0)                                             \
        r = json_key_u64(out, before, #name, status->name); \
    before = ",";
    DEBUGINFOD_COUNTERS(X)
#undef X
    if (r == 0)
        r = json_key_u64(out, ",", "cache_bytes", status->cache_bytes);
    if (r == 0)
        r = json_key_string(out, ",", "error", status->error);
    return r < 0 ? r : buf_puts(out, "}");
}

/* Where names come from besides nodes; what is off is left out. */
static int put_names(struct api *api, struct buf *out)
{
    struct symbols_counts symbols;
    struct debuginfod_status debuginfod;
    int r = 0;
    if (api->symbols) {
        symbols_read_counts(api->symbols, &symbols);
        r = put_symbols(out, &symbols);
    }
    if (r == 0 && api->debuginfod) {
        debuginfod_read_status(api->debuginfod, &debuginfod);
        r = put_debuginfod(out, &debuginfod);
    }
    return r;
}

static int put_counters(struct buf *out, const struct counter_sums *counters)
{
    int r = json_key(out, ",", "counters");
    if (r == 0)
        r = buf_puts(out, "{");
    for (uint32_t i = 0; r == 0 && i < counters->names.count; i++)
        r = json_key_u64(out, i ? "," : "", counters->names.texts[i], counters->values[i]);
    return r < 0 ? r : buf_puts(out, "}");
}

void api_get_status(struct api *api, const struct request *request, struct reply *reply)
{
    _cleanup_(counter_sums_free) struct counter_sums counters = {0};
    struct store_stats stats = {0};
    struct ingest_counts counts = {0};
    struct err err = {0};
    int64_t now_ms = api_now_ms();
    struct store_query last_hour = {.start_ms = now_ms - HOUR_MS, .end_ms = now_ms};
    if (read_nothing(request, reply) < 0)
        return;
    int r = api->store->ops->stats(api->store, &stats, &err);
    if (r == 0)
        r = counter_sums_read(api->store, &last_hour, &counters, &err);
    if (r < 0) {
        fail(reply, "reading the status", r, &err);
        return;
    }
    ingest_read_counts(api->ingest, &counts);
    struct buf *out = &reply->body;
    r = json_key_string(out, "{", "version", PACKAGE_VERSION);
    if (r == 0)
        r = put_store(out, api->store->ops->name, &stats);
    if (r == 0)
        r = put_ingest(out, &counts);
    if (r == 0)
        r = put_names(api, out);
    if (r == 0)
        r = sources_put(api, false, out);
    if (r == 0)
        r = put_counters(out, &counters);
    if (r == 0)
        r = buf_puts(out, "}\n");
    api_reply_json(reply, r);
}

/* ---- /readyz */

/* A file without a name, so that nothing is left of it; a full disk shows when its page is written.
 * Not every file system has such files. */
static int try_to_write(const char *dir, struct err *err)
{
    static const char page[4096] = {0};
    _cleanup_close_ int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
        return access(dir, W_OK) < 0 ? err_errno(err, -errno, "writing to %s", dir) : 0;
    if (fd < 0 || write(fd, page, sizeof(page)) < 0)
        return err_errno(err, -errno, "writing to %s", dir);
    return 0;
}

void api_get_ready(struct api *api, const struct request *request, struct reply *reply)
{
    struct store_stats stats;
    struct err err = {0};
    int r = api->store->ops->stats(api->store, &stats, &err);
    if (r == 0)
        r = try_to_write(api->data_dir, &err);
    if (r < 0)
        reply_failure(reply, -EAGAIN, &err);
    else
        reply_text(reply, 200, "ok\n");
}

/* ---- /metrics */

#define PREFIX "podflame_server_"

static int put_gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
    int r = metrics_family(out, name, METRICS_GAUGE, help);
    return r < 0 ? r : metrics_u64(out, name, NULL, value);
}

static int put_answers(struct api *api, struct buf *out)
{
    static const char *const classes[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
    const char *name = PREFIX "answers_total";
    int r = metrics_family(out, name, METRICS_COUNTER,
                           "Requests answered, by path (empty: the page's files) and status.");
    for (size_t i = 0; i <= API_ROUTES; i++) {
        const struct route *route = api_route(i);
        for (size_t class = 0; r == 0 && class < ARRAY_LEN(classes); class ++) {
            uint64_t count = atomic_load(&api->answers[i][class]);
            if (count == 0)
                continue;
            r = metrics_u64(
                out, name,
                METRICS_LABELS({"path", route ? route->path : ""}, {"status", classes[class]}),
                count);
        }
    }
    return r;
}

#define COUNTER(name, help)                                                    \
    if (r == 0)                                                                \
        r = metrics_family(out, PREFIX #name "_total", METRICS_COUNTER, help); \
    if (r == 0)                                                                \
        r = metrics_u64(out, PREFIX #name "_total", NULL, counts.name);

static int put_symbols_metrics(struct api *api, struct buf *out)
{
    struct symbols_counts counts;
    int r = 0;
    symbols_read_counts(api->symbols, &counts);
    SYMBOLS_COUNTERS(COUNTER)
    return r < 0 ? r
                 : put_gauge(out, PREFIX "symbol_cache_bytes",
                             "Bytes of memory of what debug files said.", counts.cache_bytes);
}

static int put_debuginfod_metrics(struct api *api, struct buf *out)
{
    struct debuginfod_status counts;
    int r = 0;
    debuginfod_read_status(api->debuginfod, &counts);
    DEBUGINFOD_COUNTERS(COUNTER)
    if (r == 0)
        r = put_gauge(out, PREFIX "debuginfod_cache_bytes", "Bytes of fetched debug files on disk.",
                      counts.cache_bytes);
    return r < 0 ? r
                 : put_gauge(out, PREFIX "debuginfod_failing",
                             "Whether the last request for a debug file failed.",
                             counts.error[0] != 0);
}

static int put_metrics(struct api *api, const struct store_stats *stats, struct buf *out)
{
    struct ingest_counts counts = {0};
    ingest_read_counts(api->ingest, &counts);
    int r = metrics_family(out, PREFIX "info", METRICS_GAUGE, "The server's version; always 1.");
    if (r == 0)
        r = metrics_u64(out, PREFIX "info", METRICS_LABELS({"version", PACKAGE_VERSION}), 1);
    INGEST_COUNTERS(COUNTER)
    if (r == 0)
        r = put_gauge(out, PREFIX "store_batches", "Batches in the store.", stats->batches);
    if (r == 0)
        r = put_gauge(out, PREFIX "store_samples", "Samples in the store.", stats->samples);
    if (r == 0)
        r = put_gauge(out, PREFIX "store_bytes", "Bytes of the store on disk.",
                      stats->bytes_on_disk);
    if (r == 0)
        r = put_gauge(out, PREFIX "store_oldest_seconds",
                      "The oldest sample in the store, seconds since 1970.",
                      (uint64_t)stats->oldest_ms / 1000);
    if (r == 0 && api->symbols)
        r = put_symbols_metrics(api, out);
    if (r == 0 && api->debuginfod)
        r = put_debuginfod_metrics(api, out);
    if (r == 0)
        r = sources_put_metrics(api, out);
    return r < 0 ? r : put_answers(api, out);
}

void api_get_metrics(struct api *api, const struct request *request, struct reply *reply)
{
    struct store_stats stats = {0};
    struct err err = {0};
    int r = api->store->ops->stats(api->store, &stats, &err);
    if (r < 0) {
        fail(reply, "reading the store's size", r, &err);
        return;
    }
    api_reply_json(reply, put_metrics(api, &stats, &reply->body));
    if (reply->status == 200)
        reply->type = METRICS_CONTENT_TYPE;
}
