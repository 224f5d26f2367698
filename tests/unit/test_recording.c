/* test_recording.c: what was recorded gives the same windows again; what is no recording is refused
 * with the place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/merge.h"
#include "agent/recording.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "collector_kit.h"
#include "record_bytes.h"
#include "shared_ring.h"
#include "temp_dir.h"

#define RINGS 3

static const struct recording_info info = {
    .format = {.sample_type = RECORD_SAMPLE_TYPES, .regs_user = 0xff},
    .period_ns = 10000000,
    .start = MONO,
    .to_real_ns = WALL - MONO,
    .chain_max = 127,
};

/* ---- a machine: rings that are written to, and drained as the sampler does */

struct machine {
    struct shared_ring rings[RINGS];
    struct ring *list[RINGS];
    struct merge merge;
    struct recorder *recorder;
    struct collector_kit *direct;
};

static void open_machine(struct machine *m, struct collector_kit *direct, const char *path)
{
    *m = (struct machine){.direct = direct};
    for (uint32_t i = 0; i < RINGS; i++) {
        shared_ring_open(&m->rings[i]);
        m->rings[i].ring.id = i * 2; /* numbers may be missing */
        m->rings[i].ring.format = info.format;
        m->list[i] = &m->rings[i].ring;
    }
    assert_int_equal(recorder_open(path, &info, &m->recorder, NULL), 0);
}

static void close_machine(struct machine *m)
{
    for (uint32_t i = 0; i < RINGS; i++)
        shared_ring_close(&m->rings[i]);
    merge_free(&m->merge);
    struct err err = {0};
    if (recorder_close(&m->recorder, &err) < 0)
        fail_msg("%s", err.text);
}

static void drain(struct machine *m, uint64_t until)
{
    for (uint32_t i = 0; i < RINGS; i++) {
        ring_refresh(m->list[i]);
        recorder_put_ring(m->recorder, m->list[i]);
    }
    recorder_put_turn(m->recorder, until);
    assert_int_equal(
        merge_drain(&m->merge, m->list, RINGS, until, collector_take, m->direct->collector), 0);
    collector_tick(m->direct->collector, until, info.to_real_ns);
}

static void know(struct machine *m, const struct record *record)
{
    recorder_put_known(m->recorder, record);
    tell(m->direct, record);
}

static void write_random_record(struct buf *buf, uint64_t time)
{
    static const uint64_t registers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static uint8_t stack[512];
    uint32_t pid = 10 + (uint32_t)random() % 8;
    struct bytes_id id = {.pid = pid, .tid = pid, .cpu = (uint32_t)random() % RINGS, .time = time};
    uint64_t chain[] = {PERF_CONTEXT_KERNEL, K((uint64_t)random() % 5), PERF_CONTEXT_USER,
                        CODE + (uint64_t)random() % 20, CODE + 0x100};
    struct bytes_mmap m = {.start = CODE,
                           .len = 0x10000,
                           .inode = (uint64_t)random() % 3 + 1,
                           .prot = PROT_EXEC,
                           .path = "/bin/other"};
    struct bytes_sample s = {.id = id,
                             .chain = chain,
                             .chain_count = ARRAY_LEN(chain),
                             .regs_abi = PERF_SAMPLE_REGS_ABI_64,
                             .regs = registers,
                             .stack = stack,
                             .stack_size = 8 * ((uint64_t)random() % 64),
                             .cgroup = 1ull << 60};
    switch (random() % 20) {
    case 0:
        bytes_fork(buf, &info.format, &id, 10);
        break;
    case 1:
        bytes_comm(buf, &info.format, &id, random() % 2 ? "one" : "two",
                   PERF_RECORD_MISC_COMM_EXEC);
        break;
    case 2:
        bytes_mmap2(buf, &info.format, &id, &m);
        break;
    case 3:
        bytes_exit(buf, &info.format, &id, 1);
        break;
    default:
        bytes_sample(buf, &info.format, &s);
    }
}

/* Some seconds of it, drained every now and then, the youngest records a turn later. */
static void run_machine(struct machine *m)
{
    uint64_t time = at(1);
    know(m, &(struct record){.kind = RECORD_CGROUP, .time = 1, .cgroup = {1ull << 60, "/pod"}});
    know(m, &(struct record){.kind = RECORD_FORK, .time = 1, .pid = 10, .tid = 10});
    know(m,
         &(struct record){
             .kind = RECORD_COMM, .time = 1, .pid = 10, .tid = 10, .comm = {"known before", true}});
    know(m, &(struct record){.kind = RECORD_MMAP,
                             .time = 1,
                             .pid = 10,
                             .mmap = {.start = CODE,
                                      .len = 0x10000,
                                      .inode = 9,
                                      .prot = PROT_EXEC,
                                      .path = "/bin/known"}});
    srandom(6);
    for (int i = 0; i < 20000; i++) {
        _cleanup_(buf_free) struct buf buf = {0};
        time += (uint64_t)random() % (4 * NS_PER_MS);
        write_random_record(&buf, time);
        shared_ring_write(&m->rings[random() % RINGS], buf.data, buf.len);
        if (i % 50 == 49)
            drain(m, time - (uint64_t)random() % (20 * NS_PER_MS));
    }
    drain(m, time);
    collector_flush(m->direct->collector, time);
}

/* ---- windows as text, a sample a line, in any order */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void write_window(const struct window *w, struct buf *to)
{
    char **lines = calloc(w->samples.count + 1, sizeof(*lines));
    assert_non_null(lines);
    for (uint32_t i = 0; i < w->samples.count; i++) {
        const struct window_sample *s = sample_of(w, i);
        const struct window_process *p = process_of(w, i);
        assert_true(asprintf(&lines[i], "%u %s %s %lu %s cpu=%u slot=%u: %s = %u\n", p->pid,
                             p->name, p->exe, (unsigned long)p->start_time, p->cgroup_path, s->cpu,
                             s->slot, stack_of(w, i), s->count) > 0);
    }
    qsort(lines, w->samples.count, sizeof(*lines), by_text);
    buf_printf(to, "%ld to %ld: %lu\n", (long)w->start_ns, (long)w->end_ns,
               (unsigned long)w->sample_count);
    for (uint32_t i = 0; i < w->samples.count; i++) {
        buf_puts(to, lines[i]);
        free(lines[i]);
    }
    free(lines);
}

static void write_windows(const struct collector_kit *k, struct buf *to)
{
    for (size_t i = 0; i < k->window_count; i++)
        write_window(k->windows[i], to);
    buf_append(to, "", 1);
}

/* ---- replaying */

static int replay_all(struct collector_kit *k, const char *path, size_t *ret_turns, struct err *err)
{
    _cleanup_(replay_free) struct replay *replay = NULL;
    struct recording_info is;
    int r = replay_open(path, &replay, &is, err);
    if (r < 0)
        return r;
    uint64_t until = is.start;
    while ((r = replay_turn(replay, collector_take, k->collector, &until, err)) == 1) {
        collector_tick(k->collector, until, is.to_real_ns);
        (*ret_turns)++;
    }
    collector_flush(k->collector, until);
    return r;
}

struct both {
    struct temp_dir *dir;
    struct collector_kit *kit;
    char path[PATH_MAX + 16];
};

static int make_both(void **state)
{
    static struct both b;
    void *kit, *dir;
    assert_int_equal(collector_kit_make(&kit), 0);
    assert_int_equal(temp_dir_make(&dir), 0);
    b.kit = kit;
    b.dir = dir;
    snprintf(b.path, sizeof(b.path), "%s/recording", b.dir->path);
    *state = &b;
    return 0;
}

static int free_both(void **state)
{
    struct both *b = *state;
    void *kit = b->kit, *dir = b->dir;
    return collector_kit_free(&kit) | temp_dir_remove(&dir);
}

static void a_recording_gives_the_windows_that_came_at_once(void **state)
{
    struct both *b = *state;
    struct machine m;
    start(b->kit, 0, -1);
    open_machine(&m, b->kit, b->path);
    run_machine(&m);
    close_machine(&m);
    _cleanup_(buf_free) struct buf direct = {0}, replayed = {0};
    write_windows(b->kit, &direct);
    assert_int_equal(b->kit->window_count, 3);
    assert_non_null(strstr((char *)direct.data, "known before"));
    assert_non_null(strstr((char *)direct.data, "/bin/other"));
    assert_non_null(strstr((char *)direct.data, "/pod"));

    void *kit;
    assert_int_equal(collector_kit_free((void **)&(void *){b->kit}), 0);
    assert_int_equal(collector_kit_make(&kit), 0);
    start(b->kit, 0, -1);
    size_t turns = 0;
    struct err err = {0};
    if (replay_all(b->kit, b->path, &turns, &err) < 0)
        fail_msg("%s", err.text);
    write_windows(b->kit, &replayed);
    assert_int_equal(turns, 401);
    assert_string_equal((char *)replayed.data, (char *)direct.data);
}

static void a_recording_is_for_its_owner_and_says_what_it_is_of(void **state)
{
    struct both *b = *state;
    struct recorder *recorder;
    struct replay *replay;
    struct recording_info is;
    umask(0);
    assert_int_equal(recorder_open(b->path, &info, &recorder, NULL), 0);
    assert_int_equal(recorder_close(&recorder, NULL), 0);
    assert_int_equal(recorder_close(&recorder, NULL), 0);
    struct stat st;
    assert_int_equal(stat(b->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, RECORDING_HEADER_SIZE);
    assert_int_equal(replay_open(b->path, &replay, &is, NULL), 0);
    assert_memory_equal(&is, &info, sizeof(is));
    replay_free(&replay);
    replay_free(&replay);
}

static void a_ring_that_begins_anew_is_recorded_from_its_start(void **state)
{
    struct both *b = *state;
    struct machine m;
    start(b->kit, 0, -1);
    open_machine(&m, b->kit, b->path);
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < 3 - turn; i++) { /* fewer bytes than before */
            _cleanup_(buf_free) struct buf buf = {0};
            struct bytes_id id = {.pid = 10, .tid = 10, .time = at(turn * 10 + i)};
            bytes_comm(&buf, &info.format, &id, turn == 2 ? "last" : "first",
                       PERF_RECORD_MISC_COMM_EXEC);
            shared_ring_write(&m.rings[0], buf.data, buf.len);
        }
        drain(&m, at(turn * 10 + 9));
        shared_ring_close(&m.rings[0]);
        recorder_reset_ring(m.recorder, 0);
        shared_ring_open(&m.rings[0]);
        m.rings[0].ring.id = 0;
        m.rings[0].ring.format = info.format;
    }
    close_machine(&m);
    assert_int_equal(atomic_load(&b->kit->counters.records), 6);
    size_t turns = 0;
    assert_int_equal(replay_all(b->kit, b->path, &turns, NULL), 0);
    assert_int_equal(atomic_load(&b->kit->counters.records), 12);
    assert_int_equal(atomic_load(&b->kit->counters.records_garbled), 0);
}

static void what_cannot_be_written_is_told_at_the_end(void **state)
{
    struct recorder *recorder;
    struct err err = {0};
    assert_int_equal(recorder_open("/nowhere/recording", &info, &recorder, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/recording"));
    assert_int_equal(recorder_open("/dev/full", &info, &recorder, NULL), 0);
    for (int i = 0; i < 100000; i++)
        recorder_put_turn(recorder, 1);
    assert_int_equal(recorder_close(&recorder, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "/dev/full"));
}

/* ---- damaged ones */

static void put_file(const struct both *b, const struct buf *bytes)
{
    _cleanup_close_ int fd = open(b->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(fs_write_all(fd, bytes->data, bytes->len), 0);
}

static void put_header(struct buf *buf)
{
    buf_puts(buf, RECORDING_MAGIC);
    bytes_u32(buf, RECORDING_VERSION);
    bytes_u64(buf, info.format.sample_type);
    bytes_u64(buf, info.format.regs_user);
    bytes_u64(buf, info.period_ns);
    bytes_u64(buf, info.start);
    bytes_u64(buf, (uint64_t)info.to_real_ns);
    bytes_u32(buf, info.chain_max);
    bytes_u32(buf, 0);
    assert_int_equal(buf->len, RECORDING_HEADER_SIZE);
}

static void a_header_that_makes_no_sense_is_refused_with_the_reason(void **state)
{
    struct both *b = *state;
    static const struct {
        size_t at, len;
        uint64_t value;
        int code;
        const char *reason;
    } cases[] = {
        {0, 4, 0, -EBADMSG, "no recording"},
        {4, 4, 2, -EPROTONOSUPPORT, "version 2"},
        {8, 8, RECORD_SAMPLE_TYPES | PERF_SAMPLE_RAW, -EBADMSG, "not known"},
        {8, 8, PERF_SAMPLE_IP | PERF_SAMPLE_TIME, -EBADMSG, "lacks"},
        {24, 8, 0, -EBADMSG, "period"},
        {24, 8, 1000000001, -EBADMSG, "period"},
        {32, 8, INT64_MAX, -EBADMSG, "times"},
        {40, 8, INT64_MAX, -EBADMSG, "times"},
        {40, 8, (uint64_t)INT64_MIN, -EBADMSG, "times"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(buf_free) struct buf buf = {0};
        struct replay *replay = NULL;
        struct recording_info is;
        struct err err = {0};
        put_header(&buf);
        memcpy(buf.data + cases[i].at, &cases[i].value, cases[i].len);
        put_file(b, &buf);
        assert_int_equal(replay_open(b->path, &replay, &is, &err), cases[i].code);
        assert_null(replay);
        if (!strstr(err.text, cases[i].reason) || !strstr(err.text, b->path))
            fail_msg("not \"%s\": %s", cases[i].reason, err.text);
    }
}

static void a_chunk_that_makes_no_sense_is_refused_with_its_place(void **state)
{
    struct both *b = *state;
    static const struct {
        uint32_t kind, ring;
        uint64_t n;
        int code;
    } cases[] = {
        {0, 0, 8, -EBADMSG},
        {4, 0, 8, -EBADMSG},
        {RECORDING_RING, 0, 7, -EBADMSG},
        {RECORDING_RING, 0, RECORDING_MAX_CHUNK + 8, -EBADMSG},
        {RECORDING_RING, 0, UINT64_MAX - 7, -EBADMSG},
        {RECORDING_RING, RECORDING_MAX_RINGS, 8, -E2BIG},
        {RECORDING_KNOWN, 0, RECORDING_MAX_CHUNK + 8, -EBADMSG},
        {RECORDING_KNOWN, 0, 8, -EBADMSG}, /* eight zeros are no record */
        {RECORDING_TURN, 0, INT64_MAX, -EBADMSG},
    };
    start(b->kit, 0, -1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(buf_free) struct buf buf = {0};
        put_header(&buf);
        bytes_u32(&buf, RECORDING_TURN);
        bytes_u32(&buf, 0);
        bytes_u64(&buf, at(1));
        bytes_u32(&buf, cases[i].kind);
        bytes_u32(&buf, cases[i].ring);
        bytes_u64(&buf, cases[i].n);
        bytes_u64(&buf, 0);
        put_file(b, &buf);
        size_t turns = 0;
        struct err err = {0};
        assert_int_equal(replay_all(b->kit, b->path, &turns, &err), cases[i].code);
        assert_int_equal(turns, 1);
        assert_non_null(strstr(err.text, "the chunk at byte 72"));
    }
}

/* Its writer was killed: what is whole counts. */
static void a_recording_cut_anywhere_ends_before_the_cut(void **state)
{
    struct both *b = *state;
    struct machine m;
    start(b->kit, 0, -1);
    open_machine(&m, b->kit, b->path);
    for (int turn = 0; turn < 3; turn++) {
        _cleanup_(buf_free) struct buf buf = {0};
        struct bytes_id id = {.pid = 10, .tid = 10, .time = at(turn)};
        bytes_comm(&buf, &info.format, &id, "name", 0);
        shared_ring_write(&m.rings[1], buf.data, buf.len);
        drain(&m, at(turn));
    }
    close_machine(&m);
    _cleanup_(buf_free) struct buf whole = {0};
    assert_int_equal(fs_read_at(AT_FDCWD, b->path, 1 << 20, &whole, NULL), 0);
    size_t last = 0, cut = whole.len;
    for (whole.len = 0; whole.len <= cut; whole.len++) {
        put_file(b, &whole);
        size_t turns = 0;
        int r = replay_all(b->kit, b->path, &turns, NULL);
        assert_int_equal(r, whole.len < RECORDING_HEADER_SIZE ? -EBADMSG : 0);
        assert_true(turns == last || turns == last + 1);
        last = turns;
        while (b->kit->window_count)
            window_free(&b->kit->windows[--b->kit->window_count]);
    }
    assert_int_equal(last, 3);
    whole.len = cut;
}

#define WITH_BOTH(test) cmocka_unit_test_setup_teardown(test, make_both, free_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOTH(a_recording_gives_the_windows_that_came_at_once),
        WITH_BOTH(a_recording_is_for_its_owner_and_says_what_it_is_of),
        WITH_BOTH(a_ring_that_begins_anew_is_recorded_from_its_start),
        WITH_BOTH(what_cannot_be_written_is_told_at_the_end),
        WITH_BOTH(a_header_that_makes_no_sense_is_refused_with_the_reason),
        WITH_BOTH(a_chunk_that_makes_no_sense_is_refused_with_its_place),
        WITH_BOTH(a_recording_cut_anywhere_ends_before_the_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
