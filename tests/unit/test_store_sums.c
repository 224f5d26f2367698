/* test_store_sums.c: whatever batches go in, and whatever is asked, the answer is what a plain loop
 * over all samples gives. The batches lie around midnight, so that many cross minutes and some
 * days. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "store_kit.h"

#define MIDNIGHT_NS (20717ll * 86400 * NS_PER_SEC)
#define ROUNDS      15
#define BATCHES     10
#define QUERIES     25

/* ---- the plain loop */

static const char *label_of(const struct batch *b, uint32_t process, const char *key)
{
    for (uint32_t i = 0; i < b->label_count; i++)
        if (b->labels[i].process == process && strcmp(b->strings[b->labels[i].key], key) == 0)
            return b->strings[b->labels[i].value];
    return NULL;
}

/* The value of a key of a sample; NULL: it has none. Numbers are written into `room`. */
static const char *value_of(const struct batch *b, const struct batch_sample *s, const char *key,
                            char room[16])
{
    const struct batch_process *p = &b->processes[s->process];
    if (strcmp(key, "node") == 0)
        return b->node;
    if (strcmp(key, "process") == 0)
        return b->strings[p->name];
    if (strcmp(key, "cgroup") == 0)
        return b->strings[p->cgroup];
    if (strcmp(key, "thread") == 0)
        return b->strings[s->thread];
    if (strcmp(key, "pid") != 0 && strcmp(key, "cpu") != 0)
        return label_of(b, s->process, key);
    snprintf(room, 16, "%u", key[0] == 'p' ? p->pid : s->cpu);
    return room;
}

static bool passes(const struct batch *b, const struct batch_sample *s, const struct store_query *q)
{
    int64_t ms = (b->start_ns + (int64_t)s->slot * b->slot_ns) / NS_PER_MS;
    if (ms < q->start_ms || ms >= q->end_ms)
        return false;
    for (size_t i = 0; i < q->filter_count; i++) {
        bool pass = false;
        for (size_t j = 0; j < q->filter_count; j++) {
            char room[16];
            const char *value = value_of(b, s, q->filters[j].key, room);
            if (strcmp(q->filters[i].key, q->filters[j].key) == 0)
                pass |= value && strcmp(value, q->filters[j].value) == 0;
        }
        if (!pass)
            return false;
    }
    return true;
}

static void put_frames(struct buf *text, const struct batch *b, uint32_t stack)
{
    const struct batch_frame *f = &b->frames[b->stacks[stack].frame];
    if (stack == 0)
        return;
    put_frames(text, b, b->stacks[stack].parent);
    if (f->name && b->strings[f->name][0])
        buf_printf(text, "%s;", b->strings[f->name]);
    else
        buf_printf(text, "%s+0x%llx;", b->strings[b->objects[f->object].path],
                   (unsigned long long)f->address);
}

static char *expected(struct batch *const *batches, size_t count, const struct store_query *q)
{
    struct kit_lines lines = {0};
    for (size_t i = 0; i < count; i++) {
        const struct batch *b = batches[i];
        for (const struct batch_sample *s = b->samples; s < b->samples + b->sample_count; s++) {
            struct buf text = {0};
            char room[16];
            if (!passes(b, s, q))
                continue;
            for (size_t g = 0; g < q->group_count; g++) {
                const char *value = value_of(b, s, q->groups[g], room);
                buf_printf(&text, "%s;", value ? value : "");
            }
            put_frames(&text, b, q->stacks ? s->stack : 0);
            buf_append(&text, "", 1);
            kit_lines_add(&lines, (char *)text.data, s->count);
            buf_free(&text);
        }
    }
    return kit_lines_join(&lines);
}

/* ---- random questions */

struct question {
    struct store_query query;
    char values[STORE_MAX_FILTERS][16];
};

static const char *const keys[] = {"node",   "process", "cgroup",  "thread",  "pid",    "cpu",
                                   "name-1", "name-11", "name-14", "name-20", "nowhere"};

static void ask(struct question *ret, uint64_t *dice)
{
    struct store_query *q = &ret->query;
    *q = kit_query();
    q->stacks = kit_dice(dice, 3) != 0;
    if (kit_dice(dice, 2)) {
        q->start_ms = MIDNIGHT_NS / NS_PER_MS - 200000 + kit_dice(dice, 400000);
        q->end_ms = q->start_ms + kit_dice(dice, 200000);
    }
    for (uint32_t i = kit_dice(dice, 4); i > 0; i--) {
        const char *key = keys[kit_dice(dice, ARRAY_LEN(keys))];
        char *value = ret->values[q->filter_count];
        if (strcmp(key, "node") == 0)
            snprintf(value, 16, "node-%u", kit_dice(dice, 4));
        else if (strcmp(key, "pid") == 0 || strcmp(key, "cpu") == 0)
            snprintf(value, 16, "%u", kit_dice(dice, 3) ? kit_dice(dice, 20) : UINT32_MAX - 1);
        else
            snprintf(value, 16, "%s%.0u", kit_dice(dice, 8) ? "name-" : "", kit_dice(dice, 39));
        kit_filter(q, key, value);
    }
    for (uint32_t i = kit_dice(dice, 4); i > 0; i--)
        kit_group(q, keys[kit_dice(dice, ARRAY_LEN(keys))]);
}

static void compare(struct kit *kit, struct batch *const *batches, size_t count,
                    const struct question *q, uint32_t round)
{
    _cleanup_free_ char *want = expected(batches, count, &q->query);
    _cleanup_free_ char *got = kit_folded(kit, &q->query);
    if (strcmp(want, got) == 0)
        return;
    for (size_t i = 0; i < q->query.filter_count; i++)
        print_message("filter %s=%s\n", q->query.filters[i].key, q->query.filters[i].value);
    for (size_t i = 0; i < q->query.group_count; i++)
        print_message("group %s\n", q->query.groups[i]);
    fail_msg("round %u, range %lld to %lld:\n--- expected\n%.3000s--- got\n%.3000s", round,
             (long long)q->query.start_ms, (long long)q->query.end_ms, want, got);
}

static void what_goes_in_comes_out_by_any_question(void **state)
{
    struct kit *kit = *state;
    struct batch *batches[ROUNDS * BATCHES];
    size_t count = 0;
    uint64_t dice = 42, answered = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < BATCHES; i++) {
            int64_t start_ns = MIDNIGHT_NS - 150 * NS_PER_SEC +
                               (int64_t)kit_dice(&dice, 200000) * NS_PER_MS + kit_dice(&dice, 999);
            struct batch *b = kit_random_batch(count + 1, count + 1, start_ns);
            assert_false(kit_ingest(kit, b));
            batches[count++] = b;
            assert_true(kit_ingest(kit, batches[kit_dice(&dice, (uint32_t)count)]));
        }
        if (round % 5 == 4)
            kit_reopen(kit);
        for (uint32_t i = 0; i < QUERIES; i++) {
            struct question q;
            ask(&q, &dice);
            compare(kit, batches, count, &q, round);
            answered += kit_sum(kit, &q.query).rows > 0;
        }
    }
    assert_true(answered > ROUNDS * QUERIES / 5); /* or the questions are too narrow to tell */
    for (size_t i = 0; i < count; i++)
        kit_batch_free(&batches[i]);
}

static int sum_counters(void *ctx, const char *node, const char *name, uint64_t value)
{
    *(uint64_t *)ctx += strcmp(name, "samples") == 0 ? value : 0;
    return 0;
}

/* A window that crosses midnight counts once, in the day it starts in. */
static void totals_count_a_window_across_midnight_once(void **state)
{
    struct kit *kit = *state;
    struct store_stats stats;
    uint64_t samples = 0, counted = 0;
    for (uint64_t i = 1; i <= 40; i++) {
        struct batch *b = kit_random_batch(i, i, MIDNIGHT_NS - (int64_t)i * NS_PER_SEC);
        samples += kit_batch_samples(b);
        assert_false(kit_ingest(kit, b));
        kit_batch_free(&b);
    }
    assert_int_equal(kit->store->ops->stats(kit->store, &stats, NULL), 0);
    assert_int_equal(stats.batches, 40);
    assert_int_equal(stats.samples, samples);
    assert_int_equal(kit_samples(kit), samples);
    int r = kit->store->ops->counters(kit->store, 0, INT64_MAX, sum_counters, &counted, NULL);
    assert_int_equal(r, 0);
    assert_int_equal(counted, samples);
}

/* More rows of one series and minute than a blob holds. */
static void a_minute_may_need_several_blobs(void **state)
{
    struct kit *kit = *state;
    enum { ROWS = 150000 };
    struct batch *b = kit_random_batch(1, 1, MIDNIGHT_NS);
    struct batch_sample *samples = calloc(ROWS, sizeof(*samples));
    assert_non_null(samples);
    for (uint32_t i = 0; i < ROWS; i++)
        samples[i] =
            (struct batch_sample){.cpu = i, .stack = i % b->stack_count, .count = 1 + i % 3};
    struct batch big = *b;
    big.samples = samples;
    big.sample_count = ROWS;
    assert_false(kit_ingest(kit, &big));
    big.seq++;
    assert_false(kit_ingest(kit, &big));
    assert_int_equal(kit_samples(kit), 2 * kit_batch_samples(&big));
    struct store_query q = kit_query();
    kit_filter(&q, "cpu", "149999");
    assert_int_equal(kit_sum(kit, &q).samples, 2 * (1 + 149999 % 3));
    free(samples);
    kit_batch_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
        T(what_goes_in_comes_out_by_any_question),
        T(totals_count_a_window_across_midnight_once),
        T(a_minute_may_need_several_blobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
