/* test_store_threads.c: writers, readers and retention at once. Meant for ThreadSanitizer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "store_kit.h"

#define DAY_MS      86400000ll
#define MIDNIGHT_MS (20717 * DAY_MS)
#define WRITERS     3
#define READERS     3
#define BATCHES     40 /* of a writer */

struct work {
    struct kit *kit;
    uint64_t number, samples;
    atomic_uint_fast64_t *failures;
    atomic_bool *done;
};

/* cmocka's asserts belong to the main thread; the others count. */
static void expect(struct work *w, bool good, const char *what, const struct err *err)
{
    if (good)
        return;
    fprintf(stderr, "# %s: %s\n", what, err->text);
    atomic_fetch_add(w->failures, 1);
}

static void *write_batches(void *ctx)
{
    struct work *w = ctx;
    const struct store_ops *ops = w->kit->store->ops;
    for (uint64_t i = 0; i < BATCHES; i++) {
        struct err err = {0};
        bool duplicate = true;
        uint64_t seq = w->number * 1000 + i;
        /* Every fifth is of a day that retention takes meanwhile. */
        int64_t old_ms = i % 5 == 4 ? 5 * DAY_MS : 0;
        int64_t start_ms = MIDNIGHT_MS - old_ms + (int64_t)(seq % 60 * 1000) - 30000;
        struct batch *b = kit_random_batch(seq + 1, seq, start_ms * NS_PER_MS);
        expect(w, ops->ingest(w->kit->store, b, &duplicate, &err) == 0, "ingest", &err);
        expect(w, !duplicate, "a batch was new", &err);
        if (!old_ms)
            w->samples += kit_batch_samples(b);
        kit_batch_free(&b);
    }
    return NULL;
}

struct seen {
    uint64_t stacks[64];
    size_t count;
    uint64_t samples;
};

static int keep_row(void *ctx, const struct store_row *row)
{
    struct seen *seen = ctx;
    seen->samples += row->samples;
    if (seen->count < 64)
        seen->stacks[seen->count++] = row->stack;
    return 0;
}

static int count_stack(void *ctx, uint64_t stack, const struct store_frame *frames, size_t count)
{
    ++*(size_t *)ctx;
    return 0;
}

static int ignore_node(void *ctx, const struct store_node *node)
{
    return 0;
}

static void *read_all(void *ctx)
{
    struct work *w = ctx;
    struct store *s = w->kit->store;
    uint64_t last = 0;
    do {
        struct err err = {0};
        struct store_query q = kit_query();
        struct store_stats stats;
        struct seen seen = {0};
        size_t found = 0;
        q.start_ms = MIDNIGHT_MS - DAY_MS;
        if (w->number % 2)
            kit_group(&q, "process");
        expect(w, s->ops->query(s, &q, keep_row, &seen, &err) == 0, "query", &err);
        expect(w, seen.samples >= last, "samples only grow", &err);
        last = seen.samples;
        int r = s->ops->stacks(s, seen.stacks, seen.count, count_stack, &found, &err);
        expect(w, r == 0 && (found > 0 || seen.count == 0), "stacks", &err);
        expect(w, s->ops->nodes(s, ignore_node, NULL, &err) == 0, "nodes", &err);
        expect(w, s->ops->stats(s, &stats, &err) == 0, "stats", &err);
    } while (!atomic_load(w->done));
    return NULL;
}

static void *expire_old(void *ctx)
{
    struct work *w = ctx;
    do {
        struct err err = {0};
        int r = w->kit->store->ops->expire(w->kit->store, MIDNIGHT_MS - DAY_MS, 0, &err);
        expect(w, r == 0, "expire", &err);
    } while (!atomic_load(w->done));
    return NULL;
}

static void writers_readers_and_retention_do_not_meet(void **state)
{
    struct kit *kit = *state;
    atomic_uint_fast64_t failures = 0;
    atomic_bool done = false;
    pthread_t threads[WRITERS + READERS + 1];
    struct work work[WRITERS + READERS + 1];
    uint64_t samples = 0;
    for (size_t i = 0; i < WRITERS + READERS + 1; i++) {
        work[i] = (struct work){kit, i, 0, &failures, &done};
        int r = pthread_create(&threads[i], NULL,
                               i < WRITERS             ? write_batches
                               : i < WRITERS + READERS ? read_all
                                                       : expire_old,
                               &work[i]);
        assert_int_equal(r, 0);
    }
    for (size_t i = 0; i < WRITERS + READERS + 1; i++) {
        if (i == WRITERS)
            atomic_store(&done, true);
        pthread_join(threads[i], NULL);
        samples += work[i].samples;
    }
    assert_int_equal(failures, 0);
    assert_int_equal(kit->store->ops->expire(kit->store, MIDNIGHT_MS - DAY_MS, 0, NULL), 0);
    assert_int_equal(kit_samples(kit), samples);
}

/* While a reader is in the middle of a day. */
struct nested {
    struct kit *kit;
    struct batch *batch;
    size_t calls;
    int result;
};

static int store_within(void *ctx, uint64_t stack, const struct store_frame *frames, size_t count)
{
    struct nested *n = ctx;
    bool duplicate;
    if (n->calls++ == 1)
        n->result = n->kit->store->ops->ingest(n->kit->store, n->batch, &duplicate, NULL);
    return 0;
}

static void a_reader_does_not_hold_up_a_writer(void **state)
{
    struct kit *kit = *state;
    struct batch *first = kit_random_batch(1, 1, MIDNIGHT_MS * NS_PER_MS);
    struct nested n = {kit, kit_random_batch(2, 2, MIDNIGHT_MS * NS_PER_MS), 0, -1};
    struct store_query q = kit_query();
    struct seen seen = {0};
    kit_ingest(kit, first);
    assert_int_equal(kit->store->ops->query(kit->store, &q, keep_row, &seen, NULL), 0);
    int r = kit->store->ops->stacks(kit->store, seen.stacks, seen.count, store_within, &n, NULL);
    assert_int_equal(r, 0);
    assert_true(n.calls > 2);
    assert_int_equal(n.result, 0);
    assert_int_equal(kit_samples(kit), kit_batch_samples(first) + kit_batch_samples(n.batch));
    kit_batch_free(&first);
    kit_batch_free(&n.batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
        T(writers_readers_and_retention_do_not_meet),
        T(a_reader_does_not_hold_up_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
