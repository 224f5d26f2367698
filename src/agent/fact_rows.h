/* fact_rows.h: the part of a batch that says what is known of pods and containers (wire/facts.h):
 * those it has samples of, or what they used. */
#pragma once

#include <stdint.h>

struct batch;
struct counters;
struct fact_rows;
struct pods;
struct strings;

/* `pods`: who knows them; must outlive it. NULL: nobody. */
int fact_rows_new(struct pods *pods, struct counters *counters, struct fact_rows **ret);
void fact_rows_free(struct fact_rows **rows);

/* Begins a batch, whose texts go to `strings`. What has been told in a batch before it is left out
 * as long as it is the same; but after WIRE_FACTS_NS, and on a new day, everything is told again.
 */
void fact_rows_begin(struct fact_rows *rows, struct strings *strings, int64_t start_ns);

/* To be called for whatever is in the batch. A cgroup's path may be given as often as it comes.
 * What does not fit is dropped and counted. -ENOMEM. */
int fact_rows_add(struct fact_rows *rows, const char *cgroup_path);

/* The rows stay this one's, until the next begin. */
void fact_rows_give(const struct fact_rows *rows, struct batch *to);
