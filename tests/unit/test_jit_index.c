/* test_jit_index.c: code has the name it had when the sample was taken, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "symbol/jit_index.h"

static struct jit_index *index_new(size_t max_bytes)
{
    struct jit_index *x = NULL;
    assert_int_equal(jit_index_new(max_bytes, &x, NULL), 0);
    return x;
}

static void add(struct jit_index *x, uint64_t start, uint64_t size, const char *name,
                uint64_t after_ns, uint64_t by_ns)
{
    struct jit_time when = {after_ns, by_ns};
    assert_int_equal(jit_index_add(x, start, size, name, strlen(name), &when), 0);
}

/* "" if it is not certain. */
static const char *name_at(const struct jit_index *x, uint64_t address, uint64_t first_ns,
                           uint64_t last_ns)
{
    struct jit_code code;
    if (!jit_index_find(x, address, first_ns, last_ns, &code))
        return "";
    assert_true(address >= code.start && address - code.start < code.size);
    return code.name;
}

static void an_address_has_the_name_of_the_code_it_lies_in(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new(1 << 20);
    add(x, 0x1000, 0x10, "a", 0, 5);
    add(x, 0x1010, 0x10, "b", 0, 5);
    assert_string_equal(name_at(x, 0xfff, 1, 2), "");
    assert_string_equal(name_at(x, 0x1000, 1, 2), "a");
    assert_string_equal(name_at(x, 0x100f, 1, 2), "a");
    assert_string_equal(name_at(x, 0x1010, 9, 9), "b");
    assert_string_equal(name_at(x, 0x1020, 9, 9), "");
    assert_int_equal(jit_index_count(x), 2);
    assert_int_equal(jit_index_reuses(x), 0);
}

static void code_at_an_exact_time_has_its_name_from_then_on(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new(1 << 20);
    add(x, 0x1000, 0x10, "a", 100, 100);
    add(x, 0x1000, 0x20, "b", 200, 200);
    assert_string_equal(name_at(x, 0x1000, 99, 99), "");
    assert_string_equal(name_at(x, 0x1000, 100, 199), "a");
    assert_string_equal(name_at(x, 0x1000, 150, 250), "");
    assert_string_equal(name_at(x, 0x1000, 200, 999), "b");
    assert_string_equal(name_at(x, 0x1018, 150, 150), "");
    assert_int_equal(jit_index_reuses(x), 1);
}

static void between_two_readings_it_is_in_doubt_whose_the_code_is(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new(1 << 20);
    add(x, 0x1000, 0x10, "a", 0, 100);
    add(x, 0x1008, 0x10, "b", 100, 200);
    assert_string_equal(name_at(x, 0x1008, 50, 100), "a");
    assert_string_equal(name_at(x, 0x1008, 50, 101), "");
    assert_string_equal(name_at(x, 0x1008, 150, 150), "");
    assert_string_equal(name_at(x, 0x1008, 199, 200), "");
    assert_string_equal(name_at(x, 0x1008, 200, 300), "b");
    /* What is left of the old code is nobody's, and what comes there was not there before. */
    assert_string_equal(name_at(x, 0x1000, 250, 250), "");
    add(x, 0x1000, 4, "c", 300, 400);
    assert_string_equal(name_at(x, 0x1000, 90, 90), "a");
    assert_string_equal(name_at(x, 0x1000, 350, 350), "");
    assert_string_equal(name_at(x, 0x1000, 400, 400), "c");
}

static void told_again_it_stays_as_it_is(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new(1 << 20);
    add(x, 0x1000, 0x10, "a", 0, 100);
    add(x, 0x1000, 0x10, "a", 100, 200);
    assert_string_equal(name_at(x, 0x1000, 1, 300), "a");
    assert_int_equal(jit_index_reuses(x), 0);
    /* Not if something else was there in between, in one reading. */
    add(x, 0x1000, 0x10, "b", 200, 300);
    add(x, 0x1000, 0x10, "a", 200, 300);
    assert_string_equal(name_at(x, 0x1000, 150, 250), "");
    assert_string_equal(name_at(x, 0x1000, 300, 300), "a");
    assert_string_equal(name_at(x, 0x1000, 1, 200), "a");
}

static void one_large_piece_ends_all_that_it_covers(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new(1 << 20);
    char name[16];
    for (uint64_t i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "f%u", (unsigned)i);
        add(x, 0x1000 + (i * 37 % 100) * 16, 16, name, 10, 10);
    }
    add(x, 0x1008, 16 * 50, "large", 20, 20);
    for (uint64_t i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "f%u", (unsigned)i);
        uint64_t at = 0x1000 + (i * 37 % 100) * 16;
        assert_string_equal(name_at(x, at, 10, 19), name);
        assert_string_equal(name_at(x, at, 20, 20),
                            at < 0x1008 || (at >= 0x1008 + 800 && at < 0x1000 + 51 * 16) ? ""
                            : at < 0x1008 + 800                                          ? "large"
                                                                                         : name);
    }
}

static void moved_code_keeps_its_name(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new(1 << 20);
    add(x, 0x1000, 0x10, "a", 10, 10);
    struct jit_time when = {20, 20};
    assert_int_equal(jit_index_move(x, 0x1000, 0x3000, &when), 0);
    assert_int_equal(jit_index_move(x, 0x1000, 0x3000, &when), -ENOENT);
    assert_int_equal(jit_index_move(x, 0x3000, UINT64_MAX - 3, &when), -EINVAL);
    assert_string_equal(name_at(x, 0x1000, 15, 19), "a");
    assert_string_equal(name_at(x, 0x1000, 20, 20), "");
    assert_string_equal(name_at(x, 0x3000, 19, 19), "");
    assert_string_equal(name_at(x, 0x3000, 20, 99), "a");
}

static void what_a_list_of_all_code_leaves_out_has_gone(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new(1 << 20);
    jit_index_begin_all(x);
    add(x, 0x1000, 0x10, "a", 0, 100);
    add(x, 0x2000, 0x10, "b", 0, 100);
    assert_int_equal(jit_index_end_all(x, &(struct jit_time){0, 100}), 0);
    jit_index_begin_all(x);
    add(x, 0x1000, 0x10, "a", 100, 200);
    assert_int_equal(jit_index_end_all(x, &(struct jit_time){100, 200}), 0);
    assert_string_equal(name_at(x, 0x1000, 1, 500), "a");
    assert_string_equal(name_at(x, 0x2000, 1, 100), "b");
    assert_string_equal(name_at(x, 0x2000, 150, 150), "");
    assert_string_equal(name_at(x, 0x2000, 250, 250), "");
    jit_index_begin_all(x);
    add(x, 0x1000, 0x10, "a", 200, 300);
    add(x, 0x2000, 0x10, "c", 200, 300);
    assert_int_equal(jit_index_end_all(x, &(struct jit_time){200, 300}), 0);
    assert_string_equal(name_at(x, 0x2000, 1, 100), "b");
    assert_string_equal(name_at(x, 0x2000, 250, 250), "");
    assert_string_equal(name_at(x, 0x2000, 300, 300), "c");
    assert_int_equal(jit_index_count(x), 2);
}

static void what_is_past_is_forgotten(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new(1 << 20);
    add(x, 0x1000, 0x20, "a", 10, 10);
    add(x, 0x1000, 0x10, "b", 20, 20);
    jit_index_forget(x, 15);
    assert_string_equal(name_at(x, 0x1000, 15, 15), "a");
    jit_index_forget(x, 50);
    assert_string_equal(name_at(x, 0x1000, 15, 15), "");
    assert_string_equal(name_at(x, 0x1000, 50, 60), "b");
    /* The gap that "a" left is forgotten too: nobody asks for its time. */
    add(x, 0x1010, 0x10, "c", 0, 100);
    assert_string_equal(name_at(x, 0x1010, 60, 60), "c");
}

static void names_that_nothing_has_any_more_make_room(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new(64 << 10);
    char name[64];
    for (uint64_t t = 1; t < 20000; t++) {
        snprintf(name, sizeof(name), "a function of generation %u", (unsigned)t);
        add(x, 0x1000, 0x10, name, t, t);
        jit_index_forget(x, t);
        assert_string_equal(name_at(x, 0x1008, t, t), name);
    }
    assert_true(jit_index_bytes(x) <= 64 << 10);
}

static void past_the_cap_there_are_fewer_names_and_none_is_wrong(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new(32 << 10);
    char name[32];
    unsigned refused = 0;
    for (uint64_t i = 0; i < 4000; i++) {
        int n = snprintf(name, sizeof(name), "f%u", (unsigned)i);
        struct jit_time when = {i + 1, i + 1};
        int r = jit_index_add(x, 0x1000 + i % 2000 * 16, 16, name, (size_t)n, &when);
        assert_true(r == 0 || r == -ENOSPC);
        refused += r < 0;
        assert_true(jit_index_bytes(x) <= 32 << 10);
        assert_true(i != 1000 || jit_index_count(x) > 100);
    }
    assert_true(refused > 0);
    for (uint64_t i = 2000; i < 4000; i++) {
        const char *found = name_at(x, 0x1000 + i % 2000 * 16, 5000, 5000);
        snprintf(name, sizeof(name), "f%u", (unsigned)i);
        assert_true(!*found || strcmp(found, name) == 0);
    }
}

static void ranges_without_sense_are_refused(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new(1 << 20);
    struct jit_time when = {1, 2};
    assert_int_equal(jit_index_add(x, 0x1000, 0, "a", 1, &when), -EINVAL);
    assert_int_equal(jit_index_add(x, UINT64_MAX - 3, 8, "a", 1, &when), -EINVAL);
    assert_int_equal(jit_index_add(x, 0, JIT_CODE_MAX + 1, "a", 1, &when), -EINVAL);
    assert_int_equal(jit_index_add(x, 0x1000, 8, "", 0, &when), -EINVAL);
    assert_int_equal(jit_index_add(x, 0, 8, "a", 1, &when), 0);
    assert_string_equal(name_at(x, 0, 1, 1), "a");
    assert_int_equal(jit_index_count(x), 1);
}

/* Beside a model that remembers for each address and moment what was there. */
#define PLACES  64u
#define MOMENTS 400u

static void it_agrees_with_a_simple_model(void **state)
{
    (void)state;
    static uint16_t model[MOMENTS][PLACES];
    srand(7);
    for (int round = 0; round < 20; round++) {
        _cleanup_(jit_index_free) struct jit_index *x = index_new(1 << 20);
        memset(model, 0, sizeof(model));
        for (unsigned t = 1; t < MOMENTS; t++) {
            memcpy(model[t], model[t - 1], sizeof(model[t]));
            unsigned start = (unsigned)rand() % PLACES, size = 1 + (unsigned)rand() % 8;
            if (start + size > PLACES)
                size = PLACES - start;
            for (unsigned i = start; i < start + size; i++) {
                unsigned old = model[t][i];
                for (unsigned k = 0; old && k < PLACES; k++)
                    model[t][k] = model[t][k] == old ? 0 : model[t][k];
            }
            char name[8];
            snprintf(name, sizeof(name), "%u", t);
            for (unsigned i = start; i < start + size; i++)
                model[t][i] = (uint16_t)t;
            add(x, 0x1000 + start, size, name, t, t);
        }
        for (unsigned i = 0; i < 20000; i++) {
            unsigned at = (unsigned)rand() % PLACES, first = 1 + (unsigned)rand() % (MOMENTS - 1);
            unsigned last = first + (unsigned)rand() % 20;
            last = last < MOMENTS ? last : MOMENTS - 1;
            bool same = true;
            for (unsigned t = first; t <= last; t++)
                same = same && model[t][at] == model[first][at];
            char name[8] = "";
            if (same && model[first][at])
                snprintf(name, sizeof(name), "%u", model[first][at]);
            assert_string_equal(name_at(x, 0x1000 + at, first, last), name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_the_name_of_the_code_it_lies_in),
        cmocka_unit_test(code_at_an_exact_time_has_its_name_from_then_on),
        cmocka_unit_test(between_two_readings_it_is_in_doubt_whose_the_code_is),
        cmocka_unit_test(told_again_it_stays_as_it_is),
        cmocka_unit_test(one_large_piece_ends_all_that_it_covers),
        cmocka_unit_test(moved_code_keeps_its_name),
        cmocka_unit_test(what_a_list_of_all_code_leaves_out_has_gone),
        cmocka_unit_test(what_is_past_is_forgotten),
        cmocka_unit_test(names_that_nothing_has_any_more_make_room),
        cmocka_unit_test(past_the_cap_there_are_fewer_names_and_none_is_wrong),
        cmocka_unit_test(ranges_without_sense_are_refused),
        cmocka_unit_test(it_agrees_with_a_simple_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
