/* usage_log.h: what one scan of containers and units read, kept until its window becomes a batch.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/strings.h"
#include "k8s/usage.h"

/* Texts are numbers in `strings`. */
struct usage_log_reading {
    int64_t time_ns, span_ns;
    uint64_t figures[USAGE_FIGURE_COUNT];
    uint64_t network;
    uint32_t summed, path;
    uint32_t first_process, process_count;
};

struct usage_log_process {
    int64_t start_ns;
    uint64_t cpu_user_ns, cpu_system_ns, rss_bytes, virtual_bytes;
    uint32_t pid, threads, exe, command;
};

struct usage_log {
    struct usage_log *next;
    struct strings strings;
    struct usage_log_reading *readings;
    struct usage_log_process *processes;
    size_t count, room, process_count, process_room;
    size_t told; /* readings that were taken */
};

int usage_log_new(struct usage_log **ret);
void usage_log_free(struct usage_log **log);

/* A usage_fn; `log` is a struct usage_log. -ENOMEM. */
int usage_log_add(void *log, const struct usage_reading *reading,
                  const struct usage_process *processes, size_t count);
