/* test_wire_bad.c: a decoder refuses each broken rule with a reason that names it, and takes what
 * is merely new to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bad_batch.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "wire/batch.h"
#include "wire/body.h"

static void each_broken_rule_is_refused_with_its_reason(void **state)
{
    bool all = true;
    for (size_t i = 0; i < bad_batch_count; i++) {
        const struct bad_batch *bad = &bad_batches[i];
        _cleanup_(buf_free) struct buf body = {0}, bytes = {0};
        struct batch *batch = NULL;
        struct err err = {0};
        make_body(bad->path, bad->value, &body);
        wrap_body(&body, &bytes);
        int r = batch_decode(bytes.data, bytes.len, &batch, &err);
        if (r == bad->code && strcmp(err.text, bad->reason) == 0 && !batch)
            continue;
        all = false;
        print_message("# %s: %d \"%s\", not %d \"%s\"\n", bad->name, r, err.text, bad->code,
                      bad->reason);
        batch_free(&batch);
    }
    assert_true(all);
}

static void assert_good(const char *path, const char *value)
{
    _cleanup_(buf_free) struct buf body = {0};
    _cleanup_(batch_free) struct batch *batch = NULL;
    struct err err = {0};
    make_body(path, value, &body);
    if (body_decode(body.data, body.len, &batch, &err) < 0)
        fail_msg("%s: %s", path ? path : "the good batch", err.text);
}

static void what_the_bad_ones_were_made_of_is_good(void **state)
{
    assert_good(NULL, NULL);
}

static void keys_that_are_not_known_are_skipped(void **state)
{
    assert_good("future", "{\"deep\":[[[{}]]],\"nil\":null,\"float\":1.5}");
    assert_good("future", "{\"$raw\":\"c70301aabbcc\"}"); /* ext */
    assert_good("node.zone", "\"a\"");
    assert_good("samples.weight", "[1,2,3]"); /* no column of ours: its length is its own */
}

static void longer_integers_than_needed_are_taken(void **state)
{
    assert_good("seq", "{\"$raw\":\"cf0000000000000001\"}");
    assert_good("seq", "{\"$raw\":\"d301000000000000ff\"}"); /* a signed form, not negative */
    assert_good("samples.count", "{\"$raw\":\"dd00000001ce00000001\"}");
}

static void every_cut_of_a_body_is_refused(void **state)
{
    _cleanup_(buf_free) struct buf body = {0};
    make_body(NULL, NULL, &body);
    for (size_t len = 0; len < body.len; len++) {
        struct batch *batch = NULL;
        struct err err = {0};
        assert_int_equal(body_decode(body.data, len, &batch, &err), -EBADMSG);
        assert_true(err.text[0] != 0);
        assert_null(batch);
    }
    struct batch *batch = NULL;
    assert_int_equal(buf_append(&body, "", 1), 0);
    struct err err;
    assert_int_equal(body_decode(body.data, body.len, &batch, &err), -EBADMSG);
    assert_string_equal(err.text, "the body has 1 bytes behind its map");
}

static void good_bytes(struct buf *bytes)
{
    _cleanup_(buf_free) struct buf body = {0};
    make_body(NULL, NULL, &body);
    wrap_body(&body, bytes);
}

static void assert_refused(const struct buf *bytes, int code, const char *reason)
{
    struct batch *batch = NULL;
    struct err err = {0};
    int r = batch_decode(bytes->data, bytes->len, &batch, &err);
    assert_string_equal(err.text, reason);
    assert_int_equal(r, code);
    assert_null(batch);
}

static void every_byte_of_the_header_counts(void **state)
{
    static const struct {
        size_t at;
        uint8_t byte;
        int code;
        const char *reason;
    } cases[] = {
        {0, 'p', -EBADMSG, "this is no batch: it does not start with PFLM"},
        {3, 0, -EBADMSG, "this is no batch: it does not start with PFLM"},
        {4, 2, -EPROTONOSUPPORT, "batch version 2, this program knows 1"},
        {5, 0, -EPROTONOSUPPORT, "batch compression 0, this program knows 1 (zstd)"},
        {6, 1, -EBADMSG, "bytes 6 and 7 of the header must be zero"},
        {7, 1, -EBADMSG, "bytes 6 and 7 of the header must be zero"},
        {8, 0, -EBADMSG, "header and zstd frame differ about the body's length"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(buf_free) struct buf bytes = {0};
        good_bytes(&bytes);
        bytes.data[cases[i].at] = cases[i].byte;
        assert_refused(&bytes, cases[i].code, cases[i].reason);
    }
}

static void a_body_is_one_whole_zstd_frame_with_a_checksum(void **state)
{
    _cleanup_(buf_free) struct buf bytes = {0};
    good_bytes(&bytes);
    size_t len = bytes.len;
    bytes.len = 11;
    assert_refused(&bytes, -EBADMSG, "11 bytes are no batch: its header alone has 12");
    bytes.len = 12;
    assert_refused(&bytes, -EBADMSG, "the body is no zstd frame with a checksum");
    bytes.len = len - 1;
    assert_refused(&bytes, -EBADMSG, "the body is not exactly one whole zstd frame");
    bytes.len = len;
    assert_int_equal(buf_append(&bytes, "", 1), 0);
    assert_refused(&bytes, -EBADMSG, "the body is not exactly one whole zstd frame");
    bytes.len = len;
    bytes.data[len - 1] ^= 1;
    assert_refused(&bytes, -EBADMSG, "decompressing: Restored data doesn't match checksum");
    bytes.data[len - 1] ^= 1;
    bytes.data[12 + 4] &= (uint8_t)~4; /* the checksum flag */
    assert_refused(&bytes, -EBADMSG, "the body is no zstd frame with a checksum");
}

/* Some bits of a zstd frame have no meaning (RFC 8878, 3.1.1.1.1.3); all others are seen. */
static void no_flipped_bit_changes_a_batch(void **state)
{
    _cleanup_(buf_free) struct buf bytes = {0}, body = {0};
    good_bytes(&bytes);
    make_body(NULL, NULL, &body);
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        _cleanup_(batch_free) struct batch *batch = NULL;
        _cleanup_(buf_free) struct buf again = {0};
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (batch_decode(bytes.data, bytes.len, &batch, NULL) == 0) {
            assert_int_equal(body_encode(batch, &again, NULL), 0);
            assert_int_equal(again.len, body.len);
            assert_memory_equal(again.data, body.data, body.len);
        }
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_broken_rule_is_refused_with_its_reason),
        cmocka_unit_test(what_the_bad_ones_were_made_of_is_good),
        cmocka_unit_test(keys_that_are_not_known_are_skipped),
        cmocka_unit_test(longer_integers_than_needed_are_taken),
        cmocka_unit_test(every_cut_of_a_body_is_refused),
        cmocka_unit_test(every_byte_of_the_header_counts),
        cmocka_unit_test(a_body_is_one_whole_zstd_frame_with_a_checksum),
        cmocka_unit_test(no_flipped_bit_changes_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
