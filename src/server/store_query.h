/* store_query.h: what is asked of a store, and what it answers with. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/format.h"

/* What a query may filter and group by; the name is the label's in the API. */
struct store_label {
    const char *key; /* node, process, thread, pid, cpu, cgroup, or a label out of the batch */
    const char *value;
};

#define STORE_MAX_FILTERS 16
#define STORE_MAX_GROUPS  8
#define STORE_MAX_RENAMED 8

/* What is known of series besides what they say themselves: their labels as they should have been.
 * A series that had no name when it was stored is then found by it all the same. */
struct store_renames {
    const char *const *keys; /* of labels out of batches */
    size_t count;
    /* `values` are a series' own of these keys, in their order, "" where it has none; it may change
     * them (to texts that live until the query's end). False: it did not. The same values always
     * become the same. */
    bool (*rename)(void *ctx, const char **values);
    void *ctx;
};

struct store_query {
    int64_t start_ms, end_ms; /* since 1970; a slot belongs to the range when it starts in it */
    struct store_label filters[STORE_MAX_FILTERS]; /* all must match; the same key twice: either */
    size_t filter_count;
    const char *groups[STORE_MAX_GROUPS]; /* label keys, in the order wanted */
    size_t group_count;
    bool stacks;                         /* false: rows are summed over all stacks, stack is 0 */
    const struct store_renames *renames; /* NULL: none */
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
