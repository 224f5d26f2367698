/* test_peek.c: memory of other processes is read at once or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/counters.h"
#include "agent/peek.h"
#include "base/clock.h"

#define PAGE 4096u

static struct counters counters;
static uint8_t got[PEEK_MAX];

static struct peek *start(void)
{
    struct peek *p = NULL;
    memset(&counters, 0, sizeof(counters));
    assert_int_equal(peek_start(&counters, &p, NULL), 0);
    return p;
}

static uint8_t *map(size_t pages)
{
    uint8_t *at =
        mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    return at;
}

static size_t read_once(struct peek *p, pid_t pid, const void *at, size_t len)
{
    memset(got, 0, sizeof(got));
    return peek_read(p, pid, (uint64_t)(uintptr_t)at, got, len);
}

/* On a busy machine the reader may be late: then again, once it is back. */
static size_t read_at(struct peek *p, pid_t pid, const void *at, size_t len)
{
    for (;;) {
        uint64_t late = counters.peeks_late, asked = counters.peeks;
        size_t n = read_once(p, pid, at, len);
        if (n || (counters.peeks > asked && counters.peeks_late == late))
            return n;
        usleep(20000);
    }
}

/* A child with our memory, which waits to be killed. */
static pid_t start_child(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (;;)
            pause();
    }
    return pid;
}

static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void the_memory_of_another_process_is_read(void **state)
{
    struct peek *p = start();
    uint8_t *at = map(3);
    for (size_t i = 0; i < 3 * PAGE; i++)
        at[i] = (uint8_t)(i * 7 + i / 256);
    pid_t child = start_child();
    assert_int_equal(read_at(p, child, at + 5, 2 * PAGE + 100), 2 * PAGE + 100);
    assert_memory_equal(got, at + 5, 2 * PAGE + 100);
    end_child(child);
    munmap(at, 3 * PAGE);
    peek_stop(&p);
}

static void a_piece_ends_where_nothing_is_mapped(void **state)
{
    struct peek *p = start();
    uint8_t *at = map(3);
    memset(at, 0x5a, 3 * PAGE);
    munmap(at + 2 * PAGE, PAGE);
    assert_int_equal(read_at(p, getpid(), at + 10, 3 * PAGE - 10), 2 * PAGE - 10);
    assert_int_equal(got[2 * PAGE - 11], 0x5a);
    assert_int_equal(read_at(p, getpid(), at + 2 * PAGE, 8), 0);
    munmap(at, 2 * PAGE);
    peek_stop(&p);
}

static void the_largest_piece_is_read_whole(void **state)
{
    struct peek *p = start();
    uint8_t *at = map(PEEK_MAX / PAGE + 1);
    memset(at, 0xa5, PEEK_MAX + PAGE);
    assert_int_equal(read_at(p, getpid(), at + 1, PEEK_MAX), PEEK_MAX);
    assert_int_equal(got[PEEK_MAX - 1], 0xa5);
    munmap(at, PEEK_MAX + PAGE);
    peek_stop(&p);
}

static void a_process_that_is_gone_has_nothing(void **state)
{
    struct peek *p = start();
    pid_t child = start_child();
    end_child(child);
    assert_int_equal(read_at(p, child, got, 8), 0);
    peek_stop(&p);
}

/* Pages of `at` come when somebody answers, and nobody does. -1: userfaultfd(2) is not allowed. */
static int hang(void *at, size_t len)
{
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register r = {.range = {(uintptr_t)at, len},
                                .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (fd >= 0 && (ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &r) < 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void a_page_that_never_comes_holds_nobody_up(void **state)
{
    struct peek *p = start();
    uint8_t *good = map(1), *bad = map(1);
    good[0] = 42;
    int fd = hang(bad, PAGE);
    if (fd < 0) {
        peek_stop(&p);
        skip();
    }
    int64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    assert_int_equal(read_once(p, getpid(), bad, 8), 0);
    assert_in_range(clock_ns(CLOCK_MONOTONIC) - start_ns, 0, NS_PER_SEC);
    assert_int_equal(counters.peeks_late, 1);
    assert_int_equal(read_at(p, getpid(), good, 8), 8);
    assert_int_equal(got[0], 42);
    /* Every reader that is left behind costs a thread; there are not many. */
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(read_once(p, getpid(), bad, 8), 0);
    assert_in_range(counters.peeks_late, 4, 10);
    assert_int_equal(read_once(p, getpid(), good, 8), 0);
    /* They come back when the page does, and reading goes on. */
    close(fd);
    assert_int_equal(read_at(p, getpid(), good, 8), 8);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(read_at(p, getpid(), bad, 8), 8);
    munmap(good, PAGE);
    munmap(bad, PAGE);
    peek_stop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_memory_of_another_process_is_read),
        cmocka_unit_test(a_piece_ends_where_nothing_is_mapped),
        cmocka_unit_test(the_largest_piece_is_read_whole),
        cmocka_unit_test(a_process_that_is_gone_has_nothing),
        cmocka_unit_test(a_page_that_never_comes_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
