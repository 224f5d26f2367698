/* test_debuginfod.c: debug files of what is sampled most are fetched and kept; a server that sends
 * something else, or nothing, costs nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "http_server.h"
#include "server/debug_cache.h"
#include "server/debug_dirs.h"
#include "server/debuginfod.h"
#include "server/hot_objects.h"
#include "symbol/elf.h"
#include "temp_dir.h"

struct kit {
    struct temp_dir *temp;
    struct debug_dirs *dirs;
    struct hot_objects *hot;
    struct http_server *http;
    struct debuginfod *debuginfod;
    struct buf self; /* this program: a file with symbols */
    uint8_t id[ELF_BUILD_ID_MAX];
    size_t id_len;
};

static int set_up(void **state)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    void *temp = NULL;
    assert_non_null(kit);
    assert_int_equal(temp_dir_make(&temp), 0);
    kit->temp = temp;
    _cleanup_close_ int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(elf_read_build_id(self, kit->id, &kit->id_len, NULL), 0);
    assert_int_equal(fs_read_at(AT_FDCWD, "/proc/self/exe", 256u << 20, &kit->self, NULL), 0);
    assert_int_equal(debug_dirs_new(NULL, &kit->dirs, NULL), 0);
    assert_int_equal(hot_objects_new(&kit->hot, NULL), 0);
    kit->http = http_server_new(NULL, NULL);
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    void *temp = kit->temp;
    http_server_release(kit->http);
    debuginfod_stop(&kit->debuginfod);
    http_server_free(&kit->http);
    hot_objects_free(&kit->hot);
    debug_dirs_free(&kit->dirs);
    buf_free(&kit->self);
    free(kit);
    return temp_dir_remove(&temp);
}

static void start(struct kit *kit, const char *urls, uint64_t cache_bytes)
{
    char dir[PATH_MAX + 16];
    struct err err = {0};
    snprintf(dir, sizeof(dir), "%s/fetched", kit->temp->path);
    struct debuginfod_config config = {
        .urls = urls,
        .dir = dir,
        .cache_bytes = cache_bytes,
        .interval_ns = 20 * NS_PER_MS,
        .silence_ns = 60 * NS_PER_SEC,
        .dirs = kit->dirs,
        .hot_objects = kit->hot,
    };
    if (debuginfod_start(&config, &kit->debuginfod, &err) < 0)
        fail_msg("%s", err.text);
}

static void heat(struct kit *kit, const uint8_t *id, size_t len, double samples)
{
    hot_objects_add(kit->hot, id, len, samples, clock_ns(CLOCK_MONOTONIC));
}

static struct debuginfod_status status_of(struct kit *kit)
{
    struct debuginfod_status status;
    debuginfod_read_status(kit->debuginfod, &status);
    return status;
}

#define WAIT_FOR(kit, what, n)                                                  \
    do {                                                                        \
        for (int tries = 0; status_of(kit).what < (n) && tries < 1000; tries++) \
            usleep(10000);                                                      \
        assert_int_equal(status_of(kit).what, (n));                             \
    } while (0)

static void the_hottest_objects_file_is_fetched_first_and_found(void **state)
{
    struct kit *kit = *state;
    const struct http_answer answers[] = {
        {.body = (const char *)kit->self.data, .body_len = kit->self.len},
        {.status = 404},
    };
    const uint8_t cold[] = {0xab, 0xcd, 0xef};
    char want[256] = "/buildid/";
    for (size_t i = 0; i < kit->id_len; i++)
        snprintf(want + strlen(want), 3, "%02x", kit->id[i]);
    strcat(want, "/debuginfo");
    http_server_script(kit->http, answers, ARRAY_LEN(answers));
    http_server_listen(kit->http);
    heat(kit, cold, sizeof(cold), 1);
    heat(kit, kit->id, kit->id_len, 100);
    start(kit, http_server_url(kit->http), 1u << 30);
    WAIT_FOR(kit, debuginfod_not_found, 1);
    assert_int_equal(status_of(kit).debuginfod_fetched, 1);
    assert_int_equal(status_of(kit).debuginfod_bytes, kit->self.len);
    assert_true(status_of(kit).cache_bytes >= kit->self.len);
    assert_string_equal(status_of(kit).error, "");
    assert_int_equal(strncmp(http_server_request(kit->http, 0)->path, want, 60), 0);
    assert_string_equal(http_server_request(kit->http, 1)->path, "/buildid/abcdef/debuginfo");
    _cleanup_close_ int fd = debug_dirs_open(kit->dirs, kit->id, kit->id_len, NULL);
    assert_true(fd >= 0);
    usleep(200000); /* neither is asked for again */
    assert_int_equal(http_server_count(kit->http), 2);
}

static void a_second_server_is_asked_for_what_the_first_has_not(void **state)
{
    struct kit *kit = *state;
    const struct http_answer answers[] = {
        {.status = 404},
        {.body = (const char *)kit->self.data, .body_len = kit->self.len},
    };
    char urls[256];
    http_server_script(kit->http, answers, ARRAY_LEN(answers));
    http_server_listen(kit->http);
    heat(kit, kit->id, kit->id_len, 1);
    snprintf(urls, sizeof(urls), " %s/,%s", http_server_url(kit->http), http_server_url(kit->http));
    start(kit, urls, 1u << 30);
    WAIT_FOR(kit, debuginfod_fetched, 1);
    assert_int_equal(status_of(kit).debuginfod_not_found, 1);
}

static void what_is_no_good_is_not_kept_and_said(void **state)
{
    const struct {
        struct http_answer answer;
        const char *error;
        bool is_refused;
    } cases[] = {
        {{.body = "<html>welcome</html>"}, "sent a file that is no good: no ELF file", true},
        {{.status = 500}, "HTTP 500", false},
        {{.status = 204}, "HTTP 204", false},
        {{.cut_answer = true}, "transfer closed", false},
        {{.header = "X-DEBUGINFOD-SIZE", .value = "99999999999"}, "larger than", true},
        {{.status = 302, .header = "Location", .value = "file:///proc/self/exe"}, "file", false},
        {{.status = 302, .header = "Location", .value = "ftp://127.0.0.1/x"}, "ftp", false},
    };
    struct kit *kit = *state;
    uint8_t other[20] = {7};
    http_server_listen(kit->http);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct hot_object all = {.build_id_len = sizeof(other)};
        other[19] = (uint8_t)i;
        memcpy(all.build_id, other, sizeof(other));
        http_server_script(kit->http, &cases[i].answer, 1);
        heat(kit, other, sizeof(other), 1);
        start(kit, http_server_url(kit->http), 1u << 30);
        if (cases[i].is_refused)
            WAIT_FOR(kit, debuginfod_refused, 1);
        else
            WAIT_FOR(kit, debuginfod_failed, 1);
        if (!strstr(status_of(kit).error, cases[i].error))
            fail_msg("'%s' has no '%s'", status_of(kit).error, cases[i].error);
        assert_int_equal(status_of(kit).debuginfod_fetched, 0);
        assert_int_equal(status_of(kit).cache_bytes, 0);
        debuginfod_stop(&kit->debuginfod);
        hot_objects_put_off(kit->hot, &all, INT64_MAX);
    }
}

static void a_file_of_another_build_id_or_over_the_limit_is_refused(void **state)
{
    struct kit *kit = *state;
    const struct http_answer answer = {.body = (const char *)kit->self.data,
                                       .body_len = kit->self.len};
    const uint8_t other[20] = {1, 2, 3};
    http_server_script(kit->http, &answer, 1);
    http_server_listen(kit->http);
    heat(kit, other, sizeof(other), 1);
    start(kit, http_server_url(kit->http), 1u << 30);
    WAIT_FOR(kit, debuginfod_refused, 1);
    assert_non_null(strstr(status_of(kit).error, "it has another build-id"));
    debuginfod_stop(&kit->debuginfod);
    heat(kit, kit->id, kit->id_len, 100);
    start(kit, http_server_url(kit->http), kit->self.len);
    WAIT_FOR(kit, debuginfod_refused, 1);
    assert_non_null(strstr(status_of(kit).error, "larger than"));
    assert_true(debug_dirs_open(kit->dirs, kit->id, kit->id_len, NULL) < 0);
}

static void a_server_that_is_away_is_asked_less_and_less(void **state)
{
    struct kit *kit = *state;
    for (uint8_t i = 0; i < 100; i++)
        heat(kit, (uint8_t[]){i, i, i}, 3, i);
    start(kit, http_server_url(kit->http), 1u << 30); /* it does not listen */
    WAIT_FOR(kit, debuginfod_failed, 2);
    usleep(500000); /* at the interval it would have been 25 */
    assert_true(status_of(kit).debuginfod_failed < 8);
    assert_non_null(strstr(status_of(kit).error, "Connection refused"));
}

static void a_server_that_hangs_holds_up_no_end(void **state)
{
    struct kit *kit = *state;
    const struct http_answer answer = {.hold = true};
    http_server_script(kit->http, &answer, 1);
    http_server_listen(kit->http);
    heat(kit, kit->id, kit->id_len, 1);
    start(kit, http_server_url(kit->http), 1u << 30);
    while (http_server_started(kit->http) == 0)
        usleep(10000);
    int64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
    debuginfod_stop(&kit->debuginfod);
    assert_true(clock_ns(CLOCK_MONOTONIC) - begin_ns < 5 * NS_PER_SEC);
}

static void only_http_and_https_are_servers(void **state)
{
    struct kit *kit = *state;
    static const char *const bad[] = {"file:///etc", "ftp://a",   "http://",
                                      "a.b",         "http:///x", "http://a file:///b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct debuginfod_config config = {.urls = bad[i],
                                           .dir = kit->temp->path,
                                           .interval_ns = 1,
                                           .dirs = kit->dirs,
                                           .hot_objects = kit->hot};
        struct err err = {0};
        assert_int_equal(debuginfod_start(&config, &kit->debuginfod, &err), -EINVAL);
        assert_non_null(strstr(err.text, "is no server"));
    }
}

/* ---- the files kept */

static void keep(struct debug_cache *cache, uint8_t number, size_t bytes)
{
    _cleanup_free_ char *data = calloc(1, bytes);
    int fd = -1;
    const uint8_t id[] = {number, 1};
    assert_int_equal(debug_cache_make_file(cache, &fd, NULL), 0);
    memset(data, 1, bytes);
    assert_int_equal(fs_write_all(fd, data, bytes), 0);
    assert_int_equal(debug_cache_keep_file(cache, fd, id, sizeof(id), NULL), 0);
    close(fd);
}

static bool is_kept(const char *dir, uint8_t number)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/%02x01/debuginfo", dir, number);
    return access(path, F_OK) == 0;
}

static void use(const char *dir, uint8_t number, time_t when)
{
    char path[PATH_MAX + 64];
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_nsec = UTIME_OMIT}};
    snprintf(path, sizeof(path), "%s/%02x01/debuginfo", dir, number);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void the_files_used_least_are_dropped(void **state)
{
    struct kit *kit = *state;
    struct debug_cache *cache = NULL;
    char dir[PATH_MAX + 16], left[PATH_MAX + 64];
    snprintf(dir, sizeof(dir), "%s/kept", kit->temp->path);
    assert_int_equal(debug_cache_open(dir, 1u << 20, &cache, NULL), 0);
    assert_int_equal(debug_cache_file_max(cache), 1u << 19);
    for (uint8_t i = 1; i <= 3; i++) {
        keep(cache, i, 300000);
        use(dir, i, 1000 + i);
    }
    use(dir, 1, 2000);
    keep(cache, 4, 300000);
    assert_true(is_kept(dir, 1) && !is_kept(dir, 2) && is_kept(dir, 3) && is_kept(dir, 4));
    keep(cache, 4, 300000); /* again */
    assert_true(debug_cache_bytes(cache) <= 1u << 20);
    int fd = -1;
    assert_int_equal(debug_cache_make_file(cache, &fd, NULL), 0);
    close(fd);
    debug_cache_close(&cache);

    /* What was begun is gone, and a smaller limit holds at once. */
    use(dir, 4, 3000);
    assert_int_equal(debug_cache_open(dir, 400000, &cache, NULL), 0);
    snprintf(left, sizeof(left), "%s/.unfinished", dir);
    assert_true(access(left, F_OK) < 0);
    assert_true(!is_kept(dir, 1) && !is_kept(dir, 3) && is_kept(dir, 4));
    debug_cache_close(&cache);
}

static void a_file_that_is_opened_is_marked_as_used(void **state)
{
    struct kit *kit = *state;
    struct debug_cache *cache = NULL;
    char dir[PATH_MAX + 16], path[PATH_MAX + 128];
    struct stat st;
    int fd = -1;
    snprintf(dir, sizeof(dir), "%s/kept", kit->temp->path);
    assert_int_equal(debug_cache_open(dir, 1u << 30, &cache, NULL), 0);
    assert_int_equal(debug_cache_make_file(cache, &fd, NULL), 0);
    assert_int_equal(fs_write_all(fd, kit->self.data, kit->self.len), 0);
    assert_int_equal(debug_cache_keep_file(cache, fd, kit->id, kit->id_len, NULL), 0);
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_nsec = UTIME_OMIT}};
    futimens(fd, times);
    close(fd);
    assert_int_equal(debug_dirs_add_cache(kit->dirs, dir, NULL), 0);
    fd = debug_dirs_open(kit->dirs, kit->id, kit->id_len, NULL);
    assert_true(fd >= 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_atim.tv_sec > 1000);
    close(fd);
    debug_cache_close(&cache);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_hottest_objects_file_is_fetched_first_and_found),
        T(a_second_server_is_asked_for_what_the_first_has_not),
        T(what_is_no_good_is_not_kept_and_said),
        T(a_file_of_another_build_id_or_over_the_limit_is_refused),
        T(a_server_that_is_away_is_asked_less_and_less),
        T(a_server_that_hangs_holds_up_no_end),
        T(only_http_and_https_are_servers),
        T(the_files_used_least_are_dropped),
        T(a_file_that_is_opened_is_marked_as_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
