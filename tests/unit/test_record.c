/* test_record.c: the bytes of every kind of perf record are read right, and no bytes do harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/record.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "record_bytes.h"

static const struct bytes_id who = {.pid = 4321, .tid = 4399, .cpu = 7, .time = 0x123456789abc};
static const uint64_t chain[] = {PERF_CONTEXT_KERNEL, 0xffffffff81000010, PERF_CONTEXT_USER,
                                 0x401000, 0x402000};
static uint64_t registers[64];
static uint8_t stack[64];

static const struct bytes_sample a_sample = {
    .id = {.pid = 4321, .tid = 4399, .cpu = 7, .time = 0x123456789abc},
    .misc = PERF_RECORD_MISC_USER,
    .ip = 0x401000,
    .period = 10000000,
    .cgroup = 0x77665544,
    .chain = chain,
    .chain_count = ARRAY_LEN(chain),
    .regs_abi = PERF_SAMPLE_REGS_ABI_64,
    .regs = registers,
    .stack = stack,
    .stack_size = sizeof(stack),
    .stack_copied = 40,
};
static const struct bytes_mmap a_mmap = {
    .start = 0x7f0000001000,
    .len = 0x5000,
    .offset = 0x3000,
    .major = 8,
    .minor = 17,
    .inode = 0x1234567890,
    .generation = 3,
    .prot = PROT_READ | PROT_EXEC,
    .flags = MAP_PRIVATE,
    .path = "/usr/lib/libdemo.so.1 (deleted)",
};
static const struct bytes_mmap an_mmap_with_build_id = {
    .start = 0x400000,
    .len = 0x1000,
    .build_id_size = 20,
    .build_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20},
    .prot = PROT_EXEC,
    .path = "/bin/demo",
};

/* ---- one maker per kind */

typedef void (*make_fn)(struct buf *buf, const struct record_format *f);

static void make_sample(struct buf *buf, const struct record_format *f)
{
    bytes_sample(buf, f, &a_sample);
}

static void make_bare_sample(struct buf *buf, const struct record_format *f)
{
    bytes_sample(buf, f, &(struct bytes_sample){.id = who, .misc = PERF_RECORD_MISC_KERNEL});
}

static void make_mmap(struct buf *buf, const struct record_format *f)
{
    size_t start = bytes_begin(buf, PERF_RECORD_MMAP, 0);
    bytes_u32(buf, who.pid);
    bytes_u32(buf, who.tid);
    bytes_u64(buf, 0x400000);
    bytes_u64(buf, 0x1000);
    bytes_u64(buf, 0x2000);
    bytes_text(buf, "/bin/old");
    bytes_sample_id(buf, f, &who);
    bytes_end(buf, start);
}

static void make_mmap2(struct buf *buf, const struct record_format *f)
{
    bytes_mmap2(buf, f, &who, &a_mmap);
}

static void make_mmap2_with_build_id(struct buf *buf, const struct record_format *f)
{
    bytes_mmap2(buf, f, &who, &an_mmap_with_build_id);
}

static void make_comm(struct buf *buf, const struct record_format *f)
{
    bytes_comm(buf, f, &who, "a name", 0);
}

static void make_exec(struct buf *buf, const struct record_format *f)
{
    bytes_comm(buf, f, &who, "fifteen bytes..", PERF_RECORD_MISC_COMM_EXEC);
}

static void make_fork(struct buf *buf, const struct record_format *f)
{
    bytes_fork(buf, f, &who, 99);
}

static void make_exit(struct buf *buf, const struct record_format *f)
{
    bytes_exit(buf, f, &who, 99);
}

static void make_cgroup(struct buf *buf, const struct record_format *f)
{
    size_t start = bytes_begin(buf, PERF_RECORD_CGROUP, 0);
    bytes_u64(buf, 0x1122334455);
    bytes_text(buf, "/kubepods.slice/pod1");
    bytes_sample_id(buf, f, &who);
    bytes_end(buf, start);
}

static void make_long_ksymbol(struct buf *buf, const struct record_format *f, unsigned before)
{
    size_t start = bytes_begin(buf, PERF_RECORD_KSYMBOL, 0);
    bytes_u64(buf, 0xffffffffc00220e0);
    bytes_u32(buf, 23);
    bytes_u32(buf, PERF_RECORD_KSYMBOL_TYPE_BPF);
    bytes_text(buf, "bpf_prog_1145a9e011ca141c_sd");
    bytes_sample_id(buf, f, &who);
    const struct bytes_id left_in_ring = {1, 2, 3, 0x9c509ddf00000014};
    for (unsigned i = 0; i < before; i++)
        bytes_sample_id(buf, f, &left_in_ring);
    bytes_end(buf, start);
}

static void make_ksymbol(struct buf *buf, const struct record_format *f)
{
    make_long_ksymbol(buf, f, 0);
}

static void make_lost(struct buf *buf, const struct record_format *f)
{
    size_t start = bytes_begin(buf, PERF_RECORD_LOST, 0);
    bytes_u64(buf, 5);
    bytes_u64(buf, 1234);
    bytes_sample_id(buf, f, &who);
    bytes_end(buf, start);
}

static void make_lost_samples(struct buf *buf, const struct record_format *f)
{
    size_t start = bytes_begin(buf, PERF_RECORD_LOST_SAMPLES, 0);
    bytes_u64(buf, 99);
    bytes_sample_id(buf, f, &who);
    bytes_end(buf, start);
}

static void make_throttle(struct buf *buf, const struct record_format *f)
{
    size_t start = bytes_begin(buf, PERF_RECORD_THROTTLE, 0);
    bytes_u64(buf, who.time);
    bytes_u64(buf, 5);
    bytes_u64(buf, 6);
    bytes_sample_id(buf, f, &who);
    bytes_end(buf, start);
}

static void make_of_a_later_kernel(struct buf *buf, const struct record_format *f)
{
    size_t start = bytes_begin(buf, 4000, 0xffff);
    bytes_u64(buf, UINT64_MAX);
    bytes_sample_id(buf, f, &who);
    bytes_end(buf, start);
}

static const struct {
    make_fn make;
    enum record_kind kind;
    bool written; /* by record_write too */
} kinds[] = {
    {make_sample, RECORD_SAMPLE, false},
    {make_bare_sample, RECORD_SAMPLE, false},
    {make_mmap, RECORD_MMAP, true},
    {make_mmap2, RECORD_MMAP, true},
    {make_mmap2_with_build_id, RECORD_MMAP, true},
    {make_comm, RECORD_COMM, true},
    {make_exec, RECORD_COMM, true},
    {make_fork, RECORD_FORK, true},
    {make_exit, RECORD_EXIT, true},
    {make_cgroup, RECORD_CGROUP, true},
    {make_ksymbol, RECORD_KSYMBOL, false},
    {make_lost, RECORD_LOST, false},
    {make_lost_samples, RECORD_LOST_SAMPLES, false},
    {make_throttle, RECORD_THROTTLE, false},
    {make_of_a_later_kernel, RECORD_OTHER, false},
};

static const struct record_format *const formats[] = {&record_format_plain, &record_format_full};

/* Makes one and parses it. The bytes stay in `buf`, whose earlier contents are gone. */
static struct record parse(make_fn make, const struct record_format *f, struct buf *buf)
{
    buf->len = 0;
    make(buf, f);
    struct record record;
    struct err err = {0};
    int r = record_parse(f, buf->data, buf->len, &record, &err);
    if (r < 0)
        fail_msg("%s", err.text);
    return record;
}

/* ---- each kind */

static void every_kind_says_who_when_and_where(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            struct record record = parse(kinds[i].make, formats[f], &buf);
            assert_int_equal(record.kind, kinds[i].kind);
            assert_int_equal(record.pid, who.pid);
            assert_int_equal(record.tid, who.tid);
            assert_int_equal(record.time, who.time);
            assert_int_equal(record.cpu, who.cpu);
        }
    }
}

static void a_sample_has_chain_registers_stack_and_cgroup(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    for (size_t i = 0; i < ARRAY_LEN(registers); i++)
        registers[i] = 0x1000 + i;
    for (size_t i = 0; i < sizeof(stack); i++)
        stack[i] = (uint8_t)(i * 3);
    const struct record_sample s = parse(make_sample, &record_format_full, &buf).sample;
    assert_int_equal(s.ip, a_sample.ip);
    assert_true(s.user_mode);
    assert_int_equal(s.chain_count, ARRAY_LEN(chain));
    assert_memory_equal(s.chain, chain, sizeof(chain));
    assert_int_equal(s.regs_abi, PERF_SAMPLE_REGS_ABI_64);
    assert_memory_equal(s.regs, registers,
                        8 * (size_t)__builtin_popcountll(record_format_full.regs_user));
    assert_int_equal(s.stack_len, a_sample.stack_copied);
    assert_memory_equal(s.stack, stack, s.stack_len);
    assert_true(s.has_cgroup);
    assert_int_equal(s.cgroup, a_sample.cgroup);
    assert_int_equal((uintptr_t)s.chain % 8, 0);
    assert_int_equal((uintptr_t)s.regs % 8, 0);
}

static void a_kernel_threads_sample_has_no_registers_and_no_stack(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    const struct record_sample s = parse(make_bare_sample, &record_format_full, &buf).sample;
    assert_false(s.user_mode);
    assert_int_equal(s.chain_count, 0);
    assert_int_equal(s.regs_abi, PERF_SAMPLE_REGS_ABI_NONE);
    assert_null(s.regs);
    assert_null(s.stack);
    assert_int_equal(s.stack_len, 0);
}

static void fields_not_asked_for_are_not_looked_for(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    const struct record_sample s = parse(make_sample, &record_format_plain, &buf).sample;
    assert_int_equal(s.chain_count, ARRAY_LEN(chain));
    assert_null(s.regs);
    assert_null(s.stack);
    assert_false(s.has_cgroup);
}

static void a_mapping_is_known_by_device_and_inode(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    const struct record_mmap m = parse(make_mmap2, &record_format_plain, &buf).mmap;
    assert_int_equal(m.start, a_mmap.start);
    assert_int_equal(m.len, a_mmap.len);
    assert_int_equal(m.file_offset, a_mmap.offset);
    assert_int_equal(m.major, a_mmap.major);
    assert_int_equal(m.minor, a_mmap.minor);
    assert_int_equal(m.inode, a_mmap.inode);
    assert_int_equal(m.generation, a_mmap.generation);
    assert_int_equal(m.prot, PROT_READ | PROT_EXEC);
    assert_int_equal(m.build_id_len, 0);
    assert_string_equal(m.path, a_mmap.path);
}

static void a_mapping_is_known_by_build_id(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    const struct record_mmap m = parse(make_mmap2_with_build_id, &record_format_plain, &buf).mmap;
    assert_int_equal(m.build_id_len, 20);
    assert_memory_equal(m.build_id, an_mmap_with_build_id.build_id, 20);
    assert_int_equal(m.inode, 0);
    assert_int_equal(m.major, 0);
    assert_int_equal(m.prot, PROT_EXEC);
    assert_string_equal(m.path, "/bin/demo");
}

static void a_short_build_id_ends_where_its_size_says_and_an_impossible_one_is_none(void **state)
{
    static const struct {
        uint8_t size, expect;
    } cases[] = {{16, 16}, {1, 1}, {20, 20}, {21, 0}, {255, 0}};
    _cleanup_(buf_free) struct buf buf = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes_mmap m = an_mmap_with_build_id;
        m.build_id_size = cases[i].size;
        buf.len = 0;
        bytes_mmap2(&buf, &record_format_plain, &who, &m);
        struct record record;
        assert_int_equal(record_parse(&record_format_plain, buf.data, buf.len, &record, NULL), 0);
        assert_int_equal(record.mmap.build_id_len, cases[i].expect);
        assert_memory_equal(record.mmap.build_id, m.build_id, cases[i].expect);
    }
}

static void an_old_mapping_record_counts_as_executable(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    const struct record_mmap m = parse(make_mmap, &record_format_plain, &buf).mmap;
    assert_int_equal(m.start, 0x400000);
    assert_int_equal(m.len, 0x1000);
    assert_int_equal(m.file_offset, 0x2000);
    assert_int_equal(m.prot, PROT_EXEC);
    assert_string_equal(m.path, "/bin/old");
}

static void a_name_says_whether_an_exec_gave_it(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    struct record record = parse(make_comm, &record_format_plain, &buf);
    assert_string_equal(record.comm.name, "a name");
    assert_false(record.comm.exec);
    record = parse(make_exec, &record_format_plain, &buf);
    assert_string_equal(record.comm.name, "fifteen bytes..");
    assert_true(record.comm.exec);
}

static void forks_and_exits_name_the_parent(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    assert_int_equal(parse(make_fork, &record_format_plain, &buf).task.ppid, 99);
    assert_int_equal(parse(make_fork, &record_format_plain, &buf).task.ptid, 99);
    assert_int_equal(parse(make_exit, &record_format_plain, &buf).task.ppid, 99);
}

static void a_cgroup_has_id_and_path(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    struct record record = parse(make_cgroup, &record_format_plain, &buf);
    assert_int_equal(record.cgroup.id, 0x1122334455);
    assert_string_equal(record.cgroup.path, "/kubepods.slice/pod1");
}

/* As Linux 6.18 writes it where others listen, too. */
static void a_kernel_symbols_record_that_is_too_long_says_who_and_when_all_the_same(void **state)
{
    for (unsigned before = 0; before < 4; before++) {
        _cleanup_(buf_free) struct buf buf = {0};
        const struct record_format *f = &record_format_plain;
        struct record record;
        uint64_t time;
        make_long_ksymbol(&buf, f, before);
        assert_int_equal(record_time(f, buf.data, buf.len, &time), 0);
        assert_int_equal(time, who.time);
        assert_int_equal(record_parse(f, buf.data, buf.len, &record, NULL), 0);
        assert_int_equal(record.time, who.time);
        assert_int_equal(record.tid, who.tid);
        assert_int_equal(record.cpu, who.cpu);
        assert_int_equal(record.ksymbol.address, 0xffffffffc00220e0);
        assert_int_equal(record.ksymbol.len, 23);
        assert_string_equal(record.ksymbol.name, "bpf_prog_1145a9e011ca141c_sd");
    }
}

static void what_was_lost_is_counted(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    assert_int_equal(parse(make_lost, &record_format_plain, &buf).lost, 1234);
    assert_int_equal(parse(make_lost_samples, &record_format_plain, &buf).lost, 99);
}

/* ---- bytes that lie */

static bool is_inside(const void *at, size_t len, const uint8_t *bytes, size_t total)
{
    const uint8_t *p = at;
    return !p || (p >= bytes && p <= bytes + total && len <= (size_t)(bytes + total - p));
}

static void assert_text_inside(const char *text, const uint8_t *bytes, size_t len)
{
    assert_true(is_inside(text, strlen(text) + 1, bytes, len));
}

/* Parses exactly `len` bytes in an allocation of their own, so that ASan sees a byte too far. What
 * is accepted must lie within them, and have the time that a merge sorts it by. */
static int parse_copy(const struct record_format *f, const void *from, size_t len)
{
    _cleanup_free_ uint8_t *bytes = malloc(len ? len : 1);
    assert_non_null(bytes);
    memcpy(bytes, from, len);
    struct record record;
    uint64_t time = 0;
    int r = record_parse(f, bytes, len, &record, NULL);
    int t = record_time(f, bytes, len, &time);
    assert_true(t == 0 || t == -EBADMSG);
    if (r < 0)
        return r;
    assert_int_equal(t, 0);
    assert_int_equal(time, record.time);
    if (record.kind == RECORD_SAMPLE) {
        const struct record_sample *s = &record.sample;
        assert_true(is_inside(s->chain, s->chain_count * 8, bytes, len));
        assert_true(is_inside(s->stack, s->stack_len, bytes, len));
        assert_true(is_inside(s->regs, 8 * (size_t)__builtin_popcountll(f->regs_user), bytes, len));
    } else if (record.kind == RECORD_MMAP) {
        assert_text_inside(record.mmap.path, bytes, len);
        assert_true(record.mmap.build_id_len <= RECORD_BUILD_ID_MAX);
    } else if (record.kind == RECORD_COMM) {
        assert_text_inside(record.comm.name, bytes, len);
    } else if (record.kind == RECORD_CGROUP) {
        assert_text_inside(record.cgroup.path, bytes, len);
    }
    return 0;
}

static void set_size(struct buf *buf, size_t len)
{
    uint16_t size = (uint16_t)len;
    memcpy(buf->data + offsetof(struct perf_event_header, size), &size, sizeof(size));
}

static void a_record_cut_anywhere_is_refused_or_harmless(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            buf.len = 0;
            kinds[i].make(&buf, formats[f]);
            assert_int_equal(parse_copy(formats[f], buf.data, buf.len), 0);
            size_t refused = 0;
            for (size_t len = 0; len < buf.len; len++) {
                set_size(&buf, len);
                int r = parse_copy(formats[f], buf.data, len);
                assert_true(r == 0 || r == -EBADMSG);
                refused += r < 0;
            }
            assert_true(refused >= sizeof(struct perf_event_header));
        }
    }
}

/* Every field of a sample has a fixed place or a counted length: none may be missing. */
static void a_sample_that_lacks_a_byte_is_refused(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
        buf.len = 0;
        make_sample(&buf, formats[f]);
        for (size_t len = 0; len < buf.len; len++) {
            set_size(&buf, len);
            assert_int_equal(parse_copy(formats[f], buf.data, len), -EBADMSG);
        }
    }
}

static void a_header_that_does_not_fit_the_length_is_refused_with_the_reason(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    make_comm(&buf, &record_format_plain);
    struct record record;
    struct err err = {0};
    assert_int_equal(record_parse(&record_format_plain, buf.data, buf.len - 8, &record, &err),
                     -EBADMSG);
    assert_non_null(strstr(err.text, "header"));
    set_size(&buf, buf.len + 8);
    assert_int_equal(record_parse(&record_format_plain, buf.data, buf.len, &record, NULL),
                     -EBADMSG);
}

static void any_byte_of_a_record_may_lie(void **state)
{
    static const uint8_t lies[] = {0, 1, 7, 8, 0x7f, 0x80, 0xfe, 0xff};
    _cleanup_(buf_free) struct buf buf = {0};
    for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            buf.len = 0;
            kinds[i].make(&buf, formats[f]);
            for (size_t at = 0; at < buf.len; at++) {
                uint8_t truth = buf.data[at];
                for (size_t k = 0; k < ARRAY_LEN(lies); k++) {
                    buf.data[at] = lies[k];
                    int r = parse_copy(formats[f], buf.data, buf.len);
                    assert_true(r == 0 || r == -EBADMSG);
                }
                buf.data[at] = truth;
            }
        }
    }
}

static void lengths_that_would_overflow_are_refused(void **state)
{
    static const uint64_t lengths[] = {6, 1ull << 60, UINT64_MAX / 8 + 2, UINT64_MAX - 7};
    const struct record_format f = {.sample_type = PERF_SAMPLE_TIME | PERF_SAMPLE_CALLCHAIN};
    const struct record_format g = {.sample_type = PERF_SAMPLE_TIME | PERF_SAMPLE_STACK_USER};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        _cleanup_(buf_free) struct buf buf = {0};
        bytes_begin(&buf, PERF_RECORD_SAMPLE, 0);
        bytes_u64(&buf, 1);
        bytes_u64(&buf, lengths[i]);
        for (int k = 0; k < 5; k++)
            bytes_u64(&buf, 2);
        bytes_end(&buf, 0);
        assert_int_equal(parse_copy(&f, buf.data, buf.len), -EBADMSG);
        if (lengths[i] != 6) /* 6 bytes of stack are odd but there */
            assert_int_equal(parse_copy(&g, buf.data, buf.len), -EBADMSG);
    }
}

static void a_stack_that_claims_more_than_was_dumped_is_none(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    struct bytes_sample s = a_sample;
    s.stack_copied = s.stack_size + 1;
    bytes_sample(&buf, &record_format_full, &s);
    struct record record;
    assert_int_equal(record_parse(&record_format_full, buf.data, buf.len, &record, NULL), 0);
    assert_int_equal(record.sample.stack_len, 0);
}

static void a_text_without_an_end_is_refused(void **state)
{
    _cleanup_(buf_free) struct buf buf = {0};
    size_t start = bytes_begin(&buf, PERF_RECORD_COMM, 0);
    bytes_u32(&buf, 1);
    bytes_u32(&buf, 1);
    bytes_u64(&buf, 0x6161616161616161);
    bytes_sample_id(&buf, &record_format_plain, &who);
    bytes_end(&buf, start);
    assert_int_equal(parse_copy(&record_format_plain, buf.data, buf.len), -EBADMSG);
}

/* ---- the way back */

static void what_is_written_is_read_again_and_written_the_same(void **state)
{
    for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            _cleanup_(buf_free) struct buf from = {0}, first = {0}, second = {0};
            struct record record = parse(kinds[i].make, formats[f], &from), again;
            int r = record_write(formats[f], &record, &first);
            assert_int_equal(r, kinds[i].written ? 0 : -ENOTSUP);
            if (r < 0) {
                assert_int_equal(first.len, 0);
                continue;
            }
            assert_int_equal(first.len % 8, 0);
            assert_int_equal(record_parse(formats[f], first.data, first.len, &again, NULL), 0);
            assert_int_equal(again.kind, record.kind);
            assert_int_equal(again.pid, record.pid);
            assert_int_equal(again.tid, record.tid);
            assert_int_equal(again.time, record.time);
            assert_int_equal(record_write(formats[f], &again, &second), 0);
            assert_int_equal(second.len, first.len);
            assert_memory_equal(second.data, first.data, first.len);
        }
    }
}

static void a_written_mapping_keeps_every_field(void **state)
{
    static const make_fn makers[] = {make_mmap2, make_mmap2_with_build_id};
    for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
        _cleanup_(buf_free) struct buf from = {0}, to = {0};
        const struct record was = parse(makers[i], &record_format_plain, &from);
        struct record is;
        assert_int_equal(record_write(&record_format_plain, &was, &to), 0);
        assert_int_equal(record_parse(&record_format_plain, to.data, to.len, &is, NULL), 0);
        assert_string_equal(is.mmap.path, was.mmap.path);
        is.mmap.path = was.mmap.path;
        assert_memory_equal(&is.mmap, &was.mmap, offsetof(struct record_mmap, path));
        assert_int_equal(is.mmap.prot, was.mmap.prot);
        assert_int_equal(is.mmap.build_id_len, was.mmap.build_id_len);
        assert_memory_equal(is.mmap.build_id, was.mmap.build_id, RECORD_BUILD_ID_MAX);
    }
}

static void a_path_of_any_length_is_written_whole_or_cut_to_what_a_path_may_have(void **state)
{
    static char path[6000];
    for (size_t len = 4080; len < sizeof(path); len += len < 4100 ? 1 : 700) {
        memset(path, 'p', len);
        path[len] = 0;
        struct record record = {.kind = RECORD_MMAP, .mmap = {.path = path}}, is;
        _cleanup_(buf_free) struct buf buf = {0};
        assert_int_equal(record_write(&record_format_plain, &record, &buf), 0);
        assert_int_equal(record_parse(&record_format_plain, buf.data, buf.len, &is, NULL), 0);
        assert_int_equal(strlen(is.mmap.path), len < 4095 ? len : 4095);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_says_who_when_and_where),
        cmocka_unit_test(a_sample_has_chain_registers_stack_and_cgroup),
        cmocka_unit_test(a_kernel_threads_sample_has_no_registers_and_no_stack),
        cmocka_unit_test(fields_not_asked_for_are_not_looked_for),
        cmocka_unit_test(a_mapping_is_known_by_device_and_inode),
        cmocka_unit_test(a_mapping_is_known_by_build_id),
        cmocka_unit_test(a_short_build_id_ends_where_its_size_says_and_an_impossible_one_is_none),
        cmocka_unit_test(an_old_mapping_record_counts_as_executable),
        cmocka_unit_test(a_name_says_whether_an_exec_gave_it),
        cmocka_unit_test(forks_and_exits_name_the_parent),
        cmocka_unit_test(a_cgroup_has_id_and_path),
        cmocka_unit_test(a_kernel_symbols_record_that_is_too_long_says_who_and_when_all_the_same),
        cmocka_unit_test(what_was_lost_is_counted),
        cmocka_unit_test(a_record_cut_anywhere_is_refused_or_harmless),
        cmocka_unit_test(a_sample_that_lacks_a_byte_is_refused),
        cmocka_unit_test(a_header_that_does_not_fit_the_length_is_refused_with_the_reason),
        cmocka_unit_test(any_byte_of_a_record_may_lie),
        cmocka_unit_test(lengths_that_would_overflow_are_refused),
        cmocka_unit_test(a_stack_that_claims_more_than_was_dumped_is_none),
        cmocka_unit_test(a_text_without_an_end_is_refused),
        cmocka_unit_test(what_is_written_is_read_again_and_written_the_same),
        cmocka_unit_test(a_written_mapping_keeps_every_field),
        cmocka_unit_test(a_path_of_any_length_is_written_whole_or_cut_to_what_a_path_may_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
