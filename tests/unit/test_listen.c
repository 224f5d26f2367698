/* test_listen.c: where the server listens, and whom it believes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/listen.h"

static void a_free_port_is_taken_and_named(void **state)
{
    struct listener listener;
    struct err err = {0};
    assert_int_equal(listen_open("127.0.0.1:0", &listener, &err), 0);
    assert_true(listener.is_loopback);
    assert_int_equal(strncmp(listener.address, "127.0.0.1:", 10), 0);
    assert_string_not_equal(listener.address, "127.0.0.1:0");

    struct listener second;
    assert_int_equal(listen_open(listener.address, &second, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, listener.address));
    assert_non_null(strstr(err.text, "port is in use"));
    close(listener.fd);
}

static void all_addresses_are_not_loopback(void **state)
{
    struct listener listener;
    assert_int_equal(listen_open("0.0.0.0:0", &listener, NULL), 0);
    assert_false(listener.is_loopback);
    close(listener.fd);
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "7357",
        "localhost",
        "localhost:",
        "localhost:http",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "::1:7357",
        "127.0.0.1:7357x",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct listener listener;
        struct err err = {0};
        if (listen_open(cases[i], &listener, &err) != -EINVAL)
            fail_msg("\"%s\" was taken", cases[i]);
        assert_non_null(strstr(err.text, "[IPV6]:PORT"));
    }
}

static void addresses_and_localhost_are_trusted(void **state)
{
    static const char *const trusted[] = {
        "127.0.0.1",   "127.0.0.1:7357", "10.0.0.7:80",        "[::1]",
        "[::1]:80",    "localhost",      "localhost:7357",     "LocalHost:1",
        "a.localhost", "flame.example",  "FLAME.example:8080", "second.example",
    };
    static const char *const foreign[] = {
        "",
        ":80",
        "evil.example",
        "evil.example:7357",
        "localhost.evil.example",
        "xlocalhost",
        ".localhost",
        "127.0.0.1.evil.example",
        "[::1",
        "[evil]",
        "flame.example.evil",
        "flame",
        "1.2.3.4.5",
    };
    const char *allowed = "flame.example, second.example";
    for (size_t i = 0; i < ARRAY_LEN(trusted); i++)
        if (!listen_host_is_trusted(trusted[i], allowed))
            fail_msg("\"%s\" was refused", trusted[i]);
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        if (listen_host_is_trusted(foreign[i], allowed) || listen_host_is_trusted(foreign[i], NULL))
            fail_msg("\"%s\" was trusted", foreign[i]);
    }
    assert_true(listen_host_is_trusted("evil.example", "*"));
    assert_false(listen_host_is_trusted("flame.example", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_port_is_taken_and_named),
        cmocka_unit_test(all_addresses_are_not_loopback),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(addresses_and_localhost_are_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
