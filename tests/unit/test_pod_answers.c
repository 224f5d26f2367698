/* test_pod_answers.c: of a pod the API server's word goes before the agents', and theirs before
 * what samples are labelled with. */
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

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/api_internal.h"
#include "server/cluster/cluster.h"
#include "server/exchange.h"
#include "server/label_rows.h"
#include "store_kit.h"

#define NOON_S (20717 * 86400ll + 43200) /* 2026-09-21 */
#define RANGE  "start=1789991900&end=1789992300"

enum {
    EMPTY,
    OLD_UID,
    NEW_UID,
    DATA,
    DB,
    IP,
    RUNNING,
    WORKLOAD,
    APP,
    ID_1,
    ID_2,
    MAIN,
    IMAGE,
    COMPLETED,
    NAMESPACE,
    POD,
    POD_UID,
    CONTAINER_ID,
    CONTAINER,
    STRINGS
};
static const char *const strings[STRINGS] = {
    [EMPTY] = "",
    [OLD_UID] = "uid-1",
    [NEW_UID] = "uid-2",
    [DATA] = "data",
    [DB] = "db-0",
    [IP] = "10.0.0.1",
    [RUNNING] = "Running",
    [WORKLOAD] = "StatefulSet/db",
    [APP] = "app",
    [ID_1] = "id-1",
    [ID_2] = "id-2",
    [MAIN] = "main",
    [IMAGE] = "db:1",
    [COMPLETED] = "Completed",
    [NAMESPACE] = "namespace",
    [POD] = "pod",
    [POD_UID] = "pod_uid",
    [CONTAINER_ID] = "container_id",
    [CONTAINER] = "container",
};

struct answers {
    struct kit *kit;
    struct api api;
    uint64_t seq;
};

static int make(void **state)
{
    struct answers *a = calloc(1, sizeof(*a));
    void *kit;
    assert_non_null(a);
    assert_int_equal(kit_setup(&kit), 0);
    a->kit = kit;
    a->api.store = a->kit->store;
    *state = a;
    return 0;
}

static int unmake(void **state)
{
    struct answers *a = *state;
    void *kit = a->kit;
    cluster_free(&a->api.cluster);
    assert_int_equal(kit_teardown(&kit), 0);
    free(a);
    return 0;
}

static struct batch batch_at(struct answers *a, int64_t second)
{
    static const struct batch_stack root = {0};
    return (struct batch){.node = "n1",
                          .boot_id = "b",
                          .kernel = "k",
                          .arch = "a",
                          .agent = "g",
                          .cpus = 1,
                          .seq = ++a->seq,
                          .start_ns = (NOON_S + second) * NS_PER_SEC,
                          .end_ns = (NOON_S + second + 30) * NS_PER_SEC,
                          .slot_ns = 10 * NS_PER_SEC,
                          .period_ns = 10000000,
                          .strings = strings,
                          .string_count = STRINGS,
                          .stacks = &root,
                          .stack_count = 1};
}

/* The pod of that uid with one container. */
static void tell(struct answers *a, int64_t second, uint32_t uid, uint32_t id, uint32_t ip)
{
    struct batch_pod pod = {.uid = uid,
                            .namespace = DATA,
                            .name = DB,
                            .ip = ip,
                            .phase = RUNNING,
                            .workload = WORKLOAD,
                            .started_ns = 7 * NS_PER_SEC};
    struct batch_pod_label label = {.key = APP, .value = DB};
    struct batch_container container = {.id = id,
                                        .pod_uid = uid,
                                        .name = MAIN,
                                        .image = IMAGE,
                                        .reason = uid == OLD_UID ? COMPLETED : EMPTY,
                                        .state = uid == OLD_UID ? WIRE_CONTAINER_EXITED
                                                                : WIRE_CONTAINER_RUNNING,
                                        .restarts = 2,
                                        .started_ns = 8 * NS_PER_SEC};
    struct batch b = batch_at(a, second);
    b.pods = &pod;
    b.pod_labels = &label;
    b.containers = &container;
    b.pod_count = b.pod_label_count = b.container_count = 1;
    assert_false(kit_ingest(a->kit, &b));
}

/* 10 samples of a container, whose labels are as an agent has them that knows the names, or not. */
static void sample(struct answers *a, int64_t second, uint32_t uid, uint32_t id, bool named)
{
    const struct batch_process process = {.pid = 1, .name = MAIN};
    const struct batch_sample samples = {.count = 10};
    const struct batch_label labels[] = {{0, POD_UID, uid},
                                         {0, CONTAINER_ID, id},
                                         {0, NAMESPACE, DATA},
                                         {0, POD, DB},
                                         {0, CONTAINER, MAIN}};
    struct batch b = batch_at(a, second);
    b.processes = &process;
    b.samples = &samples;
    b.labels = labels;
    b.process_count = b.sample_count = 1;
    b.label_count = named ? ARRAY_LEN(labels) : 2;
    assert_false(kit_ingest(a->kit, &b));
}

static void follow(struct answers *a, const char *uid, const char *ip, const char *container_id)
{
    const struct kube_container container = {.name = "main",
                                             .image = "db:2",
                                             .reason = "",
                                             .id = container_id,
                                             .last_id = "",
                                             .state = CONTAINER_WAITING};
    const struct kube_object pod = {.kind = KUBE_POD,
                                    .uid = uid,
                                    .namespace = "data",
                                    .name = "db-0",
                                    .owner_kind = "",
                                    .owner = "",
                                    .owner_uid = "",
                                    .node = "n9",
                                    .ip = ip,
                                    .phase = "Pending",
                                    .static_uid = "",
                                    .containers = &container,
                                    .container_count = 1};
    assert_int_equal(cluster_new(&a->api.cluster, NULL), 0);
    assert_int_equal(cluster_put(a->api.cluster, &pod), 0);
}

static void expect(struct answers *a, const char *path, const char *query, unsigned status,
                   const char *text)
{
    struct request request = {.method = METHOD_GET, .path = path, .query = query};
    struct reply reply;
    reply_init(&reply);
    if (strcmp(path, "/api/v1/pods") == 0)
        api_get_pods(&a->api, &request, &reply);
    else
        api_get_pod(&a->api, &request, &reply);
    assert_int_equal(buf_append(&reply.body, "", 1), 0);
    const char *body = (const char *)reply.body.data;
    assert_int_equal(reply.status, status);
    const char *from = strstr(body, "\"sources\":");
    assert_string_equal(from ? from : body, text);
    reply_free(&reply);
}

#define SOURCES "\"sources\":[{\"name\":\"samples\"},{\"name\":\"agents\"}],"
#define NAMES   "\"namespace\":\"data\",\"pod\":\"db-0\","
#define PLACE                                                                                    \
    "\"workload\":\"StatefulSet/db\",\"node\":\"n1\",\"ip\":\"10.0.0.1\",\"phase\":\"Running\"," \
    "\"started_ms\":7000,"
#define MAIN_2(samples, cpu)                                                          \
    "{\"container\":\"main\",\"id\":\"id-2\",\"kind\":\"app\",\"state\":\"running\"," \
    "\"image\":\"db:1\",\"restarts\":2,\"started_ms\":8000,\"samples\":" samples      \
    ",\"cpu_ms\":" cpu "}"
#define MAIN_1                                                                        \
    "{\"container\":\"main\",\"id\":\"id-1\",\"kind\":\"app\",\"state\":\"exited\","  \
    "\"reason\":\"Completed\",\"image\":\"db:1\",\"restarts\":2,\"started_ms\":8000," \
    "\"samples\":0,\"cpu_ms\":0}"

static void without_an_api_server_agents_tell(void **state)
{
    struct answers *a = *state;
    tell(a, 0, NEW_UID, ID_2, IP);
    expect(a, "/api/v1/pods/data/db-0", RANGE, 200,
           SOURCES NAMES "\"uids\":[\"uid-2\"]," PLACE
                         "\"samples\":0,\"cpu_ms\":0,\"known_by\":[\"agents\"],"
                         "\"labels\":{\"app\":\"db-0\"},\"containers\":[" MAIN_2("0", "0") "]}\n");
    sample(a, 30, NEW_UID, ID_2, true);
    expect(a, "/api/v1/pods/data/db-0", RANGE, 200,
           SOURCES NAMES
           "\"uids\":[\"uid-2\"]," PLACE
           "\"samples\":10,\"cpu_ms\":100,\"known_by\":[\"agents\",\"samples\"],"
           "\"labels\":{\"app\":\"db-0\"},\"containers\":[" MAIN_2("10", "100") "]}\n");
    expect(a, "/api/v1/pods", RANGE "&namespace=data", 200,
           SOURCES "\"pods\":[{" NAMES "\"uids\":[\"uid-2\"]," PLACE
                   "\"samples\":10,\"cpu_ms\":100,\"known_by\":[\"agents\",\"samples\"]}]}\n");
    expect(a, "/api/v1/pods", RANGE "&namespace=shop", 200, SOURCES "\"pods\":[]}\n");
    expect(a, "/api/v1/pods", RANGE "&node=n2", 200, SOURCES "\"pods\":[]}\n");
}

static void of_what_was_not_there_in_the_range_nothing_is_told(void **state)
{
    struct answers *a = *state;
    tell(a, 0, NEW_UID, ID_2, IP);
    expect(a, "/api/v1/pods/data/db-0", "start=1789988400&end=1789991000", 404,
           "{\"error\":\"nothing is known of a pod data/db-0 in this range\"}\n");
}

static void the_last_of_two_pods_with_a_name_is_told_with_the_containers_of_both(void **state)
{
    struct answers *a = *state;
    tell(a, 60, NEW_UID, ID_2, IP);
    tell(a, 0, OLD_UID, ID_1, EMPTY);
    sample(a, 90, NEW_UID, ID_2, true);
    expect(a, "/api/v1/pods/data/db-0", RANGE, 200,
           SOURCES NAMES
           "\"uids\":[\"uid-2\",\"uid-1\"]," PLACE
           "\"samples\":10,\"cpu_ms\":100,\"known_by\":[\"agents\",\"samples\"],"
           "\"labels\":{\"app\":\"db-0\"},\"containers\":[" MAIN_2("10", "100") "," MAIN_1 "]}\n");
}

static void what_the_api_server_says_goes_first(void **state)
{
    struct answers *a = *state;
    follow(a, "uid-2", "", "id-2");
    tell(a, 0, OLD_UID, ID_1, EMPTY);
    tell(a, 60, NEW_UID, ID_2, IP);
    expect(a, "/api/v1/pods/data/db-0", RANGE, 200,
           SOURCES NAMES
           "\"uids\":[\"uid-2\",\"uid-1\"],\"workload\":\"StatefulSet/db\",\"node\":\"n9\","
           "\"ip\":\"10.0.0.1\",\"phase\":\"Pending\",\"started_ms\":7000,\"samples\":0,"
           "\"cpu_ms\":0,\"known_by\":[\"api_server\",\"agents\"],\"labels\":{},\"containers\":["
           "{\"container\":\"main\",\"id\":\"id-2\",\"kind\":\"app\",\"state\":\"waiting\","
           "\"image\":\"db:2\",\"restarts\":0,\"samples\":0,\"cpu_ms\":0}," MAIN_1 "]}\n");
}

static void of_another_pod_that_had_the_name_nothing_is_believed(void **state)
{
    struct answers *a = *state;
    follow(a, "uid-3", "", "id-3");
    tell(a, 60, NEW_UID, ID_2, IP);
    expect(a, "/api/v1/pods/data/db-0", RANGE, 200,
           SOURCES NAMES "\"uids\":[\"uid-3\",\"uid-2\"],\"node\":\"n9\",\"phase\":\"Pending\","
                         "\"samples\":0,\"cpu_ms\":0,\"known_by\":[\"api_server\",\"agents\"],"
                         "\"labels\":{},\"containers\":["
                         "{\"container\":\"main\",\"id\":\"id-3\",\"kind\":\"app\","
                         "\"state\":\"waiting\",\"image\":\"db:2\",\"restarts\":0,\"samples\":0,"
                         "\"cpu_ms\":0}," MAIN_2("0", "0") "]}\n");
}

/* The names came after the samples. */
static void samples_without_names_get_those_that_agents_told(void **state)
{
    struct answers *a = *state;
    sample(a, 0, NEW_UID, ID_2, false);
    tell(a, 60, NEW_UID, ID_2, IP);
    expect(a, "/api/v1/pods/data/db-0", RANGE, 200,
           SOURCES NAMES
           "\"uids\":[\"uid-2\"]," PLACE
           "\"samples\":10,\"cpu_ms\":100,\"known_by\":[\"agents\",\"samples\"],"
           "\"labels\":{\"app\":\"db-0\"},\"containers\":[" MAIN_2("10", "100") "]}\n");
    expect(a, "/api/v1/pods", RANGE, 200,
           SOURCES "\"pods\":[{" NAMES "\"uids\":[\"uid-2\"]," PLACE
                   "\"samples\":10,\"cpu_ms\":100,\"known_by\":[\"agents\",\"samples\"]}]}\n");
}

#define WITH_ANSWERS(test) cmocka_unit_test_setup_teardown(test, make, unmake)

/* Also where no series lacks its pod's name. */
static void a_workload_that_only_agents_told_is_grouped_by(void **state)
{
    struct answers *a = *state;
    struct label_rows rows = {0};
    const struct store_query query = {.start_ms = (NOON_S - 100) * 1000,
                                      .end_ms = (NOON_S + 300) * 1000,
                                      .groups = {"workload"},
                                      .group_count = 1};
    sample(a, 0, NEW_UID, ID_2, true);
    tell(a, 60, NEW_UID, ID_2, IP);
    assert_int_equal(label_rows_read(&a->api, &query, &rows, NULL), 0);
    assert_int_equal(rows.count, 1);
    assert_string_equal(rows.all[0].values[0], "StatefulSet/db");
    assert_int_equal(rows.all[0].samples, 10);
    label_rows_free(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ANSWERS(without_an_api_server_agents_tell),
        WITH_ANSWERS(of_what_was_not_there_in_the_range_nothing_is_told),
        WITH_ANSWERS(the_last_of_two_pods_with_a_name_is_told_with_the_containers_of_both),
        WITH_ANSWERS(what_the_api_server_says_goes_first),
        WITH_ANSWERS(samples_without_names_get_those_that_agents_told),
        WITH_ANSWERS(a_workload_that_only_agents_told_is_grouped_by),
        WITH_ANSWERS(of_another_pod_that_had_the_name_nothing_is_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
