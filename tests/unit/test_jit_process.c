/* test_jit_process.c: what a process's JIT writes is found where the process sees it, and believed
 * only if it is the process's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/jit_process.h"
#include "agent/proc_status.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/jit_index.h"
#include "temp_dir.h"

/* ---- /proc/PID/status */

static void a_status_tells_numbers_users_and_signals(void **state)
{
    (void)state;
    static const char text[] = "Name:\tjava\nState:\tS (sleeping)\nPid:\t812\nNSpid:\t812\t40\t7\n"
                               "Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nSigCgt:\t0000000181005ccf\n";
    struct proc_status s;
    assert_int_equal(proc_status_parse(text, sizeof(text) - 1, &s), 0);
    assert_int_equal(s.pid_count, 3);
    assert_int_equal(s.pids[0], 812);
    assert_int_equal(s.pids[2], 7);
    assert_int_equal(s.euid, 2);
    assert_int_equal(s.egid, 6);
    assert_int_equal(s.caught, 0x181005ccf);
    assert_int_equal(s.state, 'S');
}

static void a_status_without_its_lines_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "State:\tS\nUid:\t1\t2\nGid:\t1\t2\n",
                                        "Uid:\t1\t2\nGid:\t1\t2\nSigCgt:\t0\n",
                                        "State:\tS\nUid:\t1\nGid:\t1\t2\nSigCgt:\t0\n",
                                        "State:\tS\nUid:\t1\t2\nGid:\t1\t2\nSigCgt:\t0"};
    struct proc_status s;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(proc_status_parse(texts[i], strlen(texts[i]), &s), -EBADMSG);
}

/* ---- files below a root */

static void put(int dir, const char *path, const char *text)
{
    _cleanup_close_ int fd = openat(dir, path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
}

static void links_lead_below_the_root(void **state)
{
    struct temp_dir *t = *state;
    assert_int_equal(mkdirat(t->fd, "root", 0755), 0);
    assert_int_equal(mkdirat(t->fd, "root/real", 0755), 0);
    put(t->fd, "secret", "outside");
    put(t->fd, "root/real/file", "inside");
    assert_int_equal(symlinkat("/real", t->fd, "root/tmp"), 0);
    assert_int_equal(symlinkat("../secret", t->fd, "root/out"), 0);
    assert_int_equal(symlinkat("/real/file", t->fd, "root/real/link"), 0);
    assert_int_equal(mkfifoat(t->fd, "root/real/fifo", 0644), 0);
    _cleanup_close_ int root = openat(t->fd, "root", O_PATH | O_DIRECTORY);
    _cleanup_close_ int file = fs_open_in_root(root, "tmp/file", O_RDONLY | O_NOFOLLOW);
    assert_true(file >= 0);
    _cleanup_close_ int fifo =
        fs_open_in_root(root, "real/fifo", O_RDONLY | O_NOFOLLOW); /* must not wait */
    assert_true(fifo >= 0);
    assert_int_equal(fs_open_in_root(root, "../secret", O_RDONLY | O_NOFOLLOW), -ENOENT);
    assert_int_equal(fs_open_in_root(root, "out", O_RDONLY | O_NOFOLLOW), -ELOOP);
    assert_int_equal(fs_open_in_root(root, "real/link", O_RDONLY | O_NOFOLLOW), -ELOOP);
    assert_int_equal(fs_open_in_root(root, "nothing", O_RDONLY | O_NOFOLLOW), -ENOENT);
}

/* ---- this process */

static struct jit_process *this_process(void)
{
    struct jit_process *p = NULL;
    struct err err = {0};
    if (jit_process_open(getpid(), 0, &p, &err) < 0 || jit_process_look(p, &err) < 0)
        fail_msg("%s", err.text);
    return p;
}

static void another_start_is_another_process(void **state)
{
    (void)state;
    struct jit_process *p = NULL;
    assert_int_equal(jit_process_open(getpid(), 1, &p, NULL), -ESRCH);
    assert_null(p);
}

/* A file in a directory that stands for its /tmp. */
static int open_map(const struct jit_process *p, const struct temp_dir *t)
{
    struct stat st;
    struct err err = {0};
    int fd = jit_process_open_map(p, t->fd, 7, &st, &err);
    assert_true(fd >= 0 || err.text[0]);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static void only_a_file_of_the_processs_own_is_believed(void **state)
{
    struct temp_dir *t = *state;
    _cleanup_(jit_process_free) struct jit_process *p = this_process();
    assert_int_equal(open_map(p, t), -ENOENT);
    put(t->fd, "perf-7.map", "1000 10 a\n");
    assert_int_equal(open_map(p, t), 0);
    assert_int_equal(linkat(t->fd, "perf-7.map", t->fd, "again", 0), 0);
    assert_int_equal(open_map(p, t), -EPERM);
    assert_int_equal(unlinkat(t->fd, "again", 0), 0);
    if (geteuid() == 0) {
        assert_int_equal(fchownat(t->fd, "perf-7.map", 4711, 4711, 0), 0);
        assert_int_equal(open_map(p, t), -EPERM);
        assert_int_equal(fchownat(t->fd, "perf-7.map", 0, 0, 0), 0);
    }
    const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(t->fd, "perf-7.map", long_ago, 0), 0);
    assert_int_equal(open_map(p, t), -EPERM);
    assert_int_equal(unlinkat(t->fd, "perf-7.map", 0), 0);
    assert_int_equal(symlinkat("elsewhere", t->fd, "perf-7.map"), 0);
    assert_int_equal(open_map(p, t), -ELOOP);
    assert_int_equal(unlinkat(t->fd, "perf-7.map", 0), 0);
    assert_int_equal(mkfifoat(t->fd, "perf-7.map", 0644), 0);
    assert_int_equal(open_map(p, t), -EPERM);
}

static void it_is_seen_who_writes_a_file(void **state)
{
    struct temp_dir *t = *state;
    _cleanup_(jit_process_free) struct jit_process *p = this_process();
    struct stat st;
    bool appends;
    _cleanup_close_ int fd = openat(t->fd, "map", O_CREAT | O_WRONLY | O_APPEND, 0644);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(jit_process_writes(p, &st, &appends));
    assert_true(appends);
    close(fd);
    fd = openat(t->fd, "map", O_RDONLY);
    assert_false(jit_process_writes(p, &st, &appends));
    close(fd);
    fd = openat(t->fd, "map", O_WRONLY);
    assert_true(jit_process_writes(p, &st, &appends));
    assert_false(appends);
}

/* The whole: a jitdump that this process maps. */
static void a_dump_that_is_mapped_executable_is_found(void **state)
{
    struct temp_dir *t = *state;
    static const uint32_t dump[] = {0x4a695444, 1,  40, 62, 0,     7, 0, 0, 0,      0, /* header */
                                    0,          59, 0,  0,  1,     1, 0, 0, 0x1000, 0,
                                    0x10,       0,  0,  0,  0x6261};
    _cleanup_close_ int fd = openat(t->fd, "jit-7.dump", O_CREAT | O_RDWR, 0644);
    assert_int_equal(fs_write_all(fd, dump, 99), 0);
    void *marker = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (marker == MAP_FAILED)
        skip(); /* a file system without execution */
    _cleanup_(jit_process_free) struct jit_process *p = this_process();
    _cleanup_(jit_index_free) struct jit_index *x = NULL;
    struct err err = {0};
    assert_int_equal(jit_index_new(1 << 20, &x, NULL), 0);
    assert_int_equal(jit_process_read(p, false, x, &err), 1);
    struct jit_code code;
    assert_true(jit_index_find(x, 0x1008, UINT64_MAX, UINT64_MAX, &code));
    assert_string_equal(code.name, "ab");
    munmap(marker, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_tells_numbers_users_and_signals),
        cmocka_unit_test(a_status_without_its_lines_is_refused),
        IN_A_TEMP_DIR(links_lead_below_the_root),
        cmocka_unit_test(another_start_is_another_process),
        IN_A_TEMP_DIR(only_a_file_of_the_processs_own_is_believed),
        IN_A_TEMP_DIR(it_is_seen_who_writes_a_file),
        IN_A_TEMP_DIR(a_dump_that_is_mapped_executable_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
