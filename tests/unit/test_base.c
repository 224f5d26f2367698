/* test_base.c: what src/base promises: errors gain context, buffers keep their limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

static void an_error_gains_context_in_front(void **state)
{
    struct err err;
    assert_int_equal(err_errno(&err, -EACCES, "opening %s", "/proc/1/maps"), -EACCES);
    assert_string_equal(err.text, "opening /proc/1/maps: Permission denied");
    assert_int_equal(err_wrap(&err, -EACCES, "process %d", 1), -EACCES);
    assert_string_equal(err.text, "process 1: opening /proc/1/maps: Permission denied");
    assert_int_equal(err_set(NULL, -EINVAL, "nobody listens"), -EINVAL);
}

static void a_buffer_refuses_to_pass_its_limit_and_keeps_its_bytes(void **state)
{
    struct buf buf = {.max = 8};
    assert_int_equal(buf_puts(&buf, "12345678"), 0);
    assert_int_equal(buf_puts(&buf, "9"), -EFBIG);
    assert_int_equal(buf.len, 8);
    assert_memory_equal(buf.data, "12345678", 8);
    buf_free(&buf);
    assert_int_equal(buf.max, 8);
    assert_int_equal(buf_printf(&buf, "%d", 1234), 0);
    buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_gains_context_in_front),
        cmocka_unit_test(a_buffer_refuses_to_pass_its_limit_and_keeps_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
