/* test_static.c: the page's files, and nothing else, are served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "server/exchange.h"
#include "server/static.h"

/* TOP/ui is served; TOP/secret is not. */
static char top[64], ui[80];

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", top, name);
    _cleanup_fclose_ FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
}

static void make_dir(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", top, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void link_to(const char *target, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", top, name);
    assert_int_equal(symlink(target, path), 0);
}

static int set_up(void **state)
{
    snprintf(top, sizeof(top), "/tmp/podflame-static-XXXXXX");
    assert_non_null(mkdtemp(top));
    snprintf(ui, sizeof(ui), "%s/ui", top);
    make_dir("ui");
    make_dir("ui/assets");
    make_dir("ui2");
    write_file("secret", "secret");
    write_file("ui2/secret", "secret");
    write_file("ui/index.html", "<html>");
    write_file("ui/assets/page-ABCD2345.js", "js");
    write_file("ui/assets/page-abcd2345.css", "css");
    write_file("ui/assets/a b.svg", "svg");
    write_file("ui/data", "?");
    link_to("index.html", "ui/inside");
    link_to("../secret", "ui/outside");
    link_to("/etc/passwd", "ui/absolute");
    link_to("../ui2", "ui/away");
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int tear_down(void **state)
{
    return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void ask(const char *path, const char *if_none_match, struct reply *reply)
{
    const struct request request = {
        .method = METHOD_GET, .path = path, .if_none_match = if_none_match};
    reply_init(reply);
    static_answer(ui, &request, reply);
}

static void assert_served(const char *path, const char *type, const char *text)
{
    _cleanup_(reply_free) struct reply reply;
    char got[64] = {0};
    ask(path, NULL, &reply);
    if (reply.status != 200)
        fail_msg("%s: %u", path, reply.status);
    assert_string_equal(reply.type, type);
    assert_int_equal(read(reply.fd, got, sizeof(got) - 1), reply.fd_bytes);
    assert_string_equal(got, text);
}

static void files_are_served_with_their_types(void **state)
{
    assert_served("/", "text/html; charset=utf-8", "<html>");
    assert_served("/index.html", "text/html; charset=utf-8", "<html>");
    assert_served("//index.html", "text/html; charset=utf-8", "<html>");
    assert_served("/assets/page-ABCD2345.js", "text/javascript; charset=utf-8", "js");
    assert_served("/assets/page-abcd2345.css", "text/css; charset=utf-8", "css");
    assert_served("/assets/a b.svg", "image/svg+xml", "svg");
    assert_served("/data", "application/octet-stream", "?");
    assert_served("/inside", "application/octet-stream", "<html>");
}

static void nothing_outside_and_nothing_but_files_is_served(void **state)
{
    static const char *const paths[] = {
        "/..",
        "/../secret",
        "/../ui2/secret",
        "/assets/../../secret",
        "/assets/../index.html/..",
        "/outside",
        "/absolute",
        "/away/secret",
        "/assets",
        "/assets/",
        "/missing",
        "/data/x",
        "/%2e%2e/secret",
        "/proc/self/environ",
        "//etc/passwd",
    };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        _cleanup_(reply_free) struct reply reply;
        ask(paths[i], NULL, &reply);
        if (reply.status != 404 || reply.fd >= 0)
            fail_msg("%s: %u", paths[i], reply.status);
    }
}

/* In this process openat2 does not exist any more, as on a kernel before 5.6. */
static void lose_openat2(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {ARRAY_LEN(filter), filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ||
        syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0) >= 0 || errno != ENOSYS)
        _exit(3);
}

static void an_older_kernel_serves_the_same(void **state)
{
    static const struct {
        const char *path;
        unsigned status;
    } cases[] = {
        {"/", 200},
        {"/assets/page-ABCD2345.js", 200},
        {"/..", 404},
        {"/../secret", 404},
        {"/assets/../../secret", 404},
        {"/outside", 404},
        {"/absolute", 404},
        {"/away/secret", 404},
        {"/assets", 404},
        {"/assets//page-ABCD2345.js", 404},
        {"/data/x", 404},
    };
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        lose_openat2();
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            struct reply reply;
            ask(cases[i].path, NULL, &reply);
            if (reply.status != cases[i].status)
                _exit(10 + (int)i);
            reply_free(&reply);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_path_of_any_length_is_an_answer(void **state)
{
    static char path[8192];
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    _cleanup_(reply_free) struct reply reply;
    ask(path, NULL, &reply);
    assert_int_equal(reply.status, 404);
}

static void only_hashed_names_are_kept_without_asking(void **state)
{
    _cleanup_(reply_free) struct reply hashed, other;
    ask("/assets/page-ABCD2345.js", NULL, &hashed);
    ask("/assets/page-abcd2345.css", NULL, &other);
    assert_string_equal(hashed.cache_control, "public, max-age=31536000, immutable");
    assert_string_equal(other.cache_control, "no-cache");
}

static void a_reader_that_has_the_file_does_not_get_it_again(void **state)
{
    _cleanup_(reply_free) struct reply first, again, changed;
    char list[128];
    ask("/", NULL, &first);
    snprintf(list, sizeof(list), "\"other\", W/%s", first.etag);
    ask("/", list, &again);
    assert_int_equal(again.status, 304);
    assert_int_equal(again.fd, -1);
    assert_string_equal(again.etag, first.etag);
    write_file("ui/index.html", "<html>new");
    ask("/", first.etag, &changed);
    assert_int_equal(changed.status, 200);
    write_file("ui/index.html", "<html>");
}

static void a_missing_page_says_where_it_was_looked_for(void **state)
{
    _cleanup_(reply_free) struct reply reply;
    const struct request request = {.method = METHOD_GET, .path = "/"};
    reply_init(&reply);
    static_answer("/nonexistent/ui", &request, &reply);
    assert_int_equal(reply.status, 404);
    assert_non_null(memmem(reply.body.data, reply.body.len, "/nonexistent/ui", 15));
    assert_non_null(memmem(reply.body.data, reply.body.len, "--ui-dir", 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_served_with_their_types),
        cmocka_unit_test(nothing_outside_and_nothing_but_files_is_served),
        cmocka_unit_test(an_older_kernel_serves_the_same),
        cmocka_unit_test(a_path_of_any_length_is_an_answer),
        cmocka_unit_test(only_hashed_names_are_kept_without_asking),
        cmocka_unit_test(a_reader_that_has_the_file_does_not_get_it_again),
        cmocka_unit_test(a_missing_page_says_where_it_was_looked_for),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
