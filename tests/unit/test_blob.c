/* test_blob.c: rows come back as they went in, and no byte may change without being noticed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "server/sqlite/blob.h"
#include "store_kit.h"

#define PERIOD_NS 10000000
#define SEED      0x1234567800000009u

static int setup(void **state)
{
    return blob_codec_new((struct blob_codec **)state, NULL);
}

static int teardown(void **state)
{
    blob_codec_free((struct blob_codec **)state);
    return 0;
}

static size_t random_rows(uint64_t *dice, struct blob_row *rows, size_t count)
{
    uint32_t pids = 1 + kit_dice(dice, 5), stacks = 1 + kit_dice(dice, 1u << kit_dice(dice, 30));
    uint32_t slots = 1 + kit_dice(dice, kit_dice(dice, 2) ? 6 : 60000);
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct blob_row){
            .pid = kit_dice(dice, 2) ? kit_dice(dice, pids) : UINT32_MAX - kit_dice(dice, pids),
            .thread = kit_dice(dice, 2) * (UINT32_MAX - 1 - kit_dice(dice, 3)),
            .stack = kit_dice(dice, 20) ? kit_dice(dice, stacks) : UINT32_MAX,
            .slot_ms = kit_dice(dice, slots) * (60000 / slots),
            .cpu = kit_dice(dice, 9) ? kit_dice(dice, 64) : UINT32_MAX,
            .count = kit_dice(dice, 4) ? 1 : 1 + ((uint64_t)kit_dice(dice, 1 << 30) << 20)};
    return blob_sort(rows, count);
}

static bool same_rows(const struct blob *blob, const struct blob_row *rows, size_t count)
{
    bool same = blob->count == count;
    for (size_t i = 0; same && i < count; i++) {
        const struct blob_row *a = &blob->rows[i], *b = &rows[i];
        same = a->pid == b->pid && a->thread == b->thread && a->stack == b->stack &&
               a->slot_ms == b->slot_ms && a->cpu == b->cpu && a->count == b->count;
    }
    return same;
}

static void rows_come_back_as_they_went_in(void **state)
{
    static struct blob_row rows[3000];
    uint64_t dice = 7;
    for (int round = 0; round < 600; round++) {
        size_t count = random_rows(&dice, rows, 1 + kit_dice(&dice, round % 10 ? 40 : 3000));
        const uint8_t *bytes;
        size_t len;
        struct blob blob;
        struct err err = {0};
        int64_t period = 1 + kit_dice(&dice, 1000000000);
        assert_int_equal(blob_encode(*state, rows, count, period, SEED, &bytes, &len, &err), 0);
        assert_int_equal(blob_decode(*state, bytes, len, SEED, true, &blob, &err), 0);
        assert_int_equal(blob.period_ns, period);
        assert_true(same_rows(&blob, rows, count));
        assert_int_equal(blob_decode(*state, bytes, len, SEED, false, &blob, &err), 0);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(blob.rows[i].stack, 0);
            assert_true(blob.rows[i].count == rows[i].count && blob.rows[i].cpu == rows[i].cpu &&
                        blob.rows[i].pid == rows[i].pid && blob.rows[i].slot_ms == rows[i].slot_ms);
        }
    }
}

static void a_full_blob_of_the_widest_rows_comes_back(void **state)
{
    struct blob_row *rows = calloc(BLOB_MAX_ROWS, sizeof(*rows));
    const uint8_t *bytes;
    size_t len;
    struct blob blob;
    assert_non_null(rows);
    for (uint32_t i = 0; i < BLOB_MAX_ROWS; i++)
        rows[i] = (struct blob_row){.pid = i % 2 ? UINT32_MAX - i : i,
                                    .thread = UINT32_MAX - i,
                                    .stack = UINT32_MAX - i,
                                    .slot_ms = i % BLOB_MAX_SLOTS,
                                    .cpu = UINT32_MAX - i,
                                    .count = INT64_MAX};
    assert_int_equal(blob_sort(rows, BLOB_MAX_ROWS), BLOB_MAX_ROWS);
    int r = blob_encode(*state, rows, BLOB_MAX_ROWS, PERIOD_NS, SEED, &bytes, &len, NULL);
    assert_int_equal(r, 0);
    assert_int_equal(blob_decode(*state, bytes, len, SEED, true, &blob, NULL), 0);
    assert_true(same_rows(&blob, rows, BLOB_MAX_ROWS));
    free(rows);
}

static void sorting_adds_up_what_is_the_same(void **state)
{
    struct blob_row rows[] = {{.pid = 2, .count = 3},
                              {.pid = 1, .cpu = 1, .count = 1},
                              {.pid = 2, .count = 4},
                              {.pid = 1, .count = UINT32_MAX},
                              {.pid = 1, .count = UINT32_MAX}};
    assert_int_equal(blob_sort(rows, 5), 3);
    assert_true(rows[0].pid == 1 && rows[0].cpu == 0 && rows[0].count == 2ull * UINT32_MAX);
    assert_true(rows[1].cpu == 1 && rows[1].count == 1);
    assert_true(rows[2].pid == 2 && rows[2].count == 7);
}

/* Every byte changed, and every length cut, in both forms. zstd has bits without meaning: what is
 * decoded all the same must be what was encoded. */
static void damage_is_noticed(void **state)
{
    static struct blob_row rows[500];
    uint64_t dice = 99;
    for (int round = 0; round < 2; round++) {
        size_t count = random_rows(&dice, rows, round ? 500 : 5), len, noticed = 0;
        const uint8_t *bytes;
        struct blob blob;
        struct err err = {0};
        assert_int_equal(blob_encode(*state, rows, count, PERIOD_NS, SEED, &bytes, &len, NULL), 0);
        uint8_t *copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, bytes, len);
        assert_int_equal(copy[0], 1 + round);
        assert_int_equal(blob_decode(*state, copy, len, SEED + 1, true, &blob, &err), -EUCLEAN);
        for (size_t i = 0; i < len; i++) {
            uint8_t change = (uint8_t)(1 + kit_dice(&dice, 255));
            int r = blob_decode(*state, copy, i, SEED, true, &blob, &err);
            assert_true(r == -EUCLEAN && err.text[0]);
            copy[i] ^= change;
            r = blob_decode(*state, copy, len, SEED, true, &blob, &err);
            assert_true(r == -EUCLEAN || same_rows(&blob, rows, count));
            noticed += r == -EUCLEAN;
            copy[i] ^= change;
        }
        assert_true(noticed > len - 10);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(rows_come_back_as_they_went_in),
        T(a_full_blob_of_the_widest_rows_comes_back),
        T(sorting_adds_up_what_is_the_same),
        T(damage_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
