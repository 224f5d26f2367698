/* test_facts.c: a batch says what is known of the pods and containers in it, but not again and
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/counters.h"
#include "agent/fact_rows.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/strings.h"
#include "k8s/pods.h"
#include "wire/batch.h"

#define WEB   "5b2f8a2e-6c3d-4a0e-9a57-0c1de1f0aa01"
#define DB    "9e1f0c7a-1111-4222-8333-44445555aaaa"
#define MAIN  "17db96a24ae1e9dd57143e62b1cb0d2d35e693c65c774c7470e87b0572e07c1a"
#define SIDE  "2327a2aec169e25cf05f2a901486b7463fdb513ae097fc0ae6a3ca94381ddc41"
#define LOOSE "464d948fdbe0d0d77920464adb46d3af61c0a97544e1a16ec603f55880e07cca"

#define WEB_MAIN "/kubepods/pod" WEB "/" MAIN
#define WEB_SIDE "/kubepods/pod" WEB "/" SIDE

#define MINUTE (60 * NS_PER_SEC)
#define NOON   (20717 * 86400 * NS_PER_SEC + 12 * 60 * MINUTE)

struct kit {
    struct pods *pods;
    struct counters counters;
    struct fact_rows *rows;
    struct strings strings;
    struct pod_fact web, db;
    struct container_fact main, side, loose;
    struct fact_label labels[FACT_LABELS_MAX];
};

static void tell_all(struct kit *k)
{
    struct pods_update *update;
    assert_int_equal(pods_begin(k->pods, PODS_KUBELET, &update), 0);
    struct facts_sink sink = pods_update_sink(update);
    sink.pod(sink.ctx, &k->web);
    sink.pod(sink.ctx, &k->db);
    sink.container(sink.ctx, &k->main);
    sink.container(sink.ctx, &k->side);
    sink.container(sink.ctx, &k->loose);
    assert_int_equal(pods_commit(&update, 1, NULL), 0);
}

static int make(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));
    assert_non_null(k);
    k->labels[0] = (struct fact_label){"app", "web"};
    k->labels[1] = (struct fact_label){"pod-template-hash", "6f99"};
    k->web = (struct pod_fact){.uid = WEB,
                               .namespace = "shop",
                               .name = "web-6f99-x",
                               .ip = "10.1.2.3",
                               .phase = "Running",
                               .owner_kind = "ReplicaSet",
                               .owner = "web-6f99",
                               .started_ns = 17 * NS_PER_SEC,
                               .labels = k->labels,
                               .label_count = 2};
    k->db = (struct pod_fact){.uid = DB, .namespace = "data", .name = "db-0"};
    k->main = (struct container_fact){.id = MAIN,
                                      .pod_uid = WEB,
                                      .name = "main",
                                      .image = "web:1",
                                      .state = CONTAINER_RUNNING,
                                      .restarts = 2,
                                      .started_ns = 18 * NS_PER_SEC};
    k->side = (struct container_fact){
        .id = SIDE, .pod_uid = WEB, .kind = CONTAINER_SANDBOX, .state = CONTAINER_RUNNING};
    k->loose = (struct container_fact){.id = LOOSE, .name = "registry"};
    assert_int_equal(pods_new(NULL, &k->pods, NULL), 0);
    assert_int_equal(fact_rows_new(k->pods, &k->counters, &k->rows), 0);
    tell_all(k);
    *state = k;
    return 0;
}

static int unmake(void **state)
{
    struct kit *k = *state;
    fact_rows_free(&k->rows);
    fact_rows_free(&k->rows);
    pods_free(&k->pods);
    strings_free(&k->strings);
    free(k);
    return 0;
}

/* A batch with these cgroups in it. */
static struct batch batch_of(struct kit *k, int64_t start_ns, const char *const *paths)
{
    struct batch b = {0};
    uint32_t row;
    strings_clear(&k->strings);
    assert_int_equal(strings_add(&k->strings, "", &row), 0);
    fact_rows_begin(k->rows, &k->strings, start_ns);
    for (size_t i = 0; paths[i]; i++)
        assert_int_equal(fact_rows_add(k->rows, paths[i]), 0);
    fact_rows_give(k->rows, &b);
    b.strings = k->strings.texts;
    b.string_count = k->strings.count;
    return b;
}
#define BATCH(k, start_ns, ...) batch_of(k, start_ns, (const char *const[]){__VA_ARGS__, NULL})

static void assert_counts(const struct batch *b, uint32_t pods, uint32_t containers)
{
    assert_int_equal(b->pod_count, pods);
    assert_int_equal(b->container_count, containers);
}

#define assert_text(b, number, expect) assert_string_equal((b)->strings[number], expect)

static void what_is_known_of_a_pod_and_its_container_is_told(void **state)
{
    struct kit *k = *state;
    struct batch b = BATCH(k, NOON, WEB_MAIN);
    assert_counts(&b, 1, 1);
    assert_text(&b, b.pods[0].uid, WEB);
    assert_text(&b, b.pods[0].namespace, "shop");
    assert_text(&b, b.pods[0].name, "web-6f99-x");
    assert_text(&b, b.pods[0].ip, "10.1.2.3");
    assert_text(&b, b.pods[0].phase, "Running");
    assert_text(&b, b.pods[0].workload, "Deployment/web");
    assert_int_equal(b.pods[0].started_ns, 17 * NS_PER_SEC);
    assert_int_equal(b.pod_label_count, 2);
    assert_text(&b, b.pod_labels[0].key, "app");
    assert_text(&b, b.pod_labels[0].value, "web");
    assert_int_equal(b.pod_labels[1].pod, 0);
    assert_text(&b, b.containers[0].id, MAIN);
    assert_text(&b, b.containers[0].pod_uid, WEB);
    assert_text(&b, b.containers[0].name, "main");
    assert_text(&b, b.containers[0].image, "web:1");
    assert_text(&b, b.containers[0].reason, "");
    assert_int_equal(b.containers[0].kind, WIRE_CONTAINER_APP);
    assert_int_equal(b.containers[0].state, WIRE_CONTAINER_RUNNING);
    assert_int_equal(b.containers[0].restarts, 2);
    assert_int_equal(b.containers[0].started_ns, 18 * NS_PER_SEC);
}

static void each_pod_is_told_once_and_only_if_it_is_in_the_batch(void **state)
{
    struct kit *k = *state;
    struct batch b =
        BATCH(k, NOON, WEB_MAIN, WEB_MAIN, WEB_SIDE, WEB_MAIN "/inner", "/system.slice/a.service");
    assert_counts(&b, 1, 2);
    assert_text(&b, b.containers[1].name, "POD");
    assert_int_equal(b.containers[1].kind, WIRE_CONTAINER_SANDBOX);
    b = BATCH(k, NOON, "/docker/" LOOSE, "/kubepods/pod" DB);
    assert_counts(&b, 1, 1);
    assert_text(&b, b.containers[0].id, LOOSE);
    assert_text(&b, b.containers[0].pod_uid, "");
    assert_text(&b, b.pods[0].name, "db-0");
    assert_text(&b, b.pods[0].workload, "");
    assert_int_equal(b.pod_label_count, 0);
}

static void what_has_not_changed_is_not_told_again(void **state)
{
    struct kit *k = *state;
    struct batch b = BATCH(k, NOON, WEB_MAIN);
    assert_counts(&b, 1, 1);
    tell_all(k);
    b = BATCH(k, NOON + MINUTE / 2, WEB_MAIN);
    assert_counts(&b, 0, 0);
    assert_int_equal(b.string_count, 2); /* the path's own */
    b = BATCH(k, NOON + MINUTE, WEB_MAIN, WEB_SIDE);
    assert_counts(&b, 0, 1);
}

static void what_has_changed_is_told_at_once(void **state)
{
    struct kit *k = *state;
    struct batch b = BATCH(k, NOON, WEB_MAIN);
    k->main.state = CONTAINER_EXITED;
    k->main.reason = "Completed";
    tell_all(k);
    b = BATCH(k, NOON + 1, WEB_MAIN);
    assert_counts(&b, 0, 1);
    assert_text(&b, b.containers[0].reason, "Completed");
    assert_int_equal(b.containers[0].state, WIRE_CONTAINER_EXITED);
    k->main.state = CONTAINER_RUNNING; /* as it was before: that is a change, too */
    k->main.reason = NULL;
    tell_all(k);
    b = BATCH(k, NOON + 2, WEB_MAIN);
    assert_counts(&b, 0, 1);
    k->labels[0].value = "web2";
    tell_all(k);
    b = BATCH(k, NOON + 3, WEB_MAIN);
    assert_counts(&b, 1, 0);
    assert_text(&b, b.pod_labels[0].value, "web2");
    k->web.label_count = 0;
    tell_all(k);
    b = BATCH(k, NOON + 4, WEB_MAIN);
    assert_counts(&b, 1, 0);
    k->main.restarts++;
    k->web.phase = "Failed";
    tell_all(k);
    b = BATCH(k, NOON + 5, WEB_MAIN);
    assert_counts(&b, 1, 1);
}

static void everything_is_told_again_in_time(void **state)
{
    static const struct {
        int64_t at_ns;
        bool told;
    } cases[] = {
        {NOON, true},
        {NOON + 10 * MINUTE - 1, false},
        {NOON + 10 * MINUTE, true}, /* a batch may have been lost */
        {NOON + 19 * MINUTE, false},
        {NOON - 60 * MINUTE, true}, /* the clock was set back */
        {NOON - 59 * MINUTE, false},
        {NOON + 11 * 60 * MINUTE + 59 * MINUTE, true},
        {NOON + 12 * 60 * MINUTE - 1, false},
        {NOON + 12 * 60 * MINUTE, true}, /* another day */
    };
    struct kit *k = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct batch b = BATCH(k, cases[i].at_ns, WEB_MAIN);
        assert_counts(&b, cases[i].told, cases[i].told);
    }
}

/* 256 labels of 1 KiB each make a quarter of a megabyte a pod. */
static void what_does_not_fit_is_counted_and_told_with_a_later_batch(void **state)
{
    enum { PODS = 30 };
    struct kit *k = *state;
    static char value[FACT_TEXT_MAX + 1], keys[FACT_LABELS_MAX][8];
    char uids[PODS][40], paths[PODS][80];
    const char *all[PODS + 1] = {0};
    memset(value, 'x', FACT_TEXT_MAX);
    for (size_t i = 0; i < FACT_LABELS_MAX; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
        k->labels[i] = (struct fact_label){keys[i], value};
    }
    struct pods_update *update;
    assert_int_equal(pods_begin(k->pods, PODS_CRI, &update), 0);
    struct facts_sink sink = pods_update_sink(update);
    for (unsigned i = 0; i < PODS; i++) {
        snprintf(uids[i], sizeof(uids[i]), "00000000-1111-4222-8333-%012x", i);
        snprintf(paths[i], sizeof(paths[i]), "/kubepods/pod00000000-1111-4222-8333-%012x", i);
        all[i] = paths[i];
        struct pod_fact pod = {.uid = uids[i],
                               .namespace = "n",
                               .name = uids[i],
                               .labels = k->labels,
                               .label_count = FACT_LABELS_MAX};
        sink.pod(sink.ctx, &pod);
    }
    assert_int_equal(pods_commit(&update, 1, NULL), 0);
    struct batch b = batch_of(k, NOON, all);
    uint32_t first = b.pod_count;
    assert_in_range(first, 10, PODS - 10);
    assert_int_equal(atomic_load(&k->counters.facts_dropped), PODS - first);
    b = batch_of(k, NOON + 1, all);
    assert_int_equal(b.pod_count, PODS - first);
    b = batch_of(k, NOON + 2, all);
    assert_int_equal(b.pod_count, 0);
}

static void without_anybody_who_knows_pods_nothing_is_told(void **state)
{
    struct counters counters = {0};
    struct strings strings = {0};
    struct fact_rows *rows;
    struct batch b = {0};
    assert_int_equal(fact_rows_new(NULL, &counters, &rows), 0);
    fact_rows_begin(rows, &strings, NOON);
    assert_int_equal(fact_rows_add(rows, WEB_MAIN), 0);
    fact_rows_give(rows, &b);
    assert_counts(&b, 0, 0);
    fact_rows_free(&rows);
}

#define WITH_KIT(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KIT(what_is_known_of_a_pod_and_its_container_is_told),
        WITH_KIT(each_pod_is_told_once_and_only_if_it_is_in_the_batch),
        WITH_KIT(what_has_not_changed_is_not_told_again),
        WITH_KIT(what_has_changed_is_told_at_once),
        WITH_KIT(everything_is_told_again_in_time),
        WITH_KIT(what_does_not_fit_is_counted_and_told_with_a_later_batch),
        cmocka_unit_test(without_anybody_who_knows_pods_nothing_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
