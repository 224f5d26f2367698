/* test_worker.c: another process finds what this one would; whatever it does, the asker gets right
 * answers or an error, soon. This program is the worker too, and a bad one if BAD_WORKER is set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "inlined_code.h"
#include "symbol/chains.h"
#include "symbol/confine.h"
#include "symbol/worker.h"
#include "symbol/worker_format.h"

#define SOON_NS NS_PER_SEC

static int add(void *ctx, uint64_t address, uint64_t start, const struct symbol_frame *frames,
               size_t count)
{
    return chains_add(ctx, address, start, frames, count);
}

struct kit {
    struct worker *worker;
    struct chains *chains;
    int self;
};

static int set_up(void **state)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    if (!kit || worker_new("/proc/self/exe", &kit->worker, NULL) < 0 ||
        chains_new(&kit->chains) < 0)
        return -1;
    kit->self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    unsetenv("BAD_WORKER");
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    worker_free(&kit->worker);
    chains_free(&kit->chains);
    close(kit->self);
    free(kit);
    return 0;
}

static int ask(struct kit *kit, int fd, const uint64_t *addresses, size_t count, struct err *err)
{
    return worker_find_chains(kit->worker, fd, -1, addresses, count, SOON_NS,
                              clock_ns(CLOCK_MONOTONIC) + 10 * SOON_NS, add, kit->chains, err);
}

static bool has_answer(struct kit *kit, uint64_t address)
{
    const struct symbol_frame *frames;
    uint64_t start;
    uint32_t count;
    return chains_find(kit->chains, address, &start, &frames, &count);
}

static void a_worker_finds_what_is_inlined(void **state)
{
    struct kit *kit = *state;
    struct inlined_place places[INLINED_PLACES];
    size_t count = inlined_code_places(places);
    if (count == 0)
        skip();
    for (size_t i = 0; i < count; i++) { /* one process for several questions */
        struct err err = {0};
        if (ask(kit, kit->self, &places[i].address, 1, &err) < 0)
            fail_msg("%s", err.text);
    }
    const struct symbol_frame *frames;
    uint64_t start;
    uint32_t found;
    assert_true(chains_find(kit->chains, places[count - 1].address, &start, &frames, &found));
    assert_int_equal(found, 3);
    assert_int_equal(start, places[0].start);
    assert_string_equal(frames[2].name, "pf_inner");
    assert_int_equal(frames[2].line, places[count - 1].lines[2]);
    assert_int_equal(worker_started(kit->worker), 1);
    assert_int_equal(worker_failed(kit->worker), 0);
    int64_t cpu_ns = worker_cpu_ns(kit->worker);
    assert_true(cpu_ns > 0);
    worker_rest(kit->worker);
    assert_true(worker_cpu_ns(kit->worker) >= cpu_ns);
}

static void a_rested_worker_is_started_again(void **state)
{
    struct kit *kit = *state;
    const uint64_t address = 1;
    for (uint64_t i = 1; i < 4; i++) {
        ask(kit, kit->self, &address, 1, NULL);
        assert_int_equal(worker_started(kit->worker), i);
        worker_rest(kit->worker);
        worker_rest(kit->worker);
    }
    assert_int_equal(worker_failed(kit->worker), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* none is left */
}

static void a_file_without_dwarf_does_not_cost_the_worker(void **state)
{
    struct kit *kit = *state;
    _cleanup_close_ int fd = memfd_create("text", MFD_CLOEXEC);
    assert_int_equal(fs_write_all(fd, "#!/bin/sh\n", 10), 0);
    struct err err = {0};
    const uint64_t address = 1;
    assert_int_equal(ask(kit, fd, &address, 1, &err), -EBADMSG);
    assert_string_equal(err.text, "reading DWARF: Bad message");
    assert_int_equal(ask(kit, fd, &address, 1, &err), -EBADMSG);
    assert_int_equal(worker_started(kit->worker), 1);
    assert_int_equal(worker_failed(kit->worker), 0);
}

static void many_addresses_at_once_are_answered(void **state)
{
    struct kit *kit = *state;
    struct inlined_place places[INLINED_PLACES];
    if (inlined_code_places(places) == 0)
        skip();
    enum { COUNT = 60000 };
    _cleanup_free_ uint64_t *addresses = calloc(COUNT, sizeof(*addresses));
    assert_non_null(addresses);
    for (size_t i = 0; i < COUNT; i++)
        addresses[i] = i; /* the program begins at 0 or is not there: both are answers */
    struct err err = {0};
    int r = worker_find_chains(kit->worker, kit->self, -1, addresses, COUNT, 60 * NS_PER_SEC,
                               clock_ns(CLOCK_MONOTONIC) + 60 * NS_PER_SEC, add, kit->chains, &err);
    if (r < 0)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(has_answer(kit, addresses[i]));
}

/* What a bad worker does, and what its asker says. */
static const struct {
    const char *name;
    int error;
} bad_ways[] = {
    {"dies", -EPIPE},
    {"closes", -EPIPE},
    {"hangs", -ETIMEDOUT},
    {"lies", -EBADMSG},
    {"repeats", -EBADMSG},
    {"babbles", -EBADMSG},
    {"says too much", -EBADMSG},
    {"says half", -EPIPE},
};

static void whatever_a_worker_does_the_asker_goes_on(void **state)
{
    struct kit *kit = *state;
    const uint64_t addresses[] = {100, 200};
    for (size_t i = 0; i < ARRAY_LEN(bad_ways); i++) {
        struct err err = {0};
        setenv("BAD_WORKER", bad_ways[i].name, 1);
        int64_t begin = clock_ns(CLOCK_MONOTONIC);
        int r =
            worker_find_chains(kit->worker, kit->self, -1, addresses, 2, NS_PER_SEC,
                               clock_ns(CLOCK_MONOTONIC) + 100 * NS_PER_MS, add, kit->chains, &err);
        if (r != bad_ways[i].error)
            fail_msg("one that %s: %d, %s", bad_ways[i].name, r, err.text);
        assert_true(clock_ns(CLOCK_MONOTONIC) - begin < 20 * NS_PER_SEC);
        assert_int_equal(worker_failed(kit->worker), i + 1);
        assert_false(has_answer(kit, 200));
    }
    assert_true(has_answer(kit, 100)); /* said before it was said again */
    unsetenv("BAD_WORKER");
    struct inlined_place places[INLINED_PLACES];
    if (inlined_code_places(places))
        assert_int_equal(ask(kit, kit->self, &places[0].address, 1, NULL), 0);
}

static void a_program_that_is_not_there_is_an_error(void **state)
{
    struct kit *kit = *state;
    _cleanup_(worker_free) struct worker *worker = NULL;
    const uint64_t address = 1;
    struct err err = {0};
    assert_int_equal(worker_new("/nowhere/podflamed", &worker, NULL), 0);
    assert_int_equal(worker_find_chains(worker, kit->self, -1, &address, 1, 1, INT64_MAX / 2, add,
                                        kit->chains, &err),
                     -ENOENT);
    assert_string_equal(err.text, "starting /nowhere/podflamed as a symbol worker: "
                                  "No such file or directory");
    assert_int_equal(worker_started(worker), 0);
}

/* Gives away its rights, then tries to use them; the number of the first that it still has. */
static int use_rights(void)
{
    confine_process();
    if (open("/proc/self/status", O_RDONLY) >= 0)
        return 1;
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0)
        return 2;
    if (fork() >= 0)
        return 3;
    if (execl("/bin/true", "true", (char *)NULL) == 0)
        return 4;
    if (kill(getppid(), 0) == 0)
        return 5;
    void *memory =
        mmap(NULL, (size_t)512 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED ? 6 : 0;
}

static void a_confined_process_can_do_nothing_else(void **state)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(use_rights());
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_chain_is_read_as_it_was_written(void **state)
{
    struct buf bytes = {0};
    const struct symbol_frame frames[] = {
        {NULL, "/src/a.c", 7}, {"a::b(int)", NULL, 0}, {"c", "", UINT32_MAX}};
    assert_int_equal(worker_write_chain(&bytes, 0x1234, 0x1200, frames, 3), 0);
    assert_int_equal(worker_write_chain(&bytes, 0x1240, 0, NULL, 0), 0);
    assert_int_equal(worker_write_end(&bytes, -ETIME), 0);
    struct worker_answer answer;
    size_t at = 0, used = 0;
    for (size_t len = 0; len < bytes.len; len++) { /* any part of it is no error */
        assert_int_equal(worker_read(bytes.data, len, &answer, &used), 0);
        assert_true(used <= len);
    }
    assert_int_equal(worker_read(bytes.data, bytes.len, &answer, &used), 0);
    assert_int_equal(answer.address, 0x1234);
    assert_int_equal(answer.start, 0x1200);
    assert_int_equal(answer.count, 3);
    assert_null(answer.frames[0].name);
    assert_string_equal(answer.frames[0].file, "/src/a.c");
    assert_string_equal(answer.frames[1].name, "a::b(int)");
    assert_null(answer.frames[1].file);
    assert_string_equal(answer.frames[2].file, "");
    assert_int_equal(answer.frames[2].line, UINT32_MAX);
    at += used;
    assert_int_equal(worker_read(bytes.data + at, bytes.len - at, &answer, &used), 0);
    assert_int_equal(answer.count, 0);
    at += used;
    assert_int_equal(worker_read(bytes.data + at, bytes.len - at, &answer, &used), 0);
    assert_true(answer.is_end);
    assert_int_equal(answer.error, -ETIME);
    assert_int_equal(at + used, bytes.len);
    buf_free(&bytes);
}

static void a_longer_text_loses_its_end(void **state)
{
    struct buf bytes = {0};
    char name[2 * WORKER_TEXT_MAX];
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    const struct symbol_frame frame = {name, name, 1};
    assert_int_equal(worker_write_chain(&bytes, 1, 0, &frame, 1), 0);
    struct worker_answer answer;
    size_t used;
    assert_int_equal(worker_read(bytes.data, bytes.len, &answer, &used), 0);
    assert_int_equal(used, bytes.len);
    assert_int_equal(strlen(answer.frames[0].name), WORKER_TEXT_MAX - 1);
    buf_free(&bytes);
}

/* ---- the other side: a worker, of which some are bad */

static void say(const void *bytes, size_t len)
{
    if (send(WORKER_FD, bytes, len, MSG_NOSIGNAL) < 0)
        _exit(3);
}

static int be_bad(const char *way)
{
    char request[sizeof(struct worker_request) + 2 * sizeof(uint64_t)];
    struct buf bytes = {0};
    const struct symbol_frame frame = {"wrong", NULL, 0};
    size_t want = sizeof(request);
    for (size_t got = 0; got < want;) {
        ssize_t n = recv(WORKER_FD, request + got, want - got, 0);
        if (n <= 0)
            return 1;
        got += (size_t)n;
    }
    if (strcmp(way, "dies") == 0)
        abort();
    if (strcmp(way, "hangs") == 0)
        pause();
    bool is_lie = strcmp(way, "lies") == 0;
    worker_write_chain(&bytes, is_lie ? 150 : 100, 0, &frame, 1);
    if (strcmp(way, "repeats") == 0)
        worker_write_chain(&bytes, 100, 0, &frame, 1);
    if (strcmp(way, "babbles") == 0)
        memset(bytes.data, 0xee, bytes.len);
    if (strcmp(way, "says too much") == 0) {
        worker_write_end(&bytes, 0);
        worker_write_end(&bytes, 0);
    }
    if (strcmp(way, "says half") == 0)
        bytes.len -= 3;
    if (strcmp(way, "closes") != 0)
        say(bytes.data, bytes.len);
    buf_free(&bytes);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], WORKER_ARGUMENT) == 0) {
        const char *way = getenv("BAD_WORKER");
        return way ? be_bad(way) : worker_main();
    }
#define WITH_A_WORKER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_A_WORKER(a_worker_finds_what_is_inlined),
        WITH_A_WORKER(a_rested_worker_is_started_again),
        WITH_A_WORKER(a_file_without_dwarf_does_not_cost_the_worker),
        WITH_A_WORKER(many_addresses_at_once_are_answered),
        WITH_A_WORKER(whatever_a_worker_does_the_asker_goes_on),
        WITH_A_WORKER(a_program_that_is_not_there_is_an_error),
        cmocka_unit_test(a_confined_process_can_do_nothing_else),
        cmocka_unit_test(a_chain_is_read_as_it_was_written),
        cmocka_unit_test(a_longer_text_loses_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
