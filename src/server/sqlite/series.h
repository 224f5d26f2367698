/* series.h: the series of a batch: processes of one node, name, cgroup and set of labels are one.
 */
#pragma once

#include <stdint.h>

#include "server/sqlite/hash.h"

struct batch;
struct dict;
struct err;

struct batch_series {
    uint32_t *of_process; /* by process row: row in `rows` */
    struct series_row {
        struct hash hash;
        uint32_t process;                  /* one of its processes */
        uint32_t first_label, label_count; /* in `labels` */
    } * rows;
    uint32_t count;
    uint32_t *labels; /* rows of the batch's labels, by process, then by what they say */
};

int batch_series_make(const struct batch *batch, const struct batch_hashes *hashes,
                      struct batch_series *ret, struct err *err);
void batch_series_free(struct batch_series *s);
