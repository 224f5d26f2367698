/* record_bytes.h: perf records for tests, laid out byte by byte as perf_event_open(2) has them and
 * apart from record.c and record_write.c. All append to `buf` and fail the test without memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/record.h"
#include "base/buf.h"

/* What every record of podflamed has at least, and all that may be asked for. */
extern const struct record_format record_format_plain, record_format_full;

/* One record: begin, its contents, end, which fills it up to 8 bytes and writes its size. */
size_t bytes_begin(struct buf *buf, uint32_t type, uint16_t misc);
void bytes_u32(struct buf *buf, uint32_t v);
void bytes_u64(struct buf *buf, uint64_t v);
void bytes_text(struct buf *buf, const char *text); /* with its NUL, filled up to 8 bytes */
void bytes_end(struct buf *buf, size_t start);

/* Who and when: the sample_id of records that are no samples. */
struct bytes_id {
    uint32_t pid, tid, cpu;
    uint64_t time;
};
void bytes_sample_id(struct buf *buf, const struct record_format *f, const struct bytes_id *id);

struct bytes_sample {
    struct bytes_id id;
    uint16_t misc; /* PERF_RECORD_MISC_USER, _KERNEL */
    uint64_t ip, period, cgroup;
    const uint64_t *chain;
    size_t chain_count;
    uint64_t regs_abi;
    const uint64_t *regs; /* one per bit of the format's regs_user */
    const void *stack;
    uint64_t stack_size, stack_copied; /* a multiple of 8, and at most that */
};
void bytes_sample(struct buf *buf, const struct record_format *f, const struct bytes_sample *s);

void bytes_fork(struct buf *buf, const struct record_format *f, const struct bytes_id *id,
                uint32_t ppid);
void bytes_exit(struct buf *buf, const struct record_format *f, const struct bytes_id *id,
                uint32_t ppid);
void bytes_comm(struct buf *buf, const struct record_format *f, const struct bytes_id *id,
                const char *name, uint16_t misc);

struct bytes_mmap {
    uint64_t start, len, offset, inode, generation;
    uint32_t major, minor, prot, flags;
    uint8_t build_id_size; /* not 0: written instead of device and inode */
    uint8_t build_id[20];
    const char *path;
};
void bytes_mmap2(struct buf *buf, const struct record_format *f, const struct bytes_id *id,
                 const struct bytes_mmap *m);
