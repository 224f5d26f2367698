/* test_procfs.c: what /proc knows comes out as the records that were missed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/procfs.h"
#include "agent/record.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "temp_dir.h"

/* ---- a /proc of our own */

static void put_file(int root, const char *path, const char *text)
{
    char dir[128];
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
        mkdirat(root, dir, 0700);
    }
    _cleanup_close_ int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
}

/* stat(5) of proc: the name, the parent, and when it started, in clock ticks. */
static void put_stat(int root, unsigned pid, const char *name, unsigned ppid, unsigned long ticks)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "%u/stat", pid);
    snprintf(text, sizeof(text),
             "%u (%s) S %u 1 1 34816 1 4194560 7 0 -0 0 3 4 0 0 20 0 1 0 %lu 123 456 "
             "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n",
             pid, name, ppid, ticks);
    put_file(root, path, text);
}

static void put_exe(int root, unsigned pid, const char *target)
{
    char path[64];
    snprintf(path, sizeof(path), "%u/exe", pid);
    assert_int_equal(symlinkat(target, root, path), 0);
}

static void make_proc(int root)
{
    put_stat(root, 1, "init", 0, 100);
    put_file(root, "1/comm", "init\n");
    put_file(root, "1/maps", "400000-401000 r-xp 00001000 08:01 7 /sbin/init\n");
    put_exe(root, 1, "/sbin/init");

    put_stat(root, 2, "kthreadd", 0, 0);
    put_file(root, "2/comm", "kthreadd\n");
    put_file(root, "2/maps", "");

    put_stat(root, 42, "odd) R 9 (name", 1, 250);
    put_file(root, "42/comm", "odd) R 9 (name\n");
    put_file(root, "42/maps",
             "1000-2000 r-xp 00002000 08:01 10 /lib/ld.so\n"
             "this is no line\n"
             "3000-4000 rw-p 00000000 08:01 11 /bin/odd name (deleted)\n"
             "400000-405000 r-xp 00003000 08:01 11 /bin/odd name (deleted)\n"
             "500000-501000 rwxp 00000000 00:00 0 \n"
             "600000-602000 r-xp 00000000 00:00 0 [vdso]\n"
             "700000-701000 r-xp 00000000 08:01 12 /lib/a\\012b.so\n");
    put_exe(root, 42, "/bin/odd name (deleted)");
    put_file(root, "42/task/42/comm", "odd) R 9 (name\n");
    put_file(root, "42/task/43/comm", "worker\n");
    put_file(root, "42/task/junk/comm", "none\n");

    put_file(root, "self", "no directory");
    put_file(root, "99999999999/stat", "no pid");
    put_file(root, "77/comm", "gone while it was read\n"); /* no stat */
    put_file(root, "78/stat", "78 no parentheses");
    put_file(root, "79/stat", "79 (short) S 1 1");
    put_file(root, "12x/stat", "12 (x) S 1 1");
}

/* A record a line, without times; the order of processes is the directory's. */
struct told {
    struct buf text;
    uint64_t start_of[256];
    int stop_after, count;
};

static int tell(void *ctx, const struct record *r)
{
    struct told *t = ctx;
    switch (r->kind) {
    case RECORD_FORK:
        buf_printf(&t->text, "FORK %u/%u of %u\n", r->pid, r->tid, r->task.ppid);
        if (r->pid == r->tid && r->pid < ARRAY_LEN(t->start_of))
            t->start_of[r->pid] = r->time;
        break;
    case RECORD_COMM:
        buf_printf(&t->text, "COMM %u/%u %s%s\n", r->pid, r->tid, r->comm.name,
                   r->comm.exec ? " exec" : "");
        break;
    case RECORD_MMAP:
        buf_printf(&t->text, "MMAP %u %lx+%lx at %lx %u:%u %lu %s\n", r->pid,
                   (unsigned long)r->mmap.start, (unsigned long)r->mmap.len,
                   (unsigned long)r->mmap.file_offset, r->mmap.major, r->mmap.minor,
                   (unsigned long)r->mmap.inode, r->mmap.path);
        assert_true(r->mmap.prot & PROT_EXEC);
        break;
    default:
        fail_msg("a record of kind %d", r->kind);
    }
    return ++t->count == t->stop_after ? 77 : 0;
}

static void told_free(struct told *t)
{
    buf_free(&t->text);
}

static void a_process_is_told_whole_with_its_program_first(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(told_free) struct told told = {0};
    make_proc(dir->fd);
    assert_int_equal(procfs_scan_process(dir->fd, 42, tell, &told, NULL), 0);
    assert_string_equal((char *)told.text.data,
                        "FORK 42/42 of 1\n"
                        "COMM 42/42 odd) R 9 (name exec\n"
                        "MMAP 42 400000+5000 at 3000 8:1 11 /bin/odd name (deleted)\n"
                        "MMAP 42 1000+1000 at 2000 8:1 10 /lib/ld.so\n"
                        "MMAP 42 500000+1000 at 500000 0:0 0 //anon\n"
                        "MMAP 42 600000+2000 at 0 0:0 0 [vdso]\n"
                        "MMAP 42 700000+1000 at 0 8:1 12 /lib/a\nb.so\n"
                        "FORK 42/43 of 42\n"
                        "COMM 42/43 worker\n");
}

static void a_kernel_thread_has_a_name_and_no_mappings(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(told_free) struct told told = {0};
    make_proc(dir->fd);
    assert_int_equal(procfs_scan_process(dir->fd, 2, tell, &told, NULL), 0);
    assert_string_equal((char *)told.text.data, "FORK 2/2 of 0\nCOMM 2/2 kthreadd exec\n");
    assert_true(told.start_of[2] > 0); /* though it started at tick 0: 0 means unknown */
}

static void starts_are_as_far_apart_as_their_clock_ticks(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(told_free) struct told told = {0};
    put_stat(dir->fd, 10, "later", 1, 1000000007);
    put_stat(dir->fd, 11, "earlier", 1, 1000000000);
    put_file(dir->fd, "10/comm", "later\n");
    put_file(dir->fd, "11/comm", "earlier\n");
    assert_int_equal(procfs_scan(dir->fd, tell, &told, NULL), 0);
    assert_int_equal(told.start_of[10] - told.start_of[11], 7 * NS_PER_SEC / sysconf(_SC_CLK_TCK));
}

static void a_scan_tells_all_that_can_be_read_and_passes_over_the_rest(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(told_free) struct told told = {0};
    struct err err = {0};
    make_proc(dir->fd);
    if (procfs_scan(dir->fd, tell, &told, &err) < 0)
        fail_msg("%s", err.text);
    const char *text = (const char *)told.text.data;
    assert_non_null(
        strstr(text, "COMM 1/1 init exec\nMMAP 1 400000+1000 at 1000 8:1 7 /sbin/init"));
    assert_non_null(strstr(text, "COMM 2/2 kthreadd exec\n"));
    assert_non_null(strstr(text, "COMM 42/43 worker\n"));
    assert_int_equal(told.count, 3 + 2 + 9);
}

static void a_caller_that_stops_gets_its_answer_back(void **state)
{
    struct temp_dir *dir = *state;
    make_proc(dir->fd);
    for (int n = 1; n < 10; n++) {
        _cleanup_(told_free) struct told told = {.stop_after = n};
        assert_int_equal(procfs_scan_process(dir->fd, 42, tell, &told, NULL), 77);
        assert_int_equal(told.count, n);
        told.count = 0;
        assert_int_equal(procfs_scan(dir->fd, tell, &told, NULL), 77);
        assert_int_equal(told.count, n);
    }
}

static void only_mappings_are_told_when_they_alone_are_asked_for(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(told_free) struct told told = {0};
    make_proc(dir->fd);
    assert_int_equal(procfs_scan_maps(dir->fd, 1, tell, &told, NULL), 0);
    assert_string_equal((char *)told.text.data, "MMAP 1 400000+1000 at 1000 8:1 7 /sbin/init\n");
}

static void a_process_that_is_gone_is_refused(void **state)
{
    struct temp_dir *dir = *state;
    _cleanup_(told_free) struct told told = {0};
    struct err err = {0};
    make_proc(dir->fd);
    assert_int_equal(procfs_scan_process(dir->fd, 5, tell, &told, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/proc/5"));
    assert_int_equal(procfs_scan_process(dir->fd, 77, tell, &told, NULL), -ENOENT);
    assert_int_equal(procfs_scan_maps(dir->fd, 5, tell, &told, NULL), -ENOENT);
    assert_int_equal(procfs_scan_process(dir->fd, 78, tell, &told, NULL), -EBADMSG);
    assert_int_equal(told.count, 0);
    assert_true(procfs_scan(-1, tell, &told, &err) < 0);
}

static void *wait_for_unlock(void *arg)
{
    pthread_setname_np(pthread_self(), "a second one");
    pthread_barrier_wait(arg);
    pthread_barrier_wait(arg);
    return NULL;
}

/* This very process, out of the real /proc. */
static void the_kernels_own_proc_tells_of_this_process(void **state)
{
    _cleanup_(told_free) struct told told = {0};
    pthread_barrier_t barrier;
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_unlock, &barrier), 0);
    pthread_barrier_wait(&barrier);
    _cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = procfs_scan_process(proc, getpid(), tell, &told, NULL);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    assert_int_equal(r, 0);
    char expect[PATH_MAX + 64], exe[PATH_MAX] = "";
    snprintf(expect, sizeof(expect), "FORK %d/%d of %d\nCOMM %d/%d %.15s exec\nMMAP %d ", getpid(),
             getpid(), getppid(), getpid(), getpid(), program_invocation_short_name, getpid());
    assert_memory_equal(told.text.data, expect, strlen(expect));
    const char *text = (const char *)told.text.data, *first_map = strstr(text, "MMAP ");
    assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
    const char *end = strchr(first_map, '\n');
    assert_true((size_t)(end - first_map) > strlen(exe));
    assert_memory_equal(end - strlen(exe), exe, strlen(exe));
    assert_non_null(strstr(text, " [vdso]\n"));
    snprintf(expect, sizeof(expect), " a second one\n");
    assert_non_null(strstr(text, expect));
}

static void every_process_of_this_machine_can_be_scanned(void **state)
{
    _cleanup_(told_free) struct told told = {0};
    _cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err err = {0};
    if (procfs_scan(proc, tell, &told, &err) != 0)
        fail_msg("%s", err.text);
    char expect[64];
    snprintf(expect, sizeof(expect), "FORK %d/%d of %d\n", getpid(), getpid(), getppid());
    assert_non_null(strstr((char *)told.text.data, expect));
}

static void numbers_are_listed_and_nothing_else(void **state)
{
    const struct temp_dir *proc = *state;
    make_proc(proc->fd);
    uint32_t *numbers = NULL;
    size_t room = 0;
    ssize_t n = procfs_list(proc->fd, ".", &numbers, &room);
    uint64_t sum = 0;
    for (ssize_t i = 0; i < n; i++)
        sum += numbers[i];
    assert_int_equal(n, 6);
    assert_int_equal(sum, 1 + 2 + 42 + 77 + 78 + 79);
    assert_int_equal(procfs_list(proc->fd, "42/task", &numbers, &room), 2);
    assert_int_equal(numbers[0] + numbers[1], 42 + 43);
    assert_int_equal(procfs_list(proc->fd, "43/task", &numbers, &room), -ENOENT);
    free(numbers);
}

static void a_threads_start_and_its_processs_parent_are_read(void **state)
{
    const struct temp_dir *proc = *state;
    put_file(proc->fd, "42/task/43/stat",
             "43 (a) b) S 7 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1000 0 0 0 0 0 0 0 0\n");
    put_file(proc->fd, "42/task/44/stat", "44 (a");
    uint32_t ppid = 0;
    uint64_t start = 0;
    assert_int_equal(procfs_read_start(proc->fd, 42, 43, &ppid, &start), 0);
    assert_int_equal(ppid, 7);
    int64_t boot_to_monotonic = clock_ns(CLOCK_MONOTONIC) - clock_ns(CLOCK_BOOTTIME);
    int64_t ticks = 1000 * (NS_PER_SEC / sysconf(_SC_CLK_TCK));
    int64_t expect = ticks + boot_to_monotonic;
    assert_in_range(llabs((int64_t)start - (expect > 0 ? expect : 1)), 0, NS_PER_MS);
    assert_int_equal(procfs_read_start(proc->fd, 42, 44, &ppid, &start), -EBADMSG);
    assert_int_equal(procfs_read_start(proc->fd, 42, 45, &ppid, &start), -ENOENT);
    assert_int_equal(ppid, 7);
    assert_int_equal(procfs_read_start(AT_FDCWD, 42, 43, &ppid, &start), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_TEMP_DIR(a_process_is_told_whole_with_its_program_first),
        IN_A_TEMP_DIR(a_kernel_thread_has_a_name_and_no_mappings),
        IN_A_TEMP_DIR(starts_are_as_far_apart_as_their_clock_ticks),
        IN_A_TEMP_DIR(a_scan_tells_all_that_can_be_read_and_passes_over_the_rest),
        IN_A_TEMP_DIR(a_caller_that_stops_gets_its_answer_back),
        IN_A_TEMP_DIR(only_mappings_are_told_when_they_alone_are_asked_for),
        IN_A_TEMP_DIR(a_process_that_is_gone_is_refused),
        IN_A_TEMP_DIR(numbers_are_listed_and_nothing_else),
        IN_A_TEMP_DIR(a_threads_start_and_its_processs_parent_are_read),
        cmocka_unit_test(the_kernels_own_proc_tells_of_this_process),
        cmocka_unit_test(every_process_of_this_machine_can_be_scanned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
