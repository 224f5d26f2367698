/* test_ring.c: records come out of a perf ring whole and in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ring.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "shared_ring.h"

static int make_shared(void **state)
{
    static struct shared_ring s;
    shared_ring_open(&s);
    *state = &s;
    return 0;
}

static int free_shared(void **state)
{
    struct shared_ring *s = *state;
    shared_ring_close(s);
    ring_unmap(&s->ring); /* once more is harmless */
    return 0;
}

/* A record whose contents follow from its number. */
static void fill_record(uint8_t *to, uint32_t number, uint16_t size)
{
    struct perf_event_header header = {.type = number, .size = size};
    memcpy(to, &header, sizeof(header));
    for (size_t i = sizeof(header); i < size; i++)
        to[i] = (uint8_t)(number * 7 + i);
}

static void records_of_all_sizes_come_out_as_they_were_written(void **state)
{
    struct shared_ring *s = *state;
    static uint8_t expect[65536];
    uint32_t written = 0, read = 0, wrapped = 0;
    srandom(1);
    static uint16_t sizes[20000];
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        sizes[i] = (uint16_t)(i % 50 ? 8 + 8 * (random() % 200) : 65528 - 8 * (random() % 2000));
    while (read < ARRAY_LEN(sizes)) {
        while (written < ARRAY_LEN(sizes) && shared_ring_space(s) >= sizes[written]) {
            fill_record(expect, written, sizes[written]);
            shared_ring_write(s, expect, sizes[written]);
            written++;
        }
        ring_refresh(&s->ring);
        for (long n = random() % 100 + 1; n > 0 && read < written; n--) {
            const void *bytes;
            size_t len;
            assert_int_equal(ring_peek(&s->ring, &bytes, &len), 1);
            fill_record(expect, read, sizes[read]);
            assert_int_equal(len, sizes[read]);
            assert_memory_equal(bytes, expect, len);
            assert_int_equal((uintptr_t)bytes % 8, 0);
            wrapped += bytes == s->ring.scratch;
            ring_consume(&s->ring);
            read++;
            assert_int_equal(s->page->data_tail, s->ring.tail);
        }
    }
    assert_int_equal(s->page->data_tail, s->head);
    assert_true(wrapped > 10);
}

static void a_record_is_seen_only_after_refresh_and_as_often_as_wanted(void **state)
{
    struct shared_ring *s = *state;
    uint8_t record[16];
    const void *bytes, *again;
    size_t len;
    fill_record(record, 1, sizeof(record));
    shared_ring_write(s, record, sizeof(record));
    assert_int_equal(ring_peek(&s->ring, &bytes, &len), 0);
    ring_refresh(&s->ring);
    assert_int_equal(ring_peek(&s->ring, &bytes, &len), 1);
    assert_int_equal(ring_peek(&s->ring, &again, &len), 1);
    assert_ptr_equal(bytes, again);
    assert_int_equal(s->page->data_tail, 0);
    ring_consume(&s->ring);
    assert_int_equal(s->page->data_tail, sizeof(record));
    assert_int_equal(ring_peek(&s->ring, &bytes, &len), 0);
    ring_consume(&s->ring); /* nothing was peeked at */
    assert_int_equal(s->page->data_tail, sizeof(record));
}

/* Give up all that is there, then go on with what is written next. */
static void assert_given_up(struct shared_ring *s)
{
    const void *bytes;
    size_t len;
    ring_refresh(&s->ring);
    assert_int_equal(ring_peek(&s->ring, &bytes, &len), -EBADMSG);
    assert_int_equal(s->page->data_tail, s->head);
    assert_int_equal(ring_peek(&s->ring, &bytes, &len), 0);
    uint8_t record[24];
    fill_record(record, 5, sizeof(record));
    shared_ring_write(s, record, sizeof(record));
    ring_refresh(&s->ring);
    assert_int_equal(ring_peek(&s->ring, &bytes, &len), 1);
    assert_memory_equal(bytes, record, sizeof(record));
    ring_consume(&s->ring);
}

static void sizes_that_are_none_give_up_what_is_there_and_then_go_on(void **state)
{
    struct shared_ring *s = *state;
    static const uint16_t sizes[] = {0, 1, 7, 9, 12, 28, 72, 65535, 65528};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint8_t bytes[64];
        struct perf_event_header header = {.type = PERF_RECORD_SAMPLE, .size = sizes[i]};
        memset(bytes, 0xaa, sizeof(bytes));
        memcpy(bytes, &header, sizeof(header));
        shared_ring_write(s, bytes, sizeof(bytes));
        assert_given_up(s);
    }
}

static void a_head_that_makes_no_sense_gives_up_what_is_there_and_then_goes_on(void **state)
{
    struct shared_ring *s = *state;
    s->head += SHARED_RING_BYTES + 8; /* more than the ring holds */
    s->page->data_head = s->head;
    assert_given_up(s);
    s->head -= 8; /* backwards: as if nearly 2^64 bytes were there */
    s->page->data_head = s->head;
    assert_given_up(s);
    shared_ring_write(s, "\1\2\3\4", 4); /* less than a header */
    assert_given_up(s);
}

/* The kernel's count of bytes only grows; it has passed 32 bits after some hours. */
static void counts_of_more_than_32_bits_are_read_on(void **state)
{
    struct shared_ring *s = *state;
    s->head = s->ring.head = s->ring.tail = (1ull << 33) - 40;
    s->page->data_head = s->page->data_tail = s->head;
    uint8_t record[48];
    for (uint32_t i = 0; i < 4000; i++) {
        fill_record(record, i, sizeof(record));
        shared_ring_write(s, record, sizeof(record));
        ring_refresh(&s->ring);
        const void *bytes;
        size_t len;
        assert_int_equal(ring_peek(&s->ring, &bytes, &len), 1);
        assert_int_equal(len, sizeof(record));
        assert_memory_equal(bytes, record, sizeof(record));
        ring_consume(&s->ring);
    }
    assert_true(s->page->data_tail > 1ull << 33);
}

static void memory_is_read_as_a_ring_and_left_as_it_is(void **state)
{
    _Alignas(8) uint8_t memory[64];
    fill_record(memory, 1, 24);
    fill_record(memory + 24, 2, 40);
    struct ring ring = {.id = 3};
    ring_over(&ring, memory, sizeof(memory));
    ring_refresh(&ring);
    const void *bytes;
    size_t len;
    assert_int_equal(ring_peek(&ring, &bytes, &len), 1);
    assert_ptr_equal(bytes, memory);
    ring_consume(&ring);
    assert_int_equal(ring_peek(&ring, &bytes, &len), 1);
    assert_ptr_equal(bytes, memory + 24);
    assert_int_equal(len, 40);
    ring_consume(&ring);
    assert_int_equal(ring_peek(&ring, &bytes, &len), 0);
    ring_over(&ring, memory, 60); /* cut within the last record */
    assert_int_equal(ring_peek(&ring, &bytes, &len), 1);
    ring_consume(&ring);
    assert_int_equal(ring_peek(&ring, &bytes, &len), -EBADMSG);
    ring_over(&ring, memory, 0);
    assert_int_equal(ring_peek(&ring, &bytes, &len), 0);
    ring_unmap(&ring);
}

static void what_cannot_be_mapped_is_refused_with_its_size(void **state)
{
    struct ring ring = {0};
    struct err err = {0};
    assert_true(ring_map(&ring, -1, SHARED_RING_BYTES, &err) < 0);
    assert_non_null(strstr(err.text, "64 KiB"));
    assert_null(ring.base);
}

#define ON_SHARED(test) cmocka_unit_test_setup_teardown(test, make_shared, free_shared)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SHARED(records_of_all_sizes_come_out_as_they_were_written),
        ON_SHARED(a_record_is_seen_only_after_refresh_and_as_often_as_wanted),
        ON_SHARED(sizes_that_are_none_give_up_what_is_there_and_then_go_on),
        ON_SHARED(a_head_that_makes_no_sense_gives_up_what_is_there_and_then_goes_on),
        ON_SHARED(counts_of_more_than_32_bits_are_read_on),
        cmocka_unit_test(memory_is_read_as_a_ring_and_left_as_it_is),
        cmocka_unit_test(what_cannot_be_mapped_is_refused_with_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
