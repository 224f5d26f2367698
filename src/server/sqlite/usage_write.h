/* usage_write.h: the part of a batch that says what cgroups used, into a day. */
#pragma once

#include <stdint.h>

struct batch;
struct batch_hashes;
struct err;
struct numbers;
struct writer;

/* Within a transaction of the writer's day: what was read in it. */
int usage_write_day(struct writer *writer, struct numbers *numbers, const struct batch *batch,
                    const struct batch_hashes *hashes, int64_t day, struct err *err);
