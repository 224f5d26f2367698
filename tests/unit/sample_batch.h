/* sample_batch.h: one small batch that uses every field, for the tests of whoever handles batches.
 */
#pragma once

#include "wire/batch.h"

/* A batch in static memory; the caller may copy the struct and point it elsewhere. */
extern const struct batch sample_batch;

/* The same, with what its cgroup used. */
extern const struct batch sample_usage_batch;

/* The same, with what is known of pods. */
extern const struct batch sample_pods_batch;

/* A batch of `samples` samples with names, stacks and processes in likely proportions. The same
 * numbers give the same batch. Freed with sample_batch_free. */
struct batch *sample_batch_big(uint32_t samples, uint64_t seq);
void sample_batch_free(struct batch **batch);
