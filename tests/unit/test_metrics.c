/* test_metrics.c: /metrics as Prometheus' text format 0.0.4 wants it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/metrics.h"

static void assert_text(struct buf *buf, const char *want)
{
    assert_int_equal(buf_append(buf, "", 1), 0);
    assert_string_equal((char *)buf->data, want);
    buf->len = 0;
}

static void a_family_is_help_type_and_values(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    assert_int_equal(metrics_family(&buf, "x_total", METRICS_COUNTER, "Lost \\ and\nfound."), 0);
    assert_int_equal(metrics_u64(&buf, "x_total", NULL, UINT64_MAX), 0);
    assert_int_equal(metrics_family(&buf, "y", METRICS_GAUGE, "A \"gauge\"."), 0);
    assert_int_equal(metrics_double(&buf, "y", NULL, 0.1), 0);
    assert_text(&buf, "# HELP x_total Lost \\\\ and\\nfound.\n# TYPE x_total counter\n"
                      "x_total 18446744073709551615\n"
                      "# HELP y A \"gauge\".\n# TYPE y gauge\ny 0.1\n");
}

static void label_values_are_escaped(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    assert_int_equal(metrics_u64(&buf, "x", METRICS_LABELS({"a", "q\"b\\s\nn\\"}, {"b", ""}), 1),
                     0);
    assert_text(&buf, "x{a=\"q\\\"b\\\\s\\nn\\\\\",b=\"\"} 1\n");
}

static void numbers_that_are_none_have_the_formats_words(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    assert_int_equal(metrics_double(&buf, "x", NULL, NAN), 0);
    assert_int_equal(metrics_double(&buf, "x", NULL, INFINITY), 0);
    assert_int_equal(metrics_double(&buf, "x", NULL, -INFINITY), 0);
    assert_text(&buf, "x NaN\nx +Inf\nx -Inf\n");
}

static void a_full_buffer_is_told(void **state)
{
    _cleanup_(buf_free) struct buf buf = {.max = 20};
    assert_int_equal(metrics_family(&buf, "x", METRICS_GAUGE, "Too long for it."), -EFBIG);
    buf.len = 0;
    assert_int_equal(metrics_u64(&buf, "x", METRICS_LABELS({"label", "too long for it"}), 1),
                     -EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_is_help_type_and_values),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(numbers_that_are_none_have_the_formats_words),
        cmocka_unit_test(a_full_buffer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
