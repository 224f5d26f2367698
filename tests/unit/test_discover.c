/* test_discover.c: which sources there are is what the settings say: given, looked for, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "facts_kit.h"
#include "k8s/discover.h"

static void without_settings_all_are_looked_for(void **state)
{
    static const char *const names[] = {"kubelet", "cri", "docker"};
    struct discover_config config = {0};
    struct source sources[DISCOVER_SOURCES_MAX];
    size_t count = 0;
    assert_int_equal(discover_sources(&config, sources, &count, NULL), 0);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(sources[i].ops->name, names[i]);
        source_free(&sources[i]);
        assert_null(sources[i].ops);
    }
}

static void an_empty_setting_does_without(void **state)
{
    struct discover_config config = {.kubelet_url = "", .cri_socket = "", .docker_socket = ""};
    struct source sources[DISCOVER_SOURCES_MAX];
    size_t count = 9;
    assert_int_equal(discover_sources(&config, sources, &count, NULL), 0);
    assert_int_equal(count, 0);
    config.cri_socket = NULL;
    assert_int_equal(discover_sources(&config, sources, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_string_equal(sources[0].ops->name, "cri");
    source_free(&sources[0]);
}

static void a_setting_that_is_wrong_is_named(void **state)
{
    static const struct {
        struct discover_config config;
        const char *words;
    } cases[] = {
        {{.kubelet_url = "node:10250"}, "kubelet-url: "},
        {{.cri_socket = "here"}, "cri-socket is "},
        {{.docker_socket = "tcp://node"}, "docker-socket is "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct source sources[DISCOVER_SOURCES_MAX];
        struct err err = {0};
        size_t count = 9;
        assert_int_equal(discover_sources(&cases[i].config, sources, &count, &err), -EINVAL);
        assert_int_equal(count, 9);
        assert_non_null(strstr(err.text, cases[i].words));
    }
}

/* Somebody listens at the node's address who is no kubelet: the error says that it was asked. */
static void kubelet_is_looked_for_at_the_nodes_address_of_the_environment(void **state)
{
    _cleanup_(facts_kit_free) struct facts_kit kit;
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(10250)};
    struct discover_config config = {.cri_socket = "", .docker_socket = ""};
    struct source sources[DISCOVER_SOURCES_MAX];
    struct err err = {0};
    size_t count;
    inet_pton(AF_INET, "127.0.0.99", &at.sin_addr);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4) < 0)
        skip(); /* a kubelet runs on this machine */
    facts_kit_init(&kit);
    setenv("NODE_IP", "127.0.0.99", 1);
    assert_int_equal(discover_sources(&config, sources, &count, NULL), 0);
    unsetenv("NODE_IP");
    assert_int_equal(count, 1);
    assert_int_equal(sources[0].ops->refresh(sources[0].self, &kit.sink, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "https://127.0.0.99:10250"));
    source_free(&sources[0]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_settings_all_are_looked_for),
        cmocka_unit_test(an_empty_setting_does_without),
        cmocka_unit_test(a_setting_that_is_wrong_is_named),
        cmocka_unit_test(kubelet_is_looked_for_at_the_nodes_address_of_the_environment),
    };
    return cmocka_run_group_tests_name("discover", tests, NULL, NULL);
}
