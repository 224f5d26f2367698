/* check.c: takes a batch in memory, says whether it keeps the rules of format.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "wire/batch.h"
#include "wire/body.h"
#include "wire/schema.h"

static int check_counts(const struct batch *b, struct err *err)
{
    if (b->string_count > WIRE_MAX_STRINGS)
        return err_set(err, -EFBIG, "strings: %u rows are over WIRE_MAX_STRINGS (%u)",
                       b->string_count, WIRE_MAX_STRINGS);
    if (b->counter_count > WIRE_MAX_COUNTERS)
        return err_set(err, -EFBIG, "counters: %u are over WIRE_MAX_COUNTERS (%u)",
                       b->counter_count, WIRE_MAX_COUNTERS);
    for (const struct wire_table *t = schema_tables; t < schema_tables + TABLE_COUNT; t++)
        if (schema_count(b, t) > t->max_rows)
            return err_set(err, -EFBIG, "%s: %u rows are over %s (%u)", t->name, schema_count(b, t),
                           t->limit, t->max_rows);
    return 0;
}

static int check_window(const struct batch *b, struct err *err)
{
    if (b->start_ns < 0 || b->end_ns <= b->start_ns)
        return err_set(err, -EBADMSG, "window: start_ns %" PRId64 " is not before end_ns %" PRId64,
                       b->start_ns, b->end_ns);
    if (b->end_ns - b->start_ns > WIRE_MAX_WINDOW_NS)
        return err_set(err, -EFBIG, "window: %" PRId64 " ns are over WIRE_MAX_WINDOW_NS (%lld)",
                       b->end_ns - b->start_ns, WIRE_MAX_WINDOW_NS);
    if (b->slot_ns <= 0)
        return err_set(err, -EBADMSG, "window: slot_ns is %" PRId64 ", must be at least 1",
                       b->slot_ns);
    if (b->period_ns <= 0 || b->period_ns > WIRE_MAX_PERIOD_NS)
        return err_set(err, b->period_ns <= 0 ? -EBADMSG : -EFBIG,
                       "window: period_ns is %" PRId64 ", must be 1 to WIRE_MAX_PERIOD_NS (%lld)",
                       b->period_ns, WIRE_MAX_PERIOD_NS);
    if (b->seq > INT64_MAX)
        return err_set(err, -EBADMSG, "seq is %" PRIu64 ", must be below 2^63", b->seq);
    if (!b->node[0])
        return err_set(err, -EBADMSG, "node: name is empty");
    return 0;
}

/* No name is repeated in an error's text: it comes from outside, and the text goes into logs and
 * answers. */
static int check_counters(const struct batch *b, struct err *err)
{
    for (uint32_t i = 0; i < b->counter_count; i++) {
        if (b->counters[i].value > INT64_MAX)
            return err_set(err, -EBADMSG, "counters: value %u is %" PRIu64 ", must be below 2^63",
                           i, b->counters[i].value);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(b->counters[i].name, b->counters[j].name) == 0)
                return err_set(err, -EBADMSG, "counters: name %u repeats name %u", i, j);
    }
    return 0;
}

/* The smallest value that is too large for a column, and in words why. */
static uint64_t column_bound(const struct batch *b, const struct wire_column *c,
                             const char **ret_what)
{
    static const char *const words[] = {"",       "strings",       "objects", "processes",
                                        "stacks", "rows of usage", "pods"};
    const uint64_t counts[] = {(uint64_t)(c->max ? c->max : UINT32_MAX) + 1,
                               b->string_count,
                               b->object_count,
                               b->process_count,
                               b->stack_count,
                               b->usage_count,
                               b->pod_count};
    *ret_what = words[c->refers];
    return counts[c->refers];
}

static int refuse_value(const struct batch *b, const struct wire_table *t,
                        const struct wire_column *c, uint32_t row, uint32_t value, struct err *err)
{
    const char *what;
    uint64_t bound = column_bound(b, c, &what);
    if (c->refers != REFERS_NONE)
        return err_set(err, -EBADMSG, "%s.%s[%u] is %u, but there are %" PRIu64 " %s", t->name,
                       c->name, row, value, bound, what);
    return err_set(err, -EBADMSG, "%s.%s[%u] is %u, must be %u to %" PRIu64, t->name, c->name, row,
                   value, c->min, bound - 1);
}

static int check_column(const struct batch *b, const struct wire_table *t,
                        const struct wire_column *c, struct err *err)
{
    const char *what;
    uint64_t bound = column_bound(b, c, &what);
    uint32_t count = schema_count(b, t);
    if (count == 0)
        return 0; /* the table may be NULL, to which C forbids to add */
    const uint8_t *at = schema_rows(b, t) + c->offset;
    if (c->type == COLUMN_U32 && (c->min > 0 || bound <= UINT32_MAX)) {
        for (uint32_t i = 0; i < count; i++, at += t->row_size) {
            uint32_t v = *(const uint32_t *)at;
            if (v < c->min || v >= bound)
                return refuse_value(b, t, c, i, v, err);
        }
    } else if (c->type == COLUMN_U8) {
        for (uint32_t i = 0; i < count; i++, at += t->row_size)
            if (*at < c->min || *at >= bound)
                return refuse_value(b, t, c, i, *at, err);
    } else if (c->type == COLUMN_FIGURE) {
        for (uint32_t i = 0; i < count; i++, at += t->row_size)
            if (*(const uint64_t *)at > INT64_MAX && *(const uint64_t *)at != WIRE_UNKNOWN)
                return err_set(err, -EBADMSG, "%s.%s[%u] is %" PRIu64 ", must be below 2^63",
                               t->name, c->name, i, *(const uint64_t *)at);
    }
    return 0;
}

static int check_build_ids(const struct batch *b, struct err *err)
{
    for (uint32_t i = 0; i < b->object_count; i++)
        if (b->objects[i].build_id_len > WIRE_MAX_BUILD_ID)
            return err_set(err, -EFBIG,
                           "objects.build_id[%u] has %u bytes, over WIRE_MAX_BUILD_ID (%u)", i,
                           b->objects[i].build_id_len, WIRE_MAX_BUILD_ID);
    return 0;
}

static int check_stacks(const struct batch *b, struct err *err)
{
    _cleanup_free_ uint16_t *depths = malloc(((size_t)b->stack_count + 1) * sizeof(*depths));
    if (!depths)
        return err_errno(err, -ENOMEM, "checking %u stacks", b->stack_count);
    if (b->stack_count == 0)
        return err_set(err, -EBADMSG, "stacks: row 0, the root, is missing");
    if (b->stacks[0].parent != 0 || b->stacks[0].frame != 0)
        return err_set(err, -EBADMSG, "stacks: row 0, the root, must be parent 0, frame 0");
    depths[0] = 0;
    for (uint32_t i = 1; i < b->stack_count; i++) {
        const struct batch_stack *s = &b->stacks[i];
        if (s->parent >= i)
            return err_set(err, -EBADMSG, "stacks.parent[%u] is %u, must be a row before it", i,
                           s->parent);
        if (s->frame >= b->frame_count)
            return err_set(err, -EBADMSG, "stacks.frame[%u] is %u, but there are %u frames", i,
                           s->frame, b->frame_count);
        depths[i] = depths[s->parent] + 1;
        if (depths[i] > WIRE_MAX_DEPTH)
            return err_set(err, -EFBIG, "stacks: row %u is deeper than WIRE_MAX_DEPTH (%u)", i,
                           WIRE_MAX_DEPTH);
    }
    return 0;
}

static int check_slots(const struct batch *b, struct err *err)
{
    int64_t last = (b->end_ns - b->start_ns - 1) / b->slot_ns;
    for (uint32_t i = 0; i < b->sample_count; i++)
        if (b->samples[i].slot > last)
            return err_set(err, -EBADMSG,
                           "samples.slot[%u] is %u, but the window's last slot is %" PRId64, i,
                           b->samples[i].slot, last);
    return 0;
}

static int check_usage(const struct batch *b, struct err *err)
{
    for (uint32_t i = 0; i < b->usage_count; i++)
        if (b->usage[i].time_ns < b->start_ns || b->usage[i].time_ns >= b->end_ns)
            return err_set(err, -EBADMSG, "usage.time_ns[%u] is %" PRId64 ", not within the window",
                           i, b->usage[i].time_ns);
    return 0;
}

int batch_check(const struct batch *batch, struct err *err)
{
    int r = check_counts(batch, err);
    if (r == 0)
        r = check_window(batch, err);
    if (r == 0)
        r = check_counters(batch, err);
    if (r == 0 && (batch->string_count == 0 || batch->strings[0][0]))
        r = err_set(err, -EBADMSG, "strings: row 0 must be the empty string");
    for (const struct wire_table *t = schema_tables; r == 0 && t < schema_tables + TABLE_COUNT; t++)
        for (unsigned i = 0; r == 0 && i < t->column_count; i++)
            r = check_column(batch, t, &t->columns[i], err);
    if (r == 0)
        r = check_build_ids(batch, err);
    if (r == 0)
        r = check_stacks(batch, err);
    if (r == 0)
        r = check_slots(batch, err);
    if (r == 0)
        r = check_usage(batch, err);
    return r;
}
