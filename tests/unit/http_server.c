/* http_server.c: libmicrohttpd with a script of answers. */
#include "http_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"

#define MAX_REQUESTS 256
#define MAX_ANSWERS  16

struct http_server {
    int socket;
    bool tls;
    char *cert, *key;
    char url[64];
    struct MHD_Daemon *daemon;

    pthread_mutex_t mutex;
    pthread_cond_t released_cond;
    bool released;
    struct http_answer answers[MAX_ANSWERS];
    size_t answer_count, started, connections;
    struct http_request requests[MAX_REQUESTS];
    size_t count;
};

/* One request on its way. */
struct exchange {
    struct http_answer answer;
    struct buf body;
};

struct http_server *http_server_new(const char *cert, const char *key)
{
    struct http_server *s = calloc(1, sizeof(*s));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    assert(s);
    s->tls = cert != NULL;
    s->cert = cert ? strdup(cert) : NULL;
    s->key = key ? strdup(key) : NULL;
    s->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(s->socket >= 0 && bind(s->socket, (struct sockaddr *)&at, sizeof(at)) == 0);
    assert(getsockname(s->socket, (struct sockaddr *)&at, &len) == 0);
    snprintf(s->url, sizeof(s->url), "http%s://127.0.0.1:%u", s->tls ? "s" : "",
             ntohs(at.sin_port));
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->released_cond, NULL);
    return s;
}

struct http_server *http_server_new_unix(const char *path)
{
    struct http_server *s = calloc(1, sizeof(*s));
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    assert(s && strlen(path) < sizeof(at.sun_path));
    strcpy(at.sun_path, path);
    s->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(s->socket >= 0 && bind(s->socket, (struct sockaddr *)&at, sizeof(at)) == 0);
    snprintf(s->url, sizeof(s->url), "http://localhost");
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->released_cond, NULL);
    return s;
}

const char *http_server_url(const struct http_server *s)
{
    return s->url;
}

static struct exchange *begin(struct http_server *s)
{
    struct exchange *x = calloc(1, sizeof(*x));
    assert(x);
    pthread_mutex_lock(&s->mutex);
    if (s->answer_count > 0)
        x->answer = s->answers[s->started < s->answer_count ? s->started : s->answer_count - 1];
    s->started++;
    pthread_mutex_unlock(&s->mutex);
    return x;
}

static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

static void keep(struct http_server *s, struct MHD_Connection *c, const char *method,
                 const char *path, struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    pthread_mutex_lock(&s->mutex);
    assert(s->count < MAX_REQUESTS);
    struct http_request *r = &s->requests[s->count++];
    copy_text(r->method, sizeof(r->method), method);
    copy_text(r->path, sizeof(r->path), path);
    copy_text(r->type, sizeof(r->type),
              MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Type"));
    copy_text(r->agent, sizeof(r->agent),
              MHD_lookup_connection_value(c, MHD_HEADER_KIND, "User-Agent"));
    copy_text(r->authorization, sizeof(r->authorization),
              MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization"));
    r->body = x->body.data;
    r->len = x->body.len;
    x->body = (struct buf){0};
    r->connection = (unsigned)(uintptr_t)info->socket_context;
    while (x->answer.hold && !s->released)
        pthread_cond_wait(&s->released_cond, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
}

static ssize_t cut_reader(void *ctx, uint64_t pos, char *to, size_t max)
{
    if (pos > 0 || max == 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    *to = '{';
    return 1;
}

static enum MHD_Result reply(struct MHD_Connection *c, const struct http_answer *a)
{
    const char *body = a->body ? a->body : "{\"stored\":true}";
    struct MHD_Response *r =
        a->cut_answer
            ? MHD_create_response_from_callback(15, 1024, cut_reader, NULL, NULL)
            : MHD_create_response_from_buffer(a->body_len ? a->body_len : strlen(body),
                                              (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (a->retry_after)
        MHD_add_response_header(r, "Retry-After", a->retry_after);
    if (a->header)
        MHD_add_response_header(r, a->header, a->value);
    enum MHD_Result result = MHD_queue_response(c, a->status ? a->status : 200, r);
    MHD_destroy_response(r);
    return result;
}

static bool has_token(struct MHD_Connection *c, const char *token)
{
    const char *value = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
    return value && strncmp(value, "Bearer ", 7) == 0 && strcmp(value + 7, token) == 0;
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *c, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *len, void **state)
{
    struct http_server *s = ctx;
    struct exchange *x = *state;
    if (!x) {
        *state = begin(s);
        return MHD_YES;
    }
    if (x->answer.cut_upload)
        return MHD_NO;
    if (*len > 0) {
        assert(buf_append(&x->body, data, *len) == 0);
        *len = 0;
        return MHD_YES;
    }
    keep(s, c, method, path, x);
    if (x->answer.token && !has_token(c, x->answer.token))
        x->answer = (struct http_answer){.status = 401, .body = "Unauthorized"};
    return reply(c, &x->answer);
}

static void completed(void *ctx, struct MHD_Connection *c, void **state,
                      enum MHD_RequestTerminationCode why)
{
    struct exchange *x = *state;
    if (x)
        buf_free(&x->body);
    free(x);
}

static void connected(void *ctx, struct MHD_Connection *c, void **socket_context,
                      enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = ctx;
    if (code != MHD_CONNECTION_NOTIFY_STARTED)
        return;
    pthread_mutex_lock(&s->mutex);
    *socket_context = (void *)(uintptr_t)++s->connections;
    pthread_mutex_unlock(&s->mutex);
}

void http_server_listen(struct http_server *s)
{
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, s->cert},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, s->key},
                                   {MHD_OPTION_END, 0, NULL}};
    assert(listen(s->socket, 16) == 0);
    s->daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                             (s->tls ? MHD_USE_TLS : 0),
                         0, NULL, NULL, handle, s, MHD_OPTION_LISTEN_SOCKET, s->socket,
                         MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_NOTIFY_CONNECTION,
                         connected, s, MHD_OPTION_ARRAY, s->tls ? tls : tls + 2, MHD_OPTION_END);
    assert(s->daemon);
}

void http_server_free(struct http_server **server)
{
    struct http_server *s = *server;
    if (!s)
        return;
    http_server_release(s);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    else
        close(s->socket);
    for (size_t i = 0; i < s->count; i++)
        free(s->requests[i].body);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->released_cond);
    free(s->cert);
    free(s->key);
    free(s);
    *server = NULL;
}

void http_server_script(struct http_server *s, const struct http_answer *answers, size_t count)
{
    assert(count <= MAX_ANSWERS);
    pthread_mutex_lock(&s->mutex);
    memcpy(s->answers, answers, count * sizeof(*answers));
    s->answer_count = count;
    s->started = 0;
    pthread_mutex_unlock(&s->mutex);
}

void http_server_release(struct http_server *s)
{
    pthread_mutex_lock(&s->mutex);
    s->released = true;
    pthread_cond_broadcast(&s->released_cond);
    pthread_mutex_unlock(&s->mutex);
}

size_t http_server_count(struct http_server *s)
{
    pthread_mutex_lock(&s->mutex);
    size_t count = s->count;
    pthread_mutex_unlock(&s->mutex);
    return count;
}

const struct http_request *http_server_request(struct http_server *s, size_t i)
{
    assert(i < http_server_count(s));
    return &s->requests[i];
}

size_t http_server_started(struct http_server *s)
{
    pthread_mutex_lock(&s->mutex);
    size_t started = s->started;
    pthread_mutex_unlock(&s->mutex);
    return started;
}
