/* test_store_usage.c: what cgroups used comes back from the store as it was read. */
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
#include "base/err.h"
#include "sample_batch.h"
#include "server/sqlite/usage_blob.h"
#include "server/sqlite/usage_list.h"
#include "store_kit.h"

#define NS   1000000000ll
#define DAY  86400ll
#define SEED 0x1234567800000009u

/* ---- blobs */

static void random_rows(uint64_t *dice, struct usage_row *rows, size_t count)
{
    uint32_t time_ms = 0;
    for (size_t i = 0; i < count; i++) {
        rows[i] = i ? rows[i - 1] : (struct usage_row){0};
        time_ms += kit_dice(dice, 2 * (uint32_t)(60000 / (count + 1)));
        rows[i].time_ms = time_ms < 60000 ? time_ms : 59999;
        rows[i].span_us = kit_dice(dice, 3) ? 10000000 : (uint64_t)kit_dice(dice, 1u << 31) << 20;
        if (kit_dice(dice, 5) == 0)
            rows[i].summed = kit_dice(dice, UINT32_MAX);
        if (kit_dice(dice, 5) == 0)
            rows[i].network = (uint64_t)kit_dice(dice, UINT32_MAX) << kit_dice(dice, 33);
        for (unsigned f = 0; f < WIRE_USAGE_COUNT; f++)
            if (kit_dice(dice, 3) == 0)
                rows[i].figures[f] = kit_dice(dice, 4) == 0   ? WIRE_UNKNOWN
                                     : kit_dice(dice, 9) == 0 ? INT64_MAX
                                                              : kit_dice(dice, 1000000);
    }
}

static void assert_rows_equal(const struct usage_row *a, const struct usage_row *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(a[i].time_ms, b[i].time_ms);
        assert_int_equal(a[i].summed, b[i].summed);
        assert_true(a[i].span_us == b[i].span_us && a[i].network == b[i].network);
        assert_memory_equal(a[i].figures, b[i].figures, sizeof(a[i].figures));
    }
}

static void rows_come_back_as_they_went_in(void **state)
{
    static struct usage_row rows[USAGE_BLOB_MAX_ROWS], back[USAGE_BLOB_MAX_ROWS];
    static uint8_t bytes[2 + sizeof(rows) / sizeof(rows[0]) * USAGE_BLOB_ROW_BYTES];
    uint64_t dice = 7;
    for (int round = 0; round < 500; round++) {
        size_t count = round ? kit_dice(&dice, round % 50 ? 20 : 1000) : USAGE_BLOB_MAX_ROWS, got;
        struct err err;
        random_rows(&dice, rows, count);
        size_t len = usage_blob_encode(rows, count, SEED, bytes);
        assert_in_range(len, 2, 2 + count * USAGE_BLOB_ROW_BYTES);
        if (usage_blob_decode(bytes, len, SEED, back, &got, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(got, count);
        assert_rows_equal(rows, back, count);
        assert_int_equal(usage_blob_decode(bytes, len, SEED + 1, back, &got, NULL), -EUCLEAN);
    }
}

static void a_container_that_does_nothing_takes_5_bytes_a_reading(void **state)
{
    struct usage_row rows[6] = {0};
    uint8_t bytes[2 + ARRAY_LEN(rows) * USAGE_BLOB_ROW_BYTES];
    size_t lengths[2];
    for (size_t count = 5; count <= 6; count++) {
        for (size_t i = 0; i < count; i++) {
            rows[i].time_ms = (uint32_t)(5000 + i * 10000);
            rows[i].span_us = 10000000;
            rows[i].figures[WIRE_USAGE_rss_bytes] = 123456789;
            rows[i].figures[WIRE_USAGE_net_rx_bytes] = WIRE_UNKNOWN;
        }
        lengths[count - 5] = usage_blob_encode(rows, count, SEED, bytes);
    }
    assert_in_range(lengths[1] - lengths[0], 1, 5);
}

/* Bits of figures that were not there yet when a blob was made are 0. */
static void what_a_blob_does_not_say_is_not_known_of_gauges(void **state)
{
    struct usage_row back[USAGE_BLOB_MAX_ROWS];
    /* 1 ms; 1 us; summed, network, cpu_user_ns; these, then the same again but for the time. */
    const uint8_t body[] = {1, 2, 1 | 2 | 4, 8, 5, 6, 1, 0, 0};
    uint8_t bytes[2 + sizeof(body)];
    uint16_t check = usage_blob_check(body, sizeof(body), SEED);
    size_t count;
    bytes[0] = (uint8_t)check;
    bytes[1] = (uint8_t)(check >> 8);
    memcpy(bytes + 2, body, sizeof(body));
    assert_int_equal(usage_blob_decode(bytes, sizeof(bytes), SEED, back, &count, NULL), 0);
    assert_int_equal(count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(back[i].time_ms, 1 + i);
        assert_int_equal(back[i].span_us, 1);
        assert_int_equal(back[i].summed, 5);
        assert_int_equal(back[i].network, 6);
        assert_int_equal(back[i].figures[WIRE_USAGE_cpu_user_ns], i ? 0 : 7);
        assert_int_equal(back[i].figures[WIRE_USAGE_net_tx_bytes], 0);
        for (unsigned f = WIRE_USAGE_COUNTER_COUNT; f < WIRE_USAGE_COUNT; f++)
            assert_true(back[i].figures[f] == WIRE_UNKNOWN);
    }
    uint8_t again[2 + 2 * USAGE_BLOB_ROW_BYTES];
    assert_int_equal(usage_blob_encode(back, 2, SEED, again), sizeof(bytes));
    assert_memory_equal(again, bytes, sizeof(bytes));
}

/* With a check that fits, too: whatever the disk made of it, it is rows or it is refused. */
static void no_damaged_byte_is_believed_or_fatal(void **state)
{
    static struct usage_row rows[20], back[USAGE_BLOB_MAX_ROWS];
    static uint8_t bytes[2 + ARRAY_LEN(rows) * USAGE_BLOB_ROW_BYTES];
    uint64_t dice = 9;
    size_t got;
    random_rows(&dice, rows, ARRAY_LEN(rows));
    size_t len = usage_blob_encode(rows, ARRAY_LEN(rows), SEED, bytes);
    for (size_t i = 0; i < len; i++) {
        uint8_t was = bytes[i];
        bytes[i] ^= (uint8_t)(1 + kit_dice(&dice, 255));
        assert_int_equal(usage_blob_decode(bytes, len, SEED, back, &got, NULL), -EUCLEAN);
        uint16_t check = usage_blob_check(bytes + 2, len - 2, SEED);
        uint8_t head[2] = {bytes[0], bytes[1]};
        bytes[0] = (uint8_t)check;
        bytes[1] = (uint8_t)(check >> 8);
        int r = usage_blob_decode(bytes, len, SEED, back, &got, NULL);
        assert_true(r == 0 || r == -EUCLEAN);
        memcpy(bytes, head, 2);
        bytes[i] = was;
    }
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(usage_blob_decode(bytes, cut, SEED, back, &got, NULL), -EUCLEAN);
}

/* ---- the store */

static int tell(void *ctx, const struct store_usage *u)
{
    struct buf *to = ctx;
    buf_printf(to, "%s %s", u->node, u->cgroup);
    for (size_t i = 0; i < u->label_count; i++)
        buf_printf(to, " %s=%s", u->labels[i].key, u->labels[i].value);
    buf_printf(to, " %lld %lld %llu:", (long long)u->time_ms, (long long)u->span_us,
               (unsigned long long)u->network);
    for (unsigned i = 0; i < WIRE_USAGE_COUNT; i++)
        if (u->figures[i] == WIRE_UNKNOWN)
            buf_puts(to, " -");
        else
            buf_printf(to, " %llu", (unsigned long long)u->figures[i]);
    return buf_puts(to, "\n");
}

/* All readings that pass, a line each. */
static const char *ask(struct kit *kit, const struct store_query *q, struct buf *to)
{
    struct err err = {0};
    to->len = 0;
    assert_int_equal(buf_puts(to, ""), 0);
    if (kit->store->ops->usage(kit->store, q, tell, to, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(buf_append(to, "", 1), 0);
    return (const char *)to->data;
}

#define FIRST                                                 \
    "node-1 /system.slice/burner.service unit=burner.service" \
    " 1790000010000 0 0: - - - - - - - - - - - - - - - 4096 8192 0 9223372036854775807\n"
#define SECOND                                                                                    \
    "node-1 /system.slice/burner.service unit=burner.service"                                     \
    " 1790000039999 10000000 18446744073709551615: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 " \
    "19\n"

static void a_reading_is_found_with_what_is_not_known(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    struct store_query q = kit_query();
    kit_ingest(*state, &sample_usage_batch);
    assert_string_equal(ask(*state, &q, &text), FIRST SECOND);
    kit_reopen(*state);
    assert_string_equal(ask(*state, &q, &text), FIRST SECOND);
}

static void samples_are_what_they_were(void **state)
{
    kit_ingest(*state, &sample_usage_batch);
    assert_int_equal(kit_samples(*state), 5070307);
    struct store_query q = kit_query();
    kit_group(&q, "process");
    assert_int_equal(kit_sum(*state, &q).samples, 5070307);
}

static void a_batch_that_comes_again_is_not_stored_again(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    struct store_query q = kit_query();
    kit_ingest(*state, &sample_usage_batch);
    assert_true(kit_ingest(*state, &sample_usage_batch));
    assert_string_equal(ask(*state, &q, &text), FIRST SECOND);
}

static void a_range_has_what_was_read_in_it(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    struct store_query q = kit_query();
    kit_ingest(*state, &sample_usage_batch);
    q.start_ms = 1790000010001;
    assert_string_equal(ask(*state, &q, &text), SECOND);
    q.start_ms = 0;
    q.end_ms = 1790000039999;
    assert_string_equal(ask(*state, &q, &text), FIRST);
    q.end_ms = 1790000010000;
    assert_string_equal(ask(*state, &q, &text), "");
}

static void filters_choose(void **state)
{
    static const struct {
        const char *key, *value;
        bool found;
    } rows[] = {
        {"node", "node-1", true},
        {"node", "node-2", false},
        {"cgroup", "/system.slice/burner.service", true},
        {"cgroup", "/system.slice", false},
        {"unit", "burner.service", true},
        {"unit", "", false},
        {"pod_uid", "x", false},
    };
    _cleanup_(buf_free) struct buf text = {0};
    kit_ingest(*state, &sample_usage_batch);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct store_query q = kit_query();
        kit_filter(&q, rows[i].key, rows[i].value);
        assert_string_equal(ask(*state, &q, &text), rows[i].found ? FIRST SECOND : "");
    }
}

static void another_set_of_labels_is_another_series(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    struct batch b = sample_usage_batch;
    kit_ingest(*state, &b);
    b.seq++;
    b.usage_label_count = 0;
    kit_ingest(*state, &b);
    struct store_query q = kit_query();
    const char *all = ask(*state, &q, &text);
    assert_non_null(strstr(all, SECOND));
    assert_non_null(strstr(all, "node-1 /system.slice/burner.service 1790000039999 "));
    kit_filter(&q, "unit", "burner.service");
    assert_string_equal(ask(*state, &q, &text), FIRST SECOND);
}

static int tell_processes(void *ctx, const struct store_usage *u)
{
    struct buf *to = ctx;
    buf_printf(to, "%s %lld %lld", u->cgroup, (long long)u->time_ms, (long long)u->span_us);
    for (size_t i = 0; i < u->process_count; i++) {
        const struct store_usage_process *p = &u->processes[i];
        buf_printf(to, " | %u %u %lld %s %s %lld %lld %lld %lld", p->pid, p->threads,
                   (long long)p->start_ms, p->exe, p->command, (long long)p->cpu_user_ns,
                   (long long)p->cpu_system_ns, (long long)p->rss_bytes,
                   (long long)p->virtual_bytes);
    }
    return buf_puts(to, "\n");
}

static const char *ask_processes(struct kit *kit, const struct store_query *q, struct buf *to)
{
    struct err err = {0};
    to->len = 0;
    assert_int_equal(buf_puts(to, ""), 0);
    if (kit->store->ops->usage_processes(kit->store, q, tell_processes, to, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(buf_append(to, "", 1), 0);
    return (const char *)to->data;
}

/* As agents send them: windows of 30 s, two in a minute, and one that ends with the day. */
static void windows_of_a_minute_and_of_two_days_are_told_in_order(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    struct batch_usage usage[3];
    struct batch_usage_process processes[3];
    struct batch b = sample_usage_batch;
    int64_t midnight = (1790000040 / DAY + 1) * DAY * NS;
    b.usage = usage;
    b.usage_count = 3;
    b.usage_processes = processes;
    b.usage_process_count = 3;
    b.sample_count = 0;
    for (unsigned window = 0; window < 3; window++) {
        static const unsigned order[] = {1, 2, 0};
        b.seq = 100 + window;
        /* From 45 s before midnight on; not in the order they were taken. */
        b.start_ns = midnight + ((int64_t)order[window] * 30 - 45) * NS;
        b.end_ns = b.start_ns + 30 * NS;
        for (unsigned i = 0; i < 3; i++) {
            usage[i] = sample_usage_batch.usage[1];
            usage[i].time_ns = b.start_ns + (5 + (int64_t)(2 - i) * 10) * NS;
            usage[i].figures[WIRE_USAGE_threads] = order[window] * 3 + 2 - i;
            processes[i] = sample_usage_batch.usage_processes[1];
            processes[i].usage = i;
            processes[i].pid = order[window] * 3 + 2 - i;
        }
        kit_ingest(*state, &b);
    }
    struct store_query q = kit_query();
    const char *at = ask(*state, &q, &text);
    for (unsigned i = 0; i < 9; i++) {
        char want[64];
        snprintf(want, sizeof(want), " 17 18 %u\n", i);
        at = strstr(at, want);
        assert_non_null(at);
        at += strlen(want);
    }
    assert_string_equal(at, "");
    /* Of each day's last minute its last list, whatever came last. */
    for (unsigned day = 0; day < 2; day++) {
        char want[128];
        q.start_ms = midnight / 1000000 - (day ? 0 : 60000);
        q.end_ms = q.start_ms + 60000;
        snprintf(want, sizeof(want), "/system.slice/burner.service %lld 10000000 | %u ",
                 (long long)midnight / 1000000 + (day ? 40000 : -10000), day ? 8 : 3);
        const char *got = ask_processes(*state, &q, &text);
        assert_ptr_equal(strstr(got, want), got);
    }
}

static void the_minutes_last_list_of_processes_is_kept_most_cpu_first(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    struct store_query q = kit_query();
    struct batch b = sample_usage_batch;
    struct batch_usage_process processes[4];
    for (unsigned i = 0; i < 4; i++) {
        processes[i] = sample_usage_batch.usage_processes[1];
        processes[i].pid = 10 + i;
        processes[i].usage = i == 3 ? 0 : 1;
        processes[i].cpu_user_ns = i == 1 ? 9 : 1;
        processes[i].command = i == 2 ? 14 : 1;
    }
    b.usage_processes = processes;
    b.usage_process_count = 4;
    kit_ingest(*state, &b);
    /* Both readings are of one minute. */
    assert_string_equal(
        ask_processes(*state, &q, &text),
        "/system.slice/burner.service 1790000039999 10000000"
        " | 11 300 0 /usr/bin/burner /usr/bin/burner 9 0 9223372036854775807 -1"
        " | 10 300 0 /usr/bin/burner /usr/bin/burner 1 0 9223372036854775807 -1"
        " | 12 300 0 /usr/bin/burner ~parse größe.js:12 1 0 9223372036854775807 -1\n");
    q.end_ms = 1790000039999;
    assert_string_equal(ask_processes(*state, &q, &text), "");
    assert_string_equal(ask(*state, &q, &text), FIRST);
}

/* One minute after the other, of a cgroup among others that are not asked for, or alone. */
static void of_a_range_the_last_list_is_told(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    struct kit *kit = *state;
    struct batch b = sample_usage_batch;
    struct batch_usage usage = sample_usage_batch.usage[1];
    struct batch_usage_process process = sample_usage_batch.usage_processes[1];
    process.usage = 0;
    b.sample_count = 0;
    b.usage = &usage;
    b.usage_processes = &process;
    b.usage_count = b.usage_process_count = 1;
    for (unsigned others = 0; others < 20; others += 19) {
        for (unsigned i = 0; i < others; i++) {
            char label[16];
            const char *strings[32];
            assert_in_range(b.string_count, 12, ARRAY_LEN(strings));
            memcpy(strings, sample_usage_batch.strings, b.string_count * sizeof(*strings));
            snprintf(label, sizeof(label), "other-%u", i);
            strings[11] = label; /* the unit's name */
            b.strings = strings;
            b.seq++;
            kit_ingest(kit, &b);
        }
        b.strings = sample_usage_batch.strings;
        for (unsigned minute = 0; minute < 3; minute++) {
            b.seq++;
            b.start_ns = sample_usage_batch.start_ns + minute * 60 * NS;
            b.end_ns = b.start_ns + 30 * NS;
            usage.time_ns = b.start_ns;
            process.pid = 50 + others + minute;
            kit_ingest(kit, &b);
        }
        for (unsigned minute = 0; minute < 3; minute++) {
            struct store_query q = kit_query();
            char want[128];
            kit_filter(&q, "unit", "burner.service");
            q.end_ms = b.start_ns / 1000000 + 1 - (2 - minute) * 60000ll;
            snprintf(want, sizeof(want), "/system.slice/burner.service %lld 10000000 | %u ",
                     (long long)q.end_ms - 1, 50 + others + minute);
            const char *got = ask_processes(kit, &q, &text);
            assert_ptr_equal(strstr(got, want), got);
            assert_string_equal(strchr(got, '\n'), "\n");
        }
    }
}

static void a_list_comes_back_or_is_refused(void **state)
{
    static struct usage_list list, back;
    static uint8_t bytes[USAGE_LIST_BYTES];
    uint64_t dice = 11;
    list.time_ms = 59999;
    list.span_us = INT64_MAX / 1000;
    list.count = USAGE_LIST_MAX;
    for (uint32_t i = 0; i < list.count; i++)
        list.rows[i] = (struct usage_list_row){.pid = UINT32_MAX - i,
                                               .threads = UINT32_MAX,
                                               .exe = UINT32_MAX,
                                               .command = i,
                                               .start_ms = INT64_MAX,
                                               .cpu_user_ns = WIRE_UNKNOWN,
                                               .cpu_system_ns = INT64_MAX,
                                               .rss_bytes = INT64_MAX,
                                               .virtual_bytes = INT64_MAX};
    size_t len = usage_list_encode(&list, SEED, bytes);
    assert_in_range(len, 2, sizeof(bytes));
    assert_int_equal(usage_list_decode(bytes, len, SEED, &back, NULL), 0);
    assert_memory_equal(&list, &back, sizeof(list));
    assert_int_equal(usage_list_decode(bytes, len, SEED + 1, &back, NULL), -EUCLEAN);
    list.count = 5;
    len = usage_list_encode(&list, SEED, bytes);
    for (size_t i = 2; i < len; i++) {
        uint8_t was = bytes[i];
        bytes[i] ^= (uint8_t)(1 + kit_dice(&dice, 255));
        uint16_t check = usage_blob_check(bytes + 2, len - 2, SEED);
        bytes[0] = (uint8_t)check;
        bytes[1] = (uint8_t)(check >> 8);
        int r = usage_list_decode(bytes, len, SEED, &back, NULL);
        assert_true(r == 0 || r == -EUCLEAN);
        bytes[i] = was;
    }
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(usage_list_decode(bytes, cut, SEED, &back, NULL), -EUCLEAN);
}

static int stop_at_once(void *ctx, const struct store_usage *u)
{
    return -E2BIG;
}

static void whoever_asks_may_stop(void **state)
{
    struct kit *kit = *state;
    struct store_query q = kit_query();
    kit_ingest(kit, &sample_usage_batch);
    assert_int_equal(kit->store->ops->usage(kit->store, &q, stop_at_once, NULL, NULL), -E2BIG);
}

static void usage_goes_with_its_day(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    struct kit *kit = *state;
    struct store_query q = kit_query();
    kit_ingest(kit, &sample_usage_batch);
    assert_int_equal(kit->store->ops->expire(kit->store, 1790000000000 + 2 * DAY * 1000, 0, NULL),
                     0);
    assert_string_equal(ask(kit, &q, &text), "");
}

int main(void)
{
#define IN_A_STORE(test) cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_as_they_went_in),
        cmocka_unit_test(a_container_that_does_nothing_takes_5_bytes_a_reading),
        cmocka_unit_test(what_a_blob_does_not_say_is_not_known_of_gauges),
        cmocka_unit_test(no_damaged_byte_is_believed_or_fatal),
        IN_A_STORE(a_reading_is_found_with_what_is_not_known),
        IN_A_STORE(samples_are_what_they_were),
        IN_A_STORE(a_batch_that_comes_again_is_not_stored_again),
        IN_A_STORE(a_range_has_what_was_read_in_it),
        IN_A_STORE(filters_choose),
        IN_A_STORE(windows_of_a_minute_and_of_two_days_are_told_in_order),
        IN_A_STORE(another_set_of_labels_is_another_series),
        cmocka_unit_test(a_list_comes_back_or_is_refused),
        IN_A_STORE(the_minutes_last_list_of_processes_is_kept_most_cpu_first),
        IN_A_STORE(of_a_range_the_last_list_is_told),
        IN_A_STORE(whoever_asks_may_stop),
        IN_A_STORE(usage_goes_with_its_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
