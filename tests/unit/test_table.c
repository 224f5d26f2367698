/* test_table.c: rows are found by the bytes they begin with, and keep their numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/table.h"

struct row {
    uint32_t a, b;
    uint64_t value; /* behind the key */
};

#define ROW_TABLE(table, max) \
    table_init(table, sizeof(struct row), offsetof(struct row, value), max)

static struct row *row_of(const struct table *table, uint32_t number)
{
    return table_row(table, number);
}

static void a_new_row_has_its_key_and_zeros_behind_it(void **state)
{
    _cleanup_(table_free) struct table table;
    ROW_TABLE(&table, 0);
    struct row key = {.a = 1, .b = 2, .value = 99};
    uint32_t n;
    assert_int_equal(table_add(&table, &key, &n), 1);
    assert_int_equal(n, 0);
    assert_int_equal(row_of(&table, 0)->a, 1);
    assert_int_equal(row_of(&table, 0)->b, 2);
    assert_int_equal(row_of(&table, 0)->value, 0);
    row_of(&table, 0)->value = 7;
    assert_int_equal(table_add(&table, &key, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(row_of(&table, 0)->value, 7);
    assert_int_equal(table.count, 1);
}

static void an_empty_table_holds_nothing_and_allocates_nothing(void **state)
{
    _cleanup_(table_free) struct table table;
    ROW_TABLE(&table, 0);
    struct row key = {0};
    uint32_t n = 77;
    assert_int_equal(table_find(&table, &key, &n), -ENOENT);
    assert_int_equal(n, 77);
    assert_int_equal(table_bytes(&table), 0);
}

/* Many sizes of the table in one: each power of two is passed on the way. */
static void rows_keep_number_order_and_value_while_the_table_grows(void **state)
{
    const uint32_t rows = 100000;
    _cleanup_(table_free) struct table table;
    ROW_TABLE(&table, 0);
    uint32_t n;
    for (uint32_t i = 0; i < rows; i++) {
        struct row key = {.a = i % 331, .b = i / 331};
        assert_int_equal(table_add(&table, &key, &n), 1);
        assert_int_equal(n, i);
        row_of(&table, n)->value = (uint64_t)i * i;
        struct row absent = {.a = i, .b = UINT32_MAX};
        assert_int_equal(table_find(&table, &absent, &n), -ENOENT);
    }
    for (uint32_t i = 0; i < rows; i++) {
        struct row key = {.a = i % 331, .b = i / 331};
        assert_int_equal(table_find(&table, &key, &n), 0);
        assert_int_equal(n, i);
        assert_int_equal(row_of(&table, i)->value, (uint64_t)i * i);
    }
    assert_true(table_bytes(&table) >= rows * sizeof(struct row));
}

static void at_the_limit_only_known_keys_are_taken(void **state)
{
    _cleanup_(table_free) struct table table;
    ROW_TABLE(&table, 3);
    uint32_t n;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(table_add(&table, &(struct row){.a = i}, &n), 1);
    n = 77;
    assert_int_equal(table_add(&table, &(struct row){.a = 3}, &n), -ENOSPC);
    assert_int_equal(n, 77);
    assert_int_equal(table_add(&table, &(struct row){.a = 1}, &n), 0);
    assert_int_equal(n, 1);
}

static void a_cleared_table_is_empty_and_keeps_its_memory_and_limit(void **state)
{
    _cleanup_(table_free) struct table table;
    ROW_TABLE(&table, 200);
    uint32_t n;
    for (int turn = 0; turn < 3; turn++) {
        for (uint32_t i = 0; i < 200; i++) {
            assert_int_equal(table_add(&table, &(struct row){.a = i, .b = (uint32_t)turn}, &n), 1);
            assert_int_equal(n, i);
        }
        assert_int_equal(table_add(&table, &(struct row){.a = 200}, &n), -ENOSPC);
        size_t bytes = table_bytes(&table);
        table_clear(&table);
        assert_int_equal(table.count, 0);
        assert_int_equal(table_bytes(&table), bytes);
        assert_int_equal(table_find(&table, &(struct row){.b = (uint32_t)turn}, &n), -ENOENT);
    }
    table_free(&table);
    assert_int_equal(table_bytes(&table), 0);
    assert_int_equal(table_add(&table, &(struct row){.a = 5}, &n), 1);
}

static void a_key_may_be_the_whole_row(void **state)
{
    _cleanup_(table_free) struct table table;
    table_init(&table, 3, 3, 0);
    uint32_t n;
    assert_int_equal(table_add(&table, "abc", &n), 1);
    assert_int_equal(table_add(&table, "abd", &n), 1);
    assert_int_equal(n, 1);
    assert_int_equal(table_add(&table, "abc", &n), 0);
    assert_int_equal(n, 0);
    assert_memory_equal(table_row(&table, 1), "abd", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_row_has_its_key_and_zeros_behind_it),
        cmocka_unit_test(an_empty_table_holds_nothing_and_allocates_nothing),
        cmocka_unit_test(rows_keep_number_order_and_value_while_the_table_grows),
        cmocka_unit_test(at_the_limit_only_known_keys_are_taken),
        cmocka_unit_test(a_cleared_table_is_empty_and_keeps_its_memory_and_limit),
        cmocka_unit_test(a_key_may_be_the_whole_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
