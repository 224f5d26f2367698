/* usage_rows.c: takes what was read of containers and units, gives the batch's tables of it. See
 * usage_rows.h. */
#include "agent/usage_rows.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/counters.h"
#include "agent/fact_rows.h"
#include "agent/identity.h"
#include "agent/pod_labels.h"
#include "agent/usage_log.h"
#include "agent/usage_reader.h"
#include "base/cleanup.h"
#include "base/strings.h"
#include "base/table.h"
#include "wire/batch.h"

#define COMMAND_BYTES_MAX (4u << 20)

struct usage_rows {
    struct table usage, labels, processes;
    struct table seen; /* cgroups whose labels are told */
    /* Of the build at hand. */
    const struct usage_sources *sources;
    struct strings *strings;
    struct counters *counters;
    int64_t start_ns;
    size_t command_bytes;
};

int usage_rows_new(struct usage_rows **ret)
{
    struct usage_rows *u = calloc(1, sizeof(*u));
    if (!u)
        return -ENOMEM;
    /* Rows of usage and processes differ in all they hold. */
    table_init(&u->usage, sizeof(struct batch_usage), sizeof(struct batch_usage), WIRE_MAX_USAGE);
    table_init(&u->labels, sizeof(struct batch_usage_label), sizeof(struct batch_usage_label),
               WIRE_MAX_USAGE_LABELS);
    table_init(&u->processes, sizeof(struct batch_usage_process),
               sizeof(struct batch_usage_process), WIRE_MAX_USAGE_PROCESSES);
    table_init(&u->seen, sizeof(uint32_t), sizeof(uint32_t), WIRE_MAX_USAGE);
    *ret = u;
    return 0;
}

void usage_rows_free(struct usage_rows **rows)
{
    if (!*rows)
        return;
    table_free(&(*rows)->usage);
    table_free(&(*rows)->labels);
    table_free(&(*rows)->processes);
    table_free(&(*rows)->seen);
    free(*rows);
    *rows = NULL;
}

static int add_label(struct usage_rows *u, uint32_t cgroup, const char *key, const char *value)
{
    struct batch_usage_label label = {.cgroup = cgroup};
    uint32_t row;
    int r = strings_add(u->strings, key, &label.key);
    if (r == 0)
        r = strings_add(u->strings, value, &label.value);
    if (r == 0)
        r = table_add(&u->labels, &label, &row);
    return r < 0 ? r : 0;
}

/* As a process of the cgroup has them, but the units inside a container are not told apart. Once a
 * batch: what is known of a pod may change from one reading to the next, and a cgroup has one set
 * of labels. */
static int add_labels(struct usage_rows *u, uint32_t cgroup, const char *path)
{
    struct pod_labels labels;
    uint32_t row;
    if (table_find(&u->seen, &cgroup, &row) == 0)
        return 0;
    pod_labels_read(u->sources->pods, path, &labels);
    int r = 0;
    for (size_t i = 0; r == 0 && i < labels.count; i++)
        r = add_label(u, cgroup, labels.v[i].key, labels.v[i].value);
    if (r == 0)
        r = table_add(&u->seen, &cgroup, &row);
    return r < 0 ? r : 0;
}

/* The wire's order is its own. */
static void fill_figures(const uint64_t *from, uint32_t summed, struct batch_usage *to)
{
    static const uint8_t at[] = {
#define X(name) [WIRE_USAGE_##name] = USAGE_##name,
        WIRE_USAGE(X)
#undef X
    };
    for (unsigned i = 0; i < WIRE_USAGE_COUNT; i++) {
        uint64_t value = from[at[i]];
        to->figures[i] = value > INT64_MAX ? WIRE_UNKNOWN : value;
        to->summed |= (summed >> at[i] & 1u) << i;
    }
}

static uint64_t known(uint64_t value)
{
    return value > INT64_MAX ? WIRE_UNKNOWN : value;
}

/* Whole command lines must not make a batch too large to be sent: one for which there is no room is
 * left empty. */
static int add_command(struct usage_rows *u, const char *command, uint32_t *ret)
{
    struct strings *s = u->strings;
    size_t before = s->bytes, max = s->max_bytes, room = COMMAND_BYTES_MAX - u->command_bytes;
    if (!max || max - before > room)
        s->max_bytes = before + room;
    int r = strings_add(s, command, ret);
    s->max_bytes = max;
    u->command_bytes += s->bytes - before;
    return r == -EFBIG ? strings_add(s, "", ret) : r;
}

static int add_process(struct usage_rows *u, const struct usage_log *log,
                       const struct usage_log_process *p, uint32_t usage)
{
    struct batch_usage_process to;
    uint32_t row;
    memset(&to, 0, sizeof(to)); /* it is a key: padding, too */
    to.start_ns = p->start_ns > 0 ? p->start_ns : 0;
    to.cpu_user_ns = known(p->cpu_user_ns);
    to.cpu_system_ns = known(p->cpu_system_ns);
    to.rss_bytes = known(p->rss_bytes);
    to.virtual_bytes = known(p->virtual_bytes);
    to.usage = usage;
    to.pid = p->pid;
    to.threads = p->threads;
    int r = strings_add(u->strings, log->strings.texts[p->exe], &to.exe);
    if (r == 0)
        r = add_command(u, log->strings.texts[p->command], &to.command);
    if (r == 0)
        r = table_add(&u->processes, &to, &row);
    return r < 0 ? r : 0;
}

static int add_reading(struct usage_rows *u, const struct usage_log *log,
                       const struct usage_log_reading *reading)
{
    const char *path = log->strings.texts[reading->path];
    struct batch_usage to;
    uint32_t row;
    memset(&to, 0, sizeof(to));
    to.time_ns = reading->time_ns;
    to.span_ns = reading->span_ns > 0 ? reading->span_ns : 0;
    to.network = reading->network;
    fill_figures(reading->figures, reading->summed, &to);
    int r = strings_add(u->strings, path, &to.cgroup);
    if (r == 0)
        r = add_labels(u, to.cgroup, path);
    if (r == 0)
        r = table_add(&u->usage, &to, &row);
    if (r >= 0)
        r = fact_rows_add(u->sources->facts, path);
    for (uint32_t i = 0; r >= 0 && i < reading->process_count; i++)
        r = add_process(u, log, &log->processes[reading->first_process + i], row);
    return r < 0 ? r : 0;
}

static int add_log(void *ctx, const struct usage_log *log, size_t first, size_t end)
{
    struct usage_rows *u = ctx;
    for (size_t i = first; i < end; i++) {
        const struct usage_log_reading *reading = &log->readings[i];
        bool is_early = reading->time_ns < u->start_ns;
        if (is_early && !reading->span_ns)
            continue; /* sampling began a moment later: nothing that was counted is lost */
        if (u->sources->identity &&
            !identity_wants(u->sources->identity, log->strings.texts[reading->path]))
            continue;
        int r = is_early ? -ENOSPC : add_reading(u, log, reading);
        if (r == -ENOSPC || r == -EFBIG)
            counter_add(u->counters, usage_dropped, 1);
        else if (r < 0)
            return r;
    }
    return 0;
}

int usage_rows_build(struct usage_rows *rows, const struct usage_sources *sources, int64_t start_ns,
                     int64_t end_ns, struct strings *strings, struct counters *counters)
{
    struct usage_rows *u = rows;
    table_clear(&u->usage);
    table_clear(&u->labels);
    table_clear(&u->processes);
    table_clear(&u->seen);
    u->sources = sources;
    u->strings = strings;
    u->counters = counters;
    u->start_ns = start_ns;
    u->command_bytes = 0;
    return sources->reader ? usage_reader_take(sources->reader, end_ns, add_log, u) : 0;
}

void usage_rows_give(const struct usage_rows *rows, struct batch *to)
{
    to->usage = (const struct batch_usage *)rows->usage.rows;
    to->usage_count = rows->usage.count;
    to->usage_labels = (const struct batch_usage_label *)rows->labels.rows;
    to->usage_label_count = rows->labels.count;
    to->usage_processes = (const struct batch_usage_process *)rows->processes.rows;
    to->usage_process_count = rows->processes.count;
}
