/* test_usage_rows.c: what was read of containers and units becomes rows of a batch, with labels,
 * and without the pods that are not wanted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/counters.h"
#include "agent/fact_rows.h"
#include "agent/identity.h"
#include "agent/usage_log.h"
#include "agent/usage_reader.h"
#include "agent/usage_rows.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "k8s/pods.h"
#include "k8s/selector.h"
#include "wire/batch.h"

#define WEB  "5b2f8a2e-6c3d-4a0e-9a57-0c1de1f0aa01"
#define MAIN "17db96a24ae1e9dd57143e62b1cb0d2d35e693c65c774c7470e87b0572e07c1a"

#define WEB_CGROUP  "/kubepods/pod" WEB "/" MAIN
#define CRON_CGROUP "/system.slice/cron.service"

#define START 1000
#define END   2000

/* In place of the reader's thread: two scans, and what happens between them. */
struct usage_reader {
    struct usage_log *scans[2];
    void (*between)(void);
};

int usage_reader_take(struct usage_reader *reader, int64_t end_ns, usage_reader_fn fn, void *ctx)
{
    assert_int_equal(end_ns, END);
    int r = fn(ctx, reader->scans[0], 0, reader->scans[0]->count);
    if (reader->between)
        reader->between();
    return r < 0 ? r : fn(ctx, reader->scans[1], 0, reader->scans[1]->count);
}

static struct kit {
    struct usage_reader reader;
    struct pods *pods;
    struct selectors *exclude;
    struct identity *identity;
    struct fact_rows *facts;
    struct usage_rows *rows;
    struct counters counters;
    struct strings strings;
    struct batch batch; /* as it was built last */
} kit;

static int make_kit(void **state)
{
    uint32_t empty;
    memset(&kit, 0, sizeof(kit));
    for (size_t i = 0; i < ARRAY_LEN(kit.reader.scans); i++)
        assert_int_equal(usage_log_new(&kit.reader.scans[i]), 0);
    assert_int_equal(pods_new(NULL, &kit.pods, NULL), 0);
    assert_int_equal(fact_rows_new(kit.pods, &kit.counters, &kit.facts), 0);
    assert_int_equal(usage_rows_new(&kit.rows), 0);
    assert_int_equal(strings_add(&kit.strings, "", &empty), 0);
    return 0;
}

static int free_kit(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(kit.reader.scans); i++)
        usage_log_free(&kit.reader.scans[i]);
    usage_rows_free(&kit.rows);
    fact_rows_free(&kit.facts);
    identity_free(&kit.identity);
    selectors_free(&kit.exclude);
    pods_free(&kit.pods);
    strings_free(&kit.strings);
    return 0;
}

static void tell_pod(const char *owner)
{
    struct pods_update *update;
    struct pod_fact web = {.uid = WEB,
                           .namespace = "shop",
                           .name = "web-1",
                           .owner_kind = "StatefulSet",
                           .owner = owner};
    struct container_fact container = {.id = MAIN, .pod_uid = WEB, .name = "main"};
    assert_int_equal(pods_begin(kit.pods, PODS_CRI, &update), 0);
    struct facts_sink sink = pods_update_sink(update);
    sink.pod(sink.ctx, &web);
    sink.container(sink.ctx, &container);
    assert_int_equal(pods_commit(&update, 1, NULL), 0);
}

static void read_one(unsigned scan, const char *cgroup, int64_t time_ns, int64_t span_ns,
                     const char *command)
{
    struct usage_reading r = {.path = cgroup, .time_ns = time_ns, .span_ns = span_ns};
    const struct usage_process p = {.pid = 7, .exe = "/bin/x", .command = command ? command : ""};
    for (unsigned i = 0; i < USAGE_FIGURE_COUNT; i++)
        r.figures[i] = 100 + i;
    r.figures[USAGE_threads] = USAGE_UNKNOWN;
    r.summed = 1u << USAGE_rss_bytes;
    assert_int_equal(usage_log_add(kit.reader.scans[scan], &r, &p, command ? 1 : 0), 0);
}

static void build(void)
{
    const struct usage_sources sources = {&kit.reader, kit.pods, kit.identity, kit.facts};
    fact_rows_begin(kit.facts, &kit.strings, START);
    assert_int_equal(usage_rows_build(kit.rows, &sources, START, END, &kit.strings, &kit.counters),
                     0);
    usage_rows_give(kit.rows, &kit.batch);
}

static const char *text(uint32_t string)
{
    return kit.strings.texts[string];
}

static void a_figure_keeps_its_name(void **state)
{
    read_one(0, CRON_CGROUP, START, 10, NULL);
    build();
    assert_int_equal(kit.batch.usage_count, 1);
    const struct batch_usage *u = kit.batch.usage;
    assert_string_equal(text(u->cgroup), CRON_CGROUP);
    assert_int_equal(u->span_ns, 10);
#define X(name)                                  \
    assert_true(u->figures[WIRE_USAGE_##name] == \
                (USAGE_##name == USAGE_threads ? WIRE_UNKNOWN : 100 + USAGE_##name));
    WIRE_USAGE(X)
#undef X
    assert_int_equal(u->summed, 1u << WIRE_USAGE_rss_bytes);
}

static void what_an_unwanted_pod_used_is_left_out(void **state)
{
    tell_pod("web");
    assert_int_equal(selectors_parse("namespace=shop", &kit.exclude, NULL), 0);
    const struct identity_config config = {.pods = kit.pods, .exclude = kit.exclude};
    assert_int_equal(identity_new(&config, &kit.counters, &kit.identity, NULL), 0);
    read_one(0, WEB_CGROUP, START, 10, "geheim");
    read_one(0, CRON_CGROUP, START, 10, "cron");
    build();
    assert_int_equal(kit.batch.usage_count, 1);
    assert_string_equal(text(kit.batch.usage[0].cgroup), CRON_CGROUP);
    assert_int_equal(kit.batch.usage_process_count, 1);
    for (uint32_t i = 0; i < kit.strings.count; i++) {
        assert_null(strstr(text(i), WEB));
        assert_null(strstr(text(i), "geheim"));
    }
}

static void another_owner(void)
{
    tell_pod("shop");
}

/* Whatever becomes known of its pod in between. */
static void a_cgroup_has_one_set_of_labels(void **state)
{
    unsigned workloads = 0, units = 0;
    tell_pod("web");
    read_one(0, WEB_CGROUP, START, 10, NULL);
    read_one(1, WEB_CGROUP, START + 10, 10, NULL);
    read_one(1, CRON_CGROUP, START + 10, 10, NULL);
    kit.reader.between = another_owner;
    build();
    assert_int_equal(kit.batch.usage_count, 3);
    for (uint32_t i = 0; i < kit.batch.usage_label_count; i++) {
        const struct batch_usage_label *l = &kit.batch.usage_labels[i];
        if (strcmp(text(l->key), "workload") == 0) {
            assert_string_equal(text(l->cgroup), WEB_CGROUP);
            assert_string_equal(text(l->value), "StatefulSet/web");
            workloads++;
        } else if (strcmp(text(l->key), "unit") == 0) {
            assert_string_equal(text(l->cgroup), CRON_CGROUP);
            units++;
        }
    }
    assert_int_equal(workloads, 1);
    assert_int_equal(units, 1);
    /* The next batch is another. */
    kit.reader.between = NULL;
    strings_clear(&kit.strings);
    uint32_t empty;
    assert_int_equal(strings_add(&kit.strings, "", &empty), 0);
    build();
    workloads = 0;
    for (uint32_t i = 0; i < kit.batch.usage_label_count; i++)
        workloads += strcmp(text(kit.batch.usage_labels[i].value), "StatefulSet/shop") == 0;
    assert_int_equal(workloads, 1);
}

static void what_comes_too_late_for_its_window_is_counted(void **state)
{
    read_one(0, CRON_CGROUP, START - 1, 0, NULL); /* sampling had not begun */
    build();
    assert_int_equal(kit.batch.usage_count, 0);
    assert_int_equal(kit.counters.usage_dropped, 0);
    read_one(1, CRON_CGROUP, START - 1, 10, NULL);
    build();
    assert_int_equal(kit.batch.usage_count, 0);
    assert_int_equal(kit.counters.usage_dropped, 1);
}

/* So that the batch can be sent: but one that is there already takes no room. */
static void command_lines_beyond_4_mib_are_left_empty(void **state)
{
    size_t len = 3u << 20;
    _cleanup_free_ char *large = malloc(len + 1), *other = malloc(len + 1);
    assert_true(large && other);
    memset(large, 'a', len);
    memset(other, 'b', len);
    large[len] = other[len] = 0;
    read_one(0, CRON_CGROUP, START, 10, large);
    read_one(0, WEB_CGROUP, START, 10, other);
    read_one(1, CRON_CGROUP, START + 10, 10, large);
    read_one(1, WEB_CGROUP, START + 10, 10, "small");
    build();
    assert_int_equal(kit.batch.usage_count, 4);
    assert_int_equal(kit.batch.usage_process_count, 4);
    const struct batch_usage_process *p = kit.batch.usage_processes;
    assert_string_equal(text(p[0].command), large);
    assert_string_equal(text(p[1].command), "");
    assert_string_equal(text(p[1].exe), "/bin/x");
    assert_int_equal(p[2].command, p[0].command);
    assert_string_equal(text(p[3].command), "small");
    assert_int_equal(kit.counters.usage_dropped, 0);
    assert_int_equal(kit.strings.max_bytes, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make_kit, free_kit)
    const struct CMUnitTest tests[] = {
        T(a_figure_keeps_its_name),
        T(what_an_unwanted_pod_used_is_left_out),
        T(a_cgroup_has_one_set_of_labels),
        T(what_comes_too_late_for_its_window_is_counted),
        T(command_lines_beyond_4_mib_are_left_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
