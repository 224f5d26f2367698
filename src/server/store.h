/* store.h: where batches are kept and asked for; SQLite and ClickHouse stand behind one table of
 * functions. Everything above it is the same for both. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/format.h"

struct batch;
struct err;
struct store;

/* What a query may filter and group by; the name is the label's in the API. */
struct store_label {
    const char *key; /* node, process, thread, pid, cpu, cgroup, or a label out of the batch */
    const char *value;
};

#define STORE_MAX_FILTERS 16
#define STORE_MAX_GROUPS  8

struct store_query {
    int64_t start_ms, end_ms; /* since 1970; a slot belongs to the range when it starts in it */
    struct store_label filters[STORE_MAX_FILTERS]; /* all must match; the same key twice: either */
    size_t filter_count;
    const char *groups[STORE_MAX_GROUPS]; /* label keys, in the order wanted */
    size_t group_count;
    bool stacks; /* false: rows are summed over all stacks, stack is 0 */
};

struct store_row {
    const char *const *groups; /* one value per group of the query; "" where a series has none */
    uint64_t stack;            /* for store_ops.stacks */
    uint64_t samples;
    uint64_t cpu_ns; /* samples times their period */
};

struct store_frame {
    uint64_t id;        /* not 0: within one stacks() call, frames with the same id are the same */
    const char *name;   /* "" if unnamed */
    const char *object; /* its path; "" for markers */
    const char *file;   /* "" if unknown */
    uint64_t address;
    uint32_t line;
    uint8_t kind;         /* enum frame_kind */
    uint8_t object_kind;  /* enum object_kind */
    uint8_t object_flags; /* OBJECT_* */
    uint8_t build_id_len;
    uint8_t build_id[WIRE_MAX_BUILD_ID]; /* of the object */
};

struct store_node {
    const char *node, *boot_id, *kernel, *arch, *agent;
    uint32_t cpus;
    int64_t first_ms, last_ms; /* of the windows stored */
    uint64_t batches;
};

struct store_stats {
    uint64_t batches, duplicates, samples, bytes_on_disk;
    int64_t oldest_ms;
};

/* Return non-zero to stop; the call then returns that value. Pointers are valid during the call. */
typedef int (*store_row_fn)(void *ctx, const struct store_row *row);
/* frames: root first, at most WIRE_MAX_DEPTH. */
typedef int (*store_stack_fn)(void *ctx, uint64_t stack, const struct store_frame *frames,
                              size_t count);
typedef int (*store_node_fn)(void *ctx, const struct store_node *node);
typedef int (*store_counter_fn)(void *ctx, const char *node, const char *name, uint64_t value);

/* What a container or systemd unit used; see wire/figures.h. */
struct store_usage {
    uint64_t series; /* equal where node, cgroup and labels are */
    const char *node, *cgroup;
    const struct store_label *labels;
    size_t label_count;
    int64_t time_ms;
    uint64_t span_us;
    uint64_t network;
    uint32_t summed;
    const uint64_t *figures;                     /* WIRE_USAGE_COUNT: WIRE_UNKNOWN or below 2^63 */
    const struct store_usage_process *processes; /* most CPU first */
    size_t process_count;
};

struct store_usage_process {
    uint32_t pid, threads;
    int64_t start_ms;
    const char *exe, *command;
    uint64_t cpu_user_ns, cpu_system_ns, rss_bytes, virtual_bytes; /* as figures */
};
typedef int (*store_usage_fn)(void *ctx, const struct store_usage *usage);

/* All calls may come from any thread. */
struct store_ops {
    const char *name;

    /* Stores the batch, or finds that (node, boot id, seq) is already there. When it returns 0 the
     * batch is on disk for good. */
    int (*ingest)(struct store *s, const struct batch *batch, bool *ret_duplicate, struct err *err);

    /* One row per distinct (groups, stack). */
    int (*query)(struct store *s, const struct store_query *query, store_row_fn fn, void *ctx,
                 struct err *err);

    /* Calls `fn` once for each of `stacks` (of a query's rows) that is still kept, in any order;
     * the one in which much of a stack's beginning is that of the stack before it serves best. A
     * stack that retention has taken since is left out. */
    int (*stacks)(struct store *s, const uint64_t *stacks, size_t count, store_stack_fn fn,
                  void *ctx, struct err *err);

    int (*nodes)(struct store *s, store_node_fn fn, void *ctx, struct err *err);

    /* Sums of the agents' own counters over a range. */
    int (*counters)(struct store *s, int64_t start_ms, int64_t end_ms, store_counter_fn fn,
                    void *ctx, struct err *err);

    /* What was read in the range, in any order. Filters by node, cgroup and the cgroups' own
     * labels; groups are not looked at. */
    int (*usage)(struct store *s, const struct store_query *query, store_usage_fn fn, void *ctx,
                 struct err *err);

    /* The same for lists of processes, of which each minute has its last; they come without
     * network, summed and figures, which `usage` gives without processes. */
    int (*usage_processes)(struct store *s, const struct store_query *query, store_usage_fn fn,
                           void *ctx, struct err *err);

    /* Drops what is older than `before_ms`, then the oldest until at most `max_bytes` remain (0: no
     * limit). */
    int (*expire)(struct store *s, int64_t before_ms, uint64_t max_bytes, struct err *err);

    int (*stats)(struct store *s, struct store_stats *ret, struct err *err);
    void (*close)(struct store *s);
};

/* The first member of every store. */
struct store {
    const struct store_ops *ops;
};

int store_sqlite_open(const char *dir, struct store **ret, struct err *err);
