/* test_wire_limits.c: each limit of format.h is met by the most that is allowed, and one more is
 * refused by its name, on both ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bad_batch.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "sample_batch.h"
#include "wire/batch.h"
#include "wire/body.h"
#include "wire/schema.h"

/* Decodes the good body with path replaced, and if that goes well encodes it again: what one end
 * takes the other can give. */
static int decode_with(const char *path, const char *value, struct err *err)
{
    _cleanup_(buf_free) struct buf body = {0}, again = {0};
    _cleanup_(batch_free) struct batch *batch = NULL;
    make_body(path, value, &body);
    *err = (struct err){0};
    int r = body_decode(body.data, body.len, &batch, err);
    if (r == 0)
        r = body_encode(batch, &again, err);
    if (r == 0) {
        assert_int_equal(again.len, body.len);
        assert_memory_equal(again.data, body.data, body.len);
    }
    return r;
}

struct table {
    const char *limit, *name;
    uint32_t most;
    size_t count_at;                             /* in struct batch */
    const char *columns[SCHEMA_MAX_COLUMNS + 1]; /* "name:value of each row" */
};

#define TABLE(limit_, name_, count_, ...)                                            \
    {                                                                                \
        .limit = #limit_, .name = name_, .count_at = offsetof(struct batch, count_), \
        .most = limit_, .columns = {__VA_ARGS__},                                    \
    }

static const struct table tables[] = {
    TABLE(WIRE_MAX_OBJECTS, "objects", object_count, "path:0", "kind:1", "build_id:{\"$bin\":\"\"}",
          "flags:0"),
    TABLE(WIRE_MAX_FRAMES, "frames", frame_count, "kind:1", "object:0", "address:0", "name:0",
          "file:0", "line:0"),
    TABLE(WIRE_MAX_STACKS, "stacks", stack_count, "parent:0", "frame:0", "methods:4294967295"),
    TABLE(WIRE_MAX_PROCESSES, "processes", process_count, "pid:0", "ppid:0", "start_ns:0", "name:0",
          "exe:0", "cgroup:0"),
    TABLE(WIRE_MAX_LABELS, "labels", label_count, "process:0", "key:0", "value:0"),
    TABLE(WIRE_MAX_SAMPLES, "samples", sample_count, "slot:0", "process:0", "thread:0", "cpu:0",
          "stack:0", "count:1"),
#define FIGURE(name) , #name ":null"
    TABLE(WIRE_MAX_USAGE, "usage", usage_count, "time_ns:0", "span_ns:0", "cgroup:0", "network:0",
          "summed:0" WIRE_USAGE(FIGURE)),
#undef FIGURE
    TABLE(WIRE_MAX_USAGE_LABELS, "usage_labels", usage_label_count, "cgroup:0", "key:0", "value:0"),
    TABLE(WIRE_MAX_USAGE_PROCESSES, "usage_processes", usage_process_count, "usage:0", "pid:0",
          "threads:0", "start_ns:0", "exe:0", "command:0", "cpu_user_ns:null", "cpu_system_ns:0",
          "rss_bytes:0", "virtual_bytes:0"),
    TABLE(WIRE_MAX_PODS, "pods", pod_count, "uid:0", "namespace:0", "name:0", "ip:0", "phase:0",
          "workload:0", "started_ns:0"),
    TABLE(WIRE_MAX_POD_LABELS, "pod_labels", pod_label_count, "pod:0", "key:0", "value:0"),
    TABLE(WIRE_MAX_CONTAINERS, "containers", container_count, "id:0", "pod_uid:0", "name:0",
          "image:0", "reason:0", "kind:0", "state:0", "restarts:0", "started_ns:0"),
};

static int decode_rows(const struct table *t, uint32_t rows, struct err *err)
{
    _cleanup_(buf_free) struct buf json = {0};
    for (size_t i = 0; t->columns[i]; i++) {
        const char *colon = strchr(t->columns[i], ':');
        assert_int_equal(buf_printf(&json, "%s\"%.*s\":{\"$repeat\":[%u,%s]}", i ? "," : "{",
                                    (int)(colon - t->columns[i]), t->columns[i], rows, colon + 1),
                         0);
    }
    assert_int_equal(buf_append(&json, "}", 2), 0);
    return decode_with(t->name, (const char *)json.data, err);
}

static void a_full_table_is_taken_and_one_row_more_refused(void **state)
{
    for (const struct table *t = tables; t < tables + ARRAY_LEN(tables); t++) {
        struct err err;
        char over[128];
        if (decode_rows(t, t->most, &err) < 0)
            fail_msg("%s: %s", t->limit, err.text);
        snprintf(over, sizeof(over), "%s: %u rows are over %s (%u)", t->name, t->most + 1, t->limit,
                 t->most);
        assert_int_equal(decode_rows(t, t->most + 1, &err), -EFBIG);
        assert_string_equal(err.text, over);
    }
}

static void an_encoder_refuses_a_row_too_many(void **state)
{
    for (const struct table *t = tables; t < tables + ARRAY_LEN(tables); t++) {
        _cleanup_(buf_free) struct buf out = {0};
        struct batch batch = sample_batch;
        struct err err;
        char over[128];
        uint32_t rows = t->most + 1;
        memcpy((char *)&batch + t->count_at, &rows, sizeof(rows));
        snprintf(over, sizeof(over), "encoding a batch: %s: %u rows are over %s (%u)", t->name,
                 rows, t->limit, t->most);
        assert_int_equal(batch_encode(&batch, &out, &err), -EFBIG);
        assert_string_equal(err.text, over);
        assert_int_equal(out.len, 0);
    }
}

static void the_most_that_fits_each_other_limit_is_taken(void **state)
{
    static const char *const cases[][2] = {
        {"strings", "[\"\",{\"$text\":[16384,\"x\"]}]"},
        {"strings", "{\"$repeat\":[1000000,\"\"]}"},
        {"node.kernel", "{\"$text\":[16384,\"x\"]}"},
        {"stacks", "{\"parent\":{\"$chain\":1025},\"frame\":{\"$repeat\":[1025,0]},"
                   "\"methods\":{\"$repeat\":[1025,0]}}"},
        {"objects.build_id", "[{\"$bin\":\"000102030405060708090a0b0c0d0e0f10111213\"}]"},
        {"window.end_ns", "3600000000000"},
        {"window.period_ns", "1000000000"},
        {"seq", "{\"$uint\":\"9223372036854775807\"}"},
        {"node.cpus", "4294967295"},
        {"samples.count", "[4294967295]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        if (decode_with(cases[i][0], cases[i][1], &err) < 0)
            fail_msg("%s: %s", cases[i][0], err.text);
    }
}

static void one_string_too_many_is_refused(void **state)
{
    struct err err;
    assert_int_equal(decode_with("strings", "{\"$repeat\":[1000001,\"\"]}", &err), -EFBIG);
    assert_string_equal(err.text, "strings: 1000001 rows are over WIRE_MAX_STRINGS (1000000)");
    struct batch batch = sample_batch;
    _cleanup_(buf_free) struct buf out = {0};
    batch.string_count = WIRE_MAX_STRINGS + 1;
    assert_int_equal(batch_encode(&batch, &out, &err), -EFBIG);
}

static void counters_have_a_limit(void **state)
{
    _cleanup_(buf_free) struct buf json = {0};
    struct err err;
    for (unsigned i = 0; i < WIRE_MAX_COUNTERS; i++)
        assert_int_equal(buf_printf(&json, "%s\"c%u\":1", i ? "," : "{", i), 0);
    size_t len = json.len;
    assert_int_equal(buf_append(&json, "}", 2), 0);
    if (decode_with("counters", (char *)json.data, &err) < 0)
        fail_msg("%s", err.text);
    json.len = len;
    assert_int_equal(buf_append(&json, ",\"one more\":1}", 15), 0);
    assert_int_equal(decode_with("counters", (char *)json.data, &err), -EFBIG);
    assert_string_equal(err.text, "counters: 257 are over WIRE_MAX_COUNTERS (256)");
    struct batch batch = sample_batch;
    _cleanup_(buf_free) struct buf out = {0};
    batch.counter_count = WIRE_MAX_COUNTERS + 1;
    assert_int_equal(batch_encode(&batch, &out, &err), -EFBIG);
}

/* The good body with as much of an unknown key as makes it `len` bytes. */
static void make_body_of(size_t len, struct buf *out)
{
    char json[64];
    snprintf(json, sizeof(json), "{\"$text\":[%zu,\"x\"]}", len - 1000);
    make_body("future", json, out);
    size_t text = len - 1000 + (len - out->len);
    out->len = 0;
    snprintf(json, sizeof(json), "{\"$text\":[%zu,\"x\"]}", text);
    make_body("future", json, out);
    assert_int_equal(out->len, len);
}

static void a_body_has_a_limit(void **state)
{
    _cleanup_(buf_free) struct buf body = {0}, bytes = {0};
    _cleanup_(batch_free) struct batch *batch = NULL;
    struct err err;
    make_body_of(WIRE_MAX_BODY, &body);
    wrap_body(&body, &bytes);
    if (batch_decode(bytes.data, bytes.len, &batch, &err) < 0)
        fail_msg("%s", err.text);
    batch_free(&batch);
    assert_int_equal(body_decode(body.data, WIRE_MAX_BODY + 1, &batch, &err), -EFBIG);
    body.len = bytes.len = 0;
    make_body_of(WIRE_MAX_BODY + 1, &body);
    wrap_body(&body, &bytes);
    assert_int_equal(batch_decode(bytes.data, bytes.len, &batch, &err), -EFBIG);
    assert_string_equal(err.text, "a body of 67108865 bytes is over WIRE_MAX_BODY (67108864)");
}

/* Text of base 64: 6 bits a byte, so that compression gains a quarter and no more. */
static char *random_text(size_t len)
{
    char *text = malloc(len + 1);
    uint64_t state = 88172645463325252u;
    assert_non_null(text);
    for (size_t i = 0; i < len; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text[i] = (char)('0' + (state >> 40) % 64);
    }
    text[len] = 0;
    return text;
}

static void an_encoder_refuses_what_grows_too_large(void **state)
{
    enum { LEN = WIRE_MAX_STRING, COUNT = 5000, FITTING = 3500 };
    _cleanup_(buf_free) struct buf out = {0};
    _cleanup_free_ char *text = random_text(LEN);
    _cleanup_free_ const char **strings = calloc(COUNT, sizeof(*strings));
    assert_non_null(strings);
    struct batch batch = sample_batch;
    struct err err;
    strings[0] = "";
    for (size_t i = 1; i < COUNT; i++)
        strings[i] = text;
    batch.strings = strings;
    batch.string_count = COUNT;
    assert_int_equal(batch_encode(&batch, &out, &err), -EFBIG);
    assert_string_equal(err.text,
                        "encoding a batch: its body is over WIRE_MAX_BODY (67108864 bytes)");
    assert_int_equal(out.len, 0);
    _cleanup_free_ char *much = random_text((size_t)FITTING * (LEN + 1));
    for (size_t i = 1; i < FITTING; i++) {
        char *one = much + i * (LEN + 1);
        one[-1] = 0;
        strings[i] = one;
    }
    batch.string_count = FITTING;
    assert_int_equal(batch_encode(&batch, &out, &err), -EFBIG);
    assert_non_null(strstr(err.text, "compressed bytes are over WIRE_MAX_COMPRESSED (33554432)"));
    assert_int_equal(out.len, 0);
}

static void more_compressed_bytes_than_allowed_are_refused(void **state)
{
    _cleanup_(buf_free) struct buf body = {0}, bytes = {0};
    struct batch *batch = NULL;
    struct err err;
    make_body(NULL, NULL, &body);
    wrap_body(&body, &bytes);
    assert_int_equal(buf_reserve(&bytes, WIRE_MAX_COMPRESSED), 0);
    memset(bytes.data + bytes.len, 0, WIRE_MAX_COMPRESSED);
    assert_int_equal(batch_decode(bytes.data, WIRE_MAX_COMPRESSED + 1, &batch, &err), -EFBIG);
    assert_string_equal(err.text, "33554433 bytes are over WIRE_MAX_COMPRESSED (33554432)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_table_is_taken_and_one_row_more_refused),
        cmocka_unit_test(an_encoder_refuses_a_row_too_many),
        cmocka_unit_test(the_most_that_fits_each_other_limit_is_taken),
        cmocka_unit_test(one_string_too_many_is_refused),
        cmocka_unit_test(counters_have_a_limit),
        cmocka_unit_test(a_body_has_a_limit),
        cmocka_unit_test(an_encoder_refuses_what_grows_too_large),
        cmocka_unit_test(more_compressed_bytes_than_allowed_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
