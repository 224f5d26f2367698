/* test_docker.c: containers as docker tells them, plain ones and those of pods. The answer is a
 * real dockerd's; the labels of the pod's containers are those that dockershim sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "facts_kit.h"
#include "http_server.h"
#include "k8s/docker.h"
#include "raw_server.h"
#include "temp_dir.h"

static void a_real_answer_gives_plain_containers_and_a_pod(void **state)
{
    _cleanup_(buf_free) struct buf json = {0};
    _cleanup_(facts_kit_free) struct facts_kit kit;
    golden_read("docker-containers.json", &json);
    facts_kit_init(&kit);
    assert_int_equal(docker_parse_containers((char *)json.data, json.len, &kit.sink, NULL), 0);
    assert_int_equal(kit.dropped, 0);
    facts_kit_equals(&kit, "docker-containers.facts");
}

static void a_containers_own_name_is_not_that_of_a_link_to_it(void **state)
{
    static const char json[] =
        "[{\"Id\":\"aa\",\"Names\":[\"/web/db\",\"/db\"],\"State\":\"dead\"},"
        "{\"Id\":\"bb\",\"Names\":[],\"State\":\"new\"},"
        "{\"Id\":\"cc\",\"Names\":[\"plain\"]}, {}, 1, null]";
    _cleanup_(facts_kit_free) struct facts_kit kit;
    facts_kit_init(&kit);
    assert_int_equal(docker_parse_containers(json, sizeof(json) - 1, &kit.sink, NULL), 0);
    facts_kit_has(&kit, "container aa name=db app exited restarts=0");
    facts_kit_has(&kit, "container bb app unknown restarts=0");
    facts_kit_has(&kit, "container cc name=plain app unknown restarts=0");
    assert_int_equal(kit.containers, 3);
    assert_int_equal(kit.dropped, 3);
}

static void what_is_no_list_is_refused(void **state)
{
    static const char *const bad[] = {"", "{}", "{\"message\":\"page not found\"}", "[", "[1] 2"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_(facts_kit_free) struct facts_kit kit;
        facts_kit_init(&kit);
        assert_int_equal(docker_parse_containers(bad[i], strlen(bad[i]), &kit.sink, NULL),
                         -EBADMSG);
    }
}

/* ---- asking */

struct kit {
    struct temp_dir *dir;
    char socket[PATH_MAX + 64];
    struct docker_config config;
    struct source source;
    struct facts_kit facts;
    struct err err;
};

static int set_up(void **state)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    void *dir = NULL;
    assert_non_null(kit);
    assert_int_equal(temp_dir_make(&dir), 0);
    kit->dir = dir;
    facts_kit_init(&kit->facts);
    snprintf(kit->socket, sizeof(kit->socket), "%s/var/run", kit->dir->path);
    assert_int_equal(fs_mkdir_p(kit->socket, 0755, NULL), 0);
    snprintf(kit->socket, sizeof(kit->socket), "%s/var/run/docker.sock", kit->dir->path);
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    void *dir = kit->dir;
    source_free(&kit->source);
    facts_kit_free(&kit->facts);
    free(kit);
    return temp_dir_remove(&dir);
}

static int refresh(struct kit *kit)
{
    if (!kit->source.ops)
        assert_int_equal(docker_source_new(&kit->config, &kit->source, &kit->err), 0);
    assert_string_equal(kit->source.ops->name, "docker");
    return kit->source.ops->refresh(kit->source.self, &kit->facts.sink, &kit->err);
}

static void docker_is_found_where_it_usually_stands_also_later(void **state)
{
    _cleanup_(buf_free) struct buf json = {0};
    struct kit *kit = *state;
    kit->config.root = kit->dir->path;
    golden_read("docker-containers.json", &json);
    assert_int_equal(refresh(kit), -ENOENT);
    assert_words(&kit->err, "no docker: no socket at ");
    struct http_server *server = http_server_new_unix(kit->socket);
    http_server_script(server, &(struct http_answer){.body = (char *)json.data}, 1);
    http_server_listen(server);
    assert_int_equal(refresh(kit), 0);
    facts_kit_equals(&kit->facts, "docker-containers.facts");
    assert_string_equal(http_server_request(server, 0)->path, "/containers/json");
    assert_int_equal(refresh(kit), 0);
    assert_int_equal(http_server_request(server, 1)->connection, 1);
    http_server_free(&server);
    assert_int_equal(refresh(kit), -ENOENT);
}

static void a_socket_that_was_named_and_is_not_there_is_a_fault(void **state)
{
    struct kit *kit = *state;
    char with_scheme[PATH_MAX + 80];
    snprintf(with_scheme, sizeof(with_scheme), "unix://%s", kit->socket);
    kit->config.socket = with_scheme;
    assert_int_equal(refresh(kit), -ECONNREFUSED);
    assert_words(&kit->err, kit->socket);
}

static void a_docker_that_refuses_says_why(void **state)
{
    struct kit *kit = *state;
    kit->config.socket = kit->socket;
    struct http_server *server = http_server_new_unix(kit->socket);
    http_server_script(
        server, &(struct http_answer){.status = 500, .body = "{\"message\":\"out of order\"}"}, 1);
    http_server_listen(server);
    assert_int_equal(refresh(kit), -EPROTO);
    assert_words(&kit->err, "HTTP 500: out of order");
    http_server_free(&server);
}

static void a_docker_that_hangs_is_given_up(void **state)
{
    struct kit *kit = *state;
    kit->config.socket = kit->socket;
    struct raw_server *server = raw_server_new(kit->socket, raw_say_nothing, NULL);
    assert_int_equal(refresh(kit), -ETIMEDOUT);
    assert_words(&kit->err, kit->socket);
    raw_server_free(&server);
}

static void a_setting_that_is_no_path_is_refused_at_once(void **state)
{
    struct kit *kit = *state;
    kit->config.socket = "tcp://127.0.0.1:2375";
    assert_int_equal(docker_source_new(&kit->config, &kit->source, &kit->err), -EINVAL);
    assert_words(&kit->err,
                 "docker-socket is \"tcp://127.0.0.1:2375\"; it must be a socket's path");
    assert_null(kit->source.ops);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_answer_gives_plain_containers_and_a_pod),
        cmocka_unit_test(a_containers_own_name_is_not_that_of_a_link_to_it),
        cmocka_unit_test(what_is_no_list_is_refused),
        TEST(docker_is_found_where_it_usually_stands_also_later),
        TEST(a_socket_that_was_named_and_is_not_there_is_a_fault),
        TEST(a_docker_that_refuses_says_why),
        TEST(a_docker_that_hangs_is_given_up),
        TEST(a_setting_that_is_no_path_is_refused_at_once),
    };
    return cmocka_run_group_tests_name("docker", tests, NULL, NULL);
}
