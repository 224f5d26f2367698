/* http_exchange.c: takes a request as libmicrohttpd meets it, a piece at a time, gives its answer:
 * at once where that is quick, or from a pool's thread while the connection sleeps. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/parse.h"
#include "server/api.h"
#include "server/http_internal.h"
#include "server/query.h"
#include "server/static.h"

#define RETRY_SOON_S 1u

void *exchange_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct http *http = cls;
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    if (!exchange)
        return NULL;
    exchange->http = http;
    exchange->connection = connection;
    exchange->start_ns = clock_ns(CLOCK_MONOTONIC);
    exchange->uri = strdup(uri);
    exchange->target = strdup(uri);
    reply_init(&exchange->reply);
    if (!exchange->uri || !exchange->target) {
        free(exchange->uri);
        free(exchange->target);
        free(exchange);
        return NULL;
    }
    pthread_mutex_lock(&http->lock);
    http->under_way++;
    pthread_mutex_unlock(&http->lock);
    return exchange;
}

static void refuse_busy(struct exchange *exchange, const char *why)
{
    reply_error(&exchange->reply, 503, "%s; try again", why);
    exchange->reply.retry_after_s = RETRY_SOON_S;
}

/* ---- the head */

static enum method method_of(const char *text)
{
    return strcmp(text, "GET") == 0    ? METHOD_GET
           : strcmp(text, "HEAD") == 0 ? METHOD_HEAD
           : strcmp(text, "POST") == 0 ? METHOD_POST
                                       : METHOD_OTHER;
}

static const char *text_of(enum method method)
{
    switch (method) {
    case METHOD_GET:
        return "GET";
    case METHOD_HEAD:
        return "HEAD";
    case METHOD_POST:
        return "POST";
    case METHOD_OTHER:
        break;
    }
    return "other";
}

static const char *header(struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

static bool read_target(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    char *question = strchr(exchange->target, '?');
    if (question)
        *question++ = 0;
    request->path = exchange->target;
    request->query = question;
    if (query_unescape(exchange->target, false) == 0 && *request->path == '/')
        return true;
    request->path = "/";
    reply_error(&exchange->reply, 400,
                "the path has a broken %% escape, a NUL byte, is not UTF-8 or starts without /");
    return false;
}

/* `type/subtype`, with or without parameters behind it. */
static bool is_type(const char *have, const char *want)
{
    size_t len = strlen(want);
    return have && strncasecmp(have, want, len) == 0 &&
           (have[len] == 0 || have[len] == ';' || have[len] == ' ');
}

static void check_method(struct exchange *exchange, const char *text)
{
    const struct request *request = &exchange->request;
    unsigned allowed = exchange->route ? exchange->route->methods : METHOD_GET | METHOD_HEAD;
    if (request->method & allowed)
        return;
    reply_error(&exchange->reply, 405, "%.200s takes %s, not %.20s", request->path,
                api_methods_text(allowed), text);
    exchange->reply.allow = api_methods_text(allowed);
}

/* A page from elsewhere can make a browser post, but not with a type of this kind: for that the
 * browser would first ask with OPTIONS, which is 405. */
static void check_body(struct exchange *exchange)
{
    const char *type = header(exchange, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *length = header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t bytes, max = exchange->http->config.max_body;
    if (exchange->request.method != METHOD_POST)
        return;
    if (!is_type(type, exchange->route->body_type))
        reply_error(&exchange->reply, 415, "Content-Type is %.100s; a batch is sent as %s",
                    type ? type : "missing", exchange->route->body_type);
    else if (length && (parse_u64(length, &bytes, NULL) < 0 || bytes > max))
        reply_error(&exchange->reply, 413,
                    "the body has %.20s bytes, %" PRIu64
                    " are allowed; raise --max-body or send smaller batches",
                    length, max);
}

static void check_host(struct exchange *exchange)
{
    const struct http_config *config = &exchange->http->config;
    const char *host = header(exchange, MHD_HTTP_HEADER_HOST);
    if (config->is_loopback && host && !listen_host_is_trusted(host, config->allow_hosts))
        reply_error(&exchange->reply, 421,
                    "this server listens on loopback and does not know the host %.100s; if that "
                    "name is yours, add it to --allow-hosts",
                    host);
}

static bool has_reply(const struct exchange *exchange)
{
    return exchange->reply.status != 0;
}

/* May the refused body still be read? A sender that waits for 100 Continue must not get it. */
static bool can_discard(struct exchange *exchange)
{
    const char *length = header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t bytes;
    if (header(exchange, MHD_HTTP_HEADER_EXPECT))
        return false;
    return !length || (parse_u64(length, &bytes, NULL) == 0 && bytes <= HTTP_MAX_DISCARD);
}

static enum MHD_Result take_head(struct exchange *exchange, const char *method)
{
    void (*const checks[])(struct exchange *) = {check_body, check_host};
    exchange->request.method = method_of(method);
    exchange->request.if_none_match = header(exchange, MHD_HTTP_HEADER_IF_NONE_MATCH);
    exchange->state = EXCHANGE_BODY;
    if (read_target(exchange)) {
        exchange->route = api_find_route(exchange->request.path);
        check_method(exchange, method);
    }
    for (size_t i = 0; i < ARRAY_LEN(checks) && !has_reply(exchange); i++)
        checks[i](exchange);
    if (has_reply(exchange) && !can_discard(exchange)) {
        exchange->state = EXCHANGE_DONE;
        return http_send(exchange);
    }
    return MHD_YES;
}

/* ---- the body */

static void release_body(struct exchange *exchange)
{
    atomic_fetch_sub(&exchange->http->body_bytes, exchange->held_bytes);
    exchange->held_bytes = 0;
    buf_free(&exchange->request.body);
}

static void keep_body(struct exchange *exchange, const char *bytes, size_t len)
{
    struct http *http = exchange->http;
    uint64_t held = atomic_fetch_add(&http->body_bytes, len) + len;
    exchange->held_bytes += len;
    if (exchange->body_bytes > http->config.max_body)
        reply_error(&exchange->reply, 413,
                    "the body has more than the %" PRIu64
                    " bytes that are allowed; raise --max-body or send smaller batches",
                    http->config.max_body);
    else if (held > HTTP_MAX_BODIES)
        refuse_busy(exchange, "too many batches arrive at once");
    else if (buf_append(&exchange->request.body, bytes, len) < 0)
        refuse_busy(exchange, "out of memory");
    if (has_reply(exchange))
        release_body(exchange);
}

static enum MHD_Result take_body(struct exchange *exchange, const char *bytes, size_t *len)
{
    exchange->body_bytes += *len;
    if (!has_reply(exchange)) {
        if (exchange->request.method == METHOD_POST)
            keep_body(exchange, bytes, *len);
        else
            reply_error(&exchange->reply, 400, "a request of this kind has no body");
    } else if (exchange->body_bytes > HTTP_MAX_DISCARD) {
        return MHD_NO;
    }
    *len = 0;
    return MHD_YES;
}

/* ---- the answer */

static void make_answer(struct exchange *exchange)
{
    struct http *http = exchange->http;
    if (exchange->route)
        exchange->route->answer(http->config.api, &exchange->request, &exchange->reply);
    else
        static_answer(http->config.ui_dir, &exchange->request, &exchange->reply);
}

static void run_job(struct pool_job *job)
{
    struct exchange *exchange = (struct exchange *)job;
    make_answer(exchange);
    release_body(exchange);
    exchange->state = EXCHANGE_DONE;
    MHD_resume_connection(exchange->connection);
}

static enum MHD_Result take_end(struct exchange *exchange)
{
    struct http *http = exchange->http;
    if (!has_reply(exchange) && exchange->route && exchange->route->lane != API_AT_ONCE) {
        struct pool *pool = exchange->route->lane == API_INGEST ? http->ingests : http->queries;
        exchange->state = EXCHANGE_WORKING;
        exchange->job.run = run_job;
        /* In this order: the job may be done before the next line is reached. */
        MHD_suspend_connection(exchange->connection);
        if (pool_push(pool, &exchange->job) == 0)
            return MHD_YES;
        refuse_busy(exchange, "too many requests wait");
        exchange->state = EXCHANGE_DONE;
        MHD_resume_connection(exchange->connection);
        return MHD_YES;
    }
    if (!has_reply(exchange))
        make_answer(exchange);
    exchange->state = EXCHANGE_DONE;
    return http_send(exchange);
}

enum MHD_Result exchange_continue(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **ctx)
{
    struct exchange *exchange = *ctx;
    if (!exchange)
        return MHD_NO;
    switch (exchange->state) {
    case EXCHANGE_HEAD:
        return take_head(exchange, method);
    case EXCHANGE_BODY:
        return *upload_size > 0 ? take_body(exchange, upload, upload_size) : take_end(exchange);
    case EXCHANGE_DONE:
        return http_send(exchange);
    case EXCHANGE_WORKING:
        break;
    }
    return MHD_NO;
}

void exchange_end(void *cls, struct MHD_Connection *connection, void **ctx,
                  enum MHD_RequestTerminationCode code)
{
    struct http *http = cls;
    struct exchange *exchange = TAKE_PTR(*ctx);
    if (!exchange)
        return;
    log_debug("answered path=\"%s\" method=%s status=%u body_bytes=%" PRIu64 " ms=%lld%s",
              exchange->uri, text_of(exchange->request.method), exchange->status,
              exchange->body_bytes, (clock_ns(CLOCK_MONOTONIC) - exchange->start_ns) / NS_PER_MS,
              code == MHD_REQUEST_TERMINATED_COMPLETED_OK ? ""
                                                          : " (the client did not get it all)");
    api_count_answer(http->config.api, exchange->route, exchange->status);
    release_body(exchange);
    reply_free(&exchange->reply);
    free(exchange->uri);
    free(exchange->target);
    free(exchange);
    pthread_mutex_lock(&http->lock);
    if (--http->under_way == 0)
        pthread_cond_signal(&http->idle);
    pthread_mutex_unlock(&http->lock);
}
