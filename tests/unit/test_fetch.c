/* test_fetch.c: what is fetched came whole, from whom we meant, within bounds; and why not is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "http_server.h"
#include "k8s/fetch.h"
#include "raw_server.h"
#include "temp_dir.h"
#include "tls_kit.h"

static const struct fetch_request pods = {.path = "/pods", .max_bytes = 1000};

/* Fetches once from a server of its own, and keeps all that came of it. */
struct result {
    int r;
    struct buf body;
    struct err err;
    enum fetch_failure failure;
    long status;
};

static struct result fetch_once(const struct fetch_config *config,
                                const struct fetch_request *request)
{
    _cleanup_(fetch_free) struct fetch *fetch = NULL;
    struct result result = {0};
    assert_int_equal(fetch_new(config, &fetch, &result.err), 0);
    result.r = fetch_get(fetch, request, &result.body, &result.err);
    result.failure = fetch_failure(fetch);
    result.status = fetch_status(fetch);
    return result;
}

static void result_free(struct result *result)
{
    buf_free(&result->body);
}
#define _cleanup_result_ _cleanup_(result_free)

static struct http_server *serve(const struct http_answer *answer)
{
    struct http_server *server = http_server_new(NULL, NULL);
    http_server_script(server, answer, 1);
    http_server_listen(server);
    return server;
}

#define assert_says(result, words)                                 \
    do {                                                           \
        if (!strstr((result)->err.text, (words)))                  \
            print_error("the error is: %s\n", (result)->err.text); \
        assert_non_null(strstr((result)->err.text, (words)));      \
    } while (0)

static void an_answer_is_appended_and_the_connection_kept(void **state)
{
    struct http_server *server = serve(&(struct http_answer){.body = "whole"});
    struct fetch_config config = {.server = http_server_url(server), .user_agent = "me/1"};
    _cleanup_(fetch_free) struct fetch *fetch = NULL;
    _cleanup_(buf_free) struct buf body = {0};
    assert_int_equal(fetch_new(&config, &fetch, NULL), 0);
    assert_int_equal(fetch_get(fetch, &pods, &body, NULL), 0);
    assert_int_equal(fetch_get(fetch, &pods, &body, NULL), 0);
    assert_int_equal(body.len, 10);
    assert_memory_equal(body.data, "wholewhole", 10);
    assert_int_equal(fetch_status(fetch), 200);
    assert_int_equal(fetch_failure(fetch), FETCH_OK);
    assert_string_equal(http_server_request(server, 1)->path, "/pods");
    assert_string_equal(http_server_request(server, 1)->method, "GET");
    assert_string_equal(http_server_request(server, 1)->agent, "me/1");
    assert_int_equal(http_server_request(server, 1)->connection, 1);
    http_server_free(&server);
}

static void a_body_makes_a_post_and_the_next_call_a_get_again(void **state)
{
    static const char *const headers[] = {"Content-Type: application/x", NULL};
    struct http_server *server = serve(&(struct http_answer){.body = ""});
    struct fetch_config config = {.server = http_server_url(server)};
    struct fetch_request post = {.path = "/a", .headers = headers, .body = "a\0b", .body_len = 3};
    _cleanup_(fetch_free) struct fetch *fetch = NULL;
    _cleanup_(buf_free) struct buf body = {0};
    assert_int_equal(fetch_new(&config, &fetch, NULL), 0);
    assert_int_equal(fetch_get(fetch, &post, &body, NULL), 0);
    assert_int_equal(fetch_get(fetch, &pods, &body, NULL), 0);
    const struct http_request *first = http_server_request(server, 0);
    assert_string_equal(first->method, "POST");
    assert_string_equal(first->type, "application/x");
    assert_int_equal(first->len, 3);
    assert_memory_equal(first->body, "a\0b", 3);
    assert_string_equal(http_server_request(server, 1)->method, "GET");
    assert_int_equal(http_server_request(server, 1)->len, 0);
    http_server_free(&server);
}

static void an_answer_beyond_its_limit_is_refused_not_cut(void **state)
{
    static char body[1002];
    memset(body, 'x', 1001);
    struct http_server *server = serve(&(struct http_answer){.body = body});
    struct fetch_config config = {.server = http_server_url(server)};
    _cleanup_result_ struct result over = fetch_once(&config, &pods);
    assert_int_equal(over.r, -EFBIG);
    assert_int_equal(over.failure, FETCH_TOO_LARGE);
    assert_int_equal(over.body.len, 0);
    assert_says(&over, "/pods: the answer is larger than allowed");
    http_server_script(server, &(struct http_answer){.body = body, .body_len = 1000}, 1);
    _cleanup_result_ struct result fits = fetch_once(&config, &pods);
    assert_int_equal(fits.r, 0);
    assert_int_equal(fits.body.len, 1000);
    http_server_free(&server);
}

static void an_answer_that_breaks_off_is_none(void **state)
{
    struct http_server *server = serve(&(struct http_answer){.cut_answer = true});
    struct fetch_config config = {.server = http_server_url(server)};
    _cleanup_result_ struct result result = fetch_once(&config, &pods);
    assert_int_equal(result.r, -EPROTO);
    assert_int_equal(result.body.len, 0);
    http_server_free(&server);
}

static void the_servers_own_words_are_in_the_error(void **state)
{
    static const struct {
        unsigned status;
        const char *body, *words;
    } cases[] = {
        {403, "Forbidden (user=x, verb=get)", "/pods: HTTP 403: Forbidden (user=x, verb=get)"},
        {403, "{\"kind\":\"Status\",\"message\":\"pods is forbidden\",\"code\":403}",
         "HTTP 403: pods is forbidden"},
        {500, " two\nlines\r\n\x1b[1m ", "HTTP 500: two lines ?[1m"},
        {404, "", "/pods: HTTP 404"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_server *server =
            serve(&(struct http_answer){.status = cases[i].status, .body = cases[i].body});
        struct fetch_config config = {.server = http_server_url(server)};
        _cleanup_result_ struct result result = fetch_once(&config, &pods);
        assert_int_equal(result.r, cases[i].status == 403 ? -EACCES : -EPROTO);
        assert_int_equal(result.failure, FETCH_STATUS);
        assert_int_equal(result.status, cases[i].status);
        assert_int_equal(result.body.len, 0);
        assert_says(&result, cases[i].words);
        http_server_free(&server);
    }
}

static void a_redirect_is_not_followed(void **state)
{
    struct http_server *other = serve(&(struct http_answer){.body = "elsewhere"});
    struct http_server *server = serve(&(struct http_answer){
        .status = 302, .header = "Location", .value = http_server_url(other)});
    struct fetch_config config = {.server = http_server_url(server)};
    _cleanup_result_ struct result result = fetch_once(&config, &pods);
    assert_int_equal(result.r, -EPROTO);
    assert_says(&result, "HTTP 302, which leads elsewhere and is not followed");
    assert_int_equal(http_server_started(other), 0);
    http_server_free(&server);
    http_server_free(&other);
}

static void a_proxy_of_the_environment_is_not_asked(void **state)
{
    struct http_server *proxy = serve(&(struct http_answer){.body = "proxy"});
    struct http_server *server = serve(&(struct http_answer){.body = "server"});
    struct fetch_config config = {.server = http_server_url(server)};
    setenv("http_proxy", http_server_url(proxy), 1);
    setenv("ALL_PROXY", http_server_url(proxy), 1);
    _cleanup_result_ struct result result = fetch_once(&config, &pods);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    assert_int_equal(result.r, 0);
    assert_memory_equal(result.body.data, "server", 6);
    assert_int_equal(http_server_started(proxy), 0);
    http_server_free(&server);
    http_server_free(&proxy);
}

static void a_socket_in_the_file_system_is_asked(void **state)
{
    struct temp_dir *dir = *state;
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/s", dir->path);
    struct fetch_config config = {.server = "http://localhost", .unix_socket = path};
    _cleanup_result_ struct result before = fetch_once(&config, &pods);
    assert_int_equal(before.r, -ECONNREFUSED);
    assert_int_equal(before.failure, FETCH_CONNECT);
    assert_says(&before, path);
    assert_says(&before, "No such file");
    struct http_server *server = http_server_new_unix(path);
    http_server_script(server, &(struct http_answer){.body = "here"}, 1);
    http_server_listen(server);
    _cleanup_result_ struct result result = fetch_once(&config, &pods);
    assert_int_equal(result.r, 0);
    assert_memory_equal(result.body.data, "here", 4);
    http_server_free(&server);
}

static void who_does_not_answer_an_attempt_to_connect_is_as_if_nobody_were_there(void **state)
{
    struct raw_deaf deaf;
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", raw_deaf_open(&deaf, "127.0.0.1", 0));
    struct fetch_config config = {.server = url, .connect_ns = 50 * NS_PER_MS};
    _cleanup_result_ struct result result = fetch_once(&config, &pods);
    assert_int_equal(result.r, -ETIMEDOUT);
    assert_int_equal(result.failure, FETCH_CONNECT);
    raw_deaf_close(&deaf);
}

static void who_listens_but_does_not_answer_costs_no_more_than_was_allowed(void **state)
{
    struct raw_server *server = raw_server_new(NULL, raw_say_nothing, NULL);
    struct fetch_config config = {.server = raw_server_url(server), .total_ns = 50 * NS_PER_MS};
    _cleanup_result_ struct result result = fetch_once(&config, &pods);
    assert_int_equal(result.r, -ETIMEDOUT);
    assert_int_equal(result.failure, FETCH_TIMEOUT);
    assert_says(&result, raw_server_url(server));
    char https[64];
    snprintf(https, sizeof(https), "https%s", strchr(raw_server_url(server), ':'));
    config.server = https;
    _cleanup_result_ struct result tls = fetch_once(&config, &pods);
    assert_int_equal(tls.r, -ETIMEDOUT);
    assert_int_equal(tls.failure, FETCH_TIMEOUT);
    raw_server_free(&server);
}

static void what_is_no_http_is_said_so(void **state)
{
    static const char *const garbage[] = {"SSH-2.0-OpenSSH_9.2p1\r\n", "\x15\x03\x01\0\x02\x02",
                                          "HTTP/1.1 999999\r\n", "\0\0\0\0"};
    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        struct raw_bytes bytes = {garbage[i], strlen(garbage[i]) + 1};
        struct raw_server *server = raw_server_new(NULL, raw_send_bytes, &bytes);
        struct fetch_config config = {.server = raw_server_url(server)};
        _cleanup_result_ struct result result = fetch_once(&config, &pods);
        assert_int_equal(result.r, -EPROTO);
        assert_int_equal(result.body.len, 0);
        assert_says(&result, raw_server_url(server));
        raw_server_free(&server);
    }
}

/* libcurl takes no text of more than 8 MB. */
static void what_libcurl_does_not_take_is_an_error_and_not_left_out(void **state)
{
    _cleanup_free_ char *text = malloc(9000001);
    assert_non_null(text);
    memset(text, 'x', 9000000);
    text[9000000] = 0;
    const struct fetch_config configs[] = {
        {.server = "https://127.0.0.1:1", .ca_file = text},
        {.server = "http://localhost", .unix_socket = text},
    };
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        struct fetch *fetch = NULL;
        struct err err = {0};
        int r = fetch_new(&configs[i], &fetch, &err);
        assert_true(r < 0 && r != -EOPNOTSUPP && r != -ENOENT);
        assert_null(fetch);
    }
}

static void a_message_of_grpc_is_decoded_where_it_is_encoded(void **state)
{
    static const char *const cases[][2] = {
        {"no%20such%0aservice: a%2Fb", "no such\nservice: a/b"},
        {"%4 left, %g1, %+1, 100%, 5%4", "%4 left, %g1, %+1, 100%, 5%4"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_server *server =
            serve(&(struct http_answer){.header = "grpc-message", .value = cases[i][0]});
        struct fetch_config config = {.server = http_server_url(server)};
        _cleanup_(fetch_free) struct fetch *fetch = NULL;
        _cleanup_(buf_free) struct buf body = {0};
        assert_int_equal(fetch_new(&config, &fetch, NULL), 0);
        assert_int_equal(fetch_get(fetch, &pods, &body, NULL), 0);
        assert_string_equal(fetch_grpc_message(fetch), cases[i][1]);
        http_server_free(&server);
    }
}

static void what_is_no_url_is_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        "10.0.0.1:10250",
                                        "https://",
                                        "https:///pods",
                                        "https://node/pods",
                                        "https://u:p@node",
                                        "ftp://node",
                                        "http://no de",
                                        "http://node?x",
                                        "http://node\r\nX: y"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct fetch_config config = {.server = wrong[i]};
        struct fetch *fetch = NULL;
        struct err err = {0};
        assert_int_equal(fetch_new(&config, &fetch, &err), -EINVAL);
        assert_null(fetch);
        assert_non_null(strstr(err.text, "write http://HOST:PORT or https://HOST:PORT"));
    }
}

/* ---- tokens */

static void write_file(const struct temp_dir *dir, const char *name, const char *text)
{
    assert_int_equal(fs_publish_at(dir->fd, name, text, strlen(text), 0600, NULL), 0);
}

static void a_token_is_read_anew_for_each_request(void **state)
{
    struct temp_dir *dir = *state;
    struct tls_kit tls;
    char path[PATH_MAX + 16];
    _cleanup_(fetch_free) struct fetch *fetch = NULL;
    _cleanup_(buf_free) struct buf body = {0};
    if (!tls_kit_make(&tls, dir, "localhost"))
        skip();
    struct http_server *server = http_server_new((char *)tls.cert.data, (char *)tls.key.data);
    http_server_script(server, &(struct http_answer){.token = "second", .body = "x"}, 1);
    http_server_listen(server);
    snprintf(path, sizeof(path), "%s/token", dir->path);
    struct fetch_config config = {.server = http_server_url(server),
                                  .server_name = "localhost",
                                  .ca_file = tls.ca_file,
                                  .token_file = path};
    assert_int_equal(fetch_new(&config, &fetch, NULL), 0);
    write_file(dir, "token", "first\n");
    assert_int_equal(fetch_get(fetch, &pods, &body, NULL), -EACCES);
    assert_int_equal(fetch_status(fetch), 401);
    write_file(dir, "token", "second");
    assert_int_equal(fetch_get(fetch, &pods, &body, NULL), 0);
    assert_string_equal(http_server_request(server, 0)->authorization, "Bearer first");
    assert_string_equal(http_server_request(server, 1)->authorization, "Bearer second");
    http_server_free(&server);
    tls_kit_free(&tls);
}

static void a_file_that_holds_no_token_is_said_so_and_nothing_sent(void **state)
{
    struct temp_dir *dir = *state;
    char path[PATH_MAX + 16];
    static const struct {
        const char *text, *words;
    } cases[] = {
        {NULL, "token: No such file or directory"},
        {"", "is empty"},
        {" \n", "is empty"},
        {"a\r\nX-Other: b", "holds no token"},
        {"a b", "holds no token"},
        {"\xc3\xa4", "holds no token"},
    };
    snprintf(path, sizeof(path), "%s/token", dir->path);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fetch_config config = {.server = "https://127.0.0.1:1", .token_file = path};
        if (cases[i].text)
            write_file(dir, "token", cases[i].text);
        _cleanup_result_ struct result result = fetch_once(&config, &pods);
        assert_true(result.r < 0 && result.r != -ENOENT && result.r != -ECONNREFUSED);
        assert_int_equal(result.failure, FETCH_TOKEN);
        assert_says(&result, path);
        assert_says(&result, cases[i].words);
    }
}

static void a_token_never_goes_over_plain_http(void **state)
{
    struct temp_dir *dir = *state;
    char path[PATH_MAX + 16];
    struct http_server *server = serve(&(struct http_answer){.body = "x"});
    snprintf(path, sizeof(path), "%s/token", dir->path);
    write_file(dir, "token", "secret");
    struct fetch_config config = {.server = http_server_url(server), .token_file = path};
    _cleanup_result_ struct result result = fetch_once(&config, &pods);
    assert_int_equal(result.r, 0);
    assert_string_equal(http_server_request(server, 0)->authorization, "");
    http_server_free(&server);
}

/* ---- TLS */

static void a_certificate_is_looked_at(void **state)
{
    struct temp_dir *dir = *state;
    struct tls_kit tls, other;
    char none[PATH_MAX + 16];
    if (!tls_kit_make(&tls, dir, "node-1") || !tls_kit_make(&other, dir, "node-2"))
        skip();
    snprintf(none, sizeof(none), "%s/none.pem", dir->path);
    struct http_server *server = http_server_new((char *)tls.cert.data, (char *)tls.key.data);
    http_server_script(server, &(struct http_answer){.body = "secure"}, 1);
    http_server_listen(server);
    const struct {
        struct fetch_config config;
        enum fetch_failure failure;
        const char *words;
    } cases[] = {
        {{.ca_file = tls.ca_file, .server_name = "node-1"}, FETCH_OK, ""},
        {{.insecure = true}, FETCH_OK, ""},
        {{.insecure = true, .ca_file = none}, FETCH_OK, ""},
        {{.ca_file = tls.ca_file}, FETCH_NAME, "the certificate is not for \"127.0.0.1\""},
        {{.ca_file = tls.ca_file, .server_name = "node-2"}, FETCH_NAME, "not for \"node-2\""},
        {{.ca_file = other.ca_file, .server_name = "node-1"}, FETCH_AUTHORITY, other.ca_file},
        {{.server_name = "node-1"}, FETCH_AUTHORITY, "the system's list of authorities"},
        {{.ca_file = none, .server_name = "node-1"}, FETCH_CA_FILE, none},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fetch_config config = cases[i].config;
        config.server = http_server_url(server);
        _cleanup_result_ struct result result = fetch_once(&config, &pods);
        if (result.failure != cases[i].failure)
            print_error("case %zu: %s\n", i, result.err.text);
        assert_int_equal(result.failure, cases[i].failure);
        assert_int_equal(result.r, cases[i].failure == FETCH_OK ? 0 : -EKEYREJECTED);
        assert_says(&result, cases[i].words);
    }
    http_server_free(&server);
    tls_kit_free(&tls);
    tls_kit_free(&other);
}

static void plain_http_at_a_tls_port_is_refused_in_the_servers_words(void **state)
{
    /* What kubelet sends: the bytes as recorded. */
    static const char answer[] = "HTTP/1.0 400 Bad Request\r\n\r\n"
                                 "Client sent an HTTP request to an HTTPS server.\n";
    struct raw_bytes bytes = {answer, sizeof(answer) - 1};
    struct raw_server *server = raw_server_new(NULL, raw_send_bytes, &bytes);
    struct fetch_config config = {.server = raw_server_url(server)};
    _cleanup_result_ struct result result = fetch_once(&config, &pods);
    assert_int_equal(result.r, -EPROTO);
    assert_int_equal(result.status, 400);
    assert_says(&result, "HTTP 400: Client sent an HTTP request to an HTTPS server.");
    raw_server_free(&server);
}

/* ---- streams */

struct reading {
    struct buf got;
    atomic_bool stop;
    size_t stop_after; /* bytes; 0: never */
    int refuse;
};

static int take(void *ctx, const char *bytes, size_t len)
{
    struct reading *reading = ctx;
    assert_int_equal(buf_append(&reading->got, bytes, len), 0);
    if (reading->stop_after && reading->got.len >= reading->stop_after)
        atomic_store(&reading->stop, true);
    return reading->refuse;
}

static int stream(const struct fetch_config *config, struct reading *reading, struct result *result)
{
    _cleanup_(fetch_free) struct fetch *fetch = NULL;
    struct fetch_request request = {.path = "/watch"};
    assert_int_equal(fetch_new(config, &fetch, NULL), 0);
    int r = fetch_stream(fetch, &request, take, reading, &reading->stop, &result->err);
    result->failure = fetch_failure(fetch);
    result->status = fetch_status(fetch);
    return r;
}

static const char stream_begins[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                    "5\r\n{one}\r\n";

/* Sends the beginning and then nothing, with the connection open. */
static void send_and_wait(void *ctx, int fd)
{
    const struct raw_bytes *bytes = ctx;
    char asked[512];
    if (read(fd, asked, sizeof(asked)) > 0)
        fs_write_all(fd, bytes->data, bytes->len);
    raw_say_nothing(NULL, fd);
}

static void a_stream_gives_bytes_before_its_end_and_can_be_stopped(void **state)
{
    struct raw_bytes bytes = {stream_begins, sizeof(stream_begins) - 1};
    struct raw_server *server = raw_server_new(NULL, send_and_wait, &bytes);
    struct fetch_config config = {.server = raw_server_url(server)};
    struct reading reading = {.stop_after = 5};
    struct result result = {0};
    assert_int_equal(stream(&config, &reading, &result), -ECANCELED);
    assert_int_equal(result.failure, FETCH_STOPPED);
    assert_int_equal(reading.got.len, 5);
    assert_memory_equal(reading.got.data, "{one}", 5);
    buf_free(&reading.got);
    raw_server_free(&server);
}

static void a_stream_that_falls_silent_ends(void **state)
{
    struct raw_bytes bytes = {stream_begins, sizeof(stream_begins) - 1};
    struct raw_server *server = raw_server_new(NULL, send_and_wait, &bytes);
    struct fetch_config config = {.server = raw_server_url(server), .silence_ns = NS_PER_MS};
    struct reading reading = {0};
    struct result result = {0};
    assert_int_equal(stream(&config, &reading, &result), -ETIMEDOUT);
    assert_int_equal(result.failure, FETCH_TIMEOUT);
    assert_says(&result, "silent for too long");
    buf_free(&reading.got);
    raw_server_free(&server);
}

static void a_stream_that_does_not_begin_ends_with_the_time_of_any_answer(void **state)
{
    struct raw_server *server = raw_server_new(NULL, raw_say_nothing, NULL);
    struct fetch_config config = {.server = raw_server_url(server), .total_ns = NS_PER_MS};
    struct reading reading = {0};
    struct result result = {0};
    assert_int_equal(stream(&config, &reading, &result), -ETIMEDOUT);
    assert_int_equal(reading.got.len, 0);
    raw_server_free(&server);
}

/* As the API server does for what never changes. */
static void a_stream_has_begun_with_its_headers(void **state)
{
    static const char headers[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct raw_bytes bytes = {headers, sizeof(headers) - 1};
    struct raw_server *server = raw_server_new(NULL, send_and_wait, &bytes);
    struct fetch_config config = {.server = raw_server_url(server),
                                  .total_ns = 500 * NS_PER_MS,
                                  .silence_ns = 2500 * NS_PER_MS};
    struct reading reading = {0};
    struct result result = {0};
    int64_t began_ns = clock_ns(CLOCK_MONOTONIC);
    assert_int_equal(stream(&config, &reading, &result), -ETIMEDOUT);
    assert_int_equal(result.status, 200);
    assert_true(clock_ns(CLOCK_MONOTONIC) - began_ns >= config.silence_ns);
    raw_server_free(&server);
}

static void a_stream_ends_with_its_answer_or_when_its_taker_refuses(void **state)
{
    struct http_server *server = serve(&(struct http_answer){.body = "{one}{two}"});
    struct fetch_config config = {.server = http_server_url(server)};
    struct reading whole = {0}, refusing = {.refuse = -ENOSPC};
    struct result result = {0};
    assert_int_equal(stream(&config, &whole, &result), 0);
    assert_int_equal(whole.got.len, 10);
    assert_int_equal(result.failure, FETCH_OK);
    assert_int_equal(stream(&config, &refusing, &result), -ENOSPC);
    buf_free(&whole.got);
    buf_free(&refusing.got);
    http_server_free(&server);
}

static void a_stream_that_is_refused_gives_no_bytes_but_words(void **state)
{
    struct http_server *server = serve(&(struct http_answer){
        .status = 410, .body = "{\"kind\":\"Status\",\"message\":\"too old resource version\"}"});
    struct fetch_config config = {.server = http_server_url(server)};
    struct reading reading = {0};
    struct result result = {0};
    assert_int_equal(stream(&config, &reading, &result), -EPROTO);
    assert_int_equal(result.status, 410);
    assert_int_equal(reading.got.len, 0);
    assert_says(&result, "/watch: HTTP 410: too old resource version");
    http_server_free(&server);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_appended_and_the_connection_kept),
        cmocka_unit_test(a_body_makes_a_post_and_the_next_call_a_get_again),
        cmocka_unit_test(an_answer_beyond_its_limit_is_refused_not_cut),
        cmocka_unit_test(an_answer_that_breaks_off_is_none),
        cmocka_unit_test(the_servers_own_words_are_in_the_error),
        cmocka_unit_test(a_redirect_is_not_followed),
        cmocka_unit_test(a_proxy_of_the_environment_is_not_asked),
        IN_A_TEMP_DIR(a_socket_in_the_file_system_is_asked),
        cmocka_unit_test(who_does_not_answer_an_attempt_to_connect_is_as_if_nobody_were_there),
        cmocka_unit_test(who_listens_but_does_not_answer_costs_no_more_than_was_allowed),
        cmocka_unit_test(what_is_no_http_is_said_so),
        cmocka_unit_test(what_libcurl_does_not_take_is_an_error_and_not_left_out),
        cmocka_unit_test(a_message_of_grpc_is_decoded_where_it_is_encoded),
        cmocka_unit_test(what_is_no_url_is_refused),
        IN_A_TEMP_DIR(a_token_is_read_anew_for_each_request),
        IN_A_TEMP_DIR(a_file_that_holds_no_token_is_said_so_and_nothing_sent),
        IN_A_TEMP_DIR(a_token_never_goes_over_plain_http),
        IN_A_TEMP_DIR(a_certificate_is_looked_at),
        cmocka_unit_test(plain_http_at_a_tls_port_is_refused_in_the_servers_words),
        cmocka_unit_test(a_stream_gives_bytes_before_its_end_and_can_be_stopped),
        cmocka_unit_test(a_stream_that_falls_silent_ends),
        cmocka_unit_test(a_stream_that_does_not_begin_ends_with_the_time_of_any_answer),
        cmocka_unit_test(a_stream_has_begun_with_its_headers),
        cmocka_unit_test(a_stream_ends_with_its_answer_or_when_its_taker_refuses),
        cmocka_unit_test(a_stream_that_is_refused_gives_no_bytes_but_words),
    };
    return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
