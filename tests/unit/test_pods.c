/* test_pods.c: what all sources say together of a container and its pod. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "k8s/pods.h"

#define WEB     "5b2f8a2e-6c3d-4a0e-9a57-0c1de1f0aa01"
#define DB      "9e1f0c7a-1111-4222-8333-44445555aaaa"
#define STATIC  "ac791484a78c8f4038eba8b0081dfcd4"
#define MAIN    "17db96a24ae1e9dd57143e62b1cb0d2d35e693c65c774c7470e87b0572e07c1a"
#define OTHER   "2327a2aec169e25cf05f2a901486b7463fdb513ae097fc0ae6a3ca94381ddc41"
#define SANDBOX "464d948fdbe0d0d77920464adb46d3af61c0a97544e1a16ec603f55880e07cca"

static const struct fact_label web_labels[] = {{"app", "web"}, {"pod-template-hash", "6f9968b487"}};
static const struct pod_fact web = {.uid = WEB,
                                    .namespace = "shop",
                                    .name = "web-6f9968b487-nf9wh",
                                    .owner_kind = "ReplicaSet",
                                    .owner = "web-6f9968b487",
                                    .labels = web_labels,
                                    .label_count = 2};
static const struct container_fact web_main = {.id = MAIN, .pod_uid = WEB, .name = "main"};

struct kit {
    struct pods *pods;
    int64_t now;
};

static int make_kit_with(void **state, const struct pods_limits *limits)
{
    static struct kit k;
    k = (struct kit){.now = 1000 * NS_PER_SEC};
    *state = &k;
    return pods_new(limits, &k.pods, NULL);
}

static int make_kit(void **state)
{
    return make_kit_with(state, NULL);
}

static int make_small_kit(void **state)
{
    return make_kit_with(state,
                         &(struct pods_limits){.pods = 3, .containers = 2, .text_bytes = 200});
}

static int free_kit(void **state)
{
    struct kit *k = *state;
    pods_free(&k->pods);
    pods_free(&k->pods);
    return 0;
}

/* An answer of a source; NULL: without one. */
static struct pods_counts tell(struct kit *k, enum pods_rank rank, const struct pod_fact *pod,
                               const struct container_fact *container)
{
    struct pods_update *update;
    struct pods_counts counts;
    assert_int_equal(pods_begin(k->pods, rank, &update), 0);
    struct facts_sink sink = pods_update_sink(update);
    if (pod)
        assert_int_equal(sink.pod(sink.ctx, pod), 0);
    if (container)
        assert_int_equal(sink.container(sink.ctx, container), 0);
    assert_int_equal(pods_commit(&update, k->now, &counts), 0);
    assert_null(update);
    return counts;
}

/* "namespace/pod/container workload", or "-". */
static const char *find(struct kit *k, const char *container_id, const char *pod_uid)
{
    static char text[2000];
    struct pod_names n;
    memset(&n, 0xff, sizeof(n));
    if (pods_find(k->pods, container_id, pod_uid, &n) == -ENOENT)
        return "-";
    snprintf(text, sizeof(text), "%s/%s/%s %s", n.namespace, n.pod, n.container, n.workload);
    return text;
}

static void a_container_is_found_by_its_id_with_its_pod(void **state)
{
    struct kit *k = *state;
    struct pods_counts counts = tell(k, PODS_KUBELET, &web, &web_main);
    assert_int_equal(counts.pods, 1);
    assert_int_equal(counts.containers, 1);
    assert_int_equal(counts.left_out, 0);
    assert_string_equal(find(k, MAIN, WEB), "shop/web-6f9968b487-nf9wh/main Deployment/web");
    assert_string_equal(find(k, MAIN, ""), "shop/web-6f9968b487-nf9wh/main Deployment/web");
    assert_false(pods_lacks(k->pods, MAIN, WEB));
}

static void a_restarted_container_nobody_knows_yet_is_of_its_pod(void **state)
{
    struct kit *k = *state;
    tell(k, PODS_KUBELET, &web, &web_main);
    assert_string_equal(find(k, OTHER, WEB), "shop/web-6f9968b487-nf9wh/ Deployment/web");
    assert_true(pods_lacks(k->pods, OTHER, WEB));
    assert_string_equal(find(k, "", WEB), "shop/web-6f9968b487-nf9wh/ Deployment/web");
    assert_false(pods_lacks(k->pods, "", WEB));
}

static void nothing_is_made_up_for_what_nobody_knows(void **state)
{
    struct kit *k = *state;
    assert_string_equal(find(k, OTHER, DB), "-");
    tell(k, PODS_KUBELET, &web, &web_main);
    assert_string_equal(find(k, OTHER, DB), "-");
    assert_string_equal(find(k, "", ""), "-");
    assert_true(pods_lacks(k->pods, OTHER, DB));
    assert_true(pods_lacks(k->pods, "", DB));
}

static void a_sandbox_is_called_pod_as_cadvisor_calls_it(void **state)
{
    struct kit *k = *state;
    struct container_fact sandbox = {.id = SANDBOX, .pod_uid = WEB, .kind = CONTAINER_SANDBOX};
    tell(k, PODS_CRI, &web, &sandbox);
    assert_string_equal(find(k, SANDBOX, WEB), "shop/web-6f9968b487-nf9wh/POD Deployment/web");
}

static void a_static_pod_is_found_by_its_config_hash(void **state)
{
    struct kit *k = *state;
    struct pod_fact proxy = {.uid = STATIC, .namespace = "kube-system", .name = "proxy-node-1"};
    tell(k, PODS_KUBELET, &proxy, NULL);
    assert_string_equal(find(k, OTHER, STATIC), "kube-system/proxy-node-1/ ");
}

static void a_container_in_no_pod_has_its_own_name_alone(void **state)
{
    struct kit *k = *state;
    struct container_fact plain = {.id = OTHER, .name = "registry", .runtime = "docker"};
    struct pod_names names;
    tell(k, PODS_DOCKER, NULL, &plain);
    assert_int_equal(pods_find(k->pods, OTHER, "", &names), 0);
    assert_string_equal(names.container, "registry");
    assert_string_equal(names.runtime, "docker");
    assert_string_equal(names.namespace, "");
    assert_string_equal(names.pod_uid, "");
    assert_false(pods_lacks(k->pods, OTHER, ""));
}

static void a_workload_is_named_only_by_what_was_said(void **state)
{
    static const struct {
        const char *kind, *owner, *hash, *workload;
    } rows[] = {
        {"ReplicaSet", "web-6f9968b487", "6f9968b487", "Deployment/web"},
        {"ReplicaSet", "a-b-6f99", "6f99", "Deployment/a-b"},
        /* a ReplicaSet of its own, whose name may end like one of a Deployment's */
        {"ReplicaSet", "web-6f9968b487", NULL, "ReplicaSet/web-6f9968b487"},
        {"ReplicaSet", "web-6f9968b487", "other", "ReplicaSet/web-6f9968b487"},
        {"ReplicaSet", "web6f9968b487", "6f9968b487", "ReplicaSet/web6f9968b487"},
        {"ReplicaSet", "-6f99", "6f99", "ReplicaSet/-6f99"},
        {"ReplicaSet", "6f99", "6f99", "ReplicaSet/6f99"},
        {"ReplicaSet", "web-", "", "ReplicaSet/web-"},
        {"StatefulSet", "db", NULL, "StatefulSet/db"},
        {"StatefulSet", "db-6f99", "6f99", "StatefulSet/db-6f99"},
        {"DaemonSet", "agent", NULL, "DaemonSet/agent"},
        {"Job", "report-1", NULL, "Job/report-1"},
        {NULL, NULL, "6f9968b487", ""},
        {NULL, "web", NULL, ""},
        {"Job", NULL, NULL, ""},
    };
    struct kit *k = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fact_label label = {"pod-template-hash", rows[i].hash};
        struct pod_fact pod = {.uid = WEB,
                               .namespace = "shop",
                               .name = "x",
                               .owner_kind = rows[i].kind,
                               .owner = rows[i].owner,
                               .labels = &label,
                               .label_count = rows[i].hash ? 1 : 0};
        struct pod_names names;
        tell(k, PODS_KUBELET, &pod, NULL);
        assert_int_equal(pods_find(k->pods, "", WEB, &names), 0);
        assert_string_equal(names.workload, rows[i].workload);
    }
}

struct seen {
    struct pod_fact pod;
    struct container_fact container;
    const char *app;
};

static int note(void *ctx, const struct pod_fact *pod, const struct container_fact *container)
{
    struct seen *seen = ctx;
    if (pod)
        seen->pod = *pod;
    if (container)
        seen->container = *container;
    for (size_t i = 0; pod && i < pod->label_count; i++)
        if (strcmp(pod->labels[i].key, "app") == 0)
            seen->app = pod->labels[i].value;
    return 42;
}

static void what_one_source_does_not_say_comes_from_the_next(void **state)
{
    struct kit *k = *state;
    struct fact_label cri_label = {"app", "by-cri"};
    struct pod_fact logs = {.uid = WEB, .namespace = "of-logs", .name = "by-logs"};
    struct pod_fact cri = {
        .uid = WEB, .namespace = "shop", .name = "by-cri", .labels = &cri_label, .label_count = 1};
    struct pod_fact kubelet = {
        .uid = WEB, .name = "by-kubelet", .phase = "Running", .started_ns = 7, .owner = "web"};
    struct container_fact cri_main = {.id = MAIN,
                                      .pod_uid = WEB,
                                      .name = "main",
                                      .runtime = "containerd",
                                      .kind = CONTAINER_INIT,
                                      .reason = "Completed",
                                      .state = CONTAINER_EXITED};
    struct container_fact logs_main = {.id = MAIN, .pod_uid = DB, .name = "other", .restarts = 3};
    tell(k, PODS_LOG_DIRS, &logs, &logs_main);
    tell(k, PODS_KUBELET, &kubelet, NULL);
    tell(k, PODS_CRI, &cri, &cri_main);
    struct seen seen = {0};
    assert_int_equal(pods_visit(k->pods, MAIN, "", note, &seen), 42);
    assert_string_equal(seen.pod.namespace, "shop");
    assert_string_equal(seen.pod.name, "by-kubelet");
    assert_string_equal(seen.pod.phase, "Running");
    assert_null(seen.pod.owner_kind);
    assert_int_equal(seen.pod.started_ns, 7);
    assert_string_equal(seen.app, "by-cri");
    assert_string_equal(seen.container.name, "main");
    assert_string_equal(seen.container.pod_uid, WEB);
    assert_string_equal(seen.container.runtime, "containerd");
    assert_int_equal(seen.container.kind, CONTAINER_INIT);
    assert_int_equal(seen.container.state, CONTAINER_EXITED);
    assert_string_equal(seen.container.reason, "Completed");
    assert_int_equal(seen.container.restarts, 3);
}

static void labels_that_nobody_told_are_not_the_same_as_none(void **state)
{
    struct kit *k = *state;
    struct pod_fact pod = {.uid = DB, .namespace = "data", .name = "db-0"};
    struct seen seen = {0};
    tell(k, PODS_LOG_DIRS, &pod, NULL);
    pods_visit(k->pods, "", DB, note, &seen);
    assert_null(seen.pod.labels);
    pod.labels = web_labels; /* of which it has none */
    tell(k, PODS_CRI, &pod, NULL);
    pods_visit(k->pods, "", DB, note, &seen);
    assert_non_null(seen.pod.labels);
    assert_int_equal(seen.pod.label_count, 0);
}

static void an_answer_replaces_the_one_before_at_once(void **state)
{
    struct kit *k = *state;
    struct pod_fact renamed = web;
    renamed.namespace = "mall";
    tell(k, PODS_KUBELET, &web, &web_main);
    struct pods_update *update;
    assert_int_equal(pods_begin(k->pods, PODS_KUBELET, &update), 0);
    struct facts_sink sink = pods_update_sink(update);
    assert_int_equal(sink.pod(sink.ctx, &renamed), 0);
    assert_string_equal(find(k, MAIN, WEB), "shop/web-6f9968b487-nf9wh/main Deployment/web");
    pods_update_free(&update);
    assert_string_equal(find(k, MAIN, WEB), "shop/web-6f9968b487-nf9wh/main Deployment/web");
    tell(k, PODS_KUBELET, &renamed, &web_main);
    assert_string_equal(find(k, MAIN, WEB), "mall/web-6f9968b487-nf9wh/main Deployment/web");
}

static void what_has_gone_is_known_for_five_minutes_more(void **state)
{
    struct kit *k = *state;
    tell(k, PODS_KUBELET, &web, &web_main);
    for (int minute = 0; minute < 5; minute++) {
        struct pods_counts counts = tell(k, PODS_KUBELET, NULL, NULL);
        assert_int_equal(counts.pods, 0);
        assert_int_equal(counts.containers, 0);
        assert_string_equal(find(k, MAIN, WEB), "shop/web-6f9968b487-nf9wh/main Deployment/web");
        k->now += 60 * NS_PER_SEC;
    }
    k->now += 1;
    tell(k, PODS_KUBELET, NULL, NULL);
    assert_string_equal(find(k, MAIN, WEB), "-");
}

static void what_comes_back_has_not_gone(void **state)
{
    struct kit *k = *state;
    tell(k, PODS_KUBELET, &web, &web_main);
    tell(k, PODS_KUBELET, NULL, NULL);
    k->now += 290 * NS_PER_SEC;
    assert_int_equal(tell(k, PODS_KUBELET, &web, &web_main).pods, 1);
    tell(k, PODS_KUBELET, NULL, NULL);
    k->now += 290 * NS_PER_SEC;
    tell(k, PODS_KUBELET, NULL, NULL);
    assert_string_equal(find(k, MAIN, WEB), "shop/web-6f9968b487-nf9wh/main Deployment/web");
}

static void what_is_there_goes_before_what_has_gone(void **state)
{
    struct kit *k = *state;
    struct container_fact exited = web_main;
    exited.state = CONTAINER_EXITED;
    struct container_fact running = web_main;
    running.state = CONTAINER_RUNNING;
    struct seen seen = {0};
    tell(k, PODS_KUBELET, &web, &running);
    tell(k, PODS_CRI, &web, &exited);
    pods_visit(k->pods, MAIN, "", note, &seen);
    assert_int_equal(seen.container.state, CONTAINER_RUNNING);
    tell(k, PODS_KUBELET, NULL, NULL);
    pods_visit(k->pods, MAIN, "", note, &seen);
    assert_int_equal(seen.container.state, CONTAINER_EXITED);
    assert_string_equal(seen.pod.owner, "web-6f9968b487");
}

static void what_is_too_much_is_left_out_and_counted(void **state)
{
    struct kit *k = *state;
    struct pods_update *update;
    struct pods_counts counts;
    assert_int_equal(pods_begin(k->pods, PODS_CRI, &update), 0);
    struct facts_sink sink = pods_update_sink(update);
    for (int i = 0; i < 5; i++) {
        char uid[8], id[8];
        snprintf(uid, sizeof(uid), "u%d", i);
        snprintf(id, sizeof(id), "c%d", i);
        struct pod_fact pod = {.uid = uid, .namespace = "n", .name = uid};
        struct container_fact container = {.id = id, .pod_uid = uid, .name = "main"};
        assert_int_equal(sink.pod(sink.ctx, &pod), 0);
        assert_int_equal(sink.container(sink.ctx, &container), 0);
    }
    assert_int_equal(pods_commit(&update, k->now, &counts), 0);
    assert_int_equal(counts.pods, 3);
    assert_int_equal(counts.containers, 2);
    assert_int_equal(counts.left_out, 5);
    assert_string_equal(find(k, "", "u2"), "n/u2/ ");
    assert_string_equal(find(k, "", "u3"), "-");

    char name[200];
    memset(name, 'x', sizeof(name));
    name[199] = 0;
    struct pod_fact big = {.uid = "big", .namespace = "n", .name = name};
    assert_int_equal(tell(k, PODS_KUBELET, &big, NULL).left_out, 1);
    assert_string_equal(find(k, "", "big"), "-");
}

static void what_has_gone_does_not_take_the_place_of_what_is_there(void **state)
{
    struct kit *k = *state;
    struct container_fact one = {.id = "c1", .name = "one"}, two = {.id = "c2", .name = "two"};
    struct container_fact three = {.id = "c3", .name = "three"};
    tell(k, PODS_CRI, NULL, &one);
    tell(k, PODS_CRI, NULL, &two);
    struct pods_counts counts = tell(k, PODS_CRI, NULL, &three);
    assert_int_equal(counts.containers, 1);
    assert_int_equal(counts.left_out, 0);
    assert_string_equal(find(k, "c3", ""), "//three ");
    /* Of both that have gone there was place for one. */
    assert_int_equal((strcmp(find(k, "c1", ""), "-") != 0) + (strcmp(find(k, "c2", ""), "-") != 0),
                     1);
}

static void a_fact_without_an_id_is_none_and_a_name_too_long_is_not_said(void **state)
{
    struct kit *k = *state;
    char name[FACT_NAME_MAX + 2], id[200];
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = 0;
    memset(id, 'a', sizeof(id));
    id[sizeof(id) - 1] = 0;
    struct pod_fact pod = {.namespace = "n", .name = "p"};
    assert_int_equal(tell(k, PODS_CRI, &pod, &(struct container_fact){.id = id}).left_out, 2);
    pod.uid = "";
    assert_int_equal(tell(k, PODS_CRI, &pod, &(struct container_fact){.id = ""}).left_out, 2);
    pod = (struct pod_fact){.uid = WEB, .namespace = "n", .name = name};
    assert_int_equal(tell(k, PODS_CRI, &pod, NULL).left_out, 0);
    assert_string_equal(find(k, id, WEB), "n// ");
    name[FACT_NAME_MAX] = 0; /* the longest */
    struct pod_names names;
    tell(k, PODS_CRI, &pod, NULL);
    assert_int_equal(pods_find(k->pods, "", WEB, &names), 0);
    assert_string_equal(names.pod, name);
}

static void of_labels_past_the_limit_the_first_are_kept(void **state)
{
    struct kit *k = *state;
    static struct fact_label labels[FACT_LABELS_MAX + 10];
    static char keys[FACT_LABELS_MAX + 10][16];
    for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
        snprintf(keys[i], sizeof(keys[i]), "key%zu", i);
        labels[i] = (struct fact_label){keys[i], "v"};
    }
    labels[3].key = NULL;
    labels[5].value = NULL;
    struct pod_fact pod = web;
    struct seen seen = {0};
    pod.labels = labels;
    pod.label_count = ARRAY_LEN(labels);
    tell(k, PODS_CRI, &pod, NULL);
    pods_visit(k->pods, "", WEB, note, &seen);
    assert_int_equal(seen.pod.label_count, FACT_LABELS_MAX);
}

static void a_pod_is_found_by_its_name_the_one_that_is_there_first(void **state)
{
    struct kit *k = *state;
    struct pod_fact old = {.uid = DB, .namespace = "data", .name = "db-0"};
    struct pod_fact new = {.uid = WEB, .namespace = "data", .name = "db-0"};
    char uid[40] = "untouched";
    assert_int_equal(pods_find_uid(k->pods, "data", "db-0", uid), -ENOENT);
    tell(k, PODS_KUBELET, &old, NULL);
    assert_int_equal(pods_find_uid(k->pods, "shop", "db-0", uid), -ENOENT);
    assert_int_equal(pods_find_uid(k->pods, "data", "db", uid), -ENOENT);
    assert_string_equal(uid, "untouched");
    assert_int_equal(pods_find_uid(k->pods, "data", "db-0", uid), 0);
    assert_string_equal(uid, DB);
    tell(k, PODS_KUBELET, NULL, NULL);
    assert_int_equal(pods_find_uid(k->pods, "data", "db-0", uid), 0);
    assert_string_equal(uid, DB);
    tell(k, PODS_LOG_DIRS, &new, NULL);
    assert_int_equal(pods_find_uid(k->pods, "data", "db-0", uid), 0);
    assert_string_equal(uid, WEB);
}

static void a_sidecar_is_told_of_its_own_pod_where_nothing_says_another(void **state)
{
    struct kit *k = *state;
    struct pod_fact db = {.uid = DB, .namespace = "data", .name = "db-0"};
    tell(k, PODS_CRI, &db, NULL);
    tell(k, PODS_DOWNWARD, &web, &web_main);
    pods_set_own_pod(k->pods, WEB);
    assert_string_equal(find(k, "", ""), "shop/web-6f9968b487-nf9wh/ Deployment/web");
    assert_string_equal(find(k, OTHER, ""), "shop/web-6f9968b487-nf9wh/ Deployment/web");
    assert_string_equal(find(k, MAIN, ""), "shop/web-6f9968b487-nf9wh/main Deployment/web");
    assert_string_equal(find(k, "", DB), "data/db-0/ ");
    pods_set_own_pod(k->pods, "");
    assert_string_equal(find(k, "", ""), "-");
}

#define WITH_KIT(test)       cmocka_unit_test_setup_teardown(test, make_kit, free_kit)
#define WITH_SMALL_KIT(test) cmocka_unit_test_setup_teardown(test, make_small_kit, free_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KIT(a_container_is_found_by_its_id_with_its_pod),
        WITH_KIT(a_restarted_container_nobody_knows_yet_is_of_its_pod),
        WITH_KIT(nothing_is_made_up_for_what_nobody_knows),
        WITH_KIT(a_sandbox_is_called_pod_as_cadvisor_calls_it),
        WITH_KIT(a_static_pod_is_found_by_its_config_hash),
        WITH_KIT(a_container_in_no_pod_has_its_own_name_alone),
        WITH_KIT(a_workload_is_named_only_by_what_was_said),
        WITH_KIT(what_one_source_does_not_say_comes_from_the_next),
        WITH_KIT(labels_that_nobody_told_are_not_the_same_as_none),
        WITH_KIT(an_answer_replaces_the_one_before_at_once),
        WITH_KIT(what_has_gone_is_known_for_five_minutes_more),
        WITH_KIT(what_comes_back_has_not_gone),
        WITH_KIT(what_is_there_goes_before_what_has_gone),
        WITH_KIT(a_pod_is_found_by_its_name_the_one_that_is_there_first),
        WITH_KIT(a_sidecar_is_told_of_its_own_pod_where_nothing_says_another),
        WITH_SMALL_KIT(what_is_too_much_is_left_out_and_counted),
        WITH_SMALL_KIT(what_has_gone_does_not_take_the_place_of_what_is_there),
        WITH_KIT(a_fact_without_an_id_is_none_and_a_name_too_long_is_not_said),
        WITH_KIT(of_labels_past_the_limit_the_first_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
