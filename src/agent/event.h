/* event.h: perf_event_open(2), as the kernel at hand allows it. Each feature is asked for on its
 * own; versions are never compared. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/record.h"

struct err;

/* member, its name in the log, what is done without it */
#define EVENT_FEATURES(X)                                                                       \
    X(all_cpus, "all-cpus", "only processes of this user are sampled, each opened on its own")  \
    X(kernel, "kernel-frames", "only user code is sampled: time in the kernel does not show")   \
    X(user_stack, "user-stack", "user stacks come from frame pointers only")                    \
    X(sample_cgroup, "sample-cgroup", "a process's cgroup is read from /proc instead")          \
    X(cgroup_records, "cgroup-records", "new cgroups are found by walking the hierarchy again") \
    X(ksymbols, "kernel-symbol-records", "kernel code that comes later is found in kallsyms")   \
    X(build_id, "mmap-build-id", "mappings are known by device and inode instead")              \
    X(exclude_idle, "exclude-idle", "samples of the idle task are dropped after they were taken")

/* Of what samples are taken. */
enum event_scope {
    EVENT_ALL,     /* whatever runs on each CPU; where that is forbidden, as EVENT_THREADS */
    EVENT_CGROUPS, /* of that only what is in those cgroups, or below, that events are opened for */
    EVENT_THREADS, /* the threads that events are opened for, and all that they create */
};

struct event_features {
#define X(member, name, without) bool member;
    EVENT_FEATURES(X)
#undef X
    struct record_format format; /* of all rings */
};

struct event_config {
    uint64_t period_ns;   /* of CPU time from sample to sample */
    uint32_t stack_bytes; /* of the user stack in each sample; a multiple of 8 */
    uint32_t watermark;   /* bytes in the ring that wake the reader */
    enum event_scope scope;
    bool no_cgroup_ids; /* samples need not carry them: what hierarchy they are of is not seen */
};

/* Finds out by opening events, closed again, what there is; one log line for each feature that is
 * missing. Fails only if no event can be had at all: then the error says what would help. */
int event_probe(const struct event_config *config, struct event_features *ret, struct err *err);

/* A sampling event on `cpu`: of everything that runs there (`pid` -1), of thread `pid` and all that
 * it creates, or with EVENT_CGROUPS of the cgroup whose directory is open as `pid`. It counts from
 * the start. Gives the fd. */
int event_open_sample(const struct event_config *config, const struct event_features *features,
                      pid_t pid, int cpu, struct err *err);

/* An event that samples nothing and reports mappings, names, forks, exits and cgroups of `cpu`;
 * `pid` as above. */
int event_open_sideband(const struct event_config *config, const struct event_features *features,
                        pid_t pid, int cpu, struct err *err);

/* An event that samples nothing and has the ring that a target's events on `cpu` write into. With
 * EVENT_CGROUPS, `news` makes it tell of cgroups and kernel code that come, whoever makes them. */
int event_open_carrier(const struct event_config *config, const struct event_features *features,
                       bool news, int cpu, struct err *err);
