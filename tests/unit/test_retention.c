/* test_retention.c: what is too old goes, then the oldest until the rest fits. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "sample_batch.h"
#include "server/retention.h"
#include "store_kit.h"

#define DAY_MS   86400000ll
#define DAY_NS   (DAY_MS * NS_PER_MS)
#define FIRST_MS (20717 * DAY_MS)

/* Minutes of random batches from a time on; of a few kinds, so that samples are most of a day. */
static void fill(struct kit *kit, int64_t start_ms, uint32_t minutes)
{
    static uint64_t seq;
    for (uint32_t i = 0; i < minutes; i++) {
        seq++;
        int64_t at_ms = start_ms + i * 60000ll;
        struct batch *b = kit_random_batch(1 + seq % 4, seq, at_ms * NS_PER_MS);
        assert_false(kit_ingest(kit, b));
        kit_batch_free(&b);
    }
}

static uint64_t samples_between(struct kit *kit, int64_t start_ms, int64_t end_ms)
{
    struct store_query q = kit_query();
    q.start_ms = start_ms;
    q.end_ms = end_ms;
    return kit_sum(kit, &q).samples;
}

static uint64_t samples_of_day(struct kit *kit, int64_t day)
{
    return samples_between(kit, FIRST_MS + day * DAY_MS, FIRST_MS + (day + 1) * DAY_MS);
}

static uint64_t bytes_of(struct kit *kit)
{
    struct store_stats stats;
    assert_int_equal(kit->store->ops->stats(kit->store, &stats, NULL), 0);
    return stats.bytes_on_disk;
}

static void run(struct kit *kit, int64_t retention_ns, uint64_t max_bytes, int64_t now_ms)
{
    struct retention_config config = {retention_ns, max_bytes};
    struct err err = {0};
    if (retention_run(kit->store, &config, now_ms, &err) < 0)
        fail_msg("%s", err.text);
}

static void a_day_goes_when_all_of_it_is_too_old(void **state)
{
    struct kit *kit = *state;
    fill(kit, FIRST_MS, 3);
    fill(kit, FIRST_MS + DAY_MS, 3);
    run(kit, DAY_NS, 0, FIRST_MS + 2 * DAY_MS - 1);
    assert_true(samples_of_day(kit, 0) > 0);
    run(kit, DAY_NS, 0, FIRST_MS + 2 * DAY_MS);
    assert_int_equal(samples_of_day(kit, 0), 0);
    assert_true(samples_of_day(kit, 1) > 0);
    kit_reopen(kit);
    assert_int_equal(samples_of_day(kit, 0), 0);
    assert_true(samples_of_day(kit, 1) > 0);
}

static void no_limit_drops_nothing(void **state)
{
    struct kit *kit = *state;
    fill(kit, FIRST_MS, 3);
    uint64_t before = kit_samples(kit);
    run(kit, 0, 0, FIRST_MS + 1000 * DAY_MS);
    run(kit, 0, UINT64_MAX, FIRST_MS + 1000 * DAY_MS);
    run(kit, INT64_MAX, 0, FIRST_MS + 1000 * DAY_MS);
    assert_int_equal(kit_samples(kit), before);
}

static void the_oldest_days_go_until_the_rest_fits(void **state)
{
    struct kit *kit = *state;
    for (int day = 0; day < 4; day++)
        fill(kit, FIRST_MS + day * DAY_MS, 10);
    kit_reopen(kit);
    run(kit, 0, bytes_of(kit) * 6 / 10, FIRST_MS);
    assert_int_equal(samples_of_day(kit, 0), 0);
    assert_int_equal(samples_of_day(kit, 1), 0);
    assert_true(samples_of_day(kit, 2) > 0);
    assert_true(samples_of_day(kit, 3) > 0);
}

static void the_oldest_minutes_of_the_only_day_go(void **state)
{
    struct kit *kit = *state;
    fill(kit, FIRST_MS, 200);
    run(kit, 0, UINT64_MAX, FIRST_MS);
    kit_reopen(kit);
    uint64_t limit = bytes_of(kit) * 8 / 10;
    run(kit, 0, limit, FIRST_MS);
    assert_true(bytes_of(kit) <= limit);
    assert_int_equal(samples_between(kit, FIRST_MS, FIRST_MS + 60000), 0);
    assert_true(samples_between(kit, FIRST_MS + 190 * 60000, FIRST_MS + DAY_MS) > 0);
    fill(kit, FIRST_MS + 300 * 60000, 1); /* and the day still takes batches */
    assert_true(samples_between(kit, FIRST_MS + 300 * 60000, FIRST_MS + DAY_MS) > 0);
}

/* A minute with a list of processes that takes about 2 KiB. */
static void store_usage(struct kit *kit, int64_t at_ms)
{
    static uint64_t dice = 1;
    struct batch_usage_process processes[100];
    struct batch_usage usage = sample_usage_batch.usage[1];
    struct batch b = sample_usage_batch;
    usage.time_ns = at_ms * NS_PER_MS;
    for (uint32_t i = 0; i < ARRAY_LEN(processes); i++) {
        processes[i] = sample_usage_batch.usage_processes[1];
        processes[i].usage = 0;
        processes[i].pid = 1 + i;
        processes[i].rss_bytes = kit_dice(&dice, UINT32_MAX);
    }
    b.seq = (uint64_t)at_ms;
    b.start_ns = usage.time_ns;
    b.end_ns = b.start_ns + 30 * NS_PER_SEC;
    b.sample_count = 0;
    b.usage = &usage;
    b.usage_count = 1;
    b.usage_processes = processes;
    b.usage_process_count = ARRAY_LEN(processes);
    assert_false(kit_ingest(kit, &b));
}

static int count_usage(void *ctx, const struct store_usage *usage)
{
    ++*(unsigned *)ctx;
    return 0;
}

static unsigned usage_between(struct kit *kit, int64_t start_ms, int64_t end_ms)
{
    unsigned count = 0;
    struct store_query q = kit_query();
    q.start_ms = start_ms;
    q.end_ms = end_ms;
    assert_int_equal(kit->store->ops->usage(kit->store, &q, count_usage, &count, NULL), 0);
    return count;
}

static void where_there_is_only_usage_its_oldest_minutes_go(void **state)
{
    struct kit *kit = *state;
    for (int i = 0; i < 200; i++)
        store_usage(kit, FIRST_MS + i * 60000);
    run(kit, 0, UINT64_MAX, FIRST_MS);
    kit_reopen(kit);
    assert_int_equal(usage_between(kit, FIRST_MS, FIRST_MS + DAY_MS), 200);
    uint64_t limit = bytes_of(kit) * 8 / 10;
    run(kit, 0, limit, FIRST_MS);
    assert_true(bytes_of(kit) <= limit);
    assert_int_equal(usage_between(kit, FIRST_MS, FIRST_MS + 60000), 0);
    assert_int_equal(usage_between(kit, FIRST_MS + 190 * 60000, FIRST_MS + DAY_MS), 10);
}

static void a_day_that_never_fits_goes_whole(void **state)
{
    struct kit *kit = *state;
    fill(kit, FIRST_MS, 3);
    run(kit, 0, 1, FIRST_MS);
    assert_int_equal(kit_samples(kit), 0);
    assert_int_equal(bytes_of(kit), 0);
    fill(kit, FIRST_MS, 3);
    assert_true(kit_samples(kit) > 0);
}

static void what_was_set_aside_goes_with_its_day(void **state)
{
    struct kit *kit = *state;
    char path[4200];
    snprintf(path, sizeof(path), "%s/2026-09-21.db.aside-1", kit->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    close(fd);
    fill(kit, FIRST_MS + DAY_MS, 3);
    assert_true(bytes_of(kit) > 1 << 20);
    run(kit, DAY_NS, 0, FIRST_MS + 2 * DAY_MS - 1);
    assert_int_equal(access(path, F_OK), 0);
    run(kit, DAY_NS, 0, FIRST_MS + 2 * DAY_MS);
    assert_int_equal(access(path, F_OK), -1);
    assert_true(samples_of_day(kit, 1) > 0);
}

static void the_thread_makes_a_pass_at_once(void **state)
{
    struct kit *kit = *state;
    struct retention *r;
    const struct retention_config config = {.retention_ns = DAY_NS};
    int64_t now_ms = clock_ns(CLOCK_REALTIME) / NS_PER_MS;
    fill(kit, now_ms - 3 * DAY_MS, 1);
    fill(kit, now_ms, 1);
    uint64_t young = samples_between(kit, now_ms - DAY_MS, INT64_MAX);
    assert_int_equal(retention_start(kit->store, &config, &r, NULL), 0);
    for (int i = 0; i < 1000 && kit_samples(kit) != young; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    retention_stop(&r);
    assert_null(r);
    assert_int_equal(kit_samples(kit), young);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
        T(a_day_goes_when_all_of_it_is_too_old),
        T(no_limit_drops_nothing),
        T(the_oldest_days_go_until_the_rest_fits),
        T(the_oldest_minutes_of_the_only_day_go),
        T(where_there_is_only_usage_its_oldest_minutes_go),
        T(a_day_that_never_fits_goes_whole),
        T(what_was_set_aside_goes_with_its_day),
        T(the_thread_makes_a_pass_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
