/* usage_write.c: takes a batch's usage, gives the day one blob a cgroup and minute. See
 * usage_write.h.
 *
 * A cgroup is a series like those of samples, with its own labels and a process without a name. */
#include "server/sqlite/usage_write.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/sqlite/blob.h"
#include "server/sqlite/db.h"
#include "server/sqlite/dict.h"
#include "server/sqlite/hash.h"
#include "server/sqlite/layout.h"
#include "server/sqlite/number.h"
#include "server/sqlite/usage_blob.h"
#include "server/sqlite/usage_list.h"
#include "server/sqlite/varint.h"
#include "server/sqlite/writer.h"
#include "wire/batch.h"

/* As with samples: a larger part is left as it is. */
#define MERGE_MAX_BYTES 4096

struct intake {
    struct writer *writer;
    struct numbers *numbers;
    const struct batch *batch;
    const struct batch_hashes *hashes;
    int64_t day;
    uint32_t *rows;   /* of the batch's usage, those of the day: by cgroup, then by time */
    uint32_t *labels; /* of its usage_labels: by cgroup, then by what they say */
    size_t row_count, label_count;
    struct hash *words;  /* what is hashed of a series */
    uint32_t *processes; /* of the batch's usage_processes: by usage, most CPU first */
    uint8_t *packed;     /* labels of a series; then a blob */
    struct usage_list *list;
    struct usage_row *minute; /* what is put into one */
};

static void intake_free(struct intake *in)
{
    free(in->rows);
    free(in->labels);
    free(in->words);
    free(in->packed);
    free(in->minute);
    free(in->processes);
    free(in->list);
}

/* ---- order */

static int compare_rows(const void *left, const void *right, void *ctx)
{
    const struct batch_usage *all = ((const struct batch *)ctx)->usage;
    const struct batch_usage *a = &all[*(const uint32_t *)left],
                             *b = &all[*(const uint32_t *)right];
    if (a->cgroup != b->cgroup)
        return a->cgroup < b->cgroup ? -1 : 1;
    return (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
}

static int compare_hashes(const struct hash *a, const struct hash *b)
{
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    return (a->low > b->low) - (a->low < b->low);
}

static int compare_labels(const void *left, const void *right, void *ctx)
{
    const struct intake *in = ctx;
    const struct batch_usage_label *all = in->batch->usage_labels;
    const struct batch_usage_label *a = &all[*(const uint32_t *)left],
                                   *b = &all[*(const uint32_t *)right];
    if (a->cgroup != b->cgroup)
        return a->cgroup < b->cgroup ? -1 : 1;
    int r = compare_hashes(&in->hashes->strings[a->key], &in->hashes->strings[b->key]);
    return r ? r : compare_hashes(&in->hashes->strings[a->value], &in->hashes->strings[b->value]);
}

static uint64_t cpu_of(const struct batch_usage_process *p)
{
    return p->cpu_user_ns == WIRE_UNKNOWN ? 0 : p->cpu_user_ns + p->cpu_system_ns;
}

static int compare_processes(const void *left, const void *right, void *ctx)
{
    const struct batch_usage_process *all = ((const struct batch *)ctx)->usage_processes;
    const struct batch_usage_process *a = &all[*(const uint32_t *)left],
                                     *b = &all[*(const uint32_t *)right];
    if (a->usage != b->usage)
        return a->usage < b->usage ? -1 : 1;
    if (cpu_of(a) != cpu_of(b))
        return cpu_of(a) > cpu_of(b) ? -1 : 1;
    return (a->pid > b->pid) - (a->pid < b->pid);
}

static void sort_all(struct intake *in)
{
    const struct batch *b = in->batch;
    for (uint32_t i = 0; i < b->usage_process_count; i++)
        in->processes[i] = i;
    qsort_r(in->processes, b->usage_process_count, sizeof(*in->processes), compare_processes,
            (void *)(uintptr_t)b);
    for (uint32_t i = 0; i < b->usage_count; i++)
        if (day_of_ms(b->usage[i].time_ns / NS_PER_MS) == in->day)
            in->rows[in->row_count++] = i;
    qsort_r(in->rows, in->row_count, sizeof(*in->rows), compare_rows, (void *)(uintptr_t)b);
    for (uint32_t i = 0; i < b->usage_label_count; i++)
        in->labels[i] = i;
    qsort_r(in->labels, b->usage_label_count, sizeof(*in->labels), compare_labels, in);
    for (uint32_t i = 0; i < b->usage_label_count; i++)
        if (i == 0 || compare_labels(&in->labels[in->label_count - 1], &in->labels[i], in) != 0)
            in->labels[in->label_count++] = in->labels[i];
}

/* ---- series */

static struct hash hash_series(struct intake *in, uint32_t cgroup, const uint32_t *labels,
                               size_t count)
{
    size_t n = 0;
    in->words[n++] = hash_text(in->batch->node);
    in->words[n++] = hash_text("");
    in->words[n++] = in->hashes->strings[cgroup];
    for (size_t i = 0; i < count; i++) {
        const struct batch_usage_label *l = &in->batch->usage_labels[labels[i]];
        in->words[n++] = in->hashes->strings[l->key];
        in->words[n++] = in->hashes->strings[l->value];
    }
    return hash_bytes(in->words, n * sizeof(*in->words));
}

static int add_series(struct intake *in, struct hash hash, uint32_t cgroup, const uint32_t *labels,
                      size_t count, uint32_t *ret, struct err *err)
{
    struct dict_series d = {.node = in->numbers->node_id, .labels = in->packed};
    uint8_t *end = in->packed;
    int r = number_string(in->numbers, cgroup, &d.cgroup, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct batch_usage_label *l = &in->batch->usage_labels[labels[i]];
        uint32_t key = 0, value = 0;
        r = number_string(in->numbers, l->key, &key, err);
        if (r == 0)
            r = number_string(in->numbers, l->value, &value, err);
        end = varint_put(varint_put(end, key), value);
    }
    d.labels_len = (size_t)(end - in->packed);
    return r < 0 ? r : dict_add_series(in->writer->dict, hash, &d, ret, err);
}

/* `*at` goes on in the sorted labels as the cgroups do. */
static int find_series(struct intake *in, uint32_t cgroup, size_t *at, uint32_t *ret,
                       struct err *err)
{
    const struct batch_usage_label *all = in->batch->usage_labels;
    while (*at < in->label_count && all[in->labels[*at]].cgroup < cgroup)
        ++*at;
    const uint32_t *labels = in->labels + *at;
    size_t count = 0;
    for (; *at < in->label_count && all[in->labels[*at]].cgroup == cgroup; ++*at)
        count++;
    struct hash hash = hash_series(in, cgroup, labels, count);
    int r = dict_find(in->writer->dict, DICT_SERIES, hash, ret, err);
    if (r == 0 && *ret == 0)
        r = add_series(in, hash, cgroup, labels, count, ret, err);
    return r;
}

/* ---- blobs */

static void bind_key(sqlite3_stmt *stmt, int type, uint32_t t, uint32_t series)
{
    sqlite3_bind_int64(stmt, 1, type);
    sqlite3_bind_int64(stmt, 2, t);
    sqlite3_bind_int64(stmt, 3, series);
}

static void complain(const struct intake *in, uint32_t t, uint32_t series, const struct err *why)
{
    log_err("%s path=\"%s\" minute=%u series=%u", why->text,
            sqlite3_db_filename(in->writer->db, "main"), t, series);
}

/* Takes up the last part's rows if there is room for `more` behind them. */
static int take_up_part(struct intake *in, uint32_t t, uint32_t series, size_t more, size_t *count,
                        int64_t *ret_part, struct err *err)
{
    sqlite3_stmt *stmt = in->writer->last_part;
    bind_key(stmt, SAMPLE_USAGE, t, series);
    sqlite3_bind_int64(stmt, 4, MERGE_MAX_BYTES);
    int r = db_step(stmt, err);
    *count = 0;
    *ret_part = 0;
    if (r > 0) {
        struct err why = {0};
        const void *data = sqlite3_column_blob(stmt, 1);
        *ret_part = sqlite3_column_int64(stmt, 0);
        int bad = !data ? -E2BIG
                        : usage_blob_decode(data, (size_t)sqlite3_column_bytes(stmt, 1),
                                            blob_seed(t, series), in->minute, count, &why);
        if (bad == -EUCLEAN)
            complain(in, t, series, &why);
        if (bad < 0 || *count + more > USAGE_BLOB_MAX_ROWS) {
            *count = 0;
            ++*ret_part;
        }
    }
    sqlite3_reset(stmt);
    return r < 0 ? r : 0;
}

static int compare_times(const void *left, const void *right)
{
    const struct usage_row *a = left, *b = right;
    return (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
}

/* `rows` of one series and minute. */
static int write_minute(struct intake *in, uint32_t t, uint32_t series, const uint32_t *rows,
                        size_t more, struct err *err)
{
    size_t count;
    int64_t part;
    int r = take_up_part(in, t, series, more, &count, &part, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < more; i++) {
        const struct batch_usage *u = &in->batch->usage[rows[i]];
        struct usage_row *to = &in->minute[count++];
        *to = (struct usage_row){.time_ms = (uint32_t)(u->time_ns / NS_PER_MS % MS_PER_MINUTE),
                                 .summed = u->summed,
                                 .span_us = (uint64_t)(u->span_ns / 1000),
                                 .network = u->network};
        memcpy(to->figures, u->figures, sizeof(to->figures));
    }
    qsort(in->minute, count, sizeof(*in->minute), compare_times);
    size_t len = usage_blob_encode(in->minute, count, blob_seed(t, series), in->packed);
    sqlite3_stmt *put = in->writer->put_part;
    bind_key(put, SAMPLE_USAGE, t, series);
    sqlite3_bind_int64(put, 4, part);
    sqlite3_bind_blob64(put, 5, in->packed, len, SQLITE_STATIC);
    return db_run(put, err);
}

/* ---- lists of processes */

/* The first of those that belong to this row of usage, or where they would stand. */
static uint32_t first_process(const struct intake *in, uint32_t usage)
{
    uint32_t low = 0, high = in->batch->usage_process_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (in->batch->usage_processes[in->processes[middle]].usage < usage)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int fill_list(struct intake *in, uint32_t usage, struct err *err)
{
    const struct batch *b = in->batch;
    struct usage_list *list = in->list;
    list->time_ms = (uint32_t)(b->usage[usage].time_ns / NS_PER_MS % MS_PER_MINUTE);
    list->span_us = (uint64_t)(b->usage[usage].span_ns / 1000);
    list->count = 0;
    for (uint32_t i = first_process(in, usage);
         i < b->usage_process_count && list->count < USAGE_LIST_MAX; i++) {
        const struct batch_usage_process *p = &b->usage_processes[in->processes[i]];
        if (p->usage != usage)
            break;
        struct usage_list_row *to = &list->rows[list->count++];
        *to = (struct usage_list_row){.pid = p->pid,
                                      .threads = p->threads,
                                      .start_ms = (uint64_t)(p->start_ns / NS_PER_MS),
                                      .cpu_user_ns = p->cpu_user_ns,
                                      .cpu_system_ns = p->cpu_system_ns,
                                      .rss_bytes = p->rss_bytes,
                                      .virtual_bytes = p->virtual_bytes};
        int r = number_string(in->numbers, p->exe, &to->exe, err);
        if (r == 0)
            r = number_string(in->numbers, p->command, &to->command, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whether the minute has a list that is younger: batches may come in any order. */
static int has_younger_list(struct intake *in, uint32_t t, uint32_t series, uint32_t time_ms,
                            bool *ret, struct err *err)
{
    sqlite3_stmt *stmt = in->writer->last_part;
    bind_key(stmt, SAMPLE_PROCESSES, t, series);
    sqlite3_bind_int64(stmt, 4, USAGE_LIST_BYTES);
    int r = db_step(stmt, err);
    *ret = false;
    if (r > 0) {
        struct err why = {0};
        uint32_t there_ms = 0;
        const void *data = sqlite3_column_blob(stmt, 1);
        int bad = usage_list_time(data ? data : "", (size_t)sqlite3_column_bytes(stmt, 1),
                                  blob_seed(t, series), &there_ms, &why);
        if (bad < 0)
            complain(in, t, series, &why);
        *ret = bad == 0 && there_ms > time_ms;
    }
    sqlite3_reset(stmt);
    return r < 0 ? r : 0;
}

/* Of the minute's last reading; it takes the place of one before. */
static int write_list(struct intake *in, uint32_t t, uint32_t series, uint32_t usage,
                      struct err *err)
{
    bool younger = false;
    int r = fill_list(in, usage, err);
    if (r == 0 && in->list->count)
        r = has_younger_list(in, t, series, in->list->time_ms, &younger, err);
    if (r < 0 || in->list->count == 0 || younger)
        return r;
    size_t len = usage_list_encode(in->list, blob_seed(t, series), in->packed);
    sqlite3_stmt *put = in->writer->put_part;
    bind_key(put, SAMPLE_PROCESSES, t, series);
    sqlite3_bind_int64(put, 4, 0);
    sqlite3_bind_blob64(put, 5, in->packed, len, SQLITE_STATIC);
    return db_run(put, err);
}

static int64_t minute_of(const struct intake *in, size_t row)
{
    return in->batch->usage[in->rows[row]].time_ns / NS_PER_MS / MS_PER_MINUTE;
}

static int write_cgroups(struct intake *in, struct err *err)
{
    size_t label = 0;
    uint32_t series = 0;
    for (size_t i = 0, end; i < in->row_count; i = end) {
        uint32_t cgroup = in->batch->usage[in->rows[i]].cgroup;
        int r = 0;
        if (i == 0 || in->batch->usage[in->rows[i - 1]].cgroup != cgroup)
            r = find_series(in, cgroup, &label, &series, err);
        for (end = i + 1; end < in->row_count && end - i < USAGE_BLOB_MAX_ROWS; end++)
            if (in->batch->usage[in->rows[end]].cgroup != cgroup ||
                minute_of(in, end) != minute_of(in, i))
                break;
        uint32_t t = (uint32_t)(minute_of(in, i) % MINUTES_PER_DAY);
        if (r == 0)
            r = write_minute(in, t, series, in->rows + i, end - i, err);
        if (r == 0)
            r = write_list(in, t, series, in->rows[end - 1], err);
        if (r < 0)
            return r;
    }
    return 0;
}

int usage_write_day(struct writer *writer, struct numbers *numbers, const struct batch *b,
                    const struct batch_hashes *hashes, int64_t day, struct err *err)
{
    _cleanup_(intake_free) struct intake in = {
        .writer = writer, .numbers = numbers, .batch = b, .hashes = hashes, .day = day};
    if (b->usage_count == 0)
        return 0;
    size_t blob = 2 + (size_t)USAGE_BLOB_MAX_ROWS * USAGE_BLOB_ROW_BYTES;
    _Static_assert(USAGE_LIST_BYTES <= 2 + USAGE_BLOB_MAX_ROWS * USAGE_BLOB_ROW_BYTES,
                   "there is room for a list, too");
    size_t labels = (size_t)b->usage_label_count * 2 * VARINT_MAX;
    in.rows = malloc(b->usage_count * sizeof(*in.rows));
    in.labels = malloc((b->usage_label_count + 1ull) * sizeof(*in.labels));
    in.words = malloc((3 + 2ull * b->usage_label_count) * sizeof(*in.words));
    in.packed = malloc(blob > labels ? blob : labels);
    in.minute = malloc(USAGE_BLOB_MAX_ROWS * sizeof(*in.minute));
    in.processes = malloc((b->usage_process_count + 1ull) * sizeof(*in.processes));
    in.list = malloc(sizeof(*in.list));
    if (!in.processes || !in.list || !in.rows || !in.labels || !in.words || !in.packed ||
        !in.minute)
        return err_errno(err, -ENOMEM, "sorting %u rows of usage", b->usage_count);
    sort_all(&in);
    return write_cgroups(&in, err);
}
