/* test_names.c: samples that were stored without a pod's names are found by them, and shown with
 * them, once others of the range or the API server know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "golden_file.h"
#include "server/cluster/cluster.h"
#include "server/cluster/watch.h"
#include "server/names.h"
#include "store_kit.h"

#define DAY_NS (86400 * INT64_C(1000000000))

#define DB_UID  "d92b8acf-c7d4-4006-b6a4-2c6969b8ed64"
#define DB_ID   "9d1746e31921fc4d133e0a7f26f29ca5720b78f55f00a763aef56a7400a0c247"
#define JOB_ID  "e6cd95329f29bdd02fb9bb9df67b943ee123152037e3bf45ad9e2a0f1f409ea1"
#define JOB_UID "07e4b82c-be88-45dd-a4c0-b3777685cdcf"

/* The keys and values of "key=value key=value", in turn, behind the first two. Gives their end. */
static uint32_t split_words(char *text, const char *strings[64])
{
    uint32_t count = 2;
    for (char *word; (word = strsep(&text, " "));) {
        char *equals = strchr(word, '=');
        if (!equals)
            continue;
        *equals = 0;
        strings[count++] = word;
        strings[count++] = equals + 1;
    }
    return count;
}

/* Stores `count` samples of one process with these labels: "key=value key=value". */
static void store(struct kit *kit, const char *process, const char *words, uint32_t count,
                  int64_t start_ns)
{
    static uint64_t seq;
    char text[1024];
    const char *strings[64] = {"", process};
    struct batch_label labels[16];
    uint32_t label_count = 0;
    snprintf(text, sizeof(text), "%s", words);
    uint32_t string_count = split_words(text, strings);
    for (uint32_t i = 2; i < string_count; i += 2)
        labels[label_count++] = (struct batch_label){0, i, i + 1};
    const struct batch_object object = {.kind = OBJECT_NONE};
    const struct batch_stack stack = {0};
    const struct batch_process p = {.pid = 7, .name = 1};
    const struct batch_sample sample = {.count = count};
    const struct batch batch = {
        .node = "node-1",
        .boot_id = "boot",
        .kernel = "",
        .arch = "",
        .agent = "",
        .cpus = 2,
        .seq = ++seq,
        .start_ns = start_ns,
        .end_ns = start_ns + 10 * INT64_C(1000000000),
        .slot_ns = 10 * INT64_C(1000000000),
        .period_ns = 10000000,
        .strings = strings,
        .objects = &object,
        .stacks = &stack,
        .processes = &p,
        .labels = labels,
        .samples = &sample,
        .string_count = string_count,
        .object_count = 1,
        .stack_count = 1,
        .process_count = 1,
        .label_count = label_count,
        .sample_count = 1,
    };
    assert_false(kit_ingest(kit, &batch));
}

static struct cluster *recorded_cluster(void)
{
    struct cluster *c;
    assert_int_equal(cluster_new(&c, NULL), 0);
    for (size_t kind = 0; kind < KUBE_KIND_COUNT; kind++) {
        char name[64];
        struct kube_watch *watch;
        snprintf(name, sizeof(name), "k8s/api/%s.json", kube_kind_info(kind)->resource);
        _cleanup_(buf_free) struct buf page = golden_file(name);
        assert_int_equal(kube_watch_new(kind, c, &watch, NULL), 0);
        assert_int_equal(kube_watch_take_page(watch, (const char *)page.data, page.len, NULL), 0);
        kube_watch_free(&watch);
    }
    return c;
}

/* Groups and filters: "pod container namespace=data". */
static struct store_query query_of(char *text)
{
    struct store_query q = kit_query();
    q.stacks = false;
    for (char *word; (word = strsep(&text, " "));) {
        char *equals = strchr(word, '=');
        if (equals)
            *equals++ = 0;
        if (equals)
            kit_filter(&q, word, equals);
        else
            kit_group(&q, word);
    }
    return q;
}

static void assert_folded(struct kit *kit, struct cluster *c, const char *words, const char *expect)
{
    char text[256];
    struct err err = {0};
    struct names *names;
    snprintf(text, sizeof(text), "%s", words);
    struct store_query q = query_of(text);
    if (names_for_query(kit->store, c, &q, &names, &err) < 0)
        fail_msg("%s", err.text);
    _cleanup_free_ char *folded = kit_folded(kit, &q);
    names_free(&names);
    assert_string_equal(folded, expect);
}

static void a_pod_is_named_by_the_api_server(void **state)
{
    struct cluster *c = recorded_cluster();
    store(*state, "db", "pod_uid=" DB_UID " container_id=" DB_ID, 3, DAY_NS);
    store(*state, "sh", "pod_uid=" DB_UID, 4, DAY_NS);
    store(*state, "init", "", 5, DAY_NS);
    assert_folded(*state, NULL, "namespace pod", ";; 12\n");
    assert_folded(*state, c, "namespace pod container workload",
                  ";;;; 5\n"
                  "data;db-0;;StatefulSet/db; 4\n"
                  "data;db-0;db;StatefulSet/db; 3\n");
    assert_folded(*state, c, "process namespace=data pod=db-0", "db; 3\nsh; 4\n");
    assert_folded(*state, c, "process container=db", "db; 3\n");
    assert_folded(*state, c, "process workload=StatefulSet/db process=sh", "sh; 4\n");
    assert_folded(*state, c, "process namespace=shop", "");
    /* What has no name that might be asked for is as it was. */
    assert_folded(*state, c, "process pod_uid=" DB_UID, "db; 3\nsh; 4\n");
    cluster_free(&c);
}

static void a_pod_is_named_by_other_series_of_the_range(void **state)
{
    store(*state, "early", "pod_uid=u1 container_id=c1", 1, DAY_NS);
    store(*state, "late",
          "pod_uid=u1 container_id=c1 namespace=n pod=p container=main workload=Deployment/p", 2,
          2 * DAY_NS);
    store(*state, "helper", "pod_uid=u1 container_id=c2", 4, 2 * DAY_NS);
    store(*state, "other", "pod_uid=u2 container_id=c3", 8, 2 * DAY_NS);
    assert_folded(*state, NULL, "namespace pod container workload process",
                  ";;;;other; 8\n"
                  "n;p;;Deployment/p;helper; 4\n"
                  "n;p;main;Deployment/p;early; 1\n"
                  "n;p;main;Deployment/p;late; 2\n");
    assert_folded(*state, NULL, "process namespace=n", "early; 1\nhelper; 4\nlate; 2\n");
}

static void names_that_were_stored_are_left_as_they_are(void **state)
{
    struct cluster *c = recorded_cluster();
    /* A uid that the API server has for another: the node is believed. */
    store(*state, "a", "pod_uid=" DB_UID " namespace=x pod=y container=z workload=Deployment/y", 1,
          DAY_NS);
    assert_folded(*state, c, "namespace pod container workload", "x;y;z;Deployment/y; 1\n");
    assert_folded(*state, c, "process namespace=data", "");
    cluster_free(&c);
}

static void a_job_becomes_the_cronjob_that_controls_it(void **state)
{
    struct cluster *c = recorded_cluster();
    static const char labels[] = "pod_uid=" JOB_UID " container_id=" JOB_ID
                                 " namespace=ops pod=report-1-j7m9k container=main "
                                 "workload=Job/report-1";
    store(*state, "sh", labels, 3, DAY_NS);
    store(*state, "sh", "pod_uid=u namespace=ops pod=p container=c workload=Job/report-1", 1,
          DAY_NS);
    assert_folded(*state, NULL, "workload", "Job/report-1; 4\n");
    assert_folded(*state, c, "workload", "CronJob/report; 3\nJob/report-1; 1\n");
    assert_folded(*state, c, "process workload=CronJob/report", "sh; 3\n");
    assert_folded(*state, c, "process workload=Job/report-1", "sh; 1\n");
    cluster_free(&c);
}

/* Stores a reading of a cgroup with these labels. */
static void store_usage(struct kit *kit, const char *words, int64_t start_ns)
{
    char text[1024];
    const char *strings[64] = {"", "/cgroup"};
    struct batch_usage_label labels[16];
    uint32_t label_count = 0;
    snprintf(text, sizeof(text), "%s", words);
    uint32_t string_count = split_words(text, strings);
    for (uint32_t i = 2; i < string_count; i += 2)
        labels[label_count++] = (struct batch_usage_label){1, i, i + 1};
    const struct batch_object object = {.kind = OBJECT_NONE};
    const struct batch_stack stack = {0};
    const struct batch_usage usage = {.time_ns = start_ns, .cgroup = 1};
    const struct batch_usage_process process = {.pid = 7};
    const struct batch batch = {
        .node = "node-1",
        .boot_id = "boot of usage",
        .kernel = "",
        .arch = "",
        .agent = "",
        .cpus = 2,
        .seq = (uint64_t)start_ns,
        .start_ns = start_ns,
        .end_ns = start_ns + 10 * INT64_C(1000000000),
        .slot_ns = 10 * INT64_C(1000000000),
        .period_ns = 10000000,
        .strings = strings,
        .objects = &object,
        .stacks = &stack,
        .usage = &usage,
        .usage_labels = labels,
        .usage_processes = &process,
        .string_count = string_count,
        .object_count = 1,
        .stack_count = 1,
        .usage_count = 1,
        .usage_label_count = label_count,
        .usage_process_count = 1,
    };
    assert_false(kit_ingest(kit, &batch));
}

struct told {
    uint64_t series[4];
    char labels[4][256];
    size_t count;
};

static int tell_usage(void *ctx, const struct store_usage *u)
{
    struct told *told = ctx;
    assert_in_range(told->count, 0, 3);
    char *to = told->labels[told->count];
    *to = 0;
    for (size_t i = 0; i < u->label_count; i++)
        snprintf(to + strlen(to), sizeof(told->labels[0]) - strlen(to), "%s%s=%s", i ? " " : "",
                 u->labels[i].key, u->labels[i].value);
    told->series[told->count++] = u->series;
    return 0;
}

/* However it was stored, and whichever day: it is one series. */
static void a_containers_usage_is_named_afterwards(void **state)
{
    struct kit *kit = *state;
    static const char named[] =
        "container=main container_id=c1 namespace=n pod=p pod_uid=u1 workload=Deployment/p";
    store_usage(kit, "pod_uid=u1 container_id=c1", DAY_NS);
    store_usage(kit, "pod_uid=u1 container_id=c1 namespace=n", DAY_NS + 60 * DAY_NS / 86400);
    store_usage(kit,
                "workload=Deployment/p container=main namespace=n container_id=c1 pod=p pod_uid=u1",
                2 * DAY_NS);
    store_usage(kit, "pod_uid=u2 container_id=c2", 2 * DAY_NS + 1);
    for (int processes = 0; processes < 2; processes++) {
        char words[] = "namespace pod container workload pod=p";
        struct store_query q = query_of(words);
        struct told told = {0};
        struct names *names;
        assert_int_equal(names_for_query(kit->store, NULL, &q, &names, NULL), 0);
        int r = processes
                    ? kit->store->ops->usage_processes(kit->store, &q, tell_usage, &told, NULL)
                    : kit->store->ops->usage(kit->store, &q, tell_usage, &told, NULL);
        names_free(&names);
        assert_int_equal(r, 0);
        assert_int_equal(told.count, 3);
        for (size_t i = 0; i < told.count; i++) {
            assert_string_equal(told.labels[i], named);
            assert_true(told.series[i] == told.series[0]);
        }
    }
}

static void a_query_without_names_is_not_slowed_down(void **state)
{
    struct names *names = (struct names *)1;
    struct kit *kit = *state;
    store(kit, "a", "pod_uid=u1 container_id=c1", 1, DAY_NS);
    struct store_query q = kit_query();
    kit_group(&q, "process");
    kit_filter(&q, "pod_uid", "u1");
    assert_int_equal(names_for_query(kit->store, NULL, &q, &names, NULL), 0);
    assert_null(names);
    assert_null(q.renames);
    kit_group(&q, "pod");
    assert_int_equal(names_for_query(kit->store, NULL, &q, &names, NULL), 0);
    assert_non_null(names);
    names_free(&names);
}

static void a_query_of_a_range_with_all_names_is_as_it_was(void **state)
{
    struct names *names;
    struct kit *kit = *state;
    store(kit, "a", "pod_uid=u container_id=c namespace=n pod=p container=m workload=Deployment/p",
          1, DAY_NS);
    store(kit, "b", "unit=b.service", 1, DAY_NS);
    store(kit, "c", "pod_uid=u2 container_id=c2", 1, 5 * DAY_NS);
    struct store_query q = kit_query();
    kit_filter(&q, "namespace", "n");
    q.end_ms = 4 * DAY_NS / 1000000;
    assert_int_equal(names_for_query(kit->store, NULL, &q, &names, NULL), 0);
    assert_null(names);
    assert_null(q.renames);
}

static int print_tuple(void *ctx, const char *const *values)
{
    struct buf *out = ctx;
    return buf_printf(out, "%s|%s\n", values[0], values[1]);
}

static void series_are_told_once_over_all_days(void **state)
{
    static const char *const keys[] = {"pod", "namespace"};
    struct kit *kit = *state;
    _cleanup_(buf_free) struct buf out = {0};
    store(kit, "a", "namespace=n pod=p", 1, DAY_NS);
    store(kit, "b", "namespace=n pod=p", 1, DAY_NS);
    store(kit, "a", "pod=p namespace=n", 1, 2 * DAY_NS);
    store(kit, "a", "namespace=n", 1, 2 * DAY_NS);
    store(kit, "a", "", 1, 3 * DAY_NS);
    store(kit, "a", "namespace=late pod=p", 1, 9 * DAY_NS);
    int r = kit->store->ops->series(kit->store, 0, 4 * DAY_NS / 1000000, keys, 2, print_tuple, &out,
                                    NULL);
    assert_int_equal(r, 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal((const char *)out.data, "p|n\n|n\n|\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_pod_is_named_by_the_api_server),
        TEST(a_pod_is_named_by_other_series_of_the_range),
        TEST(names_that_were_stored_are_left_as_they_are),
        TEST(a_job_becomes_the_cronjob_that_controls_it),
        TEST(a_containers_usage_is_named_afterwards),
        TEST(a_query_without_names_is_not_slowed_down),
        TEST(a_query_of_a_range_with_all_names_is_as_it_was),
        TEST(series_are_told_once_over_all_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
