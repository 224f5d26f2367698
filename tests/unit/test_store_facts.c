/* test_store_facts.c: what agents said of pods and containers comes back from the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "store_kit.h"

#define MINUTE (60 * NS_PER_SEC)
#define DAY    (86400 * NS_PER_SEC)
#define NOON   (20717 * DAY + DAY / 2) /* 2026-09-21 */
#define MS(ns) ((ns) / NS_PER_MS)

enum {
    EMPTY,
    WEB_UID,
    SHOP,
    WEB,
    IP,
    RUNNING,
    DEPLOYMENT,
    APP,
    FRONT,
    DB_UID,
    DATA,
    DB,
    MAIN_ID,
    MAIN,
    IMAGE,
    CRASH,
    LOOSE_ID,
    FAILED,
    STRINGS
};
static const char *const strings[STRINGS] = {
    [EMPTY] = "",        [WEB_UID] = "uid-web", [SHOP] = "shop",   [WEB] = "web-1",
    [IP] = "10.0.0.1",   [RUNNING] = "Running", [APP] = "app",     [DEPLOYMENT] = "Deployment/web",
    [FRONT] = "front",   [DB_UID] = "uid-db",   [DATA] = "data",   [DB] = "db-0",
    [MAIN_ID] = "id-1",  [MAIN] = "main",       [IMAGE] = "web:1", [CRASH] = "Error",
    [LOOSE_ID] = "id-2", [FAILED] = "Failed",
};

static const struct batch_pod pods[] = {
    {.uid = DB_UID, .namespace = DATA, .name = DB},
    {.uid = WEB_UID,
     .namespace = SHOP,
     .name = WEB,
     .ip = IP,
     .phase = RUNNING,
     .workload = DEPLOYMENT,
     .started_ns = 5 * NS_PER_SEC},
};
static const struct batch_pod_label pod_labels[] = {{1, APP, WEB}, {0, APP, DB}, {1, FRONT, EMPTY}};
static const struct batch_container containers[] = {
    {.id = MAIN_ID,
     .pod_uid = WEB_UID,
     .name = MAIN,
     .image = IMAGE,
     .reason = CRASH,
     .restarts = 3,
     .started_ns = 6 * NS_PER_SEC,
     .kind = WIRE_CONTAINER_INIT,
     .state = WIRE_CONTAINER_WAITING},
    {.id = LOOSE_ID, .name = MAIN},
};

#define DB_LINE    "n1 data/db-0 uid-db    0 app=db-0\n"
#define WEB_LINE   "n1 shop/web-1 uid-web 10.0.0.1 Running Deployment/web 5000 app=web-1 front=\n"
#define MAIN_LINE  "n1 id-1 in uid-web: main web:1 Error 3 6000 1 3\n"
#define LOOSE_LINE "n1 id-2 in : main   0 0 0 0\n"

static struct batch batch_at(int64_t start_ns)
{
    static const struct batch_stack root = {0};
    static uint64_t seq;
    return (struct batch){.node = "n1",
                          .boot_id = "b",
                          .kernel = "k",
                          .arch = "a",
                          .agent = "g",
                          .cpus = 1,
                          .seq = ++seq,
                          .start_ns = start_ns,
                          .end_ns = start_ns + MINUTE / 2,
                          .slot_ns = MINUTE / 6,
                          .period_ns = 10000000,
                          .strings = strings,
                          .string_count = STRINGS,
                          .stacks = &root,
                          .stack_count = 1,
                          .pods = pods,
                          .pod_count = ARRAY_LEN(pods),
                          .pod_labels = pod_labels,
                          .pod_label_count = ARRAY_LEN(pod_labels),
                          .containers = containers,
                          .container_count = ARRAY_LEN(containers)};
}

static void ingest(struct kit *kit, struct batch b)
{
    assert_false(kit_ingest(kit, &b));
}

static int put_pod(void *ctx, const struct store_pod *p)
{
    struct buf *out = ctx;
    int r = buf_printf(out, "%s %s/%s %s %s %s %s %lld", p->node, p->namespace, p->name, p->uid,
                       p->ip, p->phase, p->workload, (long long)p->started_ms);
    for (size_t i = 0; r == 0 && i < p->label_count; i++)
        r = buf_printf(out, " %s=%s", p->labels[i].key, p->labels[i].value);
    return r < 0 ? r : buf_puts(out, "\n");
}

static int put_container(void *ctx, const struct store_container *c)
{
    return buf_printf(ctx, "%s %s in %s: %s %s %s %u %lld %u %u\n", c->node, c->id, c->pod_uid,
                      c->name, c->image, c->reason, c->restarts, (long long)c->started_ms, c->kind,
                      c->state);
}

static void expect(struct kit *kit, const struct store_query *q, const char *text)
{
    static const struct store_facts fns = {put_pod, put_container};
    _cleanup_(buf_free) struct buf out = {0};
    struct err err = {0};
    if (kit->store->ops->facts(kit->store, q, &fns, &out, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal((char *)out.data, text);
}

static void expect_in(struct kit *kit, int64_t from_ns, int64_t to_ns, const char *text)
{
    struct store_query q = {.start_ms = MS(from_ns), .end_ms = MS(to_ns)};
    expect(kit, &q, text);
}

/* The order is the day's own: of the numbers its texts have. */
static void what_was_told_comes_back(void **state)
{
    struct kit *kit = *state;
    ingest(kit, batch_at(NOON));
    expect_in(kit, NOON, NOON + MINUTE, DB_LINE WEB_LINE MAIN_LINE LOOSE_LINE);
    kit_reopen(kit);
    expect_in(kit, NOON, NOON + MINUTE, DB_LINE WEB_LINE MAIN_LINE LOOSE_LINE);
}

static void filters_choose_pods_and_their_containers(void **state)
{
    struct kit *kit = *state;
    ingest(kit, batch_at(NOON));
    struct store_query q = kit_query();
    kit_filter(&q, "namespace", "shop");
    expect(kit, &q, WEB_LINE MAIN_LINE);
    kit_filter(&q, "namespace", "data");
    expect(kit, &q, DB_LINE WEB_LINE MAIN_LINE);
    kit_filter(&q, "pod", "db-0");
    expect(kit, &q, DB_LINE);
    kit_filter(&q, "node", "n2");
    expect(kit, &q, "");
    q = kit_query();
    kit_filter(&q, "pod", "nobody");
    expect(kit, &q, "");
    q = kit_query();
    kit_filter(&q, "node", "n1");
    expect(kit, &q, DB_LINE WEB_LINE MAIN_LINE LOOSE_LINE);
}

static void what_was_said_holds_until_it_had_to_be_said_again(void **state)
{
    struct kit *kit = *state;
    const char *all = DB_LINE WEB_LINE MAIN_LINE LOOSE_LINE;
    ingest(kit, batch_at(NOON));
    int64_t end = NOON + MINUTE / 2;
    expect_in(kit, end + 10 * MINUTE - NS_PER_MS, end + 60 * MINUTE, all);
    expect_in(kit, end + 10 * MINUTE, end + 60 * MINUTE, "");
    expect_in(kit, NOON - MINUTE, NOON + NS_PER_MS, all);
    expect_in(kit, NOON - MINUTE, NOON, "");
}

static void the_last_word_counts_in_whatever_order_it_comes(void **state)
{
    struct kit *kit = *state;
    struct batch_pod changed = pods[1];
    struct batch late = batch_at(NOON + MINUTE), early = batch_at(NOON);
    changed.phase = FAILED;
    late.pods = &changed;
    late.pod_count = 1;
    late.pod_label_count = late.container_count = 0;
    ingest(kit, late);
    ingest(kit, early);
    struct store_query q = kit_query();
    kit_filter(&q, "pod", "web-1");
    expect(kit, &q, "n1 shop/web-1 uid-web 10.0.0.1 Failed Deployment/web 5000\n" MAIN_LINE);
    q.start_ms = MS(NOON);
    q.end_ms = MS(NOON + 1 * NS_PER_SEC); /* it was there already */
    expect(kit, &q, "n1 shop/web-1 uid-web 10.0.0.1 Failed Deployment/web 5000\n" MAIN_LINE);
}

static void what_is_known_goes_with_its_day(void **state)
{
    struct kit *kit = *state;
    ingest(kit, batch_at(NOON));
    ingest(kit, batch_at(NOON + DAY));
    struct store_query q = kit_query();
    kit_filter(&q, "pod", "db-0");
    expect(kit, &q, DB_LINE DB_LINE);
    assert_int_equal(kit->store->ops->expire(kit->store, MS(NOON + DAY / 2), 0, NULL), 0);
    expect(kit, &q, DB_LINE);
    expect_in(kit, NOON - DAY / 2, NOON + DAY / 4, "");
}

/* Of a store before there were any facts. */
static void a_day_without_the_table_gets_it_when_it_is_written_to(void **state)
{
    struct kit *kit = *state;
    char path[4200];
    sqlite3 *db;
    struct batch none = batch_at(NOON);
    none.pod_count = none.pod_label_count = none.container_count = 0;
    ingest(kit, none);
    kit_close(kit);
    snprintf(path, sizeof(path), "%s/2026-09-21.db", kit->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DROP TABLE fact", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    kit_open(kit);
    expect_in(kit, NOON, NOON + MINUTE, "");
    ingest(kit, batch_at(NOON));
    expect_in(kit, NOON, NOON + MINUTE, DB_LINE WEB_LINE MAIN_LINE LOOSE_LINE);
}

static void damaged_rows_cost_no_more_than_their_day(void **state)
{
    static const char *const damages[] = {
        "UPDATE fact SET data=x''",           "UPDATE fact SET data=x'ff'",
        "UPDATE fact SET data=NULL",          "UPDATE fact SET data=zeroblob(3)",
        "UPDATE fact SET data=data || x'80'", "UPDATE fact SET id=1000000",
    };
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        struct kit *kit = *state;
        char path[4200];
        sqlite3 *db;
        ingest(kit, batch_at(NOON + (int64_t)(2 * i) * DAY));
        ingest(kit, batch_at(NOON + (int64_t)(2 * i + 1) * DAY));
        kit_close(kit);
        snprintf(path, sizeof(path), "%s/2026-09-%02zu.db", kit->dir, 21 + 2 * i);
        if (i >= 5)
            snprintf(path, sizeof(path), "%s/2026-10-%02zu.db", kit->dir, 2 * i - 9);
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db,
                                      "DELETE FROM fact WHERE type=2 OR id<>(SELECT id FROM "
                                      "string WHERE text='uid-web')",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, damages[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        kit_open(kit);
        struct store_query q = {.start_ms = MS(NOON + (int64_t)(2 * i) * DAY - DAY / 4),
                                .end_ms = MS(NOON + (int64_t)(2 * i + 1) * DAY + DAY / 4)};
        kit_filter(&q, "pod", "web-1");
        expect(kit, &q, WEB_LINE MAIN_LINE);
    }
}

#define WITH_KIT(test) cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KIT(what_was_told_comes_back),
        WITH_KIT(filters_choose_pods_and_their_containers),
        WITH_KIT(what_was_said_holds_until_it_had_to_be_said_again),
        WITH_KIT(the_last_word_counts_in_whatever_order_it_comes),
        WITH_KIT(what_is_known_goes_with_its_day),
        WITH_KIT(a_day_without_the_table_gets_it_when_it_is_written_to),
        WITH_KIT(damaged_rows_cost_no_more_than_their_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
