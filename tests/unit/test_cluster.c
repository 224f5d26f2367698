/* test_cluster.c: a cluster's objects are followed by lists and watches, and found by name, uid and
 * container; what they belong to is exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "golden_file.h"
#include "server/cluster/cluster.h"
#include "server/cluster/parse.h"
#include "server/cluster/watch.h"

static int make(void **state)
{
    struct cluster *cluster;
    assert_int_equal(cluster_new(&cluster, NULL), 0);
    *state = cluster;
    return 0;
}

static int unmake(void **state)
{
    cluster_free((struct cluster **)state);
    return 0;
}

static void watch_free(struct kube_watch **watch)
{
    kube_watch_free(watch);
}
#define _cleanup_watch_ _cleanup_(watch_free)

static struct kube_watch *watch_of(struct cluster *c, enum kube_kind kind)
{
    struct kube_watch *watch;
    assert_int_equal(kube_watch_new(kind, c, &watch, NULL), 0);
    return watch;
}

static void take_page(struct kube_watch *watch, const char *name)
{
    _cleanup_(buf_free) struct buf text = golden_file(name);
    struct err err = {0};
    if (kube_watch_take_page(watch, (const char *)text.data, text.len, &err) != 0)
        fail_msg("%s: %s", name, err.text);
}

static void list(struct cluster *c, enum kube_kind kind, const char *name)
{
    _cleanup_watch_ struct kube_watch *watch = watch_of(c, kind);
    take_page(watch, name);
}

static void list_all(struct cluster *c)
{
    for (size_t kind = 0; kind < KUBE_KIND_COUNT; kind++) {
        char name[64];
        snprintf(name, sizeof(name), "k8s/api/%s.json", kube_kind_info(kind)->resource);
        list(c, kind, name);
    }
}

static void assert_workload(struct cluster *c, const char *namespace, const char *pod,
                            const char *expect)
{
    char text[CLUSTER_WORKLOAD_MAX];
    cluster_lock(c);
    const struct kube_object *o = cluster_find(c, KUBE_POD, namespace, pod);
    assert_non_null(o);
    cluster_workload(c, o, text);
    cluster_unlock(c);
    assert_string_equal(text, expect);
}

/* "namespace/pod container", or "". */
static const char *owner_of(struct cluster *c, const char *id)
{
    static char text[512];
    const char *container = "";
    cluster_lock(c);
    const struct kube_object *o = cluster_find_id(c, id, &container);
    snprintf(text, sizeof(text), "%s%s%s %s", o ? o->namespace : "", o ? "/" : "", o ? o->name : "",
             container);
    cluster_unlock(c);
    return text;
}

static struct kube_object object(enum kube_kind kind, const char *name, const char *uid)
{
    return (struct kube_object){
        .kind = kind,
        .uid = uid,
        .namespace = "n",
        .name = name,
        .owner_kind = "",
        .owner = "",
        .owner_uid = "",
        .node = "",
        .ip = "",
        .phase = "",
        .static_uid = "",
    };
}

static struct kube_container container(const char *id)
{
    return (struct kube_container){
        .name = "main", .image = "", .reason = "", .id = id, .last_id = ""};
}

/* ---- recorded answers */

static void every_pod_belongs_to_the_workload_that_a_person_made(void **state)
{
    struct cluster *c = *state;
    list_all(c);
    assert_workload(c, "shop", "web-6f9968b487-nf9wh", "Deployment/web");
    assert_workload(c, "data", "db-0", "StatefulSet/db");
    assert_workload(c, "ops", "agent-htcff", "DaemonSet/agent");
    assert_workload(c, "ops", "once-2xvpt", "Job/once");
    assert_workload(c, "ops", "report-1-j7m9k", "CronJob/report");
    assert_workload(c, "ops", "bare", "");
    assert_workload(c, "kube-system", "proxy-node-1", "");
}

static void without_replicasets_a_deployment_is_known_by_its_label_alone(void **state)
{
    struct cluster *c = *state;
    list(c, KUBE_POD, "k8s/api/pods.json");
    assert_workload(c, "shop", "web-6f9968b487-nf9wh", "Deployment/web");
    assert_workload(c, "ops", "report-1-j7m9k", "Job/report-1");
}

static void pods_are_found_by_uid_and_container(void **state)
{
    struct cluster *c = *state;
    list_all(c);
    assert_string_equal(owner_of(c, "d92b8acf-c7d4-4006-b6a4-2c6969b8ed64"), "data/db-0 ");
    assert_string_equal(
        owner_of(c, "9d1746e31921fc4d133e0a7f26f29ca5720b78f55f00a763aef56a7400a0c247"),
        "data/db-0 db");
    /* A static pod by the API server's uid, by kubelet's, and by its container. */
    assert_string_equal(owner_of(c, "0e6c0df6-5788-4694-933d-7d8aa26f7258"),
                        "kube-system/proxy-node-1 ");
    assert_string_equal(owner_of(c, "ac791484a78c8f4038eba8b0081dfcd4"),
                        "kube-system/proxy-node-1 ");
    assert_string_equal(
        owner_of(c, "e50d7fa650fccf24650f555cb174fdee8f2c6114f212b0031625efd31bbd2b95"),
        "kube-system/proxy-node-1 proxy");
    assert_string_equal(owner_of(c, "unknown"), " ");
    assert_string_equal(owner_of(c, ""), " ");
}

static void a_watch_leads_from_one_list_to_the_next(void **state)
{
    struct cluster *c = *state;
    _cleanup_watch_ struct kube_watch *watch = watch_of(c, KUBE_POD);
    _cleanup_(buf_free) struct buf events = golden_file("k8s/api/pods-watch.jsonl");
    static const char gone[] = "125c6c0a-788e-44ef-bd09-7534652f01f8";
    struct kube_request request;
    take_page(watch, "k8s/api/pods-before.json");
    kube_watch_next(watch, &request);
    assert_true(request.is_stream);
    assert_string_equal(request.path, "/api/v1/pods?watch=1&allowWatchBookmarks=true&"
                                      "timeoutSeconds=120&resourceVersion=489");
    /* However it is split: here into 1, 2, 3 ... bytes. */
    for (size_t at = 0, len = 1; at < events.len; at += len++) {
        if (len > events.len - at)
            len = events.len - at;
        assert_int_equal(kube_watch_feed(watch, (const char *)events.data + at, len, NULL), 0);
    }
    assert_int_equal(cluster_count(c, KUBE_POD), 8);
    assert_non_null(cluster_find(c, KUBE_POD, "shop", "web-6f9968b487-thw2p"));
    assert_null(cluster_find(c, KUBE_POD, "shop", "web-6f9968b487-6fpt5"));
    assert_string_equal(cluster_find(c, KUBE_POD, "shop", "web-6f9968b487-thw2p")->phase,
                        "Running");
    /* What is gone is not counted, but samples of it are still named. */
    assert_string_equal(owner_of(c, gone), "shop/web-6f9968b487-6fpt5 ");
    kube_watch_next(watch, &request);
    assert_non_null(strstr(request.path, "resourceVersion=534"));
}

static void a_version_that_is_too_old_leads_to_a_new_list(void **state)
{
    struct cluster *c = *state;
    _cleanup_watch_ struct kube_watch *watch = watch_of(c, KUBE_POD);
    _cleanup_(buf_free) struct buf error = golden_file("k8s/api/pods-watch-too-old.jsonl");
    struct kube_request request;
    struct err err = {0};
    take_page(watch, "k8s/api/pods-before.json");
    int r = kube_watch_feed(watch, (const char *)error.data, error.len, &err);
    assert_int_equal(r, -ESTALE);
    assert_non_null(strstr(err.text, "410: too old resource version: 1 (550)"));
    assert_false(kube_watch_failed(watch, 200, r));
    kube_watch_next(watch, &request);
    assert_false(request.is_stream);
    assert_string_equal(request.path, "/api/v1/pods?limit=250");
    take_page(watch, "k8s/api/pods.json");
    assert_int_equal(cluster_count(c, KUBE_POD), 8);
    assert_null(cluster_find(c, KUBE_POD, "shop", "web-6f9968b487-6fpt5"));
    assert_non_null(cluster_find(c, KUBE_POD, "shop", "web-6f9968b487-thw2p"));
    kube_watch_next(watch, &request);
    assert_non_null(strstr(request.path, "resourceVersion=548"));
}

/* ---- requests */

static const char first_page[] =
    "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"a+/=\"},"
    "\"items\":[{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"u1\"}}]}";
static const char last_page[] =
    "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\"},"
    "\"items\":[{\"metadata\":{\"name\":\"b\",\"namespace\":\"n\",\"uid\":\"u2\"}}]}";

static void pages_are_asked_for_until_there_are_no_more(void **state)
{
    struct cluster *c = *state;
    _cleanup_watch_ struct kube_watch *watch = watch_of(c, KUBE_POD);
    struct kube_request request;
    assert_int_equal(kube_watch_take_page(watch, first_page, strlen(first_page), NULL), 0);
    assert_false(cluster_is_whole(c, KUBE_POD));
    kube_watch_next(watch, &request);
    assert_string_equal(request.path, "/api/v1/pods?limit=250&continue=a%2B%2F%3D");
    assert_int_equal(kube_watch_take_page(watch, last_page, strlen(last_page), NULL), 0);
    assert_true(cluster_is_whole(c, KUBE_POD));
    assert_int_equal(cluster_count(c, KUBE_POD), 2);
}

static void a_list_that_is_broken_off_takes_nothing_away(void **state)
{
    struct cluster *c = *state;
    _cleanup_watch_ struct kube_watch *watch = watch_of(c, KUBE_POD);
    struct kube_request request;
    kube_watch_take_page(watch, first_page, strlen(first_page), NULL);
    kube_watch_take_page(watch, last_page, strlen(last_page), NULL);
    assert_false(kube_watch_failed(watch, 0, -EIO));
    kube_watch_take_page(watch, first_page, strlen(first_page), NULL);
    assert_false(kube_watch_failed(watch, 410, -EREMOTEIO)); /* the token was too old */
    assert_int_equal(cluster_count(c, KUBE_POD), 2);
    kube_watch_next(watch, &request);
    assert_string_equal(request.path, "/api/v1/pods?limit=250");
    kube_watch_take_page(watch, last_page, strlen(last_page), NULL);
    assert_int_equal(cluster_count(c, KUBE_POD), 1);
}

static void a_page_that_is_too_large_is_asked_for_in_parts(void **state)
{
    _cleanup_watch_ struct kube_watch *watch = watch_of(*state, KUBE_POD);
    static const char *const limits[] = {"limit=50", "limit=10", "limit=2", "limit=1"};
    struct kube_request request;
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        assert_true(kube_watch_failed(watch, 200, -EFBIG));
        kube_watch_next(watch, &request);
        assert_non_null(strstr(request.path, limits[i]));
    }
    assert_false(kube_watch_failed(watch, 200, -EFBIG));
}

static void cronjobs_are_looked_for_where_older_servers_have_them(void **state)
{
    _cleanup_watch_ struct kube_watch *watch = watch_of(*state, KUBE_CRONJOB);
    struct kube_request request;
    kube_watch_next(watch, &request);
    assert_string_equal(request.path, "/apis/batch/v1/cronjobs?limit=250");
    assert_string_equal(request.accept, "application/json;as=PartialObjectMetadataList;"
                                        "g=meta.k8s.io;v=v1,application/json");
    assert_true(kube_watch_failed(watch, 404, -EREMOTEIO));
    kube_watch_next(watch, &request);
    assert_string_equal(request.path, "/apis/batch/v1beta1/cronjobs?limit=250");
    assert_false(kube_watch_failed(watch, 404, -EREMOTEIO)); /* neither: later */
}

static void an_event_that_is_too_large_ends_the_watch(void **state)
{
    _cleanup_watch_ struct kube_watch *watch = watch_of(*state, KUBE_POD);
    _cleanup_free_ char *bytes = calloc(1, KUBE_EVENT_MAX + 1);
    struct kube_request request;
    struct err err = {0};
    memset(bytes, ' ', KUBE_EVENT_MAX + 1);
    take_page(watch, "k8s/api/pods.json");
    assert_int_equal(kube_watch_feed(watch, bytes, KUBE_EVENT_MAX, &err), 0);
    assert_int_equal(kube_watch_feed(watch, bytes, 1, &err), -EFBIG);
    assert_string_equal(err.text, "an event of more than 4 MiB");
    assert_false(kube_watch_failed(watch, 200, -EFBIG));
    kube_watch_next(watch, &request);
    assert_false(request.is_stream);
}

static void a_watch_that_was_cut_within_an_event_goes_on_behind_the_last(void **state)
{
    struct cluster *c = *state;
    _cleanup_watch_ struct kube_watch *watch = watch_of(c, KUBE_POD);
    _cleanup_(buf_free) struct buf events = golden_file("k8s/api/pods-watch.jsonl");
    const char *text = (const char *)events.data, *second = strchr(text, '\n') + 1;
    struct kube_request request;
    take_page(watch, "k8s/api/pods-before.json");
    assert_int_equal(kube_watch_feed(watch, text, (size_t)(second - text) + 100, NULL), 0);
    kube_watch_next(watch, &request);
    assert_non_null(strstr(request.path, "resourceVersion=491"));
    assert_int_equal(kube_watch_feed(watch, second, strlen(second), NULL), 0);
    assert_non_null(cluster_find(c, KUBE_POD, "shop", "web-6f9968b487-thw2p"));
}

/* ---- the table */

static void a_pod_of_the_same_name_is_another_when_its_uid_is(void **state)
{
    struct cluster *c = *state;
    struct kube_object first = object(KUBE_POD, "db-0", "u1"),
                       second = object(KUBE_POD, "db-0", "u2");
    assert_int_equal(cluster_put(c, &first), 0);
    assert_int_equal(cluster_put(c, &second), 0);
    assert_int_equal(cluster_count(c, KUBE_POD), 1);
    assert_string_equal(cluster_find(c, KUBE_POD, "n", "db-0")->uid, "u2");
    assert_string_equal(owner_of(c, "u1"), "n/db-0 ");
    cluster_remove(c, &first); /* its end is told late */
    assert_int_equal(cluster_count(c, KUBE_POD), 1);
    cluster_remove(c, &second);
    assert_int_equal(cluster_count(c, KUBE_POD), 0);
}

static void old_containers_of_a_pod_are_known_and_not_without_end(void **state)
{
    struct cluster *c = *state;
    char id[16];
    struct kube_object pod = object(KUBE_POD, "p", "u");
    struct kube_container containers[] = {container("steady"), container(id)};
    pod.containers = containers;
    pod.container_count = 2;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "id%u", i);
        assert_int_equal(cluster_put(c, &pod), 0);
    }
    assert_string_equal(owner_of(c, "id999"), "n/p main");
    assert_string_equal(owner_of(c, "id950"), "n/p main");
    assert_string_equal(owner_of(c, "id900"), " ");
    assert_string_equal(owner_of(c, "steady"), "n/p main");
    assert_string_equal(owner_of(c, "u"), "n/p ");
}

static void a_mirror_pod_that_is_made_anew_takes_its_containers_along(void **state)
{
    struct cluster *c = *state;
    struct kube_container main = container("cid");
    struct kube_object first = object(KUBE_POD, "proxy", "u1"),
                       second = object(KUBE_POD, "proxy", "u2");
    first.static_uid = second.static_uid = "hash";
    first.containers = second.containers = &main;
    first.container_count = second.container_count = 1;
    cluster_put(c, &first);
    second.phase = "Running";
    cluster_put(c, &second);
    const char *unused;
    assert_string_equal(cluster_find_id(c, "cid", &unused)->phase, "Running");
    assert_string_equal(cluster_find_id(c, "hash", &unused)->phase, "Running");
}

static void one_cannot_take_the_containers_of_another(void **state)
{
    struct cluster *c = *state;
    struct kube_container main = container("cid");
    struct kube_object first = object(KUBE_POD, "a", "u1"), second = object(KUBE_POD, "b", "u2");
    first.containers = second.containers = &main;
    first.container_count = second.container_count = 1;
    cluster_put(c, &first);
    cluster_put(c, &second);
    assert_string_equal(owner_of(c, "cid"), "n/a main");
}

static void what_has_long_gone_is_forgotten(void **state)
{
    struct cluster *c = *state;
    char name[16], uid[16];
    for (unsigned i = 0; i < CLUSTER_GONE_MAX + 10; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        snprintf(uid, sizeof(uid), "u%u", i);
        struct kube_object pod = object(KUBE_POD, name, uid);
        assert_int_equal(cluster_put(c, &pod), 0);
        cluster_remove(c, &pod);
    }
    assert_string_equal(owner_of(c, "u9"), " ");
    assert_string_equal(owner_of(c, "u10"), "n/p10 ");
    assert_int_equal(cluster_count(c, KUBE_POD), 0);
}

static void other_controllers_are_named_as_they_are(void **state)
{
    struct cluster *c = *state;
    struct kube_object pod = object(KUBE_POD, "p", "u1"),
                       replicas = object(KUBE_REPLICASET, "r", "u2");
    pod.owner_kind = "ReplicaSet";
    pod.owner = "r";
    pod.owner_uid = "u2";
    cluster_put(c, &pod);
    assert_workload(c, "n", "p", "ReplicaSet/r"); /* unknown, and the pod has no label */
    cluster_put(c, &replicas);
    assert_workload(c, "n", "p", "ReplicaSet/r"); /* it stands alone */
    replicas.owner_kind = "Rollout";
    replicas.owner = "r";
    cluster_put(c, &replicas);
    assert_workload(c, "n", "p", "Rollout/r");
    cluster_remove(c, &replicas); /* it goes before its pods */
    assert_workload(c, "n", "p", "Rollout/r");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
    const struct CMUnitTest tests[] = {
        TEST(every_pod_belongs_to_the_workload_that_a_person_made),
        TEST(without_replicasets_a_deployment_is_known_by_its_label_alone),
        TEST(pods_are_found_by_uid_and_container),
        TEST(a_watch_leads_from_one_list_to_the_next),
        TEST(a_version_that_is_too_old_leads_to_a_new_list),
        TEST(pages_are_asked_for_until_there_are_no_more),
        TEST(a_list_that_is_broken_off_takes_nothing_away),
        TEST(a_page_that_is_too_large_is_asked_for_in_parts),
        TEST(cronjobs_are_looked_for_where_older_servers_have_them),
        TEST(an_event_that_is_too_large_ends_the_watch),
        TEST(a_watch_that_was_cut_within_an_event_goes_on_behind_the_last),
        TEST(a_pod_of_the_same_name_is_another_when_its_uid_is),
        TEST(old_containers_of_a_pod_are_known_and_not_without_end),
        TEST(a_mirror_pod_that_is_made_anew_takes_its_containers_along),
        TEST(one_cannot_take_the_containers_of_another),
        TEST(what_has_long_gone_is_forgotten),
        TEST(other_controllers_are_named_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
