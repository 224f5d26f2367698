/* attach.h: threads that are opened each by itself: of a process and all below it, of the pod a
 * sidecar is in, or, where all CPUs may not be sampled, of one's own processes. What they create is
 * sampled with them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/event.h"
#include "agent/members.h"
#include "agent/procfs.h"

struct attach;
struct collector;
struct cpu;
struct err;

struct attach_config {
    struct event_config event;
    struct event_features features;
    enum members_whom whom;
    pid_t pid; /* of a tree */
    int proc_fd;
    const struct collector *collector; /* knows which threads there are already */
    procfs_fn known;                   /* is told what /proc says of those that are opened */
    void *known_ctx;
};

int attach_new(const struct attach_config *config, struct attach **ret, struct err *err);
void attach_free(struct attach **attach);

/* What a pass over /proc found. */
struct attach_counts {
    size_t processes; /* that are wanted */
    size_t refused;   /* of them: not sampled */
    pid_t example;    /* one of these */
    int error;        /* why: -EACCES, -EPERM ... */
};

/* Opens threads that are wanted and not sampled yet, if it is time to look for them; their records
 * go into the CPUs' rings. To be called with the rings drained up to `drained` (of the records'
 * clock): a younger thread may still be told of by its parent's event. `stale`: records were lost,
 * and what is sampled is told again from /proc. True: it looked. */
bool attach_look(struct attach *attach, struct cpu *cpus, size_t count, uint64_t drained,
                 bool stale);

/* The CPU is there, with other rings than before: leads the events on it there. Threads that were
 * opened while it was not, and what they create, are not sampled on it: of what inherits, nobody
 * can say which of it was created before an event is opened now. Gives how many threads these are.
 */
size_t attach_lead_cpu(struct attach *attach, const struct cpu *cpu);

struct attach_counts attach_last_counts(const struct attach *attach);

/* Whether all is gone that was opened, with all that it created. */
bool attach_is_over(const struct attach *attach);
