/* test_spool.c: what was put waits in order until it is done; nothing else is in its way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/spool.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "temp_dir.h"

#define BIG (1u << 30)

/* A spool looks no further into a batch than its magic. */
static void fill(uint8_t *bytes, size_t len, uint64_t seq)
{
    memset(bytes, (int)(seq * 37), len);
    memcpy(bytes, "PFLM", 4);
}

static int put(struct spool *spool, uint64_t seq, size_t len, struct err *err)
{
    _cleanup_free_ uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    fill(bytes, len, seq);
    return spool_put(spool, seq, bytes, len, err);
}

static void put_all(struct spool *spool, uint64_t first, uint64_t last, size_t len)
{
    struct err err;
    for (uint64_t seq = first; seq <= last; seq++)
        if (put(spool, seq, len, &err) < 0)
            fail_msg("%s", err.text);
}

static struct spool *open_spool(const char *dir, uint64_t max_bytes)
{
    struct spool *spool = NULL;
    struct err err;
    if (spool_open(dir, max_bytes, &spool, &err) < 0)
        fail_msg("%s", err.text);
    return spool;
}

static void assert_oldest(struct spool *spool, uint64_t seq, size_t len)
{
    _cleanup_(buf_free) struct buf buf = {0};
    _cleanup_free_ uint8_t *want = malloc(len);
    uint64_t got = 0;
    struct err err;
    if (spool_oldest(spool, &buf, &got, &err) < 0)
        fail_msg("%s", err.text);
    fill(want, len, seq);
    assert_int_equal(got, seq);
    assert_int_equal(buf.len, len);
    assert_memory_equal(buf.data, want, len);
}

static void assert_empty(struct spool *spool)
{
    _cleanup_(buf_free) struct buf buf = {0};
    uint64_t seq;
    assert_int_equal(spool_oldest(spool, &buf, &seq, NULL), -ENODATA);
}

static struct spool_stats stats_of(struct spool *spool)
{
    struct spool_stats stats;
    spool_read_stats(spool, &stats);
    return stats;
}

static bool exists(struct temp_dir *dir, const char *name)
{
    return faccessat(dir->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void batches_come_out_in_the_order_they_went_in(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(spool_free) struct spool *spool = open_spool(dir->path, BIG);
    put_all(spool, 9, 12, 100);
    for (uint64_t seq = 9; seq <= 12; seq++) {
        assert_oldest(spool, seq, 100);
        assert_oldest(spool, seq, 100); /* asking does not take it away */
        spool_done(spool, seq);
    }
    assert_empty(spool);
    struct spool_stats stats = stats_of(spool);
    assert_int_equal(stats.put_batches, 4);
    assert_int_equal(stats.waiting_batches, 0);
    assert_int_equal(stats.waiting_bytes, 0);
    assert_int_equal(stats.disk_bytes, 4096); /* the lock file */
}

static void the_next_process_finds_what_the_last_one_left(void **state)
{
    struct temp_dir *dir = *state;
    struct spool *spool = open_spool(dir->path, BIG);
    put_all(spool, 99, 101, 5000); /* across a change in the number of digits */
    spool_done(spool, 99);
    spool_free(&spool);
    spool = open_spool(dir->path, BIG);
    struct spool_stats stats = stats_of(spool);
    assert_int_equal(stats.waiting_batches, 2);
    assert_int_equal(stats.waiting_bytes, 10000);
    assert_int_equal(stats.disk_bytes, 4096 + 2 * 8192);
    assert_oldest(spool, 100, 5000);
    spool_done(spool, 100);
    assert_oldest(spool, 101, 5000);
    spool_free(&spool);
}

/* A number that was used twice within a boot would make the server take a batch for a duplicate. */
static void the_last_number_outlives_its_batch(void **state)
{
    struct temp_dir *dir = *state;
    struct spool *spool = open_spool(dir->path, BIG);
    assert_int_equal(spool_last_seq(spool), 0);
    put_all(spool, 1000000, 1000002, 10);
    for (uint64_t seq = 1000000; seq <= 1000002; seq++)
        spool_done(spool, seq);
    spool_free(&spool);
    spool = open_spool(dir->path, BIG);
    assert_empty(spool);
    assert_int_equal(spool_last_seq(spool), 1000002);
    struct err err;
    assert_int_equal(put(spool, 1000002, 10, &err), -EINVAL);
    assert_string_equal(err.text, "batch 1000002 must come after 1000002");
    put_all(spool, 1000003, 1000003, 10);
    spool_reject(spool, 1000003, "a test");
    spool_free(&spool);
    spool = open_spool(dir->path, BIG);
    assert_int_equal(spool_last_seq(spool), 1000003);
    spool_free(&spool);
}

static void the_oldest_make_room(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(spool_free) struct spool *spool = open_spool(dir->path, 4096 + 3 * 8192);
    put_all(spool, 1, 3, 8000);
    assert_int_equal(stats_of(spool).dropped_batches, 0);
    put_all(spool, 4, 5, 8000);
    struct spool_stats stats = stats_of(spool);
    assert_int_equal(stats.dropped_batches, 2);
    assert_int_equal(stats.dropped_bytes, 16000);
    assert_int_equal(stats.waiting_batches, 3);
    assert_int_equal(stats.disk_bytes, 4096 + 3 * 8192);
    assert_false(exists(dir, "0000000000000000002.batch"));
    assert_oldest(spool, 3, 8000);
    put_all(spool, 6, 6, 8000); /* drops 3 while it is being sent */
    spool_done(spool, 3);
    assert_oldest(spool, 4, 8000);
    put_all(spool, 7, 7, 3 * 8192 - 1);
    assert_oldest(spool, 7, 3 * 8192 - 1);
}

static void a_limit_that_was_lowered_is_kept_from_the_start(void **state)
{
    struct temp_dir *dir = *state;
    struct spool *spool = open_spool(dir->path, BIG);
    put_all(spool, 1, 9, 4096);
    spool_free(&spool);
    spool = open_spool(dir->path, 3 * 4096);
    assert_int_equal(stats_of(spool).dropped_batches, 7);
    assert_oldest(spool, 8, 4096);
    spool_free(&spool);
    spool = open_spool(dir->path, 4096);
    assert_empty(spool);
    assert_int_equal(spool_last_seq(spool), 9);
    spool_free(&spool);
}

static void a_batch_that_can_never_fit_drops_nothing(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(spool_free) struct spool *spool = open_spool(dir->path, 65536);
    put_all(spool, 1, 2, 1000);
    struct err err;
    assert_int_equal(put(spool, 3, 65536, &err), -EFBIG);
    assert_string_equal(err.text, "a batch of 65536 bytes does not fit a spool of 65536");
    struct spool_stats stats = stats_of(spool);
    assert_int_equal(stats.put_failed, 1);
    assert_int_equal(stats.waiting_batches, 2);
    put_all(spool, 3, 3, 1000);
}

static void a_second_user_of_the_directory_is_refused(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(spool_free) struct spool *spool = open_spool(dir->path, BIG);
    pid_t pid = fork();
    if (pid == 0) {
        struct spool *second = NULL;
        struct err err = {0};
        int r = spool_open(dir->path, BIG, &second, &err);
        _exit(r == -EBUSY && strstr(err.text, "is in use by another process") ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    spool_free(&spool);
    spool = open_spool(dir->path, BIG);
}

static void write_file(struct temp_dir *dir, const char *name, const char *text)
{
    struct err err;
    if (fs_publish_at(dir->fd, name, text, strlen(text), 0600, &err) < 0)
        fail_msg("%s", err.text);
}

static void files_that_are_no_batches_are_moved_out_of_the_way(void **state)
{
    struct temp_dir *dir = *state;
    struct spool *spool = open_spool(dir->path, BIG);
    put_all(spool, 10, 10, 100);
    spool_free(&spool);
    write_file(dir, "0000000000000000001.batch", "");
    write_file(dir, "0000000000000000002.batch", "<html>no batch</html>");
    assert_int_equal(mkdirat(dir->fd, "0000000000000000003.batch", 0700), 0);
    assert_int_equal(symlinkat("/nowhere", dir->fd, "0000000000000000004.batch"), 0);
    assert_int_equal(mkfifoat(dir->fd, "0000000000000000005.batch", 0600), 0);
    spool = open_spool(dir->path, BIG);
    assert_oldest(spool, 10, 100);
    struct spool_stats stats = stats_of(spool);
    assert_int_equal(stats.moved_aside, 5);
    assert_int_equal(stats.bad_batches, 5);
    assert_int_equal(stats.waiting_batches, 1);
    assert_true(exists(dir, "bad-0000000000000000002.batch"));
    assert_true(exists(dir, "bad-0000000000000000005.batch"));
    spool_free(&spool);
}

static void a_batch_that_vanished_does_not_block_the_queue(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(spool_free) struct spool *spool = open_spool(dir->path, BIG);
    put_all(spool, 1, 2, 100);
    assert_int_equal(unlinkat(dir->fd, "0000000000000000001.batch", 0), 0);
    assert_oldest(spool, 2, 100);
    assert_int_equal(stats_of(spool).waiting_bytes, 100);
}

static void files_of_others_are_left_alone(void **state)
{
    struct temp_dir *dir = *state;
    static const char *const names[] = {
        "README",
        "1.batch",
        "000000000000000000x.batch",
        "0000000000000000000.batch",
        "9999999999999999999.batch",
        "00000000000000000001.batch",
        "0000000000000000001.batch~",
        ".0000000000000000001.batch.tmp~",
        "bad-thing",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        write_file(dir, names[i], "PFLM, but not ours");
    assert_int_equal(mkdirat(dir->fd, "lost+found", 0700), 0);
    _cleanup_(spool_free) struct spool *spool = open_spool(dir->path, BIG);
    assert_empty(spool);
    assert_int_equal(spool_last_seq(spool), 0);
    put_all(spool, 1, 1, 100);
    assert_oldest(spool, 1, 100);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_true(exists(dir, names[i]));
}

static void half_written_files_are_removed_at_open(void **state)
{
    struct temp_dir *dir = *state;
    write_file(dir, ".0000000000000000007.batch.tmp", "PFLM");
    _cleanup_(spool_free) struct spool *spool = open_spool(dir->path, BIG);
    assert_false(exists(dir, ".0000000000000000007.batch.tmp"));
    assert_empty(spool);
}

static void refused_batches_are_kept_to_be_looked_at_but_not_all(void **state)
{
    struct temp_dir *dir = *state;
    struct spool *spool = open_spool(dir->path, BIG);
    put_all(spool, 1, SPOOL_MAX_BAD + 3, 100);
    for (uint64_t seq = 1; seq <= SPOOL_MAX_BAD + 2; seq++) {
        assert_oldest(spool, seq, 100);
        spool_reject(spool, seq, "samples.cpu[7] is odd");
    }
    assert_int_equal(stats_of(spool).bad_batches, SPOOL_MAX_BAD);
    assert_int_equal(stats_of(spool).moved_aside, SPOOL_MAX_BAD + 2);
    assert_false(exists(dir, "bad-0000000000000000002.batch"));
    assert_true(exists(dir, "bad-0000000000000000003.batch"));
    spool_free(&spool);
    /* They are the first to go when room is needed. */
    spool = open_spool(dir->path, 4096 * (SPOOL_MAX_BAD + 2));
    assert_int_equal(stats_of(spool).bad_batches, SPOOL_MAX_BAD);
    put_all(spool, 100, 100, 3 * 4096);
    assert_int_equal(stats_of(spool).bad_batches, SPOOL_MAX_BAD - 3);
    assert_int_equal(stats_of(spool).dropped_batches, 0);
    assert_oldest(spool, SPOOL_MAX_BAD + 3, 100);
    spool_free(&spool);
}

static void a_lock_file_of_nonsense_counts_as_none(void **state)
{
    struct temp_dir *dir = *state;
    static const char *const texts[] = {"9999999999999999999\n", "hello", "-000000000000000001\n",
                                        "0000000000000000001 \n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        write_file(dir, "lock", texts[i]);
        struct spool *spool = open_spool(dir->path, BIG);
        assert_int_equal(spool_last_seq(spool), 0);
        spool_free(&spool);
    }
}

struct pair {
    struct spool *spool;
    uint64_t count;
};

static void *put_many(void *ctx)
{
    struct pair *p = ctx;
    for (uint64_t seq = 1; seq <= p->count; seq++)
        if (put(p->spool, seq, 1000 + seq, NULL) < 0)
            return ctx;
    return NULL;
}

static void one_thread_may_put_while_another_takes(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(spool_free) struct spool *spool = open_spool(dir->path, BIG);
    struct pair p = {spool, 200};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, put_many, &p), 0);
    _cleanup_(buf_free) struct buf buf = {0};
    for (uint64_t want = 1; want <= p.count;) {
        uint64_t seq;
        int r = spool_oldest(spool, &buf, &seq, NULL);
        if (r == -ENODATA) {
            sched_yield();
            continue;
        }
        assert_int_equal(r, 0);
        assert_int_equal(seq, want);
        assert_int_equal(buf.len, 1000 + seq);
        spool_done(spool, want++);
    }
    void *failed;
    pthread_join(thread, &failed);
    assert_null(failed);
    assert_int_equal(stats_of(spool).disk_bytes, 4096);
}

/* The putter drops what the taker is reading: whole batches come out, each number once, rising. */
static void dropping_under_the_takers_hands_is_safe(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(spool_free) struct spool *spool = open_spool(dir->path, 4096 * 4);
    struct pair p = {spool, 300};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, put_many, &p), 0);
    _cleanup_(buf_free) struct buf buf = {0};
    uint64_t last = 0, taken = 0;
    while (last < p.count) {
        uint64_t seq;
        int r = spool_oldest(spool, &buf, &seq, NULL);
        if (r == -ENODATA) {
            sched_yield();
            continue;
        }
        assert_int_equal(r, 0);
        assert_true(seq > last);
        assert_int_equal(buf.len, 1000 + seq);
        assert_int_equal(buf.data[buf.len - 1], (uint8_t)(seq * 37));
        spool_done(spool, seq);
        last = seq;
        taken++;
    }
    void *failed;
    pthread_join(thread, &failed);
    assert_null(failed);
    struct spool_stats stats = stats_of(spool);
    assert_true(taken + stats.dropped_batches >= p.count);
    assert_int_equal(stats.moved_aside, 0);
    assert_int_equal(stats.waiting_batches, 0);
}

/* A file system of our own, in a mount namespace that goes with this process. */
static bool mount_small(const char *path)
{
    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return false;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", path, "tmpfs", 0, "size=64k") == 0;
}

static void a_full_disk_loses_the_new_batch_and_no_other(void **state)
{
    struct temp_dir *dir = *state;
    char path[PATH_MAX + 8];
    snprintf(path, sizeof(path), "%s/small", dir->path);
    assert_int_equal(mkdir(path, 0700), 0);
    if (!mount_small(path)) {
        print_message("# mounting a tmpfs is not allowed here\n");
        skip();
    }
    struct spool *spool = open_spool(path, BIG);
    put_all(spool, 1, 3, 16000);
    struct err err;
    assert_int_equal(put(spool, 4, 20000, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "No space left on device"));
    struct spool_stats stats = stats_of(spool);
    assert_int_equal(stats.put_failed, 1);
    assert_int_equal(stats.waiting_batches, 3);
    assert_int_equal(stats.dropped_batches, 0);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_oldest(spool, seq, 16000);
        spool_done(spool, seq);
    }
    put_all(spool, 4, 4, 20000);
    spool_free(&spool);
    spool = open_spool(path, BIG);
    assert_oldest(spool, 4, 20000);
    spool_free(&spool);
    assert_int_equal(umount2(path, MNT_DETACH), 0);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERR);
    const struct CMUnitTest tests[] = {
        IN_A_TEMP_DIR(batches_come_out_in_the_order_they_went_in),
        IN_A_TEMP_DIR(the_next_process_finds_what_the_last_one_left),
        IN_A_TEMP_DIR(the_last_number_outlives_its_batch),
        IN_A_TEMP_DIR(the_oldest_make_room),
        IN_A_TEMP_DIR(a_limit_that_was_lowered_is_kept_from_the_start),
        IN_A_TEMP_DIR(a_batch_that_can_never_fit_drops_nothing),
        IN_A_TEMP_DIR(a_second_user_of_the_directory_is_refused),
        IN_A_TEMP_DIR(files_that_are_no_batches_are_moved_out_of_the_way),
        IN_A_TEMP_DIR(a_batch_that_vanished_does_not_block_the_queue),
        IN_A_TEMP_DIR(files_of_others_are_left_alone),
        IN_A_TEMP_DIR(half_written_files_are_removed_at_open),
        IN_A_TEMP_DIR(refused_batches_are_kept_to_be_looked_at_but_not_all),
        IN_A_TEMP_DIR(a_lock_file_of_nonsense_counts_as_none),
        IN_A_TEMP_DIR(one_thread_may_put_while_another_takes),
        IN_A_TEMP_DIR(dropping_under_the_takers_hands_is_safe),
        IN_A_TEMP_DIR(a_full_disk_loses_the_new_batch_and_no_other), /* last: it unshares */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
