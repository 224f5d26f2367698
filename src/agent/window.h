/* window.h: the samples of one stretch of time, added up. Built by the sampling thread; handed on
 * whole to be named. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/marker.h"
#include "base/table.h"
#include "wire/format.h"

struct err;
struct object;
struct objects;
struct process;

#define WINDOW_THREAD_MAX 16

/* Rows of the window's tables. In keys, unused bytes are zero. */
struct window_node { /* of the tree of stacks; row 0 is the root */
    uint32_t parent;
    uint32_t object; /* row of `objects` */
    uint64_t offset; /* in the object's file; kernel and anonymous memory: the address; or marker */
    uint32_t kind;   /* enum frame_kind */
    /* behind the key */
    uint32_t last_child; /* the row it was last gone on to from here; 0: none */
    uint32_t methods;    /* of its own samples: bits of enum wire_method */
    /* FRAME_JIT: the first sample it is part of, and behind the last one; from the window's start
     */
    uint32_t first_us, last_us;
};

struct window_object {
    struct object *object;
    /* Of memory with code made at run time, which is each process's own: whose, and in which
     * stretch of time where its addresses may be used again; else 0. */
    uint32_t process; /* serial */
    uint32_t epoch;
};

struct window_process {
    uint32_t serial, unused; /* of struct process */
    uint64_t cgroup;
    /* behind the key */
    uint32_t pid, ppid;
    uint64_t start_time; /* of the records' clock; 0: unknown */
    char *name, *exe, *cgroup_path;
};

struct window_thread {
    char name[WINDOW_THREAD_MAX];
};

struct window_sample {
    uint32_t slot, process, thread, cpu, stack;
    /* behind the key */
    uint32_t count;
};

struct window_limits {
    uint32_t max_stacks;  /* nodes of the tree */
    uint32_t max_samples; /* distinct (slot, process, thread, cpu, stack) */
};

struct window {
    uint32_t number;          /* of the agent's windows, from 1 */
    int64_t start_ns, end_ns; /* wall clock */
    int64_t to_real_ns;       /* record time + this = wall clock */
    int64_t slot_ns;
    struct objects *registry; /* where the objects' references go back to */
    struct window_limits limits;
    struct table nodes, objects, processes, threads, samples;
    uint64_t sample_count;
    uint64_t other_count; /* samples that went to [other] */
    uint64_t fold_after;  /* sample_count before which rare stacks are not looked for again */
};

struct window_key {
    const struct process *process;
    uint64_t cgroup;
    const char *cgroup_path;
    const char *thread;
    uint32_t cpu;
    int64_t time_ns; /* wall clock, within the window or it is moved to its edge */
};

int window_new(struct objects *registry, const struct window_limits *limits, struct window **ret,
               struct err *err);
void window_free(struct window **window);

/* Call it before a stack of `frames` frames is added: if the stack or its sample might not fit, the
 * rarest half of the stacks' samples go to [other], per process; not more often than it pays. Rows
 * of nodes and samples change with it. -ENOMEM. */
int window_make_room(struct window *window, uint32_t frames);

/* A stack is added frame by frame from the root (0); each call gives the node to go on from. Past
 * the limits what is there already can still be counted, what is new is -ENOSPC. -ENOMEM. */
int window_add_frame(struct window *window, uint32_t parent, struct object *object, uint64_t offset,
                     enum frame_kind kind, uint32_t *ret_node);
int window_add_marker(struct window *window, uint32_t parent, enum marker marker,
                      uint32_t *ret_node);

/* A frame of code made at run time: `made` holds the object, whose it is, and when; it was run at
 * `time_ns` of the wall clock. */
int window_add_made(struct window *window, uint32_t parent, const struct window_object *made,
                    uint64_t address, int64_t time_ns, uint32_t *ret_node);

/* `methods`: how the callers of this one were found, bits of enum wire_method. */
int window_add_sample(struct window *window, const struct window_key *key, uint32_t stack,
                      uint32_t methods);

/* Takes out whatever is of processes whose row in `wanted` is 0, and of no other: samples,
 * processes, nodes; files that only these mapped are closed. Rows of nodes, processes and samples
 * change with it. -ENOMEM; then the window must not be used. */
int window_keep_processes(struct window *window, const uint8_t *wanted);

/* A sample whose stack had no place. -ENOSPC past the limit on samples. */
int window_add_other(struct window *window, const struct window_key *key, uint32_t methods);
