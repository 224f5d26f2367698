/* test_ingest.c: what becomes of a posted batch, and how it is counted. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "sample_batch.h"
#include "server/ingest.h"
#include "store_kit.h"

static struct ingest *start(struct kit *kit)
{
    struct ingest *in;
    assert_int_equal(ingest_new(kit->store, &in, NULL), 0);
    return in;
}

static int post(struct ingest *in, const struct batch *b, bool *ret_stored, struct err *err)
{
    struct buf bytes = {0};
    assert_int_equal(batch_encode(b, &bytes, NULL), 0);
    int r = ingest_batch(in, bytes.data, bytes.len, ret_stored, err);
    buf_free(&bytes);
    return r;
}

static struct batch batch_from_now(int64_t ahead_ns)
{
    struct batch b = sample_batch;
    b.start_ns = clock_ns(CLOCK_REALTIME) + ahead_ns;
    b.end_ns = b.start_ns + 30 * NS_PER_SEC;
    return b;
}

static void a_posted_batch_is_stored_once_and_counted(void **state)
{
    struct ingest *in = start(*state);
    struct batch b = batch_from_now(0);
    struct ingest_counts counts;
    bool stored = false;
    assert_int_equal(post(in, &b, &stored, NULL), 0);
    assert_true(stored);
    assert_int_equal(post(in, &b, &stored, NULL), 0);
    assert_false(stored);
    assert_int_equal(kit_samples(*state), kit_batch_samples(&b));
    ingest_read_counts(in, &counts);
    assert_int_equal(counts.batches_received, 2);
    assert_int_equal(counts.batches_stored, 1);
    assert_int_equal(counts.batches_duplicate, 1);
    assert_int_equal(counts.samples_stored, kit_batch_samples(&b));
    assert_true(counts.bytes_received > 2 * WIRE_HEADER_SIZE);
    ingest_free(&in);
    assert_null(in);
}

static void a_window_more_than_a_day_ahead_is_refused(void **state)
{
    struct ingest *in = start(*state);
    struct batch b = batch_from_now(86400 * NS_PER_SEC + 60 * NS_PER_SEC);
    struct ingest_counts counts;
    struct err err = {0};
    bool stored = true;
    assert_int_equal(post(in, &b, &stored, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "clock"));
    b = batch_from_now(86400 * NS_PER_SEC - 60 * NS_PER_SEC);
    assert_int_equal(post(in, &b, &stored, &err), 0);
    ingest_read_counts(in, &counts);
    assert_int_equal(counts.batches_bad_clock, 1);
    assert_int_equal(counts.batches_malformed, 0);
    assert_int_equal(counts.batches_stored, 1);
    ingest_free(&in);
}

static void a_bad_batch_is_refused_by_its_kind_and_harms_no_other(void **state)
{
    struct ingest *in = start(*state);
    struct batch b = batch_from_now(0);
    struct ingest_counts counts;
    struct buf bytes = {0};
    bool stored = false;
    assert_int_equal(batch_encode(&b, &bytes, NULL), 0);
    assert_int_equal(ingest_batch(in, bytes.data, bytes.len - 1, &stored, NULL), -EBADMSG);
    assert_int_equal(ingest_batch(in, "", 0, &stored, NULL), -EBADMSG);
    bytes.data[4]++; /* the version */
    assert_int_equal(ingest_batch(in, bytes.data, bytes.len, &stored, NULL), -EPROTONOSUPPORT);
    bytes.data[4]--;
    memset(bytes.data + 8, 0xff, 4); /* the length */
    assert_int_equal(ingest_batch(in, bytes.data, bytes.len, &stored, NULL), -EFBIG);
    assert_int_equal(kit_samples(*state), 0);
    assert_int_equal(post(in, &b, &stored, NULL), 0);
    ingest_read_counts(in, &counts);
    assert_int_equal(counts.batches_received, 5);
    assert_int_equal(counts.batches_malformed, 2);
    assert_int_equal(counts.batches_unknown_version, 1);
    assert_int_equal(counts.batches_too_large, 1);
    assert_int_equal(counts.batches_stored, 1);
    buf_free(&bytes);
    ingest_free(&in);
}

/* The code says "later", so that the agent keeps the batch. */
static void a_store_that_cannot_write_says_so_and_takes_it_later(void **state)
{
    struct kit *kit = *state;
    struct ingest *in = start(kit);
    struct batch b = batch_from_now(0);
    struct ingest_counts counts;
    struct err err = {0};
    char away[4200];
    bool stored = false;
    snprintf(away, sizeof(away), "%s.away", kit->dir);
    assert_int_equal(rename(kit->dir, away), 0);
    int r = post(in, &b, &stored, &err);
    assert_int_equal(rename(away, kit->dir), 0);
    assert_true(r < 0 && r != -EBADMSG && r != -EFBIG && r != -EPROTONOSUPPORT);
    assert_non_null(strstr(err.text, kit->dir));
    ingest_read_counts(in, &counts);
    assert_int_equal(counts.batches_failed, 1);
    assert_int_equal(post(in, &b, &stored, &err), 0);
    assert_true(stored);
    ingest_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
        T(a_posted_batch_is_stored_once_and_counted),
        T(a_window_more_than_a_day_ahead_is_refused),
        T(a_bad_batch_is_refused_by_its_kind_and_harms_no_other),
        T(a_store_that_cannot_write_says_so_and_takes_it_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
