/* test_store_damage.c: a file that is cut, overwritten or full costs what was in it and nothing
 * else. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "store_kit.h"

#define DAY_NS   (86400 * NS_PER_SEC)
#define FIRST_NS (20717 * DAY_NS + 3600 * NS_PER_SEC) /* 2026-09-21 01:00 */
#define FIRST_DB "2026-09-21.db"

/* ---- two days: the first is damaged, the second must not suffer */

struct two_days {
    uint64_t first, second;
};

static uint64_t ingest_random(struct kit *kit, uint64_t seq, int64_t start_ns)
{
    struct batch *b = kit_random_batch(seq, seq, start_ns);
    uint64_t samples = kit_batch_samples(b);
    assert_false(kit_ingest(kit, b));
    kit_batch_free(&b);
    return samples;
}

static struct two_days fill_two_days(struct kit *kit)
{
    struct two_days sums = {0};
    for (uint64_t i = 0; i < 20; i++) {
        sums.first += ingest_random(kit, 100 + i, FIRST_NS + (int64_t)i * 30 * NS_PER_SEC);
        sums.second += ingest_random(kit, 200 + i, FIRST_NS + DAY_NS + (int64_t)i * NS_PER_SEC);
    }
    return sums;
}

static uint64_t samples_of_day(struct kit *kit, int64_t day)
{
    struct store_query q = kit_query();
    q.start_ms = (FIRST_NS / DAY_NS + day) * DAY_NS / NS_PER_MS;
    q.end_ms = q.start_ms + DAY_NS / NS_PER_MS;
    kit_group(&q, "process");
    return kit_sum(kit, &q).samples;
}

static int open_file(struct kit *kit, const char *name, int flags)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/%s", kit->dir, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        fail_msg("%s: %s", path, strerror(errno));
    return fd;
}

static size_t count_files(struct kit *kit, const char *with)
{
    DIR *dir = opendir(kit->dir);
    size_t count = 0;
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        count += strstr(e->d_name, with) != NULL;
    closedir(dir);
    return count;
}

/* The damaged day starts anew, the other is as it was. */
static void expect_fresh_first_day(struct kit *kit, const struct two_days *sums)
{
    kit_open(kit);
    assert_int_equal(count_files(kit, FIRST_DB ".aside-"), 1);
    assert_int_equal(samples_of_day(kit, 0), 0);
    assert_int_equal(samples_of_day(kit, 1), sums->second);
    uint64_t more = ingest_random(kit, 1000, FIRST_NS);
    assert_int_equal(samples_of_day(kit, 0), more);
    kit_reopen(kit);
    assert_int_equal(samples_of_day(kit, 0), more);
    assert_int_equal(samples_of_day(kit, 1), sums->second);
}

static void a_cut_file_is_set_aside(void **state)
{
    struct kit *kit = *state;
    struct two_days sums = fill_two_days(kit);
    struct stat st;
    kit_close(kit);
    int fd = open_file(kit, FIRST_DB, O_RDWR);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(ftruncate(fd, st.st_size / 2), 0);
    close(fd);
    expect_fresh_first_day(kit, &sums);
}

static void an_empty_file_is_set_aside(void **state)
{
    struct kit *kit = *state;
    struct two_days sums = fill_two_days(kit);
    kit_close(kit);
    close(open_file(kit, FIRST_DB, O_RDWR | O_TRUNC));
    expect_fresh_first_day(kit, &sums);
}

static void a_file_with_another_head_is_set_aside(void **state)
{
    struct kit *kit = *state;
    struct two_days sums = fill_two_days(kit);
    kit_close(kit);
    int fd = open_file(kit, FIRST_DB, O_RDWR);
    assert_int_equal(pwrite(fd, "no database, as one can see", 27, 0), 27);
    close(fd);
    expect_fresh_first_day(kit, &sums);
}

static void a_file_of_a_later_version_is_set_aside(void **state)
{
    struct kit *kit = *state;
    struct two_days sums = fill_two_days(kit);
    char path[4200];
    sqlite3 *db;
    kit_close(kit);
    snprintf(path, sizeof(path), "%s/" FIRST_DB, kit->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    expect_fresh_first_day(kit, &sums);
}

/* Pages are overwritten while the store has the file open. */
static void damage_at_any_place_costs_no_other_day(void **state)
{
    struct kit *kit = *state;
    uint64_t dice = 5;
    struct two_days sums = fill_two_days(kit);
    kit_reopen(kit); /* all is in the file, nothing in the WAL */
    for (uint64_t round = 0; round < 60; round++) {
        char junk[600];
        struct stat st;
        int fd = open_file(kit, FIRST_DB, O_RDWR | O_CREAT);
        assert_int_equal(fstat(fd, &st), 0);
        for (size_t i = 0; i < sizeof(junk); i++)
            junk[i] = (char)kit_dice(&dice, 256);
        if (st.st_size > 8192) {
            off_t at = 100 + kit_dice(&dice, (uint32_t)st.st_size - 1000);
            assert_true(pwrite(fd, junk, 1 + kit_dice(&dice, sizeof(junk)), at) > 0);
        }
        close(fd);
        if (round % 3 == 0)
            kit_reopen(kit);
        samples_of_day(kit, 0); /* some number */
        _cleanup_free_ char *folded =
            kit_folded(kit, &(struct store_query){.end_ms = INT64_MAX, .stacks = true});
        assert_non_null(folded);
        assert_int_equal(samples_of_day(kit, 1), sums.second);
        ingest_random(kit, 1000 + round, FIRST_NS);
        sums.second += ingest_random(kit, 2000 + round, FIRST_NS + DAY_NS);
    }
    assert_int_equal(samples_of_day(kit, 1), sums.second);
}

static void what_a_crash_left_is_cleared_up(void **state)
{
    struct kit *kit = *state;
    struct two_days sums = fill_two_days(kit);
    kit_close(kit);
    close(open_file(kit, ".2026-09-30.db.tmp", O_RDWR | O_CREAT));
    close(open_file(kit, ".2026-09-30.db.tmp-journal", O_RDWR | O_CREAT));
    close(open_file(kit, "2026-09-30.db-wal", O_RDWR | O_CREAT));
    close(open_file(kit, "2026-09-30.db-shm", O_RDWR | O_CREAT));
    close(open_file(kit, "notes.txt", O_RDWR | O_CREAT));
    kit_open(kit);
    assert_int_equal(count_files(kit, "2026-09-30"), 0);
    assert_int_equal(count_files(kit, "notes.txt"), 1);
    assert_int_equal(samples_of_day(kit, 0), sums.first);
    assert_int_equal(samples_of_day(kit, 1), sums.second);
}

/* ---- a full disk: a tiny tmpfs, in a child with namespaces of its own */

#define CHECK(condition)                                              \
    do {                                                              \
        if (!(condition)) {                                           \
            fprintf(stderr, "# line %d: " #condition "\n", __LINE__); \
            _exit(1);                                                 \
        }                                                             \
    } while (0)

static int mount_tiny(const char *dir, const char *size, unsigned long flags)
{
    return mount("tiny", dir, "tmpfs", flags, size);
}

static bool write_text(const char *path, const char *text)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* Mounts of our own: as root at once, as anyone else where user namespaces are allowed. */
static bool enter_namespace(void)
{
    char map[32];
    snprintf(map, sizeof(map), "0 %u 1", getuid());
    if (unshare(CLONE_NEWNS) < 0 &&
        (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !write_text("/proc/self/uid_map", map)))
        return false;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void fill_the_disk(const char *dir)
{
    struct kit kit = {.dir = dir};
    uint64_t sum = 0, seq = 1;
    struct err err = {0};
    bool duplicate;
    if (!enter_namespace() || mount_tiny(dir, "size=1m", 0) < 0)
        _exit(77);
    kit_open(&kit);
    struct batch *b = NULL;
    for (int r = 0; r == 0; seq++) {
        kit_batch_free(&b);
        b = kit_random_batch(seq, seq, FIRST_NS + (int64_t)seq * 30 * NS_PER_SEC);
        r = kit.store->ops->ingest(kit.store, b, &duplicate, &err);
        sum += r == 0 ? kit_batch_samples(b) : 0;
        CHECK(r == 0 || r == -ENOSPC);
        CHECK(seq < 5000);
    }
    CHECK(seq > 3 && strstr(err.text, FIRST_DB) && strstr(err.text, "full"));
    /* What was acknowledged can be read; the rest was not stored, not even in part. */
    CHECK(kit_samples(&kit) == sum);
    CHECK(kit.store->ops->ingest(kit.store, b, &duplicate, &err) == -ENOSPC);
    struct batch *other = kit_random_batch(1, 9999, FIRST_NS + 3 * DAY_NS);
    CHECK(kit.store->ops->ingest(kit.store, other, &duplicate, &err) == -ENOSPC);
    CHECK(kit_samples(&kit) == sum);
    /* With room again the same batches are stored, by the same store. */
    CHECK(mount_tiny(dir, "size=32m", MS_REMOUNT) == 0);
    CHECK(kit.store->ops->ingest(kit.store, b, &duplicate, &err) == 0 && !duplicate);
    CHECK(kit.store->ops->ingest(kit.store, other, &duplicate, &err) == 0 && !duplicate);
    sum += kit_batch_samples(b) + kit_batch_samples(other);
    CHECK(kit_samples(&kit) == sum);
    kit_reopen(&kit);
    CHECK(kit_samples(&kit) == sum);
    kit_close(&kit);
    _exit(0);
}

static void a_full_disk_is_said_and_harms_nothing(void **state)
{
    struct kit *kit = *state;
    int status;
    kit_close(kit);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        fill_the_disk(kit->dir);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("# no tmpfs can be mounted here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
        T(a_cut_file_is_set_aside),
        T(an_empty_file_is_set_aside),
        T(a_file_with_another_head_is_set_aside),
        T(a_file_of_a_later_version_is_set_aside),
        T(damage_at_any_place_costs_no_other_day),
        T(what_a_crash_left_is_cleared_up),
        T(a_full_disk_is_said_and_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
