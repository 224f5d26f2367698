/* attach.h: where all CPUs may not be sampled, each thread of one's own processes is opened by
 * itself; what they create is sampled with them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/event.h"

struct attach;
struct collector;
struct cpu;
struct err;

int attach_new(const struct event_config *config, const struct event_features *features,
               struct attach **ret, struct err *err);
void attach_free(struct attach **attach);

/* Opens threads of this user's processes that the collector does not know yet; their records go
 * into the CPUs' rings. To be called with the rings drained: a thread that started after `drained`
 * (of the records' clock) may still be told of by its parent's event. */
void attach_scan(struct attach *attach, struct cpu *cpus, size_t count, uint64_t drained,
                 struct collector *collector, int proc_fd);
