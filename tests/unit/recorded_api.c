/* recorded_api.c: see recorded_api.h. Lists are cut into pages, and metadata alone are taken out of
 * them, as the API server does it (checked against pods-page1.json and pods-metadata.json). */
#include "recorded_api.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 997u /* bytes of a watch at once: events are split */

struct recorded_api {
    struct recorded_api_config config;
    struct MHD_Daemon *daemon;
    pthread_mutex_t lock;
    char forbidden[64];
    atomic_bool stopping;
    atomic_uint past; /* how often it was forgotten */
    atomic_uint answers[600], watches;
};

static void die(const char *what)
{
    fprintf(stderr, "recorded_api: %s\n", what);
    exit(1);
}

static char *read_file(const struct recorded_api *api, const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", api->config.dir, name);
    FILE *f = fopen(path, "re");
    char *text = calloc(1, 1 << 20);
    if (!f || !text)
        die(path);
    size_t len = fread(text, 1, (1 << 20) - 1, f);
    fclose(f);
    text[len] = 0;
    return text;
}

static enum MHD_Result answer(struct recorded_api *api, struct MHD_Connection *c, unsigned status,
                              char *body, const char *type)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(r, "Content-Type", type);
    enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    api->answers[status]++;
    return result;
}

/* ---- lists */

static void keep_metadata(json_t *list)
{
    size_t i;
    json_t *item;
    json_object_set_new(list, "kind", json_string("PartialObjectMetadataList"));
    json_object_set_new(list, "apiVersion", json_string("meta.k8s.io/v1"));
    json_array_foreach(json_object_get(list, "items"), i, item) json_array_set_new(
        json_object_get(list, "items"), i,
        json_pack("{s:s, s:s, s:O}", "kind", "PartialObjectMetadata", "apiVersion",
                  "meta.k8s.io/v1", "metadata", json_object_get(item, "metadata")));
}

/* The token is the number of the first object. */
static void cut_page(const struct recorded_api *api, struct MHD_Connection *c, json_t *list)
{
    const char *limit = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "limit");
    const char *from = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "continue");
    json_t *items = json_object_get(list, "items"), *page = json_array();
    size_t first = from ? strtoul(from, NULL, 10) : 0, all = json_array_size(items);
    size_t count = limit ? strtoul(limit, NULL, 10) : all;
    char token[32];
    if (api->config.page && count > api->config.page)
        count = api->config.page;
    for (size_t i = first; i < all && i < first + count; i++)
        json_array_append(page, json_array_get(items, i));
    json_object_set_new(list, "items", page);
    snprintf(token, sizeof(token), "%zu+/=", first + count);
    if (first + count < all)
        json_object_set_new(json_object_get(list, "metadata"), "continue", json_string(token));
}

static enum MHD_Result send_list(struct recorded_api *api, struct MHD_Connection *c,
                                 const char *resource)
{
    char name[80];
    const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Accept");
    bool is_before = strcmp(resource, "pods") == 0 && api->past == 0;
    snprintf(name, sizeof(name), "%s.json", is_before ? "pods-before" : resource);
    char *text = read_file(api, name);
    json_t *list = json_loads(text, 0, NULL);
    free(text);
    if (!list)
        die(name);
    cut_page(api, c, list);
    if (accept && strstr(accept, "as=PartialObjectMetadataList"))
        keep_metadata(list);
    text = json_dumps(list, JSON_INDENT(1));
    json_decref(list);
    return answer(api, c, 200, text, "application/json");
}

/* ---- watches */

struct sending {
    struct recorded_api *api;
    char *text;
    size_t at, len;
    unsigned past;
};

static ssize_t send_piece(void *ctx, uint64_t pos, char *to, size_t max)
{
    struct sending *s = ctx;
    size_t len = s->len - s->at < PIECE ? s->len - s->at : PIECE;
    if (s->api->stopping || (s->at == s->len && s->past != s->api->past))
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (len == 0) {
        usleep(20000); /* nothing happens */
        return 0;
    }
    len = len < max ? len : max;
    memcpy(to, s->text + s->at, len);
    s->at += len;
    return (ssize_t)len;
}

static void free_sending(void *ctx)
{
    struct sending *s = ctx;
    free(s->text);
    free(s);
}

/* The events behind a version. */
static char *events_since(const struct recorded_api *api, long version)
{
    char *text = read_file(api, "pods-watch.jsonl"), *line = text;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *event = json_loadb(line, (size_t)(end - line), 0, NULL);
        const json_t *metadata = json_object_get(json_object_get(event, "object"), "metadata");
        const char *of = json_string_value(json_object_get(metadata, "resourceVersion"));
        long its = of ? strtol(of, NULL, 10) : 0;
        json_decref(event);
        if (its > version)
            break;
    }
    memmove(text, line, strlen(line) + 1);
    return text;
}

static enum MHD_Result send_watch(struct recorded_api *api, struct MHD_Connection *c,
                                  const char *resource)
{
    const char *from = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "resourceVersion");
    long version = from ? strtol(from, NULL, 10) : 0;
    struct sending *s = calloc(1, sizeof(*s));
    if (!s)
        die("no memory");
    s->api = api;
    s->past = api->past;
    if (strcmp(resource, "pods") != 0)
        s->text = calloc(1, 1);
    else if (api->past > 0 && version < 548)
        s->text = read_file(api, "pods-watch-too-old.jsonl");
    else
        s->text = events_since(api, version);
    s->len = strlen(s->text);
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, send_piece, s, free_sending);
    MHD_add_response_header(r, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    api->watches++;
    return result;
}

/* ---- requests */

static const char *resource_of(const char *path)
{
    static const char *const paths[] = {"/api/v1/", "/apis/apps/v1/", "/apis/batch/v1/jobs",
                                        "/apis/batch/v1beta1/cronjobs"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        if (strncmp(path, paths[i], strlen(paths[i])) == 0)
            return strrchr(path, '/') + 1;
    return NULL;
}

/* The recorded ones are of pods. */
static char *refusal(const struct recorded_api *api, const char *name, const char *resource)
{
    char *text = read_file(api, name), *of = strstr(text, "pods is"), *changed = NULL;
    if (!of || strcmp(resource, "pods") == 0)
        return text;
    if (asprintf(&changed, "%.*s%s%s", (int)(of - text), text, resource, of + 4) < 0)
        die("no memory");
    free(text);
    return changed;
}

static bool is_forbidden(struct recorded_api *api, const char *resource)
{
    pthread_mutex_lock(&api->lock);
    bool is = strcmp(api->forbidden, resource) == 0;
    pthread_mutex_unlock(&api->lock);
    return is;
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *c, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *len, void **state)
{
    struct recorded_api *api = ctx;
    const char *resource = resource_of(path);
    const char *token = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
    if (!*state) {
        *state = api;
        return MHD_YES;
    }
    if (!token)
        return answer(api, c, 403, read_file(api, "pods-anonymous-403.json"), "application/json");
    if (strncmp(token, "Bearer ", 7) != 0 || strcmp(token + 7, api->config.token) != 0)
        return answer(api, c, 401, read_file(api, "pods-badtoken-401.json"), "application/json");
    if (!resource)
        return answer(api, c, 404, strdup("404 page not found\n"), "text/plain");
    if (is_forbidden(api, resource))
        return answer(api, c, 403, refusal(api, "pods-nobody-403.json", resource),
                      "application/json");
    if (MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "watch"))
        return send_watch(api, c, resource);
    return send_list(api, c, resource);
}

struct recorded_api *recorded_api_start(const struct recorded_api_config *config)
{
    struct recorded_api *api = calloc(1, sizeof(*api));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (!api)
        die("no memory");
    api->config = *config;
    pthread_mutex_init(&api->lock, NULL);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)config->cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)config->key},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION;
    api->daemon = MHD_start_daemon(flags | (config->cert ? MHD_USE_TLS : 0), 0, NULL, NULL, handle,
                                   api, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_ARRAY,
                                   config->cert ? tls : &tls[2], MHD_OPTION_END);
    if (!api->daemon)
        die("libmicrohttpd does not start");
    return api;
}

void recorded_api_stop(struct recorded_api **api)
{
    if (!*api)
        return;
    (*api)->stopping = true;
    MHD_stop_daemon((*api)->daemon);
    pthread_mutex_destroy(&(*api)->lock);
    free(*api);
    *api = NULL;
}

unsigned recorded_api_port(const struct recorded_api *api)
{
    return MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void recorded_api_forbid(struct recorded_api *api, const char *resource)
{
    pthread_mutex_lock(&api->lock);
    snprintf(api->forbidden, sizeof(api->forbidden), "%s", resource ? resource : "");
    pthread_mutex_unlock(&api->lock);
}

void recorded_api_forget(struct recorded_api *api)
{
    api->past++;
}

unsigned recorded_api_count(struct recorded_api *api, unsigned status)
{
    return api->answers[status];
}

unsigned recorded_api_watches(struct recorded_api *api)
{
    return api->watches;
}
