/* usage_log.c: takes a scan's readings, keeps copies of them. See usage_log.h. */
#include "agent/usage_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int usage_log_new(struct usage_log **ret)
{
    struct usage_log *log = calloc(1, sizeof(*log));
    if (!log)
        return -ENOMEM;
    *ret = log;
    return 0;
}

void usage_log_free(struct usage_log **log)
{
    if (!*log)
        return;
    strings_free(&(*log)->strings);
    free((*log)->readings);
    free((*log)->processes);
    free(*log);
    *log = NULL;
}

static int make_room(void **rows, size_t *room, size_t wanted, size_t size)
{
    if (wanted <= *room)
        return 0;
    size_t more = wanted + wanted / 2 + 16;
    void *larger = reallocarray(*rows, more, size);
    if (!larger)
        return -ENOMEM;
    *rows = larger;
    *room = more;
    return 0;
}

static int add_process(struct usage_log *log, const struct usage_process *p)
{
    struct usage_log_process *to = &log->processes[log->process_count];
    *to = (struct usage_log_process){
        .start_ns = p->start_ns,
        .cpu_user_ns = p->cpu_user_ns,
        .cpu_system_ns = p->cpu_system_ns,
        .rss_bytes = p->rss_bytes,
        .virtual_bytes = p->virtual_bytes,
        .pid = p->pid,
        .threads = p->threads,
    };
    int r = strings_add(&log->strings, p->exe, &to->exe);
    if (r == 0)
        r = strings_add(&log->strings, p->command, &to->command);
    if (r == 0)
        log->process_count++;
    return r;
}

int usage_log_add(void *ctx, const struct usage_reading *reading,
                  const struct usage_process *processes, size_t count)
{
    struct usage_log *log = ctx;
    int r = make_room((void **)&log->readings, &log->room, log->count + 1, sizeof(*log->readings));
    if (r == 0)
        r = make_room((void **)&log->processes, &log->process_room, log->process_count + count,
                      sizeof(*log->processes));
    if (r < 0)
        return r;
    struct usage_log_reading *to = &log->readings[log->count];
    *to = (struct usage_log_reading){
        .time_ns = reading->time_ns,
        .span_ns = reading->span_ns,
        .network = reading->network,
        .summed = reading->summed,
        .first_process = (uint32_t)log->process_count,
        .process_count = (uint32_t)count,
    };
    memcpy(to->figures, reading->figures, sizeof(to->figures));
    r = strings_add(&log->strings, reading->path, &to->path);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_process(log, &processes[i]);
    if (r == 0)
        log->count++;
    return r;
}
