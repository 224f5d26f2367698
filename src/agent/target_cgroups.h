/* target_cgroups.h: events on a target's cgroups, which may come later, go, and come again. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/event.h"
#include "agent/target.h"

struct cgroups;
struct cpu;
struct err;
struct target_cgroups;

/* `event`'s scope is EVENT_CGROUPS. `cgroups` must outlive it. */
int target_cgroups_new(const struct target *target, const struct event_config *event,
                       const struct event_features *features, struct cgroups *cgroups,
                       struct target_cgroups **ret, struct err *err);
void target_cgroups_free(struct target_cgroups **target);

/* Looks whether the target is (still) there, if that is due, and opens what is not open yet: on
 * each CPU and of each cgroup. 0: nothing is new; 1: cgroups were found; an error that waiting does
 * not cure, as the first time: a path that is not there, an id that could be several containers',
 * events that are refused. That it waits, and for what, is in the log. */
int target_cgroups_look(struct target_cgroups *target, struct cpu *cpus, size_t cpu_count,
                        int64_t now_ns, struct err *err);

/* The CPU's rings go: closes what writes into them. */
void target_cgroups_close_cpu(struct target_cgroups *target, int cpu);

/* From now on samples hold so much of the stack: closes the sampling events; look opens them anew.
 */
void target_cgroups_set_stack_bytes(struct target_cgroups *target, uint32_t stack_bytes);

/* Each process in the target now. */
void target_cgroups_each(struct target_cgroups *target, void (*fn)(void *ctx, uint32_t pid),
                         void *ctx);
