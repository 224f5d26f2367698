/* test_kubelet.c: the pods and containers of a node as its kubelet tells them, over TLS and with a
 * token; and what is said when it does not. The answers are those of a real kubelet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "facts_kit.h"
#include "http_server.h"
#include "k8s/kubelet.h"
#include "raw_server.h"
#include "temp_dir.h"
#include "tls_kit.h"

/* ---- what the answer says */

static void parse(struct facts_kit *kit, const char *json)
{
    struct err err = {0};
    facts_kit_init(kit);
    if (kubelet_parse_pods(json, strlen(json), &kit->sink, &err) != 0)
        fail_msg("%s", err.text);
}

static void a_real_answer_gives_all_its_pods_and_containers(void **state)
{
    _cleanup_(buf_free) struct buf json = {0};
    _cleanup_(facts_kit_free) struct facts_kit kit;
    golden_read("kubelet-pods.json", &json);
    parse(&kit, (char *)json.data);
    assert_int_equal(kit.pods, 8);
    assert_int_equal(kit.dropped, 0);
    facts_kit_equals(&kit, "kubelet-pods.facts");
}

#define POD_HEAD                                                                          \
    "{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"," \
    "\"uid\":\"01234567-0123-0123-0123-0123456789ab\""
#define UID       "01234567-0123-0123-0123-0123456789ab"
#define STATUS(x) POD_HEAD "},\"status\":{\"containerStatuses\":[" x "]}}]}"

static void a_container_in_a_crash_loop_waits_under_the_id_it_had(void **state)
{
    _cleanup_(facts_kit_free) struct facts_kit kit;
    parse(&kit, STATUS("{\"name\":\"c\",\"restartCount\":3,\"containerID\":\"cri-o://aa\","
                       "\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},"
                       "\"lastState\":{\"terminated\":{\"containerID\":\"cri-o://aa\"}}}"));
    facts_kit_has(&kit, "container aa pod=" UID
                        " name=c app waiting restarts=3 reason=CrashLoopBackOff runtime=crio");
    assert_int_equal(kit.containers, 1);
}

static void a_container_that_was_never_made_gives_none_but_its_pod(void **state)
{
    _cleanup_(facts_kit_free) struct facts_kit kit;
    parse(&kit, STATUS("{\"name\":\"c\",\"restartCount\":0,\"state\":{\"waiting\":{\"reason\":"
                       "\"ContainerCreating\"}},\"lastState\":{}}"));
    assert_int_equal(kit.pods, 1);
    assert_int_equal(kit.containers, 0);
    assert_int_equal(kit.dropped, 0);
}

static void only_the_controller_is_the_owner(void **state)
{
    _cleanup_(facts_kit_free) struct facts_kit kit;
    parse(&kit, POD_HEAD ",\"ownerReferences\":["
                         "{\"kind\":\"Thing\",\"name\":\"other\"},"
                         "{\"kind\":\"Job\",\"name\":\"j\",\"controller\":true}]}}]}");
    facts_kit_has(&kit, "pod " UID " n/p owner=Job/j");
}

static void times_are_read_to_the_nanosecond_or_not_at_all(void **state)
{
    static const struct {
        const char *text;
        const char *line;
    } cases[] = {
        {"2026-11-22T09:25:12Z", " started=1795339512"},
        {"2026-11-22T09:25:12.784774400Z", " started=1795339512"},
        {"2026-11-22T10:25:12+01:00", " started=1795339512"},
        {"2026-11-22T04:55:12-04:30", " started=1795339512"},
        {"2026-11-22 09:25:12Z", ""},
        {"2026-11-22T09:25:12", ""},
        {"2026-11-22T09:25:12Zulu", ""},
        {"2026-11-22T09:25:12+0100", ""},
        {"9999-11-22T09:25:12Z", ""},
        {"1901-11-22T09:25:12Z", ""},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(facts_kit_free) struct facts_kit kit;
        char json[512], line[128];
        snprintf(json, sizeof(json), POD_HEAD "},\"status\":{\"startTime\":\"%s\"}}]}",
                 cases[i].text);
        snprintf(line, sizeof(line), "pod " UID " n/p%s", cases[i].line);
        parse(&kit, json);
        facts_kit_has(&kit, line);
    }
}

static void what_is_beyond_kubernetes_limits_is_left_out_and_counted(void **state)
{
    _cleanup_(facts_kit_free) struct facts_kit kit;
    char json[8192], longer[256];
    memset(longer, 'x', 254);
    longer[254] = 0;
    snprintf(json, sizeof(json),
             POD_HEAD ",\"labels\":{\"a\":\"1\",\"b\":\"%s\",\"%s%s\":\"c\",\"d\":7,"
                      "\"e\":\"\\u001b[1m\",\"f\":\"\"}},\"status\":{\"podIP\":\"%s\"}},"
                      "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"n\",\"uid\":\"u\"}},"
                      "{\"metadata\":{\"name\":\"a/b\",\"namespace\":\"n\",\"uid\":\"u\"}},"
                      "{\"metadata\":{\"name\":\"x\",\"namespace\":\"n\"}},"
                      "{\"metadata\":{\"name\":\"p2\",\"namespace\":\"n\",\"uid\":\"u-2\"}}]}",
             longer, longer, longer, longer, longer);
    parse(&kit, json);
    assert_int_equal(kit.pods, 2);
    facts_kit_has(&kit, "pod " UID " n/p a=1 f=");
    facts_kit_has(&kit, "pod u-2 n/p2");
    /* Four labels and an address; two names and a uid that is not there, each with its pod. */
    assert_int_equal(kit.dropped, 5 + 2 * 2 + 1);
}

static void a_pod_has_no_more_labels_than_the_bound(void **state)
{
    _cleanup_(facts_kit_free) struct facts_kit kit;
    _cleanup_(buf_free) struct buf json = {0};
    assert_int_equal(buf_puts(&json, POD_HEAD ",\"labels\":{"), 0);
    for (unsigned i = 0; i < FACT_LABELS_MAX + 10; i++)
        assert_int_equal(buf_printf(&json, "%s\"l%u\":\"v\"", i ? "," : "", i), 0);
    assert_int_equal(buf_printf(&json, "}}}]}"), 0);
    parse(&kit, (char *)json.data);
    assert_int_equal(kit.pods, 1);
    assert_int_equal(kit.dropped, 10);
}

static void a_node_without_pods_has_none(void **state)
{
    _cleanup_(facts_kit_free) struct facts_kit kit;
    parse(&kit, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":null}");
    assert_int_equal(kit.pods, 0);
}

static void what_is_no_list_of_pods_is_refused(void **state)
{
    static const struct {
        const char *json;
        int code;
        const char *words;
    } cases[] = {
        {"", -EBADMSG, "no JSON"},
        {"<html>", -EBADMSG, "no JSON"},
        {"[]", -EBADMSG, "no PodList"},
        {"{}", -EBADMSG, "no PodList"},
        {"{\"kind\":\"PodList\"}", -EBADMSG, "no PodList"},
        {"{\"kind\":\"Status\",\"items\":[]}", -EBADMSG, "no PodList"},
        {"{\"kind\":\"PodList\",\"items\":{}}", -EBADMSG, "no PodList"},
        {"{\"kind\":\"PodList\",\"items\":[]} x", -EBADMSG, "no JSON"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(facts_kit_free) struct facts_kit kit;
        struct err err = {0};
        facts_kit_init(&kit);
        assert_int_equal(kubelet_parse_pods(cases[i].json, strlen(cases[i].json), &kit.sink, &err),
                         cases[i].code);
        assert_non_null(strstr(err.text, cases[i].words));
    }
}

/* 64 MiB of "[]," would be a gigabyte and more as JSON values. */
static void json_that_would_fill_the_memory_is_refused_before_it_is_read(void **state)
{
    _cleanup_(facts_kit_free) struct facts_kit kit;
    struct err err = {0};
    size_t len = 16u << 20;
    _cleanup_free_ char *json = malloc(len);
    assert_non_null(json);
    for (size_t i = 0; i < len; i++)
        json[i] = "[],"[i % 3];
    json[0] = '[';
    facts_kit_init(&kit);
    assert_int_equal(kubelet_parse_pods(json, len, &kit.sink, &err), -EFBIG);
}

/* Members that are not read are cut out before: never where that would change what is. */
static void what_is_cut_out_before_does_not_change_what_is_read(void **state)
{
    static const char json[] =
        "{\"kind\":\"PodList\",\"env\":[\"}\\\"]\",{\"a\":[]}],\"items\":[{\"metadata\" : {"
        "\"annotations\" : {\"x\":\"{[\\\\\"},\"name\":\"volumes\",\"namespace\":\"env\","
        "\"uid\":\"u-1\",\"labels\":{\"volumes\":\"v\",\"env\":\"\\\"env\\\":[\",\"app\":\"a\"}},"
        "\"spec\":{\"containers\":[{\"env\":[{\"name\":\"nodeName\"}]}],\"nodeName\":\"n\"}}]}";
    _cleanup_(facts_kit_free) struct facts_kit kit;
    struct err err = {0};
    parse(&kit, json);
    facts_kit_has(&kit, "pod u-1 env/volumes node=n app=a env=\"env\":[ volumes=v");
    /* One that does not end is not taken for the rest of the text. */
    static const char open[] = "{\"kind\":\"PodList\",\"items\":[],\"env\":[{}";
    assert_int_equal(kubelet_parse_pods(open, sizeof(open) - 1, &kit.sink, &err), -EBADMSG);
    static const char quote[] = "{\"kind\":\"PodList\",\"items\":[],\"env\":[\"";
    assert_int_equal(kubelet_parse_pods(quote, sizeof(quote) - 1, &kit.sink, &err), -EBADMSG);
}

static void a_sink_that_refuses_ends_the_reading(void **state)
{
    _cleanup_(buf_free) struct buf json = {0};
    _cleanup_(facts_kit_free) struct facts_kit kit;
    struct err err = {0};
    golden_read("kubelet-pods.json", &json);
    facts_kit_init(&kit);
    kit.answer = -ENOMEM;
    assert_int_equal(kubelet_parse_pods((char *)json.data, json.len, &kit.sink, &err), -ENOMEM);
    assert_int_equal(kit.pods, 1);
    assert_int_equal(kit.containers, 0);
}

/* ---- asking */

struct kit {
    struct temp_dir *dir;
    bool has_tls;
    struct tls_kit tls;
    struct buf json;
    struct http_server *server; /* its certificate is for node-1 */
    struct kubelet_config config;
    char token[PATH_MAX + 16];
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
    golden_read("kubelet-pods.json", &kit->json);
    facts_kit_init(&kit->facts);
    kit->has_tls = tls_kit_make(&kit->tls, kit->dir, "node-1");
    snprintf(kit->token, sizeof(kit->token), "%s/token", kit->dir->path);
    if (kit->has_tls)
        kit->server = http_server_new((char *)kit->tls.cert.data, (char *)kit->tls.key.data);
    kit->config = (struct kubelet_config){.server_name = "node-1",
                                          .ca_file = kit->tls.ca_file,
                                          .token_file = kit->token,
                                          .account_dir = kit->dir->path};
    assert_int_equal(fs_publish_at(kit->dir->fd, "token", "right\n", 6, 0600, NULL), 0);
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    void *dir = kit->dir;
    source_free(&kit->source);
    http_server_free(&kit->server);
    facts_kit_free(&kit->facts);
    tls_kit_free(&kit->tls);
    buf_free(&kit->json);
    free(kit);
    return temp_dir_remove(&dir);
}

static void listen_with(struct kit *kit, const struct http_answer *answer)
{
    http_server_script(kit->server, answer, 1);
    http_server_listen(kit->server);
    kit->config.url = http_server_url(kit->server);
}

static int refresh(struct kit *kit)
{
    if (!kit->source.ops)
        assert_int_equal(kubelet_source_new(&kit->config, &kit->source, &kit->err), 0);
    assert_string_equal(kit->source.ops->name, "kubelet");
    return kit->source.ops->refresh(kit->source.self, &kit->facts.sink, &kit->err);
}

static void facts_come_over_tls_to_who_has_the_token(void **state)
{
    struct kit *kit = *state;
    if (!kit->has_tls)
        skip();
    listen_with(kit, &(struct http_answer){.token = "right", .body = (char *)kit->json.data});
    assert_int_equal(refresh(kit), 0);
    facts_kit_equals(&kit->facts, "kubelet-pods.facts");
    assert_int_equal(refresh(kit), 0);
    assert_int_equal(kit->facts.pods, 16);
    assert_string_equal(http_server_request(kit->server, 1)->path, "/pods");
    assert_int_equal(http_server_request(kit->server, 1)->connection, 1);
}

static void a_token_that_was_replaced_serves_at_the_next_refresh(void **state)
{
    struct kit *kit = *state;
    if (!kit->has_tls)
        skip();
    listen_with(kit, &(struct http_answer){.token = "newer", .body = (char *)kit->json.data});
    assert_int_equal(refresh(kit), -EACCES);
    assert_words(&kit->err, "/pods: HTTP 401: Unauthorized; kubelet does not take this token");
    assert_int_equal(fs_publish_at(kit->dir->fd, "token", "newer\n", 6, 0600, NULL), 0);
    assert_int_equal(refresh(kit), 0);
    assert_int_equal(kit->facts.pods, 8);
}

static void who_sends_no_token_is_told_how(void **state)
{
    struct kit *kit = *state;
    if (!kit->has_tls)
        skip();
    kit->config.token_file = NULL;
    kit->config.account_dir = "/nonexistent";
    listen_with(kit, &(struct http_answer){.token = "right", .body = "{}"});
    assert_int_equal(refresh(kit), -EACCES);
    assert_words(&kit->err, "HTTP 401: Unauthorized; no token was sent: --kubelet-token FILE");
}

static void the_service_accounts_token_is_used_by_itself(void **state)
{
    struct kit *kit = *state;
    if (!kit->has_tls)
        skip();
    kit->config.token_file = NULL;
    listen_with(kit, &(struct http_answer){.token = "right", .body = (char *)kit->json.data});
    assert_int_equal(refresh(kit), 0);
    assert_int_equal(kit->facts.pods, 8);
}

static void who_may_not_is_told_which_right_lacks(void **state)
{
    struct kit *kit = *state;
    if (!kit->has_tls)
        skip();
    listen_with(kit, &(struct http_answer){
                         .status = 403,
                         .body = "Forbidden (user=system:serviceaccount:ops:nobody, verb=get, "
                                 "resource=nodes, subresource=proxy)"});
    assert_int_equal(refresh(kit), -EACCES);
    assert_words(&kit->err,
                 "HTTP 403: Forbidden (user=system:serviceaccount:ops:nobody, verb=get, "
                 "resource=nodes, subresource=proxy); its service account needs the right "
                 "to get nodes/proxy, or nodes/pods");
}

static void a_certificate_for_another_name_names_the_setting(void **state)
{
    struct kit *kit = *state;
    if (!kit->has_tls)
        skip();
    kit->config.server_name = NULL;
    listen_with(kit, &(struct http_answer){.body = (char *)kit->json.data});
    assert_int_equal(refresh(kit), -EKEYREJECTED);
    assert_words(&kit->err, "the certificate is not for \"127.0.0.1\"");
    assert_words(&kit->err, "--kubelet-server-name NAME");
    assert_int_equal(kit->facts.pods, 0);
}

static void a_certificate_of_an_unknown_authority_names_the_setting(void **state)
{
    struct kit *kit = *state;
    if (!kit->has_tls)
        skip();
    kit->config.ca_file = NULL;
    listen_with(kit, &(struct http_answer){.body = (char *)kit->json.data});
    assert_int_equal(refresh(kit), -EKEYREJECTED);
    assert_words(&kit->err, "--kubelet-ca FILE");
    assert_words(&kit->err, "--kubelet-insecure");
    source_free(&kit->source);
    kit->config.insecure = true;
    assert_int_equal(refresh(kit), 0);
    assert_int_equal(kit->facts.pods, 8);
}

static void a_missing_token_file_names_the_setting(void **state)
{
    struct kit *kit = *state;
    kit->config.url = "https://127.0.0.1:1";
    kit->config.token_file = "/nonexistent/token";
    int r = refresh(kit);
    assert_true(r < 0 && r != -ENOENT);
    assert_words(&kit->err, "/nonexistent/token: No such file or directory; name a token with "
                            "--kubelet-token FILE");
}

static void a_kubelet_that_hangs_is_given_up(void **state)
{
    struct kit *kit = *state;
    char url[64];
    struct raw_server *server = raw_server_new(NULL, raw_say_nothing, NULL);
    snprintf(url, sizeof(url), "https%s", strchr(raw_server_url(server), ':'));
    kit->config.url = url;
    assert_int_equal(refresh(kit), -ETIMEDOUT);
    assert_words(&kit->err, url);
    raw_server_free(&server);
}

static void an_answer_that_is_garbage_gives_an_error_that_names_the_place(void **state)
{
    struct kit *kit = *state;
    if (!kit->has_tls)
        skip();
    listen_with(kit, &(struct http_answer){.body = "\1\2\3{\"kind\""});
    assert_int_equal(refresh(kit), -EBADMSG);
    assert_words(&kit->err, "/pods: no JSON");
}

/* Without an account's token it is no node's agent; with one it should have found a kubelet. */
static void no_kubelet_in_the_usual_place_is_a_fault_only_in_a_pod(void **state)
{
    struct kit *kit = *state;
    kit->config = (struct kubelet_config){.account_dir = "/nonexistent"};
    if (refresh(kit) != -ENOENT)
        skip(); /* one runs on this machine */
    assert_words(&kit->err,
                 "no kubelet at https://127.0.0.1:10250, and no service account's token");
    source_free(&kit->source);
    kit->config.account_dir = kit->dir->path;
    assert_int_equal(refresh(kit), -ECONNREFUSED);
    assert_words(&kit->err, "no kubelet at https://127.0.0.1:10250; say where it is");
}

/* The last: at 127.0.0.2 attempts to connect have no answer. */
static void kubelet_is_asked_at_this_machine_if_not_at_the_nodes_address(void **state)
{
    static const char *const node_ips[] = {"", "::1", "127.0.0.3", "127.0.0.2"};
    struct kit *kit = *state;
    struct raw_deaf deaf;
    if (!kit->has_tls)
        skip();
    listen_with(kit, &(struct http_answer){.token = "right", .body = (char *)kit->json.data});
    kit->config.port = strrchr(kit->config.url, ':') + 1;
    raw_deaf_open(&deaf, "127.0.0.2", (uint16_t)atoi(kit->config.port));
    kit->config.url = kit->config.server_name = NULL;
    kit->config.node = "node-1";
    for (size_t i = 0; i < ARRAY_LEN(node_ips); i++) {
        kit->config.node_ip = node_ips[i];
        for (size_t n = 0; n < 2; n++) { /* where it was found it is asked first */
            assert_int_equal(refresh(kit), 0);
            assert_int_equal(http_server_request(kit->server, 2 * i + n)->connection, i + 1);
        }
        source_free(&kit->source);
    }
    assert_int_equal(kit->facts.pods, 8 * 2 * ARRAY_LEN(node_ips));
    raw_deaf_close(&deaf);
}

static void where_kubelet_was_looked_for_is_told(void **state)
{
    static const struct {
        const char *node_ip, *words;
    } cases[] = {
        {NULL, "no kubelet at https://127.0.0.1:1; say where"},
        {"127.0.0.1", "no kubelet at https://127.0.0.1:1; say where"},
        {"127.0.0.3", "no kubelet at https://127.0.0.3:1, https://127.0.0.1:1; say where"},
        {"::1", "no kubelet at https://[::1]:1, https://127.0.0.1:1; say where"},
    };
    struct kit *kit = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        kit->config.port = "1";
        kit->config.node_ip = cases[i].node_ip;
        assert_int_equal(refresh(kit), -ECONNREFUSED);
        assert_words(&kit->err, cases[i].words);
        source_free(&kit->source);
    }
}

static void a_url_that_is_none_is_refused_at_once(void **state)
{
    struct kit *kit = *state;
    kit->config.url = "node-1:10250";
    assert_int_equal(kubelet_source_new(&kit->config, &kit->source, &kit->err), -EINVAL);
    assert_null(kit->source.ops);
    assert_words(&kit->err, "kubelet-url: \"node-1:10250\" is no server");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_answer_gives_all_its_pods_and_containers),
        cmocka_unit_test(a_container_in_a_crash_loop_waits_under_the_id_it_had),
        cmocka_unit_test(a_container_that_was_never_made_gives_none_but_its_pod),
        cmocka_unit_test(only_the_controller_is_the_owner),
        cmocka_unit_test(times_are_read_to_the_nanosecond_or_not_at_all),
        cmocka_unit_test(what_is_beyond_kubernetes_limits_is_left_out_and_counted),
        cmocka_unit_test(a_pod_has_no_more_labels_than_the_bound),
        cmocka_unit_test(a_node_without_pods_has_none),
        cmocka_unit_test(what_is_no_list_of_pods_is_refused),
        cmocka_unit_test(json_that_would_fill_the_memory_is_refused_before_it_is_read),
        cmocka_unit_test(what_is_cut_out_before_does_not_change_what_is_read),
        cmocka_unit_test(a_sink_that_refuses_ends_the_reading),
        TEST(facts_come_over_tls_to_who_has_the_token),
        TEST(a_token_that_was_replaced_serves_at_the_next_refresh),
        TEST(who_sends_no_token_is_told_how),
        TEST(the_service_accounts_token_is_used_by_itself),
        TEST(who_may_not_is_told_which_right_lacks),
        TEST(a_certificate_for_another_name_names_the_setting),
        TEST(a_certificate_of_an_unknown_authority_names_the_setting),
        TEST(a_missing_token_file_names_the_setting),
        TEST(a_kubelet_that_hangs_is_given_up),
        TEST(an_answer_that_is_garbage_gives_an_error_that_names_the_place),
        TEST(no_kubelet_in_the_usual_place_is_a_fault_only_in_a_pod),
        TEST(kubelet_is_asked_at_this_machine_if_not_at_the_nodes_address),
        TEST(where_kubelet_was_looked_for_is_told),
        TEST(a_url_that_is_none_is_refused_at_once),
    };
    return cmocka_run_group_tests_name("kubelet", tests, NULL, NULL);
}
