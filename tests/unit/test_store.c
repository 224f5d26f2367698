/* test_store.c: what is stored is found again, by any key, in any range, and once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sample_batch.h"
#include "store_kit.h"

#define NS  1000000000ll
#define DAY 86400ll

static void a_batch_is_found_with_its_frames(void **state)
{
    kit_ingest(*state, &sample_batch);
    struct store_query q = kit_query();
    kit_group(&q, "process");
    _cleanup_free_ char *folded = kit_folded(*state, &q);
    assert_string_equal(folded, "burner; 5000000\n"
                                "burner;[other]; 2\n"
                                "burner;[vdso]+0xe3d; 4\n"
                                "burner;main;do_syscall_64; 300\n"
                                "burner;main;std::map<int, char>::find(int const&);"
                                "/usr/bin/burner+0xffffffffffffffff; 1\n"
                                "burner;main;~parse größe.js:12; 70000\n");
}

static void a_batch_is_stored_once(void **state)
{
    assert_false(kit_ingest(*state, &sample_batch));
    assert_true(kit_ingest(*state, &sample_batch));
    uint64_t once = kit_samples(*state);
    assert_int_equal(once, 5070307);
    kit_reopen(*state);
    assert_true(kit_ingest(*state, &sample_batch));
    assert_int_equal(kit_samples(*state), once);
}

static void the_same_number_of_another_node_or_boot_is_another_batch(void **state)
{
    struct batch b = sample_batch;
    assert_false(kit_ingest(*state, &b));
    b.node = "node-2";
    assert_false(kit_ingest(*state, &b));
    b.boot_id = "another";
    assert_false(kit_ingest(*state, &b));
    b.boot_id = "";
    assert_false(kit_ingest(*state, &b));
    b.seq++;
    assert_false(kit_ingest(*state, &b));
    assert_true(kit_ingest(*state, &b));
    assert_int_equal(kit_samples(*state), 5 * 5070307);
}

static uint64_t samples_where(struct kit *kit, const char *key, const char *value)
{
    struct store_query q = kit_query();
    kit_filter(&q, key, value);
    return kit_sum(kit, &q).samples;
}

static void every_key_filters(void **state)
{
    static const struct {
        const char *key, *value;
        uint64_t samples;
    } rows[] = {
        {"node", "node-1", 5070307},
        {"node", "node-2", 0},
        {"process", "burner", 5070307},
        {"process", "", 0},
        {"cgroup", "/system.slice/burner.service", 305},
        {"cgroup", "", 5070002},
        {"thread", "worker;1", 300},
        {"thread", "", 5000002},
        {"pid", "4711", 305},
        {"pid", "04711", 0},
        {"pid", "4294971007", 0}, /* 4711 + 2^32 */
        {"pid", "-1", 0},
        {"pid", "", 0},
        {"cpu", "255", 300},
        {"cpu", "0", 5},
        {"unit", "burner.service", 305},
        {"unit", "", 5070002},
        {"unit", "other", 0},
        {"pod", "", 0},
        {"pod", "burner", 0},
        {"main", "burner", 0}, /* a string of the batch that is no label's key */
    };
    kit_ingest(*state, &sample_batch);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (samples_where(*state, rows[i].key, rows[i].value) != rows[i].samples)
            fail_msg("%s=%s: %llu", rows[i].key, rows[i].value,
                     (unsigned long long)samples_where(*state, rows[i].key, rows[i].value));
}

static void filters_of_one_key_are_either_and_of_two_keys_both(void **state)
{
    kit_ingest(*state, &sample_batch);
    struct store_query q = kit_query();
    kit_filter(&q, "cpu", "255");
    kit_filter(&q, "cpu", "77");
    kit_filter(&q, "cpu", "0");
    assert_int_equal(kit_sum(*state, &q).samples, 305);
    kit_filter(&q, "thread", "burner");
    assert_int_equal(kit_sum(*state, &q).samples, 5);
    kit_filter(&q, "pid", "4712");
    assert_int_equal(kit_sum(*state, &q).samples, 0);
}

static void groups_stand_in_the_order_asked_for(void **state)
{
    kit_ingest(*state, &sample_batch);
    struct store_query q = kit_query();
    const char *const keys[] = {"unit", "cpu", "pid", "nothing", "thread", "node"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        kit_group(&q, keys[i]);
    q.stacks = false;
    _cleanup_free_ char *folded = kit_folded(*state, &q);
    assert_string_equal(folded, ";1;4712;;;node-1; 5000002\n"
                                ";1;4712;;burner;node-1; 70000\n"
                                "burner.service;0;4711;;burner;node-1; 5\n"
                                "burner.service;255;4711;;worker;1;node-1; 300\n");
}

static void a_slot_belongs_to_the_range_it_starts_in(void **state)
{
    int64_t start_ms = sample_batch.start_ns / 1000000;
    static const struct {
        int64_t from_ms, to_ms;
        uint64_t samples;
    } rows[] = {{0, 30000, 5070307},     {0, 10000, 301},
                {1, 10000, 0},           {1, 10001, 70000},
                {0, 20001, 5070307},     {10000, 20000, 70000},
                {20000, 20001, 5000006}, {20001, 90000, 0},
                {-9000, 0, 0},           {-90000000, 90000000, 5070307},
                {5000, 4000, 0}};
    kit_ingest(*state, &sample_batch);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct store_query q = kit_query();
        q.start_ms = start_ms + rows[i].from_ms;
        q.end_ms = start_ms + rows[i].to_ms;
        assert_int_equal(kit_sum(*state, &q).samples, rows[i].samples);
    }
}

static void cpu_time_is_samples_times_their_period(void **state)
{
    struct batch b = sample_batch;
    struct store_query q = kit_query();
    kit_ingest(*state, &b);
    b.seq++;
    b.period_ns = 1; /* the same minute and series, but each sample stands for less */
    kit_ingest(*state, &b);
    struct kit_sum sum = kit_sum(*state, &q);
    assert_int_equal(sum.samples, 2 * 5070307);
    assert_int_equal(sum.cpu_ns, 5070307ull * 10000000 + 5070307);
    assert_int_equal(sum.rows, 6);
}

struct nodes_seen {
    struct store_node row;
    char texts[5][64];
    size_t count;
};

static int keep_node(void *ctx, const struct store_node *node)
{
    struct nodes_seen *n = ctx;
    n->row = *node;
    n->count++;
    snprintf(n->texts[0], 64, "%s", node->node);
    snprintf(n->texts[1], 64, "%s", node->boot_id);
    snprintf(n->texts[2], 64, "%s", node->kernel);
    snprintf(n->texts[3], 64, "%s", node->arch);
    snprintf(n->texts[4], 64, "%s", node->agent);
    return 0;
}

static void a_node_is_one_row_over_its_boots_and_days(void **state)
{
    struct kit *kit = *state;
    struct nodes_seen seen = {0};
    struct batch b = sample_batch;
    b.seq = 7;
    b.start_ns += 2 * DAY * NS;
    b.end_ns += 2 * DAY * NS;
    b.boot_id = "second";
    b.kernel = "6.12";
    b.cpus = 8;
    kit_ingest(kit, &b); /* the later window arrives first */
    kit_ingest(kit, &sample_batch);
    kit_ingest(kit, &sample_batch);
    assert_int_equal(kit->store->ops->nodes(kit->store, keep_node, &seen, NULL), 0);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.texts[0], "node-1");
    assert_string_equal(seen.texts[1], "second");
    assert_string_equal(seen.texts[2], "6.12");
    assert_string_equal(seen.texts[3], "x86_64");
    assert_string_equal(seen.texts[4], "0.1.0");
    assert_int_equal(seen.row.cpus, 8);
    assert_int_equal(seen.row.batches, 2);
    assert_int_equal(seen.row.first_ms, sample_batch.start_ns / 1000000);
    assert_int_equal(seen.row.last_ms, b.end_ns / 1000000);
}

static int add_counter(void *ctx, const char *node, const char *name, uint64_t value)
{
    uint64_t *sums = ctx;
    assert_string_equal(node, "node-1");
    sums[strcmp(name, "samples") == 0 ? 0 : 1] += value;
    return 0;
}

static void counters_are_summed_by_the_window_they_start_in(void **state)
{
    struct kit *kit = *state;
    const struct store_ops *ops = kit->store->ops;
    struct batch_counter counters[] = {{"lost", INT64_MAX}};
    struct batch b = sample_batch;
    int64_t start_ms = b.start_ns / 1000000;
    kit_ingest(kit, &b);
    b.seq++;
    kit_ingest(kit, &b);
    b.seq++;
    b.start_ns += DAY * NS;
    b.end_ns += DAY * NS;
    b.counters = counters;
    b.counter_count = 1;
    kit_ingest(kit, &b);
    uint64_t all[2] = {0}, first[2] = {0}, none[2] = {0};
    assert_int_equal(ops->counters(kit->store, 0, INT64_MAX, add_counter, all, NULL), 0);
    assert_int_equal(all[0], 2 * 5070307);
    assert_true(all[1] == INT64_MAX);
    assert_int_equal(ops->counters(kit->store, start_ms, start_ms + 1, add_counter, first, NULL),
                     0);
    assert_int_equal(first[0], 2 * 5070307);
    assert_int_equal(first[1], 0);
    assert_int_equal(
        ops->counters(kit->store, start_ms + 1, start_ms + 1000, add_counter, none, NULL), 0);
    assert_int_equal(none[0] + none[1], 0);
}

static void stats_count_what_is_there(void **state)
{
    struct kit *kit = *state;
    struct store_stats stats;
    assert_int_equal(kit->store->ops->stats(kit->store, &stats, NULL), 0);
    assert_int_equal(stats.batches + stats.samples + (uint64_t)stats.oldest_ms, 0);
    kit_ingest(kit, &sample_batch);
    kit_ingest(kit, &sample_batch);
    assert_int_equal(kit->store->ops->stats(kit->store, &stats, NULL), 0);
    assert_int_equal(stats.batches, 1);
    assert_int_equal(stats.duplicates, 1);
    assert_int_equal(stats.samples, 5070307);
    assert_int_equal(stats.oldest_ms, sample_batch.start_ns / 1000000 / 60000 * 60000);
    assert_true(stats.bytes_on_disk > 4096);
}

static int stop_at_once(void *ctx, const struct store_row *row)
{
    ++*(int *)ctx;
    return 77;
}

static void a_callback_can_stop_the_query(void **state)
{
    struct kit *kit = *state;
    struct store_query q = kit_query();
    int calls = 0;
    kit_ingest(kit, &sample_batch);
    assert_int_equal(kit->store->ops->query(kit->store, &q, stop_at_once, &calls, NULL), 77);
    assert_int_equal(calls, 1);
}

static int never_called(void *ctx, uint64_t stack, const struct store_frame *frames, size_t count)
{
    fail_msg("stack %llu was never stored", (unsigned long long)stack);
    return 0;
}

static void an_unknown_stack_is_left_out(void **state)
{
    struct kit *kit = *state;
    const uint64_t stacks[] = {1, UINT64_MAX, 1};
    kit_ingest(kit, &sample_batch);
    assert_int_equal(kit->store->ops->stacks(kit->store, stacks, 3, never_called, NULL, NULL), 0);
    assert_int_equal(kit->store->ops->stacks(kit->store, NULL, 0, never_called, NULL, NULL), 0);
}

static void a_second_process_cannot_open_the_store(void **state)
{
    struct kit *kit = *state;
    struct store *second;
    struct err err = {0};
    assert_true(store_sqlite_open(kit->dir, &second, &err) < 0);
    assert_non_null(strstr(err.text, "another process"));
}

static int check_objects(void *ctx, uint64_t stack, const struct store_frame *frames, size_t count)
{
    bool *seen = ctx;
    for (size_t i = 0; i < count; i++) {
        const struct batch_object *want =
            &sample_batch.objects[frames[i].kind == FRAME_MARKER              ? 0
                                  : strcmp(frames[i].object, "[kernel]") == 0 ? 2
                                  : strcmp(frames[i].object, "[anon]") == 0   ? 3
                                  : strcmp(frames[i].object, "[vdso]") == 0   ? 4
                                                                              : 1];
        assert_int_equal(frames[i].object_kind, want->kind);
        assert_int_equal(frames[i].object_flags, want->flags);
        assert_int_equal(frames[i].build_id_len, want->build_id_len);
        assert_memory_equal(frames[i].build_id, want->build_id, want->build_id_len);
        seen[want - sample_batch.objects] = true;
    }
    return 0;
}

static int keep_stack_number(void *ctx, const struct store_row *row)
{
    struct {
        uint64_t of[16];
        size_t count;
    } *stacks = ctx;
    assert_true(stacks->count < ARRAY_LEN(stacks->of));
    stacks->of[stacks->count++] = row->stack;
    return 0;
}

static void a_frame_comes_with_what_is_known_of_its_object(void **state)
{
    struct kit *kit = *state;
    struct store_query q = kit_query();
    struct {
        uint64_t of[16];
        size_t count;
    } stacks = {0};
    bool seen[5] = {0};
    kit_ingest(kit, &sample_batch);
    q.stacks = true;
    assert_int_equal(kit->store->ops->query(kit->store, &q, keep_stack_number, &stacks, NULL), 0);
    assert_int_equal(
        kit->store->ops->stacks(kit->store, stacks.of, stacks.count, check_objects, seen, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        assert_true(seen[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
        T(a_frame_comes_with_what_is_known_of_its_object),
        T(a_batch_is_found_with_its_frames),
        T(a_batch_is_stored_once),
        T(the_same_number_of_another_node_or_boot_is_another_batch),
        T(every_key_filters),
        T(filters_of_one_key_are_either_and_of_two_keys_both),
        T(groups_stand_in_the_order_asked_for),
        T(a_slot_belongs_to_the_range_it_starts_in),
        T(cpu_time_is_samples_times_their_period),
        T(a_node_is_one_row_over_its_boots_and_days),
        T(counters_are_summed_by_the_window_they_start_in),
        T(stats_count_what_is_there),
        T(a_callback_can_stop_the_query),
        T(an_unknown_stack_is_left_out),
        T(a_second_process_cannot_open_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
