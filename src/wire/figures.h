/* figures.h: the figures of a row of usage (format.h), declared once. */
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
