/* test_wire.c: a batch comes back as it went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "sample_batch.h"
#include "wire/body.h"

static void cleanup_buf(struct buf *buf)
{
    buf_free(buf);
}

#define assert_rows_equal(a, b, rows, count)                                            \
    do {                                                                                \
        assert_int_equal((a)->count, (b)->count);                                       \
        if ((a)->count)                                                                 \
            assert_memory_equal((a)->rows, (b)->rows, sizeof(*(a)->rows) * (a)->count); \
    } while (0)

static void assert_batches_equal(const struct batch *a, const struct batch *b)
{
    assert_string_equal(a->node, b->node);
    assert_string_equal(a->boot_id, b->boot_id);
    assert_string_equal(a->kernel, b->kernel);
    assert_string_equal(a->arch, b->arch);
    assert_string_equal(a->agent, b->agent);
    assert_int_equal(a->cpus, b->cpus);
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->start_ns, b->start_ns);
    assert_int_equal(a->end_ns, b->end_ns);
    assert_int_equal(a->slot_ns, b->slot_ns);
    assert_int_equal(a->period_ns, b->period_ns);
    assert_int_equal(a->string_count, b->string_count);
    for (uint32_t i = 0; i < a->string_count; i++)
        assert_string_equal(a->strings[i], b->strings[i]);
    assert_rows_equal(a, b, objects, object_count);
    assert_rows_equal(a, b, stacks, stack_count);
    assert_rows_equal(a, b, processes, process_count);
    assert_rows_equal(a, b, labels, label_count);
    assert_rows_equal(a, b, samples, sample_count);
    assert_rows_equal(a, b, usage, usage_count);
    assert_rows_equal(a, b, usage_labels, usage_label_count);
    assert_rows_equal(a, b, usage_processes, usage_process_count);
    assert_int_equal(a->frame_count, b->frame_count); /* has padding */
    for (uint32_t i = 0; i < a->frame_count; i++) {
        const struct batch_frame *f = &a->frames[i], *g = &b->frames[i];
        assert_int_equal(f->kind, g->kind);
        assert_int_equal(f->object, g->object);
        assert_true(f->address == g->address);
        assert_int_equal(f->name, g->name);
        assert_int_equal(f->file, g->file);
        assert_int_equal(f->line, g->line);
    }
    assert_int_equal(a->counter_count, b->counter_count);
    for (uint32_t i = 0; i < a->counter_count; i++) {
        assert_string_equal(a->counters[i].name, b->counters[i].name);
        assert_int_equal(a->counters[i].value, b->counters[i].value);
    }
}

static void round_trip(const struct batch *in)
{
    struct err err = {0};
    _cleanup_(cleanup_buf) struct buf bytes = {0};
    _cleanup_(batch_free) struct batch *out = NULL;
    if (batch_encode(in, &bytes, &err) < 0 || batch_decode(bytes.data, bytes.len, &out, &err) < 0)
        fail_msg("%s", err.text);
    assert_batches_equal(in, out);
}

static void every_field_comes_back_as_it_went_in(void **state)
{
    round_trip(&sample_batch);
    round_trip(&sample_usage_batch);
}

static void a_big_batch_comes_back_as_it_went_in(void **state)
{
    _cleanup_(sample_batch_free) struct batch *big = sample_batch_big(30000, 7);
    round_trip(big);
}

static void an_empty_window_is_a_batch_too(void **state)
{
    static const char *const strings[] = {""};
    static const struct batch_stack root[1];
    struct batch empty = sample_batch;
    empty.strings = strings;
    empty.string_count = 1;
    empty.stacks = root;
    empty.stack_count = 1;
    empty.object_count = empty.frame_count = empty.process_count = 0;
    empty.label_count = empty.sample_count = empty.counter_count = 0;
    round_trip(&empty);
}

static void encoding_goes_behind_what_the_buffer_holds(void **state)
{
    _cleanup_(cleanup_buf) struct buf bytes = {0};
    _cleanup_(batch_free) struct batch *out = NULL;
    assert_int_equal(buf_puts(&bytes, "before"), 0);
    assert_int_equal(batch_encode(&sample_batch, &bytes, NULL), 0);
    assert_memory_equal(bytes.data, "beforePFLM", 10);
    assert_int_equal(batch_decode(bytes.data + 6, bytes.len - 6, &out, NULL), 0);
}

/* A container may call its binary what it likes; the batch must go out all the same. */
static void odd_names_are_repaired_by_the_encoder(void **state)
{
    static char longer[WIRE_MAX_STRING + 10];
    memset(longer, 'x', sizeof(longer) - 1);
    memcpy(longer + WIRE_MAX_STRING - 1, "\xc3\xa4", 2); /* a character across the cut */
    const char *strings[16];
    memcpy(strings, sample_batch.strings, sizeof(strings));
    strings[3] = "caf\xe9 \xed\xa0\x80\xc0\xaf\xf5 \xe2\x82\xac \xf0\x9f\x94\xa5\xe2\x82";
    strings[4] = longer;
    struct batch in = sample_batch;
    in.strings = strings;
    _cleanup_(cleanup_buf) struct buf bytes = {0};
    _cleanup_(batch_free) struct batch *out = NULL;
    struct err err = {0};
    assert_int_equal(batch_encode(&in, &bytes, &err), 0);
    if (batch_decode(bytes.data, bytes.len, &out, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(out->strings[3], "caf? ?????? \xe2\x82\xac \xf0\x9f\x94\xa5??");
    assert_int_equal(strlen(out->strings[4]), WIRE_MAX_STRING - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_comes_back_as_it_went_in),
        cmocka_unit_test(a_big_batch_comes_back_as_it_went_in),
        cmocka_unit_test(an_empty_window_is_a_batch_too),
        cmocka_unit_test(encoding_goes_behind_what_the_buffer_holds),
        cmocka_unit_test(odd_names_are_repaired_by_the_encoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
