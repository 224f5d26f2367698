/* fetch.c: takes a server and a path, gives the bytes of its answer. See fetch.h. */
#include "k8s/fetch.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/parse.h"
#include "k8s/fetch_internal.h"

#define TOKEN_MAX 65536u /* bytes; those with many audiences are some 2000 */

static size_t take_bytes(char *bytes, size_t size, size_t count, void *ctx)
{
    struct fetch *f = ctx;
    size_t len = size * count;
    f->heard_ns = clock_ns(CLOCK_MONOTONIC);
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &f->status);
    if (f->status != 200) {
        size_t room = FETCH_WORDS_MAX - f->words.len;
        if (buf_append(&f->words, bytes, len < room ? len : room) < 0 || room < len)
            return 0;
        return len;
    }
    if (!f->to)
        f->refused = f->take(f->ctx, bytes, len);
    else if (len > f->left)
        f->refused = -EFBIG;
    else
        f->refused = buf_append(f->to, bytes, len);
    if (f->refused < 0)
        return 0;
    f->left -= f->to ? len : 0;
    return len;
}

/* Percent-encoding as gRPC has it; what is no such is left as it is. */
static void keep_message(struct fetch *f, const char *from, const char *end)
{
    size_t n = 0;
    for (; from < end && n + 1 < sizeof(f->grpc_message); from++) {
        uint32_t value;
        char c = *from;
        if (c == '%' && parse_hex(from + 1, (size_t)(end - from - 1), 2, &value) == 0) {
            c = (char)value;
            from += 2;
        }
        f->grpc_message[n++] = c;
    }
    f->grpc_message[n] = 0;
}

/* libcurl gives trailers here, too. */
static size_t take_header(char *bytes, size_t size, size_t count, void *ctx)
{
    static const char status[] = "grpc-status:", message[] = "grpc-message:";
    struct fetch *f = ctx;
    size_t len = size * count;
    const char *end = bytes + len, *value;
    f->heard_ns = clock_ns(CLOCK_MONOTONIC);
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &f->status); /* a stream has begun with it */
    while (end > bytes && strchr("\r\n \t", end[-1]) && end[-1])
        end--;
    if ((size_t)(end - bytes) >= sizeof(status) &&
        strncasecmp(bytes, status, sizeof(status) - 1) == 0) {
        char number[8] = {0};
        for (value = bytes + sizeof(status) - 1; value < end && *value == ' ';)
            value++;
        memcpy(number, value, (size_t)(end - value) < 7 ? (size_t)(end - value) : 7);
        f->grpc_status = isdigit((unsigned char)number[0]) ? atoi(number) : 2; /* UNKNOWN */
    } else if ((size_t)(end - bytes) >= sizeof(message) &&
               strncasecmp(bytes, message, sizeof(message) - 1) == 0) {
        for (value = bytes + sizeof(message) - 1; value < end && *value == ' ';)
            value++;
        keep_message(f, value, end);
    }
    return len;
}

/* Asked about once a second, and whenever something happens. Until a stream has begun it has no
 * more time than another answer. */
static int watch(void *ctx, curl_off_t all, curl_off_t now, curl_off_t up_all, curl_off_t up_now)
{
    struct fetch *f = ctx;
    if (f->stop && atomic_load(f->stop))
        return 1;
    if (f->to)
        return 0;
    int64_t at_ns = clock_ns(CLOCK_MONOTONIC);
    f->too_slow = at_ns - f->heard_ns > f->silence_ns ||
                  (f->status != 200 && at_ns - f->began_ns > f->total_ns);
    return f->too_slow;
}

/* libcurl's own time of connecting has TLS in it in some versions, and in some not. */
static int close_socket(void *ctx, curl_socket_t fd)
{
    struct fetch *f = ctx;
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    f->connected |= getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
    return close(fd);
}

/* asprintf that leaves NULL behind when it fails. */
__attribute__((format(printf, 2, 3))) static int print_to(char **to, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = vasprintf(to, fmt, ap);
    va_end(ap);
    if (r >= 0)
        return 0;
    *to = NULL;
    return -ENOMEM;
}

/* The URL has the name that the certificate is for; the connection goes to the address. */
static int set_name(struct fetch *f, const char *name, const char *host, size_t len)
{
    _cleanup_free_ char *to = NULL;
    const char *port = memchr(host, host[0] == '[' ? ']' : ':', len);
    if (port && *port == ']')
        port = port[1] == ':' ? port + 1 : NULL;
    int port_len = port ? (int)(host + len - port) : 0;
    int r = print_to(&f->prefix, "https://%s%.*s", name, port_len, port ? port : "");
    if (r == 0)
        r = print_to(&to, "::%.*s%s", (int)len, host, port ? "" : ":");
    if (r == 0)
        r = print_to(&f->server_name, "%s", name);
    if (r < 0)
        return r;
    f->connect_to = curl_slist_append(NULL, to);
    return f->connect_to ? 0 : -ENOMEM;
}

static int set_server(struct fetch *f, const struct fetch_config *c, struct err *err)
{
    const char *host = strncasecmp(c->server, "http://", 7) == 0    ? c->server + 7
                       : strncasecmp(c->server, "https://", 8) == 0 ? c->server + 8
                                                                    : "";
    size_t len = strcspn(host, "/");
    if (len == 0 || host[len + strspn(host + len, "/")] || strpbrk(host, " @?#\"\\\t\r\n"))
        return err_set(err, -EINVAL,
                       "\"%s\" is no server: write http://HOST:PORT or https://HOST:PORT",
                       c->server);
    f->https = host == c->server + 8;
    int all = (int)(host + len - c->server);
    int r = c->unix_socket ? print_to(&f->where, "%s", c->unix_socket)
                           : print_to(&f->where, "%.*s", all, c->server);
    if (r == 0 && f->https && c->server_name) {
        r = set_name(f, c->server_name, host, len);
    } else if (r == 0) {
        r = print_to(&f->prefix, "%.*s", all, c->server);
        host += host[0] == '[';
        if (r == 0)
            r = print_to(&f->server_name, "%.*s", (int)strcspn(host, host[-1] == '[' ? "]" : ":/"),
                         host);
    }
    return r < 0 ? err_errno(err, r, "preparing to ask %s", c->server) : 0;
}

static long milliseconds(int64_t ns, int64_t def_ns)
{
    int64_t ms = (ns ? ns : def_ns) / NS_PER_MS;
    return ms < 1 ? 1 : ms > 3600000 ? 3600000 : (long)ms;
}

/* Without these the answer would be of somebody else, who might get the token, too. A libcurl that
 * lacks them is nothing that a runtime said: -ENOSYS. */
static int set_place(struct fetch *f, const struct fetch_config *c, struct err *err)
{
    CURL *easy = f->easy;
    const char *what = "go without a proxy";
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (code == CURLE_UNKNOWN_OPTION)
        code = CURLE_OK; /* a libcurl that knows no proxies takes none */
    if (code == CURLE_OK && f->connect_to) {
        what = "connect to another place than the URL's";
        code = curl_easy_setopt(easy, CURLOPT_CONNECT_TO, f->connect_to);
    }
    if (code == CURLE_OK && c->unix_socket) {
        what = "connect to a socket's path";
        code = curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, c->unix_socket);
    }
    if (code == CURLE_OK && c->http2) {
        what = "do HTTP/2";
        code =
            curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
    }
    if (code == CURLE_OK && c->ca_file && !c->insecure) {
        what = "take this file of authorities";
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, c->ca_file);
    }
    return code == CURLE_OK
               ? 0
               : err_set(err, code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -ENOSYS,
                         "%s: libcurl cannot %s: %s", f->where, what, curl_easy_strerror(code));
}

static int set_options(struct fetch *f, const struct fetch_config *c, struct err *err)
{
    CURL *easy = f->easy;
    curl_easy_setopt(easy, CURLOPT_USERAGENT, c->user_agent);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, f->curl_error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(c->connect_ns, 2 * NS_PER_SEC));
#if LIBCURL_VERSION_NUM >= 0x075700
    /* Else a name that is still being looked up holds us beyond our time. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, f);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, f);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    /* libcurl 7.88 fails at the second request of such a connection: "Error in the HTTP2 framing
     * layer". On a machine's own socket a new one costs little. */
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, (long)c->http2);
    if (c->insecure) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    } else if (c->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* those of ca_file, not any */
    }
    return set_place(f, c, err);
}

int fetch_init(struct err *err)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == 0
               ? 0
               : err_set(err, -EIO, "libcurl does not start");
}

int fetch_new(const struct fetch_config *config, struct fetch **ret, struct err *err)
{
    _cleanup_(fetch_free) struct fetch *f = calloc(1, sizeof(*f));
    if (!f)
        return err_errno(err, -ENOMEM, "preparing to ask %s", config->server);
    f->total_ns = config->total_ns ? config->total_ns : 5 * NS_PER_SEC;
    f->silence_ns = config->silence_ns ? config->silence_ns : 60 * NS_PER_SEC;
    int r = set_server(f, config, err);
    if (r < 0)
        return r;
    f->easy = curl_easy_init();
    f->ca_file = config->ca_file ? strdup(config->ca_file) : NULL;
    f->token_file = config->token_file ? strdup(config->token_file) : NULL;
    if (!f->easy || (config->ca_file && !f->ca_file) || (config->token_file && !f->token_file))
        return err_errno(err, -ENOMEM, "preparing to ask %s", config->server);
    r = set_options(f, config, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(f);
    return 0;
}

void fetch_free(struct fetch **fetch)
{
    struct fetch *f = *fetch;
    if (!f)
        return;
    curl_easy_cleanup(f->easy);
    curl_slist_free_all(f->connect_to);
    buf_free(&f->words);
    free(f->where);
    free(f->prefix);
    free(f->server_name);
    free(f->ca_file);
    free(f->token_file);
    free(f);
    *fetch = NULL;
}

void fetch_set_total(struct fetch *f, int64_t total_ns)
{
    f->total_ns = total_ns > 0 ? total_ns : 1;
}

static void list_free(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

static int add_header(struct curl_slist **list, const char *header, struct err *err)
{
    struct curl_slist *more = curl_slist_append(*list, header);
    if (!more)
        return err_errno(err, -ENOMEM, "preparing a request");
    *list = more;
    return 0;
}

/* Kubernetes replaces the file before a token expires, hence read each time. A token is one line of
 * visible characters: anything else would be another header. */
static int add_token(struct fetch *f, struct curl_slist **list, struct err *err)
{
    _cleanup_(buf_free) struct buf token = {0};
    if (!f->token_file || !f->https)
        return 0;
    f->failure = FETCH_TOKEN;
    int r = fs_read_at(AT_FDCWD, f->token_file, TOKEN_MAX, &token, err);
    if (r < 0)
        return err_wrap(err, -ENODATA, "the token");
    const char *text = (const char *)token.data;
    while (token.len && isspace(token.data[token.len - 1]))
        token.len--;
    if (token.len == 0)
        return err_set(err, -ENODATA, "the token file %s is empty", f->token_file);
    for (size_t i = 0; i < token.len; i++)
        if (!isgraph(token.data[i]))
            return err_set(err, -EBADMSG, "%s holds no token", f->token_file);
    _cleanup_free_ char *line = NULL;
    if (asprintf(&line, "Authorization: Bearer %.*s", (int)token.len, text) < 0) {
        line = NULL;
        return err_errno(err, -ENOMEM, "preparing a request");
    }
    return add_header(list, line, err);
}

static void forget_last(struct fetch *f)
{
    f->failure = FETCH_OTHER;
    f->status = 0;
    f->grpc_status = -1;
    f->grpc_message[0] = 0;
    f->curl_error[0] = 0;
    f->words.len = 0;
    f->refused = 0;
    f->too_slow = false;
    f->connected = false;
    f->began_ns = f->heard_ns = clock_ns(CLOCK_MONOTONIC);
}

static int perform(struct fetch *f, const struct fetch_request *request, struct err *err)
{
    _cleanup_(list_free) struct curl_slist *headers = NULL;
    _cleanup_free_ char *url = NULL;
    forget_last(f);
    int r = add_header(&headers, "Expect:", err); /* never wait for a 100 */
    for (const char *const *h = request->headers; r == 0 && h && *h; h++)
        r = add_header(&headers, *h, err);
    if (r == 0)
        r = add_token(f, &headers, err);
    if (r < 0)
        return r;
    f->failure = FETCH_OTHER;
    if (asprintf(&url, "%s%s", f->prefix, request->path) < 0) {
        url = NULL;
        return err_errno(err, -ENOMEM, "preparing a request");
    }
    curl_easy_setopt(f->easy, CURLOPT_URL, url);
    curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(f->easy, CURLOPT_TIMEOUT_MS, f->to ? milliseconds(f->total_ns, 0) : 0L);
    curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
    curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, request->body); /* makes a POST of it */
    if (!request->body)
        curl_easy_setopt(f->easy, CURLOPT_HTTPGET, 1L);
    CURLcode code = curl_easy_perform(f->easy);
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &f->status);
    curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, NULL);
    return fetch_explain(f, code, request->path, err);
}

int fetch_get(struct fetch *f, const struct fetch_request *request, struct buf *buf,
              struct err *err)
{
    size_t before = buf->len;
    f->to = buf;
    f->left = request->max_bytes;
    f->stop = NULL;
    int r = perform(f, request, err);
    if (r < 0)
        buf->len = before;
    return r;
}

int fetch_stream(struct fetch *f, const struct fetch_request *request, fetch_take take, void *ctx,
                 const atomic_bool *stop, struct err *err)
{
    f->to = NULL;
    f->take = take;
    f->ctx = ctx;
    f->stop = stop;
    return perform(f, request, err);
}

enum fetch_failure fetch_failure(const struct fetch *f)
{
    return f->failure;
}

long fetch_status(const struct fetch *f)
{
    return f->status;
}

int fetch_grpc_status(const struct fetch *f)
{
    return f->grpc_status;
}

const char *fetch_grpc_message(const struct fetch *f)
{
    return f->grpc_message;
}
