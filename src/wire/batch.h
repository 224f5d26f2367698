/* batch.h: a batch in memory, as the agent builds it and the server reads it. The meaning of each
 * field, and its limits, stand in format.h; rows of usage stand in figures.h, those of pods and
 * containers in facts.h. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire/format.h"

struct buf;
struct err;

struct batch_object {
    uint32_t path; /* string */
    uint8_t kind;  /* enum object_kind */
    uint8_t flags; /* OBJECT_* */
    uint8_t build_id_len;
    uint8_t build_id[WIRE_MAX_BUILD_ID];
};

struct batch_frame {
    uint64_t address;
    uint32_t object;
    uint32_t name; /* string */
    uint32_t file; /* string */
    uint32_t line;
    uint8_t kind; /* enum frame_kind */
};

struct batch_stack {
    uint32_t parent; /* stack, smaller than this row; the root's own is 0 */
    uint32_t frame;  /* of row 0: 0, without meaning */
    /* behind what names a node */
    uint32_t methods; /* bits of enum wire_method */
};

struct batch_process {
    int64_t start_ns;
    uint32_t pid, ppid;
    uint32_t name, exe, cgroup; /* string */
};

struct batch_label {
    uint32_t process;
    uint32_t key, value; /* string */
};

struct batch_sample {
    uint32_t slot;
    uint32_t process;
    uint32_t thread; /* string */
    uint32_t cpu;
    uint32_t stack;
    uint32_t count;
};

struct batch_counter {
    const char *name;
    uint64_t value;
};

/* All strings are NUL-terminated. Of a decoded batch everything lies in one block of memory that
 * batch_free gives back; one that is built for encoding belongs to its builder, who does not call
 * batch_free. Tables are never NULL after decoding, even when empty. */
struct batch {
    const char *node, *boot_id, *kernel, *arch, *agent;
    uint32_t cpus;
    uint64_t seq;
    int64_t start_ns, end_ns;
    int64_t slot_ns, period_ns;

    const char *const *strings;
    const struct batch_object *objects;
    const struct batch_frame *frames;
    const struct batch_stack *stacks;
    const struct batch_process *processes;
    const struct batch_label *labels;
    const struct batch_sample *samples;
    const struct batch_usage *usage;
    const struct batch_usage_label *usage_labels;
    const struct batch_usage_process *usage_processes;
    const struct batch_pod *pods;
    const struct batch_pod_label *pod_labels;
    const struct batch_container *containers;
    const struct batch_counter *counters;
    uint32_t string_count, object_count, frame_count, stack_count, process_count, label_count,
        sample_count, usage_count, usage_label_count, usage_process_count, pod_count,
        pod_label_count, container_count, counter_count;

    void *block; /* decode's own */
};

/* Appends the whole batch, header and all, to `out`. -EFBIG when it passes a limit of format.h; the
 * error names it. */
int batch_encode(const struct batch *batch, struct buf *out, struct err *err);

/* Reads untrusted bytes. Every index, length and depth has been checked when it returns 0: a caller
 * may use any of them without looking again. -EBADMSG (malformed), -EFBIG (over a limit) or
 * -EPROTONOSUPPORT (a version it does not know), with what and where in the error. Allocates no
 * more than the limits allow. */
int batch_decode(const void *bytes, size_t len, struct batch **ret_batch, struct err *err);

void batch_free(struct batch **batch);
