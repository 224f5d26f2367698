/* test_ksymbols.c: kernel code that comes and goes keeps its names apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>

#include "agent/ksymbols.h"
#include "agent/record.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "record_bytes.h"

#define AT 0xffffffffc0001000u
#define S  ((uint64_t)NS_PER_SEC)

static struct ksymbols *make(void)
{
    struct ksymbols *k = NULL;
    assert_int_equal(ksymbols_new(&k, NULL), 0);
    return k;
}

static void tell(struct ksymbols *k, uint64_t time, uint64_t address, const char *name, bool gone)
{
    struct record r = {.kind = RECORD_KSYMBOL, .time = time};
    r.ksymbol.address = address;
    r.ksymbol.len = 0x100;
    r.ksymbol.type = PERF_RECORD_KSYMBOL_TYPE_BPF;
    r.ksymbol.gone = gone;
    r.ksymbol.name = name;
    assert_int_equal(ksymbols_apply(k, &r), 0);
}

static void make_record(struct buf *buf)
{
    static const struct bytes_id who = {.pid = 1, .tid = 2, .cpu = 3, .time = 4};
    size_t start = bytes_begin(buf, PERF_RECORD_KSYMBOL, 0);
    bytes_u64(buf, AT);
    bytes_u32(buf, 0x40);
    bytes_u32(buf, PERF_RECORD_KSYMBOL_TYPE_BPF | PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER << 16);
    bytes_text(buf, "bpf_prog_0123_of_another");
    bytes_sample_id(buf, &record_format_full, &who);
    bytes_end(buf, start);
}

static void a_record_of_kernel_code_has_place_size_and_name(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    struct record record;
    make_record(&buf);
    assert_int_equal(record_parse(&record_format_full, buf.data, buf.len, &record, NULL), 0);
    assert_int_equal(record.kind, RECORD_KSYMBOL);
    assert_int_equal(record.ksymbol.address, AT);
    assert_int_equal(record.ksymbol.len, 0x40);
    assert_int_equal(record.ksymbol.type, PERF_RECORD_KSYMBOL_TYPE_BPF);
    assert_true(record.ksymbol.gone);
    assert_string_equal(record.ksymbol.name, "bpf_prog_0123_of_another");
    assert_int_equal(record.time, 4);
}

static void a_record_whose_name_has_no_end_is_refused(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    struct record record;
    make_record(&buf);
    const size_t name = 24, text = sizeof("bpf_prog_0123_of_another") - 1;
    memset(buf.data + name + text, 'x', 8);
    assert_int_equal(record_parse(&record_format_full, buf.data, buf.len, &record, NULL), -EBADMSG);
}

static void code_is_named_within_its_size(void **state)
{
    _cleanup_(ksymbols_free) struct ksymbols *k = make();
    struct ksymbol found;
    tell(k, S, AT, "bpf_prog_a", false);
    assert_int_equal(ksymbols_find(k, AT - 1, &found), KSYMBOL_NONE);
    assert_int_equal(ksymbols_find(k, AT + 0xff, &found), KSYMBOL_FOUND);
    assert_string_equal(found.name, "bpf_prog_a");
    assert_string_equal(found.module, "bpf");
    assert_int_equal(ksymbols_find(k, AT + 0x100, &found), KSYMBOL_NONE);
}

static void code_that_is_gone_still_names_its_window(void **state)
{
    _cleanup_(ksymbols_free) struct ksymbols *k = make();
    struct ksymbol found;
    tell(k, S, AT, "bpf_prog_a", false);
    tell(k, 2 * S, AT, "bpf_prog_a", true);
    assert_int_equal(ksymbols_find(k, AT, &found), KSYMBOL_FOUND);
    tell(k, 1000 * S, AT + 0x1000, "bpf_prog_b", false);
    assert_int_equal(ksymbols_find(k, AT, &found), KSYMBOL_NONE);
}

static void where_one_took_anothers_place_there_is_no_name(void **state)
{
    _cleanup_(ksymbols_free) struct ksymbols *k = make();
    struct ksymbol found;
    tell(k, S, AT, "bpf_prog_a", false);
    tell(k, 2 * S, AT + 0x80, "bpf_prog_b", false);
    assert_int_equal(ksymbols_find(k, AT + 0x10, &found), KSYMBOL_FOUND);
    assert_int_equal(ksymbols_find(k, AT + 0x90, &found), KSYMBOL_UNSURE);
    assert_int_equal(ksymbols_find(k, AT + 0x110, &found), KSYMBOL_FOUND);
    assert_string_equal(found.name, "bpf_prog_b");
}

static void one_that_comes_again_keeps_its_name(void **state)
{
    _cleanup_(ksymbols_free) struct ksymbols *k = make();
    struct ksymbol found;
    for (uint64_t i = 0; i < 5; i++) {
        tell(k, i * S, AT, "bpf_prog_a", false);
        tell(k, i * S + 1, AT, "bpf_prog_a", true);
    }
    assert_int_equal(ksymbols_find(k, AT, &found), KSYMBOL_FOUND);
}

static void a_flood_of_them_is_bounded(void **state)
{
    _cleanup_(ksymbols_free) struct ksymbols *k = make();
    struct ksymbol found;
    const uint64_t many = 10000;
    char name[32];
    for (uint64_t i = 0; i < many; i++) {
        snprintf(name, sizeof(name), "bpf_prog_%d", (int)i);
        tell(k, S, AT + i * 0x100, name, false);
    }
    assert_int_equal(ksymbols_find(k, AT, &found), KSYMBOL_NONE);
    assert_int_equal(ksymbols_find(k, AT + (many - 1) * 0x100, &found), KSYMBOL_FOUND);
    assert_string_equal(found.name, "bpf_prog_9999");
}

static void a_size_past_the_end_of_memory_is_none(void **state)
{
    _cleanup_(ksymbols_free) struct ksymbols *k = make();
    struct ksymbol found;
    tell(k, S, UINT64_MAX - 8, "bpf_prog_a", false);
    assert_int_equal(ksymbols_find(k, UINT64_MAX - 8, &found), KSYMBOL_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_of_kernel_code_has_place_size_and_name),
        cmocka_unit_test(a_record_whose_name_has_no_end_is_refused),
        cmocka_unit_test(code_is_named_within_its_size),
        cmocka_unit_test(code_that_is_gone_still_names_its_window),
        cmocka_unit_test(where_one_took_anothers_place_there_is_no_name),
        cmocka_unit_test(one_that_comes_again_keeps_its_name),
        cmocka_unit_test(a_flood_of_them_is_bounded),
        cmocka_unit_test(a_size_past_the_end_of_memory_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
