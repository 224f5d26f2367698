/* usage_rows.h: the part of a batch that says what containers and units used. */
#pragma once

#include <stdint.h>

struct batch;
struct counters;
struct fact_rows;
struct identity;
struct pods;
struct strings;
struct usage_reader;
struct usage_rows;

struct usage_sources {
    struct usage_reader *reader; /* NULL: nothing is read */
    struct pods *pods;           /* NULL: pods have no names */
    struct identity *identity;   /* which pods are wanted; NULL: all */
    struct fact_rows *facts;     /* is told of each cgroup that comes into the batch */
};

int usage_rows_new(struct usage_rows **ret);
void usage_rows_free(struct usage_rows **rows);

/* Takes what was read from start_ns up to end_ns, but nothing of pods that are not wanted. What
 * passes the batch's limits is dropped and counted; but command lines that do are left empty.
 * -ENOMEM. */
int usage_rows_build(struct usage_rows *rows, const struct usage_sources *sources, int64_t start_ns,
                     int64_t end_ns, struct strings *strings, struct counters *counters);

/* The rows stay this one's, until the next build. */
void usage_rows_give(const struct usage_rows *rows, struct batch *to);
