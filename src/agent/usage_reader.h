/* usage_reader.h: a thread that reads every few seconds what containers and systemd units use, and
 * keeps it until the builder asks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counters;
struct err;
struct usage_log;
struct usage_reader;

struct usage_reader_config {
    int64_t interval_ns;
    bool full_commands;
};

/* Finds the hierarchies that are mounted. -ENOENT: there are none. */
int usage_reader_start(const struct usage_reader_config *config, struct counters *counters,
                       struct usage_reader **ret, struct err *err);
void usage_reader_stop(struct usage_reader **reader);

/* Takes what was read before `end_ns`, oldest first: of each scan the readings from `first` up to
 * `end`, each once. Non-zero ends it and is returned; what is left is then lost. */
typedef int (*usage_reader_fn)(void *ctx, const struct usage_log *log, size_t first, size_t end);
int usage_reader_take(struct usage_reader *reader, int64_t end_ns, usage_reader_fn fn, void *ctx);
