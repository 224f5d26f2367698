/* api.c: takes a request for one of the API's paths, gives its answer. See api.h and openapi.json.
 */
#include "server/api.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/api_internal.h"
#include "server/exchange.h"
#include "server/flame.h"
#include "server/flame_json.h"
#include "server/folded.h"
#include "server/ingest.h"
#include "server/names.h"
#include "server/query.h"
#include "server/stream.h"
#include "wire/format.h"

int64_t api_now_ms(void)
{
    return clock_ns(CLOCK_REALTIME) / NS_PER_MS;
}

int api_read_query(const struct request *request, enum query_kind kind, struct query *ret,
                   struct reply *reply)
{
    struct err err = {0};
    int r = query_parse(request->query, kind, api_now_ms(), ret, &err);
    if (r == -EINVAL)
        reply_error(reply, 400, "%s", err.text);
    else if (r < 0)
        reply_failure(reply, r, &err);
    return r;
}

void api_reply_json(struct reply *reply, int r)
{
    if (r < 0) {
        struct err err = {0};
        err_errno(&err, r, "writing the answer");
        reply_failure(reply, r, &err);
        return;
    }
    reply->status = 200;
    reply->type = REPLY_JSON;
}

void api_reply_failure(struct reply *reply, const char *what, int r, struct err *err)
{
    if (r == -E2BIG) {
        reply_error(reply, 400, "%s", err->text);
        return;
    }
    if (!err->text[0])
        err_errno(err, r, "making the answer");
    log_err("%s: %s", what, err->text);
    reply_failure(reply, r, err);
}

static void post_batch(struct api *api, const struct request *request, struct reply *reply)
{
    struct err err = {0};
    bool stored = false;
    int r = ingest_batch(api->ingest, request->body.data, request->body.len, &stored, &err);
    switch (r) {
    case 0:
        r = buf_puts(&reply->body, stored ? "{\"stored\":true}\n" : "{\"stored\":false}\n");
        api_reply_json(reply, r);
        break;
    case -EBADMSG:
    case -EPROTONOSUPPORT:
        reply_error(reply, 400, "%s", err.text);
        break;
    case -EFBIG:
        reply_error(reply, 413, "%s", err.text);
        break;
    default:
        /* Whatever it is, the batch is good and its agent keeps it until it can be stored. */
        log_err("batch not stored, its agent will send it again: %s", err.text);
        reply_failure(reply, -EAGAIN, &err);
    }
}

static void get_flame(struct api *api, const struct request *request, struct reply *reply)
{
    _cleanup_(query_free) struct query query = {0};
    _cleanup_(names_free) struct names *names = NULL;
    _cleanup_(flame_free) struct flame *flame = NULL;
    struct err err = {0};
    if (api_read_query(request, QUERY_FLAME, &query, reply) < 0)
        return;
    int r = names_for_query(api->store, api->cluster, &query.store, &names, &err);
    if (r == 0)
        r = flame_query(api->store, api->symbols, &query, &flame, &err);
    if (r < 0) {
        api_reply_failure(reply, "flamegraph not made", r, &err);
        return;
    }
    bool folded = query.format == QUERY_FOLDED;
    r = folded ? folded_open(&flame, query.short_names, &reply->stream)
               : flame_json_open(&flame, &query, &reply->stream);
    api_reply_json(reply, r);
    if (r == 0 && folded)
        reply->type = REPLY_TEXT;
}

static void get_health(struct api *api, const struct request *request, struct reply *reply)
{
    reply_text(reply, 200, "ok\n");
}

static const struct route routes[] = {
    {"/api/v1/batches", METHOD_POST, WIRE_CONTENT_TYPE, API_INGEST, post_batch},
    {"/api/v1/flame", METHOD_GET | METHOD_HEAD, NULL, API_QUERY, get_flame},
    {"/api/v1/namespaces", METHOD_GET | METHOD_HEAD, NULL, API_QUERY, api_get_namespaces},
    {"/api/v1/pods", METHOD_GET | METHOD_HEAD, NULL, API_QUERY, api_get_pods},
    {"/api/v1/pods/{namespace}/{pod}", METHOD_GET | METHOD_HEAD, NULL, API_QUERY, api_get_pod},
    {"/api/v1/processes", METHOD_GET | METHOD_HEAD, NULL, API_QUERY, api_get_processes},
    {"/api/v1/stacks", METHOD_GET | METHOD_HEAD, NULL, API_QUERY, api_get_stacks},
    {"/api/v1/usage", METHOD_GET | METHOD_HEAD, NULL, API_QUERY, api_get_usage},
    {"/api/v1/usage/processes", METHOD_GET | METHOD_HEAD, NULL, API_QUERY, api_get_usage_processes},
    {"/api/v1/nodes", METHOD_GET | METHOD_HEAD, NULL, API_QUERY, api_get_nodes},
    {"/api/v1/status", METHOD_GET | METHOD_HEAD, NULL, API_QUERY, api_get_status},
    {"/healthz", METHOD_GET | METHOD_HEAD, NULL, API_AT_ONCE, get_health},
    {"/readyz", METHOD_GET | METHOD_HEAD, NULL, API_QUERY, api_get_ready},
    {"/metrics", METHOD_GET | METHOD_HEAD, NULL, API_QUERY, api_get_metrics},
};
_Static_assert(ARRAY_LEN(routes) == API_ROUTES, "answers are counted by route");

static bool is_path_of(const char *pattern, const char *path)
{
    while (*pattern) {
        size_t word = *pattern == '{' ? strcspn(path, "/") : 0;
        if (*pattern == '{' ? word == 0 : *pattern != *path)
            return false;
        path += word ? word : 1;
        pattern += word ? strcspn(pattern, "}") + 1 : 1;
    }
    return !*path;
}

const struct route *api_find_route(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (is_path_of(routes[i].path, path))
            return &routes[i];
    return NULL;
}

const struct route *api_route(size_t i)
{
    return i < ARRAY_LEN(routes) ? &routes[i] : NULL;
}

const char *api_methods_text(unsigned methods)
{
    return methods == METHOD_POST ? "POST" : "GET, HEAD";
}

void api_count_answer(struct api *api, const struct route *route, unsigned status)
{
    size_t of = route ? (size_t)(route - routes) : API_ROUTES;
    size_t class = status >= 100 && status < 600 ? status / 100 : 0;
    atomic_fetch_add_explicit(&api->answers[of][class], 1, memory_order_relaxed);
}

int api_new(const struct api_sources *sources, struct api **ret, struct err *err)
{
    struct api *api = calloc(1, sizeof(*api));
    if (!api)
        return err_errno(err, -ENOMEM, "starting the API");
    api->store = sources->store;
    api->ingest = sources->ingest;
    api->data_dir = sources->data_dir;
    api->symbols = sources->symbols;
    api->debuginfod = sources->debuginfod;
    api->cluster = sources->cluster;
    api->kube = sources->kube;
    *ret = api;
    return 0;
}

void api_free(struct api **api)
{
    free(TAKE_PTR(*api));
}
