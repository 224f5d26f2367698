/* test_hot_objects.c: of what batches tell, the object whose debug file would tell most is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "server/hot_objects.h"
#include "wire/batch.h"

#define HOUR_NS (3600 * NS_PER_SEC)

static struct hot_objects *make(void)
{
    struct hot_objects *h = NULL;
    assert_int_equal(hot_objects_new(&h, NULL), 0);
    return h;
}

static void add(struct hot_objects *h, uint32_t number, double samples, int64_t now_ns)
{
    uint8_t id[8] = {0};
    memcpy(id, &number, sizeof(number));
    hot_objects_add(h, id, sizeof(id), samples, now_ns);
}

/* The number of the hottest; 0: none. */
static uint32_t hottest(struct hot_objects *h, int64_t now_ns)
{
    struct hot_object o;
    uint32_t number = 0;
    if (hot_objects_find(h, now_ns, &o))
        memcpy(&number, o.build_id, sizeof(number));
    return number;
}

static void the_hottest_is_found_and_the_others_when_it_is_put_off(void **state)
{
    _cleanup_(hot_objects_free) struct hot_objects *h = make();
    struct hot_object o;
    assert_int_equal(hottest(h, 0), 0);
    add(h, 1, 10, 0);
    add(h, 2, 15, 0);
    add(h, 1, 10, 0);
    assert_int_equal(hottest(h, 0), 1);
    assert_true(hot_objects_find(h, 0, &o));
    assert_int_equal((int)o.samples, 20);
    hot_objects_put_off(h, &o, 5);
    assert_int_equal(hottest(h, 4), 2);
    assert_int_equal(hottest(h, 5), 1);
}

static void samples_of_an_hour_ago_count_half(void **state)
{
    _cleanup_(hot_objects_free) struct hot_objects *h = make();
    struct hot_object o;
    add(h, 1, 100, 0);
    add(h, 2, 60, HOUR_NS);
    assert_int_equal(hottest(h, HOUR_NS), 2);
    add(h, 1, 20, HOUR_NS);
    assert_int_equal(hottest(h, HOUR_NS), 1);
    assert_true(hot_objects_find(h, 2 * HOUR_NS + HOUR_NS / 2, &o));
    assert_int_equal((int)(o.samples * 100), 2625); /* 70, of 90 minutes ago */
    assert_true(hot_objects_find(h, INT64_MAX, &o));
}

static void the_coldest_gives_way(void **state)
{
    _cleanup_(hot_objects_free) struct hot_objects *h = make();
    for (uint32_t i = 1; i <= HOT_OBJECTS_MAX; i++)
        add(h, i, 1000 + i, 0);
    add(h, 5000, 1, 0);
    add(h, 5001, 1, 0);
    uint32_t count = 0;
    bool seen_two = false, seen_new = false;
    for (uint32_t number; (number = hottest(h, 0)); count++) {
        struct hot_object o;
        assert_true(hot_objects_find(h, 0, &o));
        hot_objects_put_off(h, &o, 1);
        assert_int_not_equal(number, 1);
        seen_two = seen_two || number == 2;
        seen_new = seen_new || number == 5001;
    }
    assert_int_equal(count, HOT_OBJECTS_MAX);
    assert_true(seen_two && seen_new);
}

static void a_batchs_samples_count_where_a_debug_file_may_tell_more(void **state)
{
    const char *const strings[] = {"", "/usr/bin/a", "name", "file.c"};
    const struct batch_object objects[] = {
        {.kind = OBJECT_NONE},
        {.path = 1, .kind = OBJECT_ELF, .build_id_len = 8, .build_id = {1}},
        {.path = 1, .kind = OBJECT_ELF, .build_id_len = 8, .build_id = {2}},
        {.path = 1,
         .kind = OBJECT_ELF,
         .flags = OBJECT_FILE_OFFSETS,
         .build_id_len = 8,
         .build_id = {3}},
        {.path = 1, .kind = OBJECT_ELF, .flags = OBJECT_EXACT, .build_id_len = 8, .build_id = {4}},
        {.path = 1, .kind = OBJECT_ELF},
        {.path = 1, .kind = OBJECT_VDSO, .build_id_len = 8, .build_id = {6}},
    };
    const struct batch_frame frames[] = {
        {.kind = FRAME_USER, .object = 1, .address = 1},            /* counts */
        {.kind = FRAME_USER, .object = 2, .address = 1, .name = 2}, /* named */
        {.kind = FRAME_USER, .object = 3, .address = 1},
        {.kind = FRAME_USER, .object = 4, .address = 1, .name = 2}, /* counts */
        {.kind = FRAME_USER, .object = 4, .address = 2, .name = 2, .file = 3, .line = 1},
        {.kind = FRAME_USER, .object = 5, .address = 1},
        {.kind = FRAME_USER, .object = 6, .address = 1},
        {.kind = FRAME_KERNEL, .object = 0, .address = 1},
    };
    /* root - 1 - 2 - 3 - 7, root - 4 - 5 - 6 */
    const struct batch_stack stacks[] = {{0, 0, 0}, {0, 0, 0}, {1, 1, 0}, {2, 2, 0}, {0, 3, 0},
                                         {4, 4, 0}, {5, 5, 0}, {3, 7, 0}, {6, 6, 0}};
    const struct batch_sample samples[] = {{.stack = 7, .count = 10},
                                           {.stack = 1, .count = 1},
                                           {.stack = 8, .count = 7},
                                           {.stack = 0, .count = 99}};
    const struct batch batch = {
        .strings = strings,
        .objects = objects,
        .frames = frames,
        .stacks = stacks,
        .samples = samples,
        .string_count = ARRAY_LEN(strings),
        .object_count = ARRAY_LEN(objects),
        .frame_count = ARRAY_LEN(frames),
        .stack_count = ARRAY_LEN(stacks),
        .sample_count = ARRAY_LEN(samples),
    };
    _cleanup_(hot_objects_free) struct hot_objects *h = make();
    struct hot_object o;
    hot_objects_add_batch(h, &batch, 0);
    assert_true(hot_objects_find(h, 0, &o));
    assert_int_equal(o.build_id[0], 1);
    assert_int_equal((int)o.samples, 11);
    hot_objects_put_off(h, &o, 1);
    assert_true(hot_objects_find(h, 0, &o));
    assert_int_equal(o.build_id[0], 4);
    assert_int_equal((int)o.samples, 7);
    hot_objects_put_off(h, &o, 1);
    assert_false(hot_objects_find(h, 0, &o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hottest_is_found_and_the_others_when_it_is_put_off),
        cmocka_unit_test(samples_of_an_hour_ago_count_half),
        cmocka_unit_test(the_coldest_gives_way),
        cmocka_unit_test(a_batchs_samples_count_where_a_debug_file_may_tell_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
