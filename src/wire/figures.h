/* figures.h: what a batch says of what containers and systemd units used: three tables of format.h,
 * which is to be read first.
 *
 *   usage      columns: time_ns (within the window), span_ns (what the counters count over, up to
 *              time_ns; 0: they are not known yet), cgroup (string: the path of a container or
 *              systemd unit; all below it is counted, too), network (uint of 64 bits: rows with the
 *              same one of a node share a network namespace, and its traffic; 0: it is the node's
 *              own), summed (bit i: the i-th figure is the sum over the processes that were there),
 *              and a column for each of WIRE_USAGE, a uint below 2^63 or nil: not known
 *   usage_labels     columns: cgroup, key, value (string): as labels, of a cgroup in usage
 *   usage_processes  columns: usage (row there), pid, threads (uint), start_ns (as processes'),
 *              exe, command (string; with its arguments only where the agent is told to),
 *              cpu_user_ns, cpu_system_ns, rss_bytes, virtual_bytes (uint below 2^63 or nil)
 */
#pragma once

#include <stdint.h>

/* The figures of a row of usage, in the order of its bits in `summed`: counters, which say what was
 * used within span_ns, then gauges, as of time_ns. New ones come last of all, so a new counter
 * needs another way to be told from gauges. What each means stands in k8s/usage.h, whose order is
 * its own. */
#define WIRE_USAGE_COUNTERS(X) \
    X(cpu_user_ns)             \
    X(cpu_system_ns)           \
    X(periods)                 \
    X(throttled_periods)       \
    X(throttled_ns)            \
    X(minor_faults)            \
    X(major_faults)            \
    X(block_read_bytes)        \
    X(block_write_bytes) X(char_read_bytes) X(char_write_bytes) X(net_rx_bytes) X(net_tx_bytes)
#define WIRE_USAGE_GAUGES(X) \
    X(memory_bytes) X(working_set_bytes) X(rss_bytes) X(virtual_bytes) X(processes) X(threads)
#define WIRE_USAGE(X) WIRE_USAGE_COUNTERS(X) WIRE_USAGE_GAUGES(X)

enum wire_usage {
#define X(name) WIRE_USAGE_##name,
    WIRE_USAGE(X)
#undef X
        WIRE_USAGE_COUNT
};
#define WIRE_USAGE_COUNTER_COUNT WIRE_USAGE_memory_bytes
#define WIRE_UNKNOWN             UINT64_MAX /* a figure that is nil */

#define WIRE_MAX_USAGE           50000u /* 2000 cgroups, every 10 s, for 4 minutes */
#define WIRE_MAX_USAGE_LABELS    400000u
#define WIRE_MAX_USAGE_PROCESSES 200000u

/* In memory, as batch.h has the others. */

struct batch_usage {
    int64_t time_ns, span_ns;
    uint64_t network;
    uint64_t figures[WIRE_USAGE_COUNT]; /* WIRE_UNKNOWN or below 2^63 */
    uint32_t cgroup;                    /* string */
    uint32_t summed;
};

struct batch_usage_label {
    uint32_t cgroup, key, value; /* string */
};

struct batch_usage_process {
    int64_t start_ns;
    uint64_t cpu_user_ns, cpu_system_ns, rss_bytes, virtual_bytes; /* as figures */
    uint32_t usage;
    uint32_t pid, threads;
    uint32_t exe, command; /* string */
};
