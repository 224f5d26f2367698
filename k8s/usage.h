/* usage.h: what containers and systemd units use: CPU, memory, disk, network, and which processes
 * they are; from the files of cgroup v1, v2 or both, and /proc. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cgroup_id;
struct err;
struct usage_scanner;

/* Counters grow from a cgroup's beginning on; gauges are as of the moment. What is said of memory
 * is as Kubernetes has it: the working set is what is charged less inactive_file, which can be
 * taken back at once; rss is anonymous memory. */
#define USAGE_COUNTERS(X)                                      \
    X(cpu_user_ns)                                             \
    X(cpu_system_ns)                                           \
    X(periods)           /* of the CPU limit */                \
    X(throttled_periods) /* of these, cut short */             \
    X(throttled_ns)                                            \
    X(minor_faults)                                            \
    X(major_faults)                                            \
    X(block_read_bytes)                                        \
    X(block_write_bytes)                                       \
    X(char_read_bytes) /* read(2) and the like */              \
    X(char_write_bytes)                                        \
    X(net_rx_bytes) /* of the network namespace, without lo */ \
    X(net_tx_bytes)
#define USAGE_GAUGES(X)  \
    X(memory_bytes)      \
    X(working_set_bytes) \
    X(rss_bytes)         \
    X(virtual_bytes)     \
    X(processes)         \
    X(threads)

enum usage_figure {
#define X(name) USAGE_##name,
    USAGE_COUNTERS(X) USAGE_GAUGES(X)
#undef X
        USAGE_FIGURE_COUNT
};
#define USAGE_COUNTER_COUNT USAGE_memory_bytes

/* A figure that cannot be had: no such file, not allowed to read it, nothing to compare with. */
#define USAGE_UNKNOWN UINT64_MAX

/* Of a cgroup with all below it. */
struct usage_reading {
    const char *path; /* below the hierarchy's root */
    const struct cgroup_id *id;
    int64_t time_ns; /* wall clock */
    int64_t span_ns; /* what the counters count over, up to time_ns; 0: they are unknown, since this
                        is the first time */
    uint64_t figures[USAGE_FIGURE_COUNT];
    uint32_t
        summed; /* bit i: the figure is the sum over the processes there, no file of the cgroup
                   having it: what processes did that came and went in between may be missing */
    uint64_t network; /* of the network namespace: those in one pod have the same number, and the
                         same traffic; 0: the node's own, whose traffic is not theirs */
};

/* Counters as above; what a process's dead children did is not the process's. */
struct usage_process {
    uint32_t pid;
    uint32_t threads;
    int64_t start_ns;    /* wall clock */
    const char *exe;     /* its file in its own mount namespace; "[name]" where that is not told */
    const char *command; /* with as much of its arguments as is asked for */
    uint64_t cpu_user_ns, cpu_system_ns; /* within span_ns */
    uint64_t rss_bytes, virtual_bytes;
};

/* `processes`: those of the cgroup itself and those below that are no container or unit of their
 * own. Non-zero ends the scan and is returned. All pointers are valid during the call. */
typedef int (*usage_fn)(void *ctx, const struct usage_reading *reading,
                        const struct usage_process *processes, size_t count);

/* Where the hierarchies are mounted: one of them may be several of these. */
enum usage_hierarchy {
    USAGE_UNIFIED, /* cgroup v2 */
    USAGE_MEMORY,  /* v1 from here on */
    USAGE_CPUACCT,
    USAGE_CPU,
    USAGE_BLKIO,
    USAGE_SYSTEMD, /* name=systemd */
    USAGE_HIERARCHY_COUNT
};

struct usage_config {
    int hierarchies[USAGE_HIERARCHY_COUNT]; /* directories; -1: not mounted */
    int proc;                               /* directory: /proc of the node */
    int full_commands;                      /* keep all arguments of command lines */
    uint32_t max_cgroups, max_processes;    /* read in one scan; others are counted */
};

/* The descriptors stay the caller's, and open. */
int usage_scanner_new(const struct usage_config *config, struct usage_scanner **ret,
                      struct err *err);
void usage_scanner_free(struct usage_scanner **scanner);

/* Walks the hierarchies and tells each container and systemd unit; what the counters of the next
 * scan are compared with is kept. */
int usage_scan(struct usage_scanner *scanner, usage_fn fn, void *ctx, struct err *err);

/* Of the last scan: what was beyond the limits of the config. */
uint64_t usage_scan_dropped(const struct usage_scanner *scanner);
