/* number.h: the numbers a batch's rows have in one day; those that are new there are written. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct batch;
struct batch_hashes;
struct batch_series;
struct dict;
struct err;

/* By row of the batch; 0: not looked up yet. */
struct numbers {
    const struct batch *batch;
    const struct batch_hashes *hashes;
    const struct batch_series *series;
    struct dict *dict;
    uint32_t *string_ids, *object_ids, *frame_ids, *stack_ids, *series_ids;
    uint32_t node_id;
    uint8_t *bytes; /* room for a stack's frames, or a series' labels */
    size_t bytes_cap;
};

/* Within a transaction of the dictionary's day. */
int numbers_init(struct numbers *n, const struct batch *batch, const struct batch_hashes *hashes,
                 const struct batch_series *series, struct dict *dict, struct err *err);
void numbers_free(struct numbers *n);

int number_string(struct numbers *n, uint32_t row, uint32_t *ret_id, struct err *err);
int number_stack(struct numbers *n, uint32_t row, uint32_t *ret_id, struct err *err);
/* `row` of the batch's series. */
int number_series(struct numbers *n, uint32_t row, uint32_t *ret_id, struct err *err);
