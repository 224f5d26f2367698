/* fact_write.c: takes a batch's tables of pods and containers, gives the day a row for each. See
 * fact_write.h; the rows are told in layout.h. */
#include "server/sqlite/fact_write.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/sqlite/db.h"
#include "server/sqlite/layout.h"
#include "server/sqlite/number.h"
#include "server/sqlite/varint.h"
#include "server/sqlite/writer.h"
#include "server/store_query.h"
#include "wire/batch.h"

#define TEXTS_MAX 6
#define DATA_MAX  ((TEXTS_MAX + 4 + 2 * STORE_MAX_POD_LABELS) * VARINT_MAX)

struct intake {
    struct writer *writer;
    struct numbers *numbers;
    const struct batch *batch;
    uint32_t *first;  /* by pod, and one behind the last: its labels in `labels` */
    uint32_t *labels; /* rows of the batch's pod_labels, by pod */
    uint8_t data[DATA_MAX];
};

static void intake_free(struct intake *in)
{
    free(in->first);
    free(in->labels);
}

/* By counting, so that those of a pod stay in their order. */
static int sort_labels(struct intake *in, struct err *err)
{
    const struct batch *b = in->batch;
    in->first = calloc(b->pod_count + 2ull, sizeof(*in->first));
    in->labels = malloc((b->pod_label_count + 1ull) * sizeof(*in->labels));
    if (!in->first || !in->labels)
        return err_errno(err, -ENOMEM, "sorting %u labels of pods", b->pod_label_count);
    for (uint32_t i = 0; i < b->pod_label_count; i++)
        in->first[b->pod_labels[i].pod + 2]++;
    for (uint32_t i = 2; i < b->pod_count + 2; i++)
        in->first[i] += in->first[i - 1];
    for (uint32_t i = 0; i < b->pod_label_count; i++)
        in->labels[in->first[b->pod_labels[i].pod + 1]++] = i;
    return 0;
}

static int put_texts(struct intake *in, const uint32_t *rows, size_t count, uint8_t **at,
                     struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t number;
        int r = number_string(in->numbers, rows[i], &number, err);
        if (r < 0)
            return r;
        *at = varint_put(*at, number);
    }
    return 0;
}

static int write_fact(struct intake *in, int type, uint32_t id, const uint8_t *end, struct err *err)
{
    uint32_t number;
    int r = number_string(in->numbers, id, &number, err);
    if (r < 0)
        return r;
    sqlite3_stmt *put = in->writer->put_fact;
    sqlite3_bind_int64(put, 1, type);
    sqlite3_bind_int64(put, 2, in->numbers->node_id);
    sqlite3_bind_int64(put, 3, number);
    sqlite3_bind_int64(put, 4, in->batch->start_ns / NS_PER_MS);
    sqlite3_bind_int64(put, 5, in->batch->end_ns / NS_PER_MS);
    sqlite3_bind_blob64(put, 6, in->data, (size_t)(end - in->data), SQLITE_STATIC);
    return db_run(put, err);
}

static int write_pod(struct intake *in, uint32_t row, struct err *err)
{
    const struct batch_pod *p = &in->batch->pods[row];
    const uint32_t texts[] = {p->namespace, p->name, p->ip, p->phase, p->workload};
    uint32_t end = in->first[row + 1];
    uint8_t *at = in->data;
    int r = put_texts(in, texts, ARRAY_LEN(texts), &at, err);
    at = varint_put(at, (uint64_t)(p->started_ns / NS_PER_MS));
    for (uint32_t i = in->first[row]; r == 0 && i < end; i++) {
        const struct batch_pod_label *l = &in->batch->pod_labels[in->labels[i]];
        const uint32_t pair[] = {l->key, l->value};
        if (i - in->first[row] == STORE_MAX_POD_LABELS)
            break;
        r = put_texts(in, pair, ARRAY_LEN(pair), &at, err);
    }
    return r < 0 ? r : write_fact(in, FACT_POD, p->uid, at, err);
}

static int write_container(struct intake *in, uint32_t row, struct err *err)
{
    const struct batch_container *c = &in->batch->containers[row];
    const uint32_t texts[] = {c->pod_uid, c->name, c->image, c->reason};
    uint8_t *at = in->data;
    int r = put_texts(in, texts, ARRAY_LEN(texts), &at, err);
    at = varint_put(varint_put(at, c->restarts), (uint64_t)(c->started_ns / NS_PER_MS));
    at = varint_put(varint_put(at, c->kind), c->state);
    return r < 0 ? r : write_fact(in, FACT_CONTAINER, c->id, at, err);
}

int fact_write_day(struct writer *writer, struct numbers *numbers, const struct batch *batch,
                   struct err *err)
{
    _cleanup_(intake_free) struct intake in = {
        .writer = writer, .numbers = numbers, .batch = batch};
    if (batch->pod_count + batch->container_count == 0)
        return 0;
    int r = sort_labels(&in, err);
    for (uint32_t i = 0; r == 0 && i < batch->pod_count; i++)
        r = write_pod(&in, i, err);
    for (uint32_t i = 0; r == 0 && i < batch->container_count; i++)
        r = write_container(&in, i, err);
    return r;
}
