/* test_fs.c: small files are read whole or refused, and published whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"

struct dir {
    char path[PATH_MAX];
    int fd;
};

static int make_dir(void **state)
{
    static struct dir dir;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir.path, sizeof(dir.path), "%s/podflame-fs.XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir.path));
    dir.fd = open(dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir.fd >= 0);
    *state = &dir;
    return 0;
}

static int remove_dir(void **state)
{
    struct dir *dir = *state;
    static const char *const files[] = {"f", "fifo", ".f.tmp"};
    static const char *const dirs[] = {"a/b/c", "a/b", "a", "f"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        unlinkat(dir->fd, files[i], 0);
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        unlinkat(dir->fd, dirs[i], AT_REMOVEDIR);
    close(dir->fd);
    return rmdir(dir->path);
}

static void what_was_published_is_read_back(void **state)
{
    struct dir *dir = *state;
    struct err err;
    _cleanup_(buf_free) struct buf buf = {0};
    assert_int_equal(fs_publish_at(dir->fd, "f", "one", 3, 0600, &err), 0);
    assert_int_equal(fs_publish_at(dir->fd, "f", "second", 6, 0600, &err), 0);
    assert_int_equal(buf_puts(&buf, "before "), 0);
    assert_int_equal(fs_read_at(dir->fd, "f", 6, &buf, &err), 0);
    assert_string_equal((char *)buf.data, "before second");
    assert_int_equal(faccessat(dir->fd, ".f.tmp", F_OK, 0), -1);
    struct stat st;
    assert_int_equal(fstatat(dir->fd, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_file_over_the_limit_is_refused_and_the_buffer_unchanged(void **state)
{
    struct dir *dir = *state;
    struct err err;
    _cleanup_(buf_free) struct buf buf = {0};
    assert_int_equal(fs_publish_at(dir->fd, "f", "1234567", 7, 0600, &err), 0);
    assert_int_equal(buf_puts(&buf, "kept"), 0);
    assert_int_equal(fs_read_at(dir->fd, "f", 6, &buf, &err), -EFBIG);
    assert_string_equal(err.text, "f is larger than 6 bytes");
    assert_int_equal(buf.len, 4);
    assert_int_equal(fs_read_at(dir->fd, "f", 7, &buf, &err), 0);
    assert_int_equal(buf.len, 11);
}

static void a_proc_file_of_size_zero_is_read(void **state)
{
    struct err err;
    _cleanup_(buf_free) struct buf buf = {0};
    assert_int_equal(fs_read_at(AT_FDCWD, "/proc/self/stat", 65536, &buf, &err), 0);
    assert_true(buf.len > 20);
}

static void a_missing_file_is_named(void **state)
{
    struct dir *dir = *state;
    struct err err;
    _cleanup_(buf_free) struct buf buf = {0};
    assert_int_equal(fs_read_at(dir->fd, "f", 10, &buf, &err), -ENOENT);
    assert_string_equal(err.text, "opening f: No such file or directory");
}

static void a_fifo_does_not_hold_the_reader(void **state)
{
    struct dir *dir = *state;
    struct err err;
    _cleanup_(buf_free) struct buf buf = {0};
    assert_int_equal(mkfifoat(dir->fd, "fifo", 0600), 0);
    assert_int_equal(fs_read_at(dir->fd, "fifo", 10, &buf, &err), 0);
    assert_int_equal(buf.len, 0);
}

static void a_failed_publish_leaves_nothing_behind(void **state)
{
    struct dir *dir = *state;
    struct err err;
    assert_int_equal(mkdirat(dir->fd, "f", 0700), 0);
    assert_int_equal(fs_publish_at(dir->fd, "f", "x", 1, 0600, &err), -EISDIR);
    assert_string_equal(err.text, "writing f: Is a directory");
    assert_int_equal(faccessat(dir->fd, ".f.tmp", F_OK, 0), -1);
}

static void missing_directories_are_made_and_present_ones_kept(void **state)
{
    struct dir *dir = *state;
    struct err err;
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/a/b//c/", dir->path);
    assert_int_equal(fs_mkdir_p(path, 0700, &err), 0);
    assert_int_equal(fs_mkdir_p(path, 0700, &err), 0);
    assert_int_equal(faccessat(dir->fd, "a/b/c", X_OK, 0), 0);
}

static void a_file_in_a_directorys_place_is_an_error(void **state)
{
    struct dir *dir = *state;
    struct err err;
    char path[PATH_MAX + 16];
    assert_int_equal(fs_publish_at(dir->fd, "f", "x", 1, 0600, &err), 0);
    snprintf(path, sizeof(path), "%s/f", dir->path);
    assert_int_equal(fs_mkdir_p(path, 0700, &err), -ENOTDIR);
    snprintf(path, sizeof(path), "%s/f/below", dir->path);
    assert_int_equal(fs_mkdir_p(path, 0700, &err), -ENOTDIR);
    assert_int_equal(fs_mkdir_p("", 0700, &err), -EINVAL);
    assert_string_equal(err.text, "\"\" cannot be a directory's path");
}

#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_DIRECTORY(what_was_published_is_read_back),
        IN_A_DIRECTORY(a_file_over_the_limit_is_refused_and_the_buffer_unchanged),
        IN_A_DIRECTORY(a_proc_file_of_size_zero_is_read),
        IN_A_DIRECTORY(a_missing_file_is_named),
        IN_A_DIRECTORY(a_fifo_does_not_hold_the_reader),
        IN_A_DIRECTORY(a_failed_publish_leaves_nothing_behind),
        IN_A_DIRECTORY(missing_directories_are_made_and_present_ones_kept),
        IN_A_DIRECTORY(a_file_in_a_directorys_place_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
