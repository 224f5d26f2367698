/* sampler.h: the thread that keeps the events of all CPUs open and their rings drained. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/collector.h"
#include "agent/cpu.h"
#include "agent/target.h"

struct counters;
struct err;
struct sampler;

struct sampler_config {
    struct cpu_config cpu;
    struct collector_config collector; /* proc_fd, regs_mask and cgroups_from_proc are filled in */
    uint32_t stack_bytes_max; /* what event.stack_bytes may grow to; it begins there and never goes
                                 below */
    struct target target;     /* its texts must stay */
    /* Called on the sampler's thread, once, when the target is gone for good: a process. */
    void (*ended)(void *ctx);
    void *ended_ctx;
    bool realtime;      /* run at SCHED_FIFO where allowed */
    const char *record; /* file for a recording, or NULL */
};

/* Opens the events; when it returns 0, samples are being taken. The sinks are called on the
 * sampler's thread, which begins by reading /proc. */
int sampler_start(const struct sampler_config *config, const struct collector_sinks *sinks,
                  struct objects *objects, struct counters *counters, struct sampler **ret,
                  struct err *err);

/* Drains what is there, closes the last window, ends the thread. */
void sampler_stop(struct sampler **sampler);

struct sampler_status {
    uint32_t cpus;
    size_t ring_bytes;
    uint32_t stack_bytes; /* of each sample */
    size_t processes;
    uint64_t drains;
};

/* From any thread. */
void sampler_read_status(struct sampler *sampler, struct sampler_status *ret);
