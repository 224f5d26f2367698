/* test_kube_client.c: an API server that answers as a real one did is followed, over TLS and with a
 * token; what is wrong with it is said, and what is right goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "recorded_api.h"
#include "server/cluster/client.h"
#include "server/cluster/cluster.h"
#include "server/cluster/settings.h"
#include "temp_dir.h"
#include "tls_kit.h"

#define TOKEN "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"

struct kit {
    struct temp_dir *temp;
    char dir[1024], token_file[4200], url[64];
    struct recorded_api *api;
    struct cluster *cluster;
    struct kube_client *client;
};

static void write_token(const struct kit *kit, const char *token)
{
    FILE *f = fopen(kit->token_file, "we");
    assert_non_null(f);
    assert_true(fputs(token, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int make(void **state)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    const char *top = getenv("top_srcdir");
    assert_int_equal(temp_dir_make((void **)&kit->temp), 0);
    snprintf(kit->dir, sizeof(kit->dir), "%s/tests/golden/k8s/api", top ? top : ".");
    snprintf(kit->token_file, sizeof(kit->token_file), "%s/token", kit->temp->path);
    write_token(kit, TOKEN "\n");
    assert_int_equal(cluster_new(&kit->cluster, NULL), 0);
    *state = kit;
    return 0;
}

static int unmake(void **state)
{
    struct kit *kit = *state;
    kube_client_stop(&kit->client);
    recorded_api_stop(&kit->api);
    cluster_free(&kit->cluster);
    int r = temp_dir_remove((void **)&kit->temp);
    free(kit);
    return r;
}

static void serve(struct kit *kit, unsigned page, const struct tls_kit *tls)
{
    const struct recorded_api_config config = {
        .dir = kit->dir,
        .token = TOKEN,
        .cert = tls ? (const char *)tls->cert.data : NULL,
        .key = tls ? (const char *)tls->key.data : NULL,
        .page = page,
    };
    kit->api = recorded_api_start(&config);
    snprintf(kit->url, sizeof(kit->url), "https://localhost:%u", recorded_api_port(kit->api));
}

static void follow(struct kit *kit, const char *ca_file, bool insecure)
{
    const struct kube_client_config config = {
        .server = kit->url,
        .token_file = kit->token_file,
        .ca_file = ca_file,
        .insecure = insecure,
    };
    struct err err = {0};
    if (kube_client_start(&config, kit->cluster, &kit->client, &err) < 0)
        fail_msg("%s", err.text);
}

static struct kube_status status_of(struct kit *kit, enum kube_kind kind)
{
    struct kube_status status;
    kube_client_read_status(kit->client, kind, &status);
    return status;
}

/* What is waited for comes at once, or after the pause behind a failure. */
#define WAIT_UNTIL(condition)                      \
    do {                                           \
        for (int i = 0; !(condition); i++) {       \
            if (i == 3000)                         \
                fail_msg("never: %s", #condition); \
            usleep(10000);                         \
        }                                          \
    } while (0)

static bool has_pod(struct kit *kit, const char *namespace, const char *name)
{
    cluster_lock(kit->cluster);
    bool has = cluster_find(kit->cluster, KUBE_POD, namespace, name) != NULL;
    cluster_unlock(kit->cluster);
    return has;
}

static bool is_in_state(struct kit *kit, enum kube_state state)
{
    for (size_t kind = 0; kind < KUBE_KIND_COUNT; kind++)
        if (status_of(kit, kind).state != state)
            return false;
    return true;
}

static struct tls_kit tls;

static void all_kinds_are_listed_by_pages_and_pods_followed_through_a_deletion(void **state)
{
    static const struct {
        enum kube_kind kind;
        size_t count;
    } counts[] = {
        {KUBE_NAMESPACE, 7},   {KUBE_NODE, 1},      {KUBE_REPLICASET, 1}, {KUBE_DEPLOYMENT, 1},
        {KUBE_STATEFULSET, 1}, {KUBE_DAEMONSET, 1}, {KUBE_JOB, 2},        {KUBE_CRONJOB, 1},
        {KUBE_SERVICE, 3},     {KUBE_POD, 8},
    };
    struct kit *kit = *state;
    serve(kit, 3, &tls);
    follow(kit, tls.ca_file, false);
    WAIT_UNTIL(is_in_state(kit, KUBE_OK));
    WAIT_UNTIL(status_of(kit, KUBE_POD).events == 13);
    assert_true(has_pod(kit, "shop", "web-6f9968b487-thw2p"));
    assert_false(has_pod(kit, "shop", "web-6f9968b487-6fpt5"));
    cluster_lock(kit->cluster);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        assert_int_equal(cluster_count(kit->cluster, counts[i].kind), counts[i].count);
        assert_true(cluster_is_whole(kit->cluster, counts[i].kind));
    }
    cluster_unlock(kit->cluster);
    /* Two of them need three pages, the others one; cronjobs are looked for in two places. */
    assert_int_equal(recorded_api_count(kit->api, 200), 2 * 3 + 8);
    assert_int_equal(recorded_api_count(kit->api, 404), 1);
    assert_int_equal(status_of(kit, KUBE_POD).lists, 1);
}

static void a_server_that_forgot_is_listed_again(void **state)
{
    struct kit *kit = *state;
    serve(kit, 0, &tls);
    follow(kit, tls.ca_file, false);
    WAIT_UNTIL(has_pod(kit, "shop", "web-6f9968b487-thw2p"));
    WAIT_UNTIL(status_of(kit, KUBE_POD).events == 13);
    recorded_api_forget(kit->api);
    WAIT_UNTIL(status_of(kit, KUBE_POD).lists == 2);
    assert_int_equal(status_of(kit, KUBE_POD).state, KUBE_OK);
    assert_true(has_pod(kit, "shop", "web-6f9968b487-thw2p"));
}

static void what_is_forbidden_of_one_kind_is_said_and_the_others_go_on(void **state)
{
    struct kit *kit = *state;
    serve(kit, 0, &tls);
    recorded_api_forbid(kit->api, "services");
    follow(kit, tls.ca_file, false);
    WAIT_UNTIL(status_of(kit, KUBE_SERVICE).state == KUBE_FAILING);
    WAIT_UNTIL(status_of(kit, KUBE_POD).state == KUBE_OK);
    struct kube_status status = status_of(kit, KUBE_SERVICE);
    assert_non_null(strstr(status.error, "the account may not list and watch services"));
    assert_non_null(strstr(status.error, "HTTP 403"));
    assert_non_null(strstr(status.error, "system:serviceaccount:ops:nobody"));
    assert_false(cluster_is_whole(kit->cluster, KUBE_SERVICE));
    recorded_api_forbid(kit->api, NULL);
    WAIT_UNTIL(status_of(kit, KUBE_SERVICE).state == KUBE_OK);
    assert_int_equal(cluster_count(kit->cluster, KUBE_SERVICE), 3);
    assert_string_equal(status_of(kit, KUBE_SERVICE).error, "");
}

static void a_wrong_token_is_said_and_its_file_read_again(void **state)
{
    struct kit *kit = *state;
    serve(kit, 0, &tls);
    write_token(kit, "not.a.token\n");
    follow(kit, tls.ca_file, false);
    WAIT_UNTIL(is_in_state(kit, KUBE_FAILING));
    struct kube_status status = status_of(kit, KUBE_POD);
    assert_non_null(strstr(status.error, "the token is not accepted (--api-token)"));
    assert_non_null(strstr(status.error, "HTTP 401"));
    write_token(kit, TOKEN);
    WAIT_UNTIL(is_in_state(kit, KUBE_OK));
}

static void a_certificate_of_nobody_we_know_is_refused_unless_any_will_do(void **state)
{
    struct kit *kit = *state;
    serve(kit, 0, &tls);
    follow(kit, NULL, false);
    WAIT_UNTIL(is_in_state(kit, KUBE_FAILING));
    assert_int_equal(recorded_api_count(kit->api, 200), 0);
    kube_client_stop(&kit->client);
    follow(kit, NULL, true);
    WAIT_UNTIL(is_in_state(kit, KUBE_OK));
}

static void a_server_that_is_not_there_is_waited_for_and_does_not_hold_up_the_end(void **state)
{
    struct kit *kit = *state;
    snprintf(kit->url, sizeof(kit->url), "https://localhost:1");
    follow(kit, NULL, false);
    WAIT_UNTIL(is_in_state(kit, KUBE_FAILING));
    assert_true(strlen(status_of(kit, KUBE_POD).error) > 10);
    kube_client_stop(&kit->client);
    assert_null(kit->client);
}

static void what_was_known_stays_when_the_server_goes(void **state)
{
    struct kit *kit = *state;
    serve(kit, 0, &tls);
    follow(kit, tls.ca_file, false);
    WAIT_UNTIL(has_pod(kit, "shop", "web-6f9968b487-thw2p"));
    WAIT_UNTIL(is_in_state(kit, KUBE_OK));
    recorded_api_stop(&kit->api);
    WAIT_UNTIL(status_of(kit, KUBE_POD).state == KUBE_FAILING);
    assert_true(has_pod(kit, "data", "db-0"));
    assert_true(cluster_is_whole(kit->cluster, KUBE_POD));
}

/* ---- settings */

static void assert_settings(const char *server, const char *token, const char *host,
                            const char *port, const char *dir, const char *expect)
{
    struct kube_settings found;
    char text[16384];
    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("KUBERNETES_SERVICE_PORT");
    if (host)
        setenv("KUBERNETES_SERVICE_HOST", host, 1);
    if (port)
        setenv("KUBERNETES_SERVICE_PORT", port, 1);
    assert_int_equal(kube_settings_find(server, token, NULL, dir, &found, NULL), 0);
    snprintf(text, sizeof(text), "%s %s %s", found.server, found.token_file, found.ca_file);
    if (*expect)
        assert_string_equal(text, expect);
    else
        assert_string_equal(found.server, "");
}

static void a_pods_own_api_server_is_found_if_the_account_may_be_used(void **state)
{
    struct kit *kit = *state;
    char in_pod[9000], ipv6[9000], other_token[9000];
    const char *dir = kit->temp->path;
    snprintf(in_pod, sizeof(in_pod), "https://10.96.0.1:443 %s/token %s/ca.crt", dir, dir);
    snprintf(ipv6, sizeof(ipv6), "https://[fd00::1]:443 %s/token %s/ca.crt", dir, dir);
    snprintf(other_token, sizeof(other_token), "https://10.96.0.1:443 /t %s/ca.crt", dir);
    assert_settings(NULL, NULL, "10.96.0.1", "443", dir, in_pod);
    assert_settings(NULL, NULL, "fd00::1", "443", dir, ipv6);
    assert_settings(NULL, "/t", "10.96.0.1", "443", dir, other_token);
    assert_settings(NULL, NULL, "10.96.0.1", "443", "/nowhere", "");
    assert_settings(NULL, NULL, NULL, "443", dir, "");
    assert_settings(NULL, NULL, "10.96.0.1", NULL, dir, "");
    assert_settings("", NULL, "10.96.0.1", "443", dir, "");
    /* The pod's token is for the pod's API server alone. */
    assert_settings("https://other:6443", NULL, "10.96.0.1", "443", dir, "https://other:6443  ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
    const struct CMUnitTest tests[] = {
        TEST(a_pods_own_api_server_is_found_if_the_account_may_be_used),
        TEST(a_server_that_is_not_there_is_waited_for_and_does_not_hold_up_the_end),
        TEST(all_kinds_are_listed_by_pages_and_pods_followed_through_a_deletion),
        TEST(a_server_that_forgot_is_listed_again),
        TEST(what_is_forbidden_of_one_kind_is_said_and_the_others_go_on),
        TEST(a_wrong_token_is_said_and_its_file_read_again),
        TEST(a_certificate_of_nobody_we_know_is_refused_unless_any_will_do),
        TEST(what_was_known_stays_when_the_server_goes),
    };
    struct temp_dir *temp;
    signal(SIGPIPE, SIG_IGN); /* as the server does */
    if (temp_dir_make((void **)&temp) != 0)
        return 1;
    if (!tls_kit_make(&tls, temp, "localhost")) {
        printf("1..0 # SKIP openssl(1) is not here or too old\n");
        temp_dir_remove((void **)&temp);
        return 0;
    }
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    tls_kit_free(&tls);
    temp_dir_remove((void **)&temp);
    return r;
}
