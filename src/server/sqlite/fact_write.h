/* fact_write.h: what a batch says of pods and containers, into a day. */
#pragma once

struct batch;
struct err;
struct numbers;
struct writer;

/* Within a transaction of the day the batch's window starts in; `numbers` are that day's. */
int fact_write_day(struct writer *writer, struct numbers *numbers, const struct batch *batch,
                   struct err *err);
