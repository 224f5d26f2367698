/* test_store_crash.c: a process that stores batches is killed at random points, 50 times. What it
 * had acknowledged is there, once, and every file is sound. Half of the batches cross midnight. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "store_kit.h"

#define MIDNIGHT_NS (20717ll * 86400 * NS_PER_SEC)
#define CRASHES     50

static struct batch *batch_number(uint64_t seq)
{
    int64_t start_ns = MIDNIGHT_NS + ((int64_t)(seq % 40) - 30) * NS_PER_SEC;
    return kit_random_batch(seq, seq, start_ns);
}

static uint64_t samples_of(uint64_t seq)
{
    struct batch *b = batch_number(seq);
    uint64_t samples = kit_batch_samples(b);
    kit_batch_free(&b);
    return samples;
}

/* In the child: stores batch after batch, and tells the pipe of each that is acknowledged. */
static void store_until_killed(const char *dir, uint64_t seq, int out)
{
    struct store *store;
    bool duplicate;
    if (store_sqlite_open(dir, &store, NULL) < 0)
        _exit(1);
    for (;; seq++) {
        struct batch *b = batch_number(seq);
        if (store->ops->ingest(store, b, &duplicate, NULL) < 0 || duplicate)
            _exit(1);
        if (write(out, &seq, sizeof(seq)) != sizeof(seq))
            _exit(1);
        kit_batch_free(&b);
    }
}

/* Kills the child some time after it has acknowledged `after` batches. Gives the last one it did;
 * `first` - 1 when there was none. */
static uint64_t crash_once(const char *dir, uint64_t first, uint32_t after, uint32_t after_us)
{
    int pipes[2], status;
    uint64_t seq, last = first - 1;
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        store_until_killed(dir, first, pipes[1]);
    close(pipes[1]);
    for (; after > 0; after--) {
        assert_int_equal(read(pipes[0], &seq, sizeof(seq)), sizeof(seq));
        last = seq;
    }
    struct timespec pause = {.tv_nsec = after_us * 1000l};
    nanosleep(&pause, NULL);
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (read(pipes[0], &seq, sizeof(seq)) == sizeof(seq))
        last = seq;
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* or it failed by itself */
    return last;
}

static void check_files(const char *dir)
{
    static const char *const days[] = {"2026-09-20", "2026-09-21"};
    for (size_t i = 0; i < ARRAY_LEN(days); i++) {
        char path[4200];
        sqlite3 *db;
        sqlite3_stmt *stmt;
        snprintf(path, sizeof(path), "%s/%s.db", dir, days[i]);
        if (access(path, F_OK) < 0)
            continue;
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
        sqlite3_finalize(stmt);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
    }
}

static void what_was_acknowledged_survives_kill_9_once(void **state)
{
    struct kit *kit = *state;
    uint64_t dice = 20261123, next = 1, sum = 0, in_flight = 0;
    for (int crash = 0; crash < CRASHES; crash++) {
        kit_close(kit);
        check_files(kit->dir);
        uint64_t last = crash_once(kit->dir, next, kit_dice(&dice, 4), kit_dice(&dice, 20000));
        kit_open(kit);
        for (; next <= last; next++)
            sum += samples_of(next);
        uint64_t found = kit_samples(kit), more = samples_of(next);
        assert_true(found >= sum && found <= sum + more);
        in_flight += found > sum;
        /* Its agent would send the one in flight again. */
        struct batch *b = batch_number(next++);
        kit_ingest(kit, b);
        kit_batch_free(&b);
        sum += more;
        assert_int_equal(kit_samples(kit), sum);
    }
    for (uint64_t seq = 1; seq < next; seq++) {
        struct batch *b = batch_number(seq);
        assert_true(kit_ingest(kit, b));
        kit_batch_free(&b);
    }
    assert_int_equal(kit_samples(kit), sum);
    kit_close(kit);
    check_files(kit->dir);
    assert_true(next > CRASHES + 1); /* or no child got as far as storing one */
    print_message("# %llu batches over %d crashes, %llu of them whole or in part on disk without "
                  "having been acknowledged\n",
                  (unsigned long long)next - 1, CRASHES, (unsigned long long)in_flight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_acknowledged_survives_kill_9_once, kit_setup,
                                        kit_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
