/* test_merge.c: the records of many rings come in the order of their time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>

#include "agent/merge.h"
#include "agent/ring.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "record_bytes.h"

#define RINGS_MAX 64

struct seen {
    uint64_t times[100000];
    uint32_t rings[100000];
    size_t count, stop_after;
};

static struct seen seen;

/* What the collector would be: notes each record, and that its bytes are whole. */
static int see(void *ctx, struct ring *ring, const void *bytes, size_t len)
{
    struct seen *s = ctx;
    struct record record;
    assert_int_equal(record_parse(&ring->format, bytes, len, &record, NULL), 0);
    assert_int_equal(record.kind, RECORD_COMM);
    assert_int_equal(record.cpu, ring->id);
    s->times[s->count] = record.time;
    s->rings[s->count++] = ring->id;
    return s->count == s->stop_after ? 77 : 0;
}

static void put(struct buf *buf, uint32_t ring, uint64_t time)
{
    struct bytes_id id = {.pid = 1, .tid = 1, .cpu = ring, .time = time};
    bytes_comm(buf, &record_format_plain, &id, "name", 0);
}

struct many {
    struct buf bytes[RINGS_MAX];
    struct ring rings[RINGS_MAX];
    struct ring *list[RINGS_MAX];
    struct merge merge;
};

static int make_many(void **state)
{
    struct many *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    for (uint32_t i = 0; i < RINGS_MAX; i++) {
        m->rings[i] = (struct ring){.format = record_format_plain, .id = i};
        m->list[i] = &m->rings[i];
    }
    memset(&seen, 0, sizeof(seen));
    *state = m;
    return 0;
}

static int free_many(void **state)
{
    struct many *m = *state;
    for (uint32_t i = 0; i < RINGS_MAX; i++)
        buf_free(&m->bytes[i]);
    merge_free(&m->merge);
    free(m);
    return 0;
}

static void open_rings(struct many *m, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ring_over(&m->rings[i], m->bytes[i].data, m->bytes[i].len);
}

/* Random records, drained in random steps: all come, sorted, none later than its step allows. */
static void records_of_any_number_of_rings_come_sorted(void **state)
{
    struct many *m = *state;
    static const size_t counts[] = {1, 2, 3, 7, 8, 64};
    srandom(2);
    for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
        size_t expect = 0;
        uint64_t time = 0;
        seen.count = 0;
        for (size_t i = 0; i < counts[c]; i++) {
            m->bytes[i].len = 0;
            time = (uint64_t)random() % 100;
            for (long n = random() % 500; n > 0; n--, expect++)
                put(&m->bytes[i], (uint32_t)i, time += (uint64_t)random() % 50);
        }
        open_rings(m, counts[c]);
        for (uint64_t until = 0; seen.count < expect; until += 1 + (uint64_t)random() % 3000) {
            size_t before = seen.count;
            assert_int_equal(merge_drain(&m->merge, m->list, counts[c], until, see, &seen), 0);
            for (size_t i = before; i < seen.count; i++)
                assert_true(seen.times[i] <= until);
            for (size_t i = 0; i < counts[c]; i++) {
                const void *bytes;
                size_t len;
                uint64_t next = UINT64_MAX;
                if (ring_peek(&m->rings[i], &bytes, &len) == 1)
                    assert_int_equal(record_time(&record_format_plain, bytes, len, &next), 0);
                assert_true(next > until);
            }
        }
        assert_int_equal(seen.count, expect);
        for (size_t i = 1; i < seen.count; i++)
            assert_true(seen.times[i - 1] <= seen.times[i]);
    }
    assert_int_equal(m->merge.garbled, 0);
}

static void a_record_of_the_very_last_moment_comes_too(void **state)
{
    struct many *m = *state;
    put(&m->bytes[0], 0, 100);
    put(&m->bytes[0], 0, 101);
    put(&m->bytes[1], 1, 100);
    open_rings(m, 2);
    assert_int_equal(merge_drain(&m->merge, m->list, 2, 99, see, &seen), 0);
    assert_int_equal(seen.count, 0);
    assert_int_equal(merge_drain(&m->merge, m->list, 2, 100, see, &seen), 0);
    assert_int_equal(seen.count, 2);
    assert_int_equal(merge_drain(&m->merge, m->list, 2, UINT64_MAX, see, &seen), 0);
    assert_int_equal(seen.count, 3);
}

static void a_caller_that_stops_gets_its_answer_and_the_rest_the_next_time(void **state)
{
    struct many *m = *state;
    for (uint64_t t = 0; t < 10; t++)
        put(&m->bytes[t % 3], (uint32_t)(t % 3), t);
    open_rings(m, 3);
    seen.stop_after = 4;
    assert_int_equal(merge_drain(&m->merge, m->list, 3, 100, see, &seen), 77);
    assert_int_equal(merge_drain(&m->merge, m->list, 3, 100, see, &seen), 0);
    assert_int_equal(seen.count, 10);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(seen.times[i], i);
}

static void no_rings_and_empty_rings_are_nothing(void **state)
{
    struct many *m = *state;
    assert_int_equal(merge_drain(&m->merge, m->list, 0, 100, see, &seen), 0);
    open_rings(m, 5);
    assert_int_equal(merge_drain(&m->merge, m->list, 5, 100, see, &seen), 0);
    assert_int_equal(seen.count, 0);
}

static void a_garbled_ring_is_counted_and_the_others_come(void **state)
{
    struct many *m = *state;
    for (uint64_t t = 0; t < 30; t++)
        put(&m->bytes[t % 3], (uint32_t)(t % 3), t);
    /* The fourth record of ring 1 says that it is longer than all. */
    size_t at = m->bytes[1].len / 10 * 3 + offsetof(struct perf_event_header, size);
    m->bytes[1].data[at] = m->bytes[1].data[at + 1] = 0xf8;
    open_rings(m, 3);
    assert_int_equal(merge_drain(&m->merge, m->list, 3, 100, see, &seen), 0);
    assert_int_equal(seen.count, 10 + 3 + 10);
    assert_int_equal(m->merge.garbled, 1);
    for (size_t i = 1; i < seen.count; i++)
        assert_true(seen.times[i - 1] <= seen.times[i]);
}

static void a_record_too_short_for_its_time_is_counted_and_passed_over(void **state)
{
    struct many *m = *state;
    put(&m->bytes[0], 0, 1);
    bytes_end(&m->bytes[0], bytes_begin(&m->bytes[0], PERF_RECORD_LOST, 0)); /* a bare header */
    put(&m->bytes[0], 0, 2);
    put(&m->bytes[1], 1, 3);
    open_rings(m, 2);
    assert_int_equal(merge_drain(&m->merge, m->list, 2, 100, see, &seen), 0);
    assert_int_equal(seen.count, 3);
    assert_int_equal(m->merge.garbled, 1);
}

static void a_record_of_a_time_to_come_holds_nobody_back(void **state)
{
    struct many *m = *state;
    const uint64_t minute = 60 * UINT64_C(1000000000);
    put(&m->bytes[0], 0, 1);
    put(&m->bytes[0], 0, 100 + minute + 1);
    put(&m->bytes[0], 0, 2);
    put(&m->bytes[0], 0, 100 + minute);
    put(&m->bytes[1], 1, UINT64_MAX);
    put(&m->bytes[1], 1, 3);
    open_rings(m, 2);
    assert_int_equal(merge_drain(&m->merge, m->list, 2, 100, see, &seen), 0);
    assert_int_equal(seen.count, 3);
    assert_int_equal(m->merge.garbled, 2);
    assert_int_equal(merge_drain(&m->merge, m->list, 2, 100 + minute, see, &seen), 0);
    assert_int_equal(seen.count, 4);
}

#define OF_MANY(test) cmocka_unit_test_setup_teardown(test, make_many, free_many)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_MANY(records_of_any_number_of_rings_come_sorted),
        OF_MANY(a_record_of_the_very_last_moment_comes_too),
        OF_MANY(a_record_of_a_time_to_come_holds_nobody_back),
        OF_MANY(a_caller_that_stops_gets_its_answer_and_the_rest_the_next_time),
        OF_MANY(no_rings_and_empty_rings_are_nothing),
        OF_MANY(a_garbled_ring_is_counted_and_the_others_come),
        OF_MANY(a_record_too_short_for_its_time_is_counted_and_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
