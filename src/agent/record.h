/* record.h: the bytes of one perf record become a struct. Layouts: perf_event_open(2), and
 * include/uapi/linux/perf_event.h, enum perf_event_type. No I/O, no allocation; all pointers point
 * into the bytes given. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

/* What the records of a ring hold: of the event that writes into it. */
struct record_format {
    uint64_t sample_type; /* PERF_SAMPLE_* */
    uint64_t regs_user;   /* mask of registers in PERF_SAMPLE_REGS_USER */
};

/* The sample types whose place in a record is known here; an event must not ask for others. */
#define RECORD_SAMPLE_TYPES                                                                 \
    (PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |         \
     PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD | PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_REGS_USER | \
     PERF_SAMPLE_STACK_USER | PERF_SAMPLE_CGROUP)

enum record_kind {
    RECORD_SAMPLE,
    RECORD_MMAP,
    RECORD_COMM,
    RECORD_FORK,
    RECORD_EXIT,
    RECORD_CGROUP,
    RECORD_KSYMBOL,      /* kernel code came or went */
    RECORD_LOST,         /* any record */
    RECORD_LOST_SAMPLES, /* samples only */
    RECORD_THROTTLE,
    RECORD_UNTHROTTLE,
    RECORD_OTHER, /* of no use to us */
};

struct record_sample {
    uint64_t ip;
    bool user_mode;        /* the CPU was in user mode */
    const uint64_t *chain; /* with PERF_CONTEXT_* markers */
    size_t chain_count;
    uint64_t regs_abi;    /* PERF_SAMPLE_REGS_ABI_*; 0: no user registers (a kernel thread) */
    const uint64_t *regs; /* one per bit of the format's regs_user, lowest first */
    const uint8_t *stack; /* from the user stack pointer upwards */
    size_t stack_len;     /* bytes that the kernel could copy */
    size_t stack_room;    /* bytes that the event asked for */
    bool has_cgroup;
    uint64_t cgroup; /* id */
};

#define RECORD_BUILD_ID_MAX 20

struct record_mmap {
    uint64_t start, len, file_offset;
    uint32_t major, minor;      /* zero if there is a build-id */
    uint64_t inode, generation; /* zero if there is a build-id */
    const char *path;           /* "//anon", "[vdso]", ... for what is no file */
    uint32_t prot;              /* PROT_*; PROT_EXEC for a PERF_RECORD_MMAP, which does not say */
    uint8_t build_id_len;       /* 0: none */
    uint8_t build_id[RECORD_BUILD_ID_MAX];
};

struct record {
    enum record_kind kind;
    uint64_t time; /* of the event's clock */
    uint32_t pid, tid, cpu;
    union {
        struct record_sample sample;
        struct record_mmap mmap;
        struct {
            const char *name;
            bool exec;
        } comm;
        struct {
            uint32_t ppid, ptid;
        } task; /* FORK, EXIT */
        struct {
            uint64_t id;
            const char *path;
        } cgroup;
        struct {
            uint64_t address;
            uint32_t len;
            uint16_t type; /* PERF_RECORD_KSYMBOL_TYPE_* */
            bool gone;     /* else it came */
            const char *name;
        } ksymbol;
        uint64_t lost; /* records */
    };
};

/* `bytes` is one whole record, header first, aligned to 8. -EBADMSG if it is shorter than its
 * contents say; the error says where. */
int record_parse(const struct record_format *format, const void *bytes, size_t len,
                 struct record *ret, struct err *err);

/* Only the time, which a merge wants of every record before it is its turn. */
int record_time(const struct record_format *format, const void *bytes, size_t len,
                uint64_t *ret_time);

/* The way back, for MMAP, COMM, FORK, EXIT and CGROUP: appends the record's bytes. -ENOTSUP for
 * others, -ENOMEM. */
int record_write(const struct record_format *format, const struct record *record, struct buf *buf);
