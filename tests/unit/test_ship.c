/* test_ship.c: every spooled batch reaches the server once, in order, whatever the server does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/ship.h"
#include "agent/spool.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "http_server.h"
#include "temp_dir.h"

#define HOUR_NS (3600 * NS_PER_SEC)

struct setup {
    struct temp_dir *dir;
    struct spool *spool;
    struct http_server *server;
    struct ship *ship;
};

static int make_setup(void **state)
{
    struct setup *t = calloc(1, sizeof(*t));
    if (!t || temp_dir_make((void **)&t->dir) < 0)
        return -1;
    t->server = http_server_new(NULL, NULL);
    *state = t;
    return spool_open(t->dir->path, 1u << 30, &t->spool, NULL);
}

static int remove_setup(void **state)
{
    struct setup *t = *state;
    ship_stop(&t->ship, 0);
    spool_free(&t->spool);
    http_server_free(&t->server);
    int r = temp_dir_remove((void **)&t->dir);
    free(t);
    return r;
}

static struct ship *start_with(struct setup *t, struct ship_config config)
{
    struct err err;
    if (!config.server)
        config.server = http_server_url(t->server);
    config.user_agent = "podflamed/test";
    if (ship_start(&config, t->spool, &t->ship, &err) < 0)
        fail_msg("%s", err.text);
    return t->ship;
}

/* With waits between tries that no test would notice. */
static struct ship *start(struct setup *t)
{
    return start_with(
        t, (struct ship_config){.backoff_min_ns = NS_PER_MS, .backoff_max_ns = 20 * NS_PER_MS});
}

static void put_len(struct setup *t, uint64_t seq, size_t len)
{
    struct err err;
    _cleanup_free_ uint8_t *bytes = calloc(1, len);
    assert_non_null(bytes);
    memcpy(bytes, "PFLM", 4);
    memcpy(bytes + 12, &seq, sizeof(seq));
    if (spool_put(t->spool, seq, bytes, len, &err) < 0)
        fail_msg("%s", err.text);
}

static void put(struct setup *t, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++)
        put_len(t, seq, 1000);
}

static struct ship_counts counts_of(struct setup *t)
{
    struct ship_counts counts;
    ship_read_counts(t->ship, &counts);
    return counts;
}

static uint64_t waiting(struct setup *t)
{
    struct spool_stats stats;
    spool_read_stats(t->spool, &stats);
    return stats.waiting_batches;
}

/* For as long as a loaded machine may take; a test that has to wait that long has failed. */
#define wait_until(condition)                               \
    do {                                                    \
        for (int n = 0; !(condition); n++) {                \
            if (n == 6000)                                  \
                fail_msg("waited in vain for " #condition); \
            usleep(10000);                                  \
        }                                                   \
    } while (0)

static uint64_t request_seq(struct setup *t, size_t i)
{
    uint64_t seq;
    const struct http_request *r = http_server_request(t->server, i);
    assert_true(r->len >= 20);
    memcpy(&seq, r->body + 12, sizeof(seq));
    return seq;
}

static void assert_requests(struct setup *t, const uint64_t *seqs, size_t count)
{
    assert_int_equal(http_server_count(t->server), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(request_seq(t, i), seqs[i]);
}
#define assert_sent(t, ...)                             \
    assert_requests(t, (const uint64_t[]){__VA_ARGS__}, \
                    sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
#define script(t, ...)                                                         \
    http_server_script((t)->server, (const struct http_answer[]){__VA_ARGS__}, \
                       sizeof((const struct http_answer[]){__VA_ARGS__}) /     \
                           sizeof(struct http_answer))

static void batches_arrive_in_order_over_one_connection(void **state)
{
    struct setup *t = *state;
    http_server_listen(t->server);
    put(t, 5, 7);
    put_len(t, 8, 3 << 20);
    start(t);
    wait_until(waiting(t) == 0);
    put(t, 9, 9);
    ship_wake(t->ship);
    wait_until(waiting(t) == 0);
    assert_sent(t, 5, 6, 7, 8, 9);
    for (size_t i = 0; i < 5; i++) {
        const struct http_request *r = http_server_request(t->server, i);
        assert_string_equal(r->method, "POST");
        assert_string_equal(r->path, "/api/v1/batches");
        assert_string_equal(r->type, "application/vnd.podflame.batch");
        assert_string_equal(r->agent, "podflamed/test");
        assert_int_equal(r->connection, 1);
        assert_int_equal(r->len, i == 3 ? 3 << 20 : 1000);
    }
    wait_until(counts_of(t).shipped_batches == 5);
    struct ship_counts counts = counts_of(t);
    assert_int_equal(counts.shipped_bytes, 4000 + (3 << 20));
    assert_int_equal(counts.ship_failures, 0);
    assert_string_equal(counts.last_error, "");
}

static void a_server_that_starts_later_gets_everything(void **state)
{
    struct setup *t = *state;
    put(t, 1, 3);
    start(t);
    wait_until(counts_of(t).ship_failures >= 3);
    struct ship_counts counts = counts_of(t);
    assert_non_null(strstr(counts.last_error, "Connection refused"));
    assert_true(counts.failing_since_ns > 0);
    assert_int_equal(waiting(t), 3);
    http_server_listen(t->server);
    wait_until(waiting(t) == 0);
    assert_sent(t, 1, 2, 3);
    wait_until(counts_of(t).failing_since_ns == 0);
}

/* The wait of its own would outlast the test. */
static void a_retry_after_replaces_the_wait(void **state)
{
    struct setup *t = *state;
    script(t, {.status = 503, .body = "{\"error\":\"busy\"}", .retry_after = "0"},
           {.status = 429, .body = "", .retry_after = " 1"},
           {.status = 503, .body = "", .retry_after = "Sun, 06 Nov 1994 08:49:37 GMT"}, {0});
    http_server_listen(t->server);
    put(t, 1, 2);
    start_with(t, (struct ship_config){.backoff_min_ns = HOUR_NS, .backoff_max_ns = HOUR_NS});
    wait_until(waiting(t) == 0);
    assert_sent(t, 1, 1, 1, 1, 2);
    assert_int_equal(counts_of(t).ship_failures, 3);
}

static void a_retry_after_of_nonsense_is_none(void **state)
{
    struct setup *t = *state;
    script(t, {.status = 503, .retry_after = "-5"}, {.status = 503, .retry_after = "soon"},
           {.status = 503, .retry_after = ""},
           {.status = 503, .retry_after = "99999999999999999999"}, {0});
    http_server_listen(t->server);
    put(t, 1, 1);
    start(t);
    wait_until(waiting(t) == 0);
    assert_sent(t, 1, 1, 1, 1, 1);
}

static void a_refused_batch_is_moved_aside_and_the_next_goes_on(void **state)
{
    struct setup *t = *state;
    script(t, {0}, {.status = 400, .body = "{\"error\":\"samples.cpu[7] is odd\"}"},
           {.status = 413, .body = "<html>too large</html>"},
           {.status = 422, .body = "{\"error\":\"no\"}"}, {0});
    http_server_listen(t->server);
    put(t, 1, 5);
    start(t);
    wait_until(waiting(t) == 0);
    assert_sent(t, 1, 2, 3, 4, 5);
    wait_until(counts_of(t).shipped_batches == 2);
    struct ship_counts counts = counts_of(t);
    assert_int_equal(counts.rejected_batches, 3);
    assert_int_equal(counts.ship_failures, 0);
    assert_string_equal(counts.last_error, "HTTP 422: no");
    assert_int_equal(faccessat(t->dir->fd, "bad-0000000000000000002.batch", F_OK, 0), 0);
}

/* Proxies, portals, a wrong port, a server that is not set up: none of them is podflame-server's
 * word that the batch is stored, or bad. */
static void an_answer_of_somebody_else_loses_nothing(void **state)
{
    struct setup *t = *state;
    script(t, {.status = 200, .body = "<html>Please log in</html>"}, {.status = 200, .body = ""},
           {.status = 204, .body = ""}, {.status = 200, .body = "{\"ok\":true}"},
           {.status = 301, .body = ""}, {.status = 400, .body = "The plain HTTP request\r\nwas"},
           {.status = 401, .body = "{\"error\":\"who are you\"}"}, {.status = 404, .body = "[]"},
           {.status = 405, .body = "{\"error\":7}"}, {.status = 502, .body = "\xff\xfe\n"}, {0});
    http_server_listen(t->server);
    put(t, 1, 2);
    start(t);
    wait_until(waiting(t) == 0);
    assert_sent(t, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2);
    struct ship_counts counts = counts_of(t);
    assert_int_equal(counts.ship_failures, 10);
    assert_int_equal(counts.rejected_batches, 0);
    assert_string_equal(counts.last_error, "HTTP 502: \xff\xfe");
}

static void a_connection_cut_within_the_body_is_tried_again(void **state)
{
    struct setup *t = *state;
    script(t, {.cut_upload = true}, {.cut_upload = true}, {0});
    http_server_listen(t->server);
    put_len(t, 1, 3 << 20);
    put(t, 2, 2);
    start(t);
    wait_until(waiting(t) == 0);
    assert_sent(t, 1, 2);
    assert_true(counts_of(t).ship_failures >= 1); /* libcurl repeats some of these by itself */
}

static void an_answer_that_was_cut_sends_the_batch_again(void **state)
{
    struct setup *t = *state;
    script(t, {.cut_answer = true}, {.body = "{\"stored\":false}"}, {0});
    http_server_listen(t->server);
    put(t, 1, 2);
    start(t);
    wait_until(waiting(t) == 0);
    assert_sent(t, 1, 1, 2);
    wait_until(counts_of(t).shipped_batches == 2);
    assert_int_equal(counts_of(t).duplicate_batches, 1);
    assert_int_equal(counts_of(t).ship_failures, 1);
}

static void a_server_that_falls_silent_is_given_up(void **state)
{
    struct setup *t = *state;
    script(t, {.hold = true}, {0});
    http_server_listen(t->server);
    put(t, 1, 1);
    start_with(t, (struct ship_config){.silence_ns = NS_PER_SEC, .backoff_max_ns = NS_PER_MS});
    wait_until(waiting(t) == 0);
    assert_sent(t, 1, 1);
    assert_int_equal(counts_of(t).ship_failures, 1);
    assert_non_null(strstr(counts_of(t).last_error, "too slow"));
}

static void a_stop_in_the_wait_between_tries_makes_one_last_try(void **state)
{
    struct setup *t = *state;
    script(t, {.status = 503}, {0});
    http_server_listen(t->server);
    put(t, 1, 3);
    start_with(t, (struct ship_config){.backoff_min_ns = HOUR_NS, .backoff_max_ns = HOUR_NS});
    wait_until(counts_of(t).ship_failures == 1);
    ship_stop(&t->ship, HOUR_NS);
    assert_null(t->ship);
    assert_int_equal(waiting(t), 0);
    assert_sent(t, 1, 1, 2, 3);
}

static void a_last_try_that_fails_keeps_the_rest(void **state)
{
    struct setup *t = *state;
    script(t, {.status = 503}, {0}, {.status = 503}, {0});
    http_server_listen(t->server);
    put(t, 1, 3);
    start_with(t, (struct ship_config){.backoff_min_ns = HOUR_NS, .backoff_max_ns = HOUR_NS});
    wait_until(counts_of(t).ship_failures == 1);
    ship_stop(&t->ship, HOUR_NS);
    assert_sent(t, 1, 1, 2);
    assert_int_equal(waiting(t), 2);
}

static void a_stop_does_not_wait_for_a_silent_server(void **state)
{
    struct setup *t = *state;
    script(t, {.hold = true});
    http_server_listen(t->server);
    put(t, 1, 1);
    start_with(t, (struct ship_config){.silence_ns = HOUR_NS});
    wait_until(http_server_count(t->server) == 1);
    ship_stop(&t->ship, 50 * NS_PER_MS);
    assert_int_equal(waiting(t), 1);
}

static void stopping_with_nothing_to_do_ends_at_once(void **state)
{
    struct setup *t = *state;
    start_with(t, (struct ship_config){0});
    ship_stop(&t->ship, HOUR_NS);
    ship_stop(&t->ship, HOUR_NS);
}

static void what_is_no_server_is_refused(void **state)
{
    struct setup *t = *state;
    static const char *const bad[] = {"",         "127.0.0.1:7357",  "ftp://x",      "http://",
                                      "http:///", "http://u:p@host", "http://a b",   "file:///x",
                                      "https://", "http://x/?q=1",   "http://x/#top"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err;
        struct ship_config config = {.server = bad[i]};
        assert_int_equal(ship_start(&config, t->spool, &t->ship, &err), -EINVAL);
        assert_non_null(strstr(err.text, "write http://HOST:PORT"));
    }
}

static void a_path_in_the_servers_url_is_kept(void **state)
{
    struct setup *t = *state;
    char url[128];
    snprintf(url, sizeof(url), "%s/podflame//", http_server_url(t->server));
    http_server_listen(t->server);
    put(t, 1, 1);
    start_with(t, (struct ship_config){.server = url});
    wait_until(waiting(t) == 0);
    assert_string_equal(http_server_request(t->server, 0)->path, "/podflame/api/v1/batches");
}

/* A certificate of its own, as a person would make it. */
static bool make_certificate(struct temp_dir *dir, struct buf *cert, struct buf *key)
{
    _cleanup_free_ char *command = NULL;
    if (asprintf(&command,
                 "cd '%s' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
                 "-keyout key.pem -out cert.pem -days 2 -subj /CN=test "
                 "-addext subjectAltName=IP:127.0.0.1 2>/dev/null",
                 dir->path) < 0)
        return false;
    return system(command) == 0 && fs_read_at(dir->fd, "cert.pem", 65536, cert, NULL) == 0 &&
           fs_read_at(dir->fd, "key.pem", 65536, key, NULL) == 0;
}

static void https_trusts_the_authority_it_was_given_and_no_other(void **state)
{
    struct setup *t = *state;
    _cleanup_(buf_free) struct buf cert = {0}, key = {0};
    if (!make_certificate(t->dir, &cert, &key)) {
        print_message("# openssl(1) is not here or too old\n");
        skip();
    }
    http_server_free(&t->server);
    t->server = http_server_new((char *)cert.data, (char *)key.data);
    http_server_listen(t->server);
    put(t, 1, 1);
    start(t);
    wait_until(counts_of(t).ship_failures >= 1);
    assert_non_null(strstr(counts_of(t).last_error, "certificate"));
    ship_stop(&t->ship, 0);
    char ca[PATH_MAX + 16];
    snprintf(ca, sizeof(ca), "%s/cert.pem", t->dir->path);
    start_with(t, (struct ship_config){.ca_file = ca});
    wait_until(waiting(t) == 0);
    assert_sent(t, 1);
}

#define WITH_A_SERVER(test) cmocka_unit_test_setup_teardown(test, make_setup, remove_setup)

int main(void)
{
    log_set_level(LOG_LEVEL_ERR);
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("ALL_PROXY");
    const struct CMUnitTest tests[] = {
        WITH_A_SERVER(batches_arrive_in_order_over_one_connection),
        WITH_A_SERVER(a_server_that_starts_later_gets_everything),
        WITH_A_SERVER(a_retry_after_replaces_the_wait),
        WITH_A_SERVER(a_retry_after_of_nonsense_is_none),
        WITH_A_SERVER(a_refused_batch_is_moved_aside_and_the_next_goes_on),
        WITH_A_SERVER(an_answer_of_somebody_else_loses_nothing),
        WITH_A_SERVER(a_connection_cut_within_the_body_is_tried_again),
        WITH_A_SERVER(an_answer_that_was_cut_sends_the_batch_again),
        WITH_A_SERVER(a_server_that_falls_silent_is_given_up),
        WITH_A_SERVER(a_stop_in_the_wait_between_tries_makes_one_last_try),
        WITH_A_SERVER(a_last_try_that_fails_keeps_the_rest),
        WITH_A_SERVER(a_stop_does_not_wait_for_a_silent_server),
        WITH_A_SERVER(stopping_with_nothing_to_do_ends_at_once),
        WITH_A_SERVER(what_is_no_server_is_refused),
        WITH_A_SERVER(a_path_in_the_servers_url_is_kept),
        WITH_A_SERVER(https_trusts_the_authority_it_was_given_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
