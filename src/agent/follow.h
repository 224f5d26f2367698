/* follow.h: keeps events open on what is to be sampled while it comes and goes, where that is not
 * simply each CPU. Belongs to the sampler. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/event.h"
#include "agent/procfs.h"
#include "agent/target.h"

struct cgroups;
struct collector;
struct cpu;
struct err;
struct follow;

/* Finds out how the target can be sampled: sets `event`'s scope and `ret_features`. For a sidecar,
 * or if it is refused, the log says what that takes. `proc_fd` and `cgroups` must outlive it. */
int follow_new(const struct target *target, int proc_fd, struct cgroups *cgroups,
               struct event_config *event, struct event_features *ret_features, struct follow **ret,
               struct err *err);
void follow_free(struct follow **follow);

/* Whether all is in the CPUs' own events; the others are then not to be called. */
bool follow_is_whole(const struct follow *follow);

/* What /proc says of the target's processes goes to `known`, whose collector's threads are taken
 * for sampled. */
struct follow_sink {
    const struct collector *collector;
    procfs_fn known;
    void *ctx;
};

/* Opens events on the target for the first time. -ESRCH, -ENOENT: there is no such process or
 * cgroup; -ENOTUNIQ; -EACCES ... */
int follow_start(struct follow *follow, const struct follow_sink *sink, struct cpu *cpus,
                 size_t count, struct err *err);

/* With the rings drained up to `drained`: looks after the target. `stale`: records were lost. */
void follow_turn(struct follow *follow, struct cpu *cpus, size_t count, uint64_t drained,
                 bool stale);

/* Whether the target is gone for good: a process, with all that it created. */
bool follow_is_over(const struct follow *follow);

/* A CPU's rings go, or are there anew. */
void follow_close_cpu(struct follow *follow, int cpu);
void follow_open_cpu(struct follow *follow, const struct cpu *cpu);

/* Opens sampling events anew with another size of stacks. False: they stay as they are. */
bool follow_set_stack_bytes(struct follow *follow, uint32_t stack_bytes, struct cpu *cpus,
                            size_t count);
