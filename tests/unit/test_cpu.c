/* test_cpu.c: lists of CPUs as /sys/devices/system/cpu/online has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cpu.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"

#define MAX 16

static void lists_are_read(void **state)
{
    static const struct {
        const char *text, *online; /* x: online */
    } cases[] = {
        {"0\n", "x"},
        {"0-3\n", "xxxx"},
        {"0-3", "xxxx"},
        {"0-1,4,6-7\n", "xx--x-xx"},
        {"3,1\n", "-x-x"},
        {"5-5\n", "-----x"},
        {"15\n", "---------------x"},
        {"0-15\n", "xxxxxxxxxxxxxxxx"},
        {"1-2,2-3\n", "-xxx"},
        {"\n", ""},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t online[MAX];
        memset(online, 9, sizeof(online));
        if (cpu_parse_list(cases[i].text, online, MAX) != 0)
            fail_msg("\"%s\" is refused", cases[i].text);
        for (size_t k = 0; k < MAX; k++) {
            bool expect = k < strlen(cases[i].online) && cases[i].online[k] == 'x';
            if (online[k] != expect)
                fail_msg("\"%s\": CPU %zu is %d", cases[i].text, k, online[k]);
        }
    }
}

static void what_is_no_list_is_refused(void **state)
{
    static const char *const cases[] = {
        "x",   "-",    "0-",    "-3",  "0--3", "3-1",  ",",
        ",1",  "1 2",  "0-3x",  "0;1", "16",   "0-16", "99999999999999999999",
        "0x1", " 0-3", "1-2-3", "+1",  "1,-2", "1,,2", "18446744073709551616",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t online[MAX];
        if (cpu_parse_list(cases[i], online, MAX) != -EBADMSG)
            fail_msg("\"%s\" is not refused", cases[i]);
    }
}

static void this_machines_own_list_has_as_many_as_it_says(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    static uint8_t online[4096];
    assert_int_equal(fs_read_at(AT_FDCWD, "/sys/devices/system/cpu/online", 4096, &text, NULL), 0);
    assert_int_equal(cpu_parse_list((const char *)text.data, online, sizeof(online)), 0);
    long count = 0;
    for (size_t i = 0; i < sizeof(online); i++)
        count += online[i];
    assert_int_equal(count, sysconf(_SC_NPROCESSORS_ONLN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(this_machines_own_list_has_as_many_as_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
