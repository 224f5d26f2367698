/* test_spool_crash.c: a process is killed before and after each single system call it makes while
 * it uses a spool. The next one must find every batch that was put and not yet done, whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/spool.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "temp_dir.h"

#define LAST_SEQ    6
#define BATCH_BYTES 9000

/* Shared with the process that is killed: what it had been told, and what it was about to ask. */
struct progress {
    volatile uint64_t put;               /* spool_put of it returned 0 */
    volatile bool leaving[LAST_SEQ + 1]; /* done or rejected, perhaps */
    volatile bool left[LAST_SEQ + 1];    /* certainly */
    volatile bool finished;
};

static void fill(uint8_t *bytes, uint64_t seq)
{
    memset(bytes, (int)seq, BATCH_BYTES);
    memcpy(bytes, "PFLM", 4);
}

static void do_put(struct spool *spool, struct progress *p, uint64_t seq)
{
    uint8_t bytes[BATCH_BYTES];
    fill(bytes, seq);
    if (spool_put(spool, seq, bytes, sizeof(bytes), NULL) < 0)
        _exit(2);
    p->put = seq;
}

static void do_leave(struct spool *spool, struct progress *p, uint64_t seq, bool reject)
{
    p->leaving[seq] = true;
    if (reject)
        spool_reject(spool, seq, "a test");
    else
        spool_done(spool, seq);
    p->left[seq] = true;
}

/* Every kind of change a spool knows but dropping, which loses batches by design. */
static void use_spool(const char *dir, struct progress *p)
{
    struct spool *spool = NULL;
    if (spool_open(dir, 1u << 30, &spool, NULL) < 0)
        _exit(3);
    do_put(spool, p, 1);
    do_put(spool, p, 2);
    do_put(spool, p, 3);
    do_leave(spool, p, 1, false);
    do_leave(spool, p, 2, true);
    do_leave(spool, p, 3, false); /* the queue is empty now */
    do_put(spool, p, 4);
    do_put(spool, p, 5);
    do_leave(spool, p, 4, false);
    do_put(spool, p, LAST_SEQ);
    p->finished = true;
    _exit(0);
}

/* Runs use_spool and kills it at its `stops`th system call entry or exit. False: ptrace is refused.
 */
static bool run_until(const char *dir, struct progress *p, unsigned stops)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(77);
        raise(SIGSTOP);
        use_spool(dir, p);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        return false;
    for (unsigned n = 0; n < stops && WIFSTOPPED(status); n++) {
        assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    if (WIFSTOPPED(status)) {
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return true;
}

static void check_spool(const char *dir, const struct progress *p, unsigned stops)
{
    _cleanup_(spool_free) struct spool *spool = NULL;
    _cleanup_(buf_free) struct buf buf = {0};
    uint8_t want[BATCH_BYTES];
    bool found[LAST_SEQ + 2] = {0};
    uint64_t seq, before = 0;
    struct err err;
    if (spool_open(dir, 1u << 30, &spool, &err) < 0)
        fail_msg("killed at %u: %s", stops, err.text);
    uint64_t last = spool_last_seq(spool);
    while (spool_oldest(spool, &buf, &seq, &err) == 0) {
        assert_true(seq > before && seq <= LAST_SEQ && seq <= last);
        fill(want, seq);
        assert_int_equal(buf.len, sizeof(want));
        assert_memory_equal(buf.data, want, sizeof(want));
        found[seq] = true;
        before = seq;
        spool_done(spool, seq);
    }
    for (seq = 1; seq <= p->put; seq++)
        if (found[seq] ? p->left[seq] : !p->leaving[seq])
            fail_msg("killed at %u: batch %u %s", stops, (unsigned)seq,
                     found[seq] ? "is back" : "is lost");
    assert_true(last >= p->put && last <= p->put + 1);
    struct spool_stats stats;
    spool_read_stats(spool, &stats);
    assert_int_equal(stats.moved_aside, 0);
}

static void a_kill_at_any_system_call_loses_nothing(void **state)
{
    struct temp_dir *dir = *state;
    struct progress *p =
        mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    unsigned stops = 0;
    for (; !p->finished; stops++) {
        char path[PATH_MAX + 16];
        snprintf(path, sizeof(path), "%s/%u", dir->path, stops);
        memset(p, 0, sizeof(*p));
        if (!run_until(path, p, stops)) {
            print_message("# ptrace is not allowed here\n");
            skip();
        }
        check_spool(path, p, stops);
    }
    print_message("# killed at %u points\n", stops);
    assert_true(stops > 100);
    munmap(p, sizeof(*p));
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERR);
    /* A kill leaves the page cache as it is, so that no disk need take part. */
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    const struct CMUnitTest tests[] = {
        IN_A_TEMP_DIR(a_kill_at_any_system_call_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
