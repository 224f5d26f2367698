/* collector.h: records in order of time become windows of added-up samples. The same for live rings
 * and for recordings; one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/window.h"

struct cgroups;
struct collector;
struct counters;
struct err;
struct object;
struct object_place;
struct objects;
struct process;
struct processes;
struct ksymbols;
struct record;
struct ring;
struct stacker_dumps;
struct tables;

struct collector_config {
    int64_t window_ns;       /* windows end at multiples of it on the wall clock */
    int64_t first_window_ns; /* the first one ends at the latest after so long */
    struct window_limits limits;
    size_t chain_max; /* perf_event_max_stack */
    uint64_t regs_mask;
    int64_t tail_ns; /* how old a sample may be for the rest of its stack to be read; 0: never */
    struct ksymbols *ksymbols; /* learns of kernel code that comes and goes; NULL: nobody does */
    struct tables *tables;     /* NULL: user stacks come from the kernel's callchain */
    bool cgroups_from_proc;    /* samples carry no ids */
    bool outsiders; /* samples without a pid are of processes outside our pid namespace, not of the
                       idle task */
    int proc_fd;    /* of /proc; -1: the records are all there is (a recording) */
    /* Is told what was read in /proc on the way; NULL: nobody. */
    void (*known)(void *ctx, const struct record *record);
    void *known_ctx;
    /* Copies what a process has in memory at an address, and gives how many of `len` bytes; NULL:
     * nothing can be had. */
    size_t (*peek)(void *ctx, pid_t pid, uint64_t address, void *to, size_t len);
    void *peek_ctx;
};

struct collector_sinks {
    /* Takes a finished window over. */
    void (*window)(void *ctx, struct window *window);

    /* An object has samples: its file should be opened soon, by another thread. */
    void (*open)(void *ctx, struct object *object, const struct object_place *place);

    /* A process runs code made at run time: said once a window and once a second. True: such code
     * comes where other code was. NULL: nobody names it. */
    bool (*made)(void *ctx, const struct process *process, uint32_t window);

    /* A cgroup was made. NULL: nobody asks. */
    void (*cgroup)(void *ctx, const char *path);

    /* What the copied stacks of a finished window were needed for; NULL: nobody asks. */
    void (*dumps)(void *ctx, const struct stacker_dumps *dumps);
    void *dumps_ctx;
    void *ctx;
};

/* `now` is of the records' clock, `to_real_ns` what to add to get the wall clock. The others must
 * outlive it. */
int collector_new(const struct collector_config *config, const struct collector_sinks *sinks,
                  struct objects *objects, struct cgroups *cgroups, struct counters *counters,
                  uint64_t now, int64_t to_real_ns, struct collector **ret, struct err *err);
void collector_free(struct collector **collector);

/* A merge_fn: takes in the bytes of one record. A record that cannot be read is counted. */
int collector_take(void *collector, struct ring *ring, const void *bytes, size_t len);

/* A procfs_fn: takes in a record that is parsed already. */
int collector_take_record(void *collector, const struct record *record);

/* All records up to `now` have been taken in: closes the window whose end has passed. */
void collector_tick(struct collector *collector, uint64_t now, int64_t to_real_ns);

/* Closes the current window now. */
void collector_flush(struct collector *collector, uint64_t now);

/* Records were lost since the last call, or it was said that something went untold: what is known
 * of processes may be wrong, and the caller should read /proc again. */
bool collector_take_stale(struct collector *collector);
void collector_set_stale(struct collector *collector);

/* Whether a record has told of the thread. */
bool collector_knows_thread(const struct collector *collector, uint32_t tid);

size_t collector_processes(const struct collector *collector);
