/* schema.c: the tables of struct batch, column by column, in the order they are written. */
#include "wire/schema.h"

#include <string.h>

#include "wire/batch.h"

#define TABLE(plural, singular, limit_, count_)                                             \
    .name = #plural, .limit = #limit_, .max_rows = limit_,                                  \
    .row_size = sizeof(struct batch_##singular), .rows_at = offsetof(struct batch, plural), \
    .count_at = offsetof(struct batch, singular##_count), .column_count = count_

#define COLUMN(row, member, type_, ...)                                                 \
    {                                                                                   \
        .name = #member, .offset = offsetof(struct batch_##row, member), .type = type_, \
        __VA_ARGS__                                                                     \
    }

#define FIGURE(name_)                                                        \
    {                                                                        \
        .name = #name_,                                                      \
        .type = COLUMN_FIGURE,                                               \
        .offset = offsetof(struct batch_usage, figures[WIRE_USAGE_##name_]), \
    },

const struct wire_table
    schema_tables[TABLE_COUNT] =
        {
            [TABLE_OBJECTS] = {TABLE(objects, object, WIRE_MAX_OBJECTS, 4),
                               .columns =
                                   {
                                       COLUMN(object, path, COLUMN_U32, .refers = REFERS_STRING),
                                       COLUMN(object, kind, COLUMN_U8, .max = OBJECT_KIND_LAST),
                                       COLUMN(object, build_id, COLUMN_BUILD_ID),
                                       COLUMN(object, flags, COLUMN_U8),
                                   }},
            [TABLE_FRAMES] = {TABLE(frames, frame, WIRE_MAX_FRAMES, 6),
                              .columns =
                                  {
                                      COLUMN(frame, kind, COLUMN_U8, .min = FRAME_USER,
                                             .max = FRAME_KIND_LAST),
                                      COLUMN(frame, object, COLUMN_U32, .refers = REFERS_OBJECT),
                                      COLUMN(frame, address, COLUMN_U64),
                                      COLUMN(frame, name, COLUMN_U32, .refers = REFERS_STRING),
                                      COLUMN(frame, file, COLUMN_U32, .refers = REFERS_STRING),
                                      COLUMN(frame, line, COLUMN_U32),
                                  }},
            /* What parent and frame may be depends on the row: see check.c. */
            [TABLE_STACKS] = {TABLE(stacks, stack, WIRE_MAX_STACKS, 3), .may_lack = 1,
                              .columns =
                                  {
                                      COLUMN(stack, parent, COLUMN_U32),
                                      COLUMN(stack, frame, COLUMN_U32),
                                      COLUMN(stack, methods, COLUMN_METHODS),
                                  }},
            [TABLE_PROCESSES] = {TABLE(processes, process, WIRE_MAX_PROCESSES, 6),
                                 .columns =
                                     {
                                         COLUMN(process, pid, COLUMN_U32),
                                         COLUMN(process, ppid, COLUMN_U32),
                                         COLUMN(process, start_ns, COLUMN_TIME),
                                         COLUMN(process, name, COLUMN_U32, .refers = REFERS_STRING),
                                         COLUMN(process, exe, COLUMN_U32, .refers = REFERS_STRING),
                                         COLUMN(process, cgroup,
                                                COLUMN_U32, .refers = REFERS_STRING),
                                     }},
            [TABLE_LABELS] = {TABLE(labels, label, WIRE_MAX_LABELS, 3),
                              .columns =
                                  {
                                      COLUMN(label, process, COLUMN_U32, .refers = REFERS_PROCESS),
                                      COLUMN(label, key, COLUMN_U32, .refers = REFERS_STRING),
                                      COLUMN(label, value, COLUMN_U32, .refers = REFERS_STRING),
                                  }},
            [TABLE_SAMPLES] = {TABLE(samples, sample, WIRE_MAX_SAMPLES, 6),
                               .columns =
                                   {
                                       COLUMN(sample, slot, COLUMN_U32),
                                       COLUMN(sample, process, COLUMN_U32,
                                              .refers = REFERS_PROCESS),
                                       COLUMN(sample, thread, COLUMN_U32, .refers = REFERS_STRING),
                                       COLUMN(sample, cpu, COLUMN_U32),
                                       COLUMN(sample, stack, COLUMN_U32, .refers = REFERS_STACK),
                                       COLUMN(sample, count, COLUMN_U32, .min = 1),
                                   }},
            [TABLE_USAGE] = {TABLE(usage, usage, WIRE_MAX_USAGE, 5 + WIRE_USAGE_COUNT),
                             .optional = true,
                             .columns = {COLUMN(usage, time_ns, COLUMN_TIME),
                                         COLUMN(usage, span_ns, COLUMN_TIME),
                                         COLUMN(usage, cgroup, COLUMN_U32, .refers = REFERS_STRING),
                                         COLUMN(usage, network, COLUMN_U64),
                                         COLUMN(usage, summed, COLUMN_U32), WIRE_USAGE(FIGURE)}},
            [TABLE_USAGE_LABELS] =
                {TABLE(usage_labels, usage_label, WIRE_MAX_USAGE_LABELS, 3), .optional = true,
                 .columns =
                     {
                         COLUMN(usage_label, cgroup, COLUMN_U32, .refers = REFERS_STRING),
                         COLUMN(usage_label, key, COLUMN_U32, .refers = REFERS_STRING),
                         COLUMN(usage_label, value, COLUMN_U32, .refers = REFERS_STRING),
                     }},
            [TABLE_USAGE_PROCESSES] =
                {TABLE(usage_processes, usage_process, WIRE_MAX_USAGE_PROCESSES, 10),
                 .optional = true,
                 .columns =
                     {
                         COLUMN(usage_process, usage, COLUMN_U32, .refers = REFERS_USAGE),
                         COLUMN(usage_process, pid, COLUMN_U32),
                         COLUMN(usage_process, threads, COLUMN_U32),
                         COLUMN(usage_process, start_ns, COLUMN_TIME),
                         COLUMN(usage_process, exe, COLUMN_U32, .refers = REFERS_STRING),
                         COLUMN(usage_process, command, COLUMN_U32, .refers = REFERS_STRING),
                         COLUMN(usage_process, cpu_user_ns, COLUMN_FIGURE),
                         COLUMN(usage_process, cpu_system_ns, COLUMN_FIGURE),
                         COLUMN(usage_process, rss_bytes, COLUMN_FIGURE),
                         COLUMN(usage_process, virtual_bytes, COLUMN_FIGURE),
                     }},
            [TABLE_PODS] = {TABLE(pods, pod, WIRE_MAX_PODS, 7), .optional = true,
                            .columns =
                                {
                                    COLUMN(pod, uid, COLUMN_U32, .refers = REFERS_STRING),
                                    COLUMN(pod, namespace, COLUMN_U32, .refers = REFERS_STRING),
                                    COLUMN(pod, name, COLUMN_U32, .refers = REFERS_STRING),
                                    COLUMN(pod, ip, COLUMN_U32, .refers = REFERS_STRING),
                                    COLUMN(pod, phase, COLUMN_U32, .refers = REFERS_STRING),
                                    COLUMN(pod, workload, COLUMN_U32, .refers = REFERS_STRING),
                                    COLUMN(pod, started_ns, COLUMN_TIME),
                                }},
            [TABLE_POD_LABELS] =
                {TABLE(pod_labels, pod_label, WIRE_MAX_POD_LABELS, 3), .optional = true,
                 .columns =
                     {
                         COLUMN(pod_label, pod, COLUMN_U32, .refers = REFERS_POD),
                         COLUMN(pod_label, key, COLUMN_U32, .refers = REFERS_STRING),
                         COLUMN(pod_label, value, COLUMN_U32, .refers = REFERS_STRING),
                     }},
            [TABLE_CONTAINERS] =
                {TABLE(containers, container, WIRE_MAX_CONTAINERS, 9), .optional = true,
                 .columns =
                     {
                         COLUMN(container, id, COLUMN_U32, .refers = REFERS_STRING),
                         COLUMN(container, pod_uid, COLUMN_U32, .refers = REFERS_STRING),
                         COLUMN(container, name, COLUMN_U32, .refers = REFERS_STRING),
                         COLUMN(container, image, COLUMN_U32, .refers = REFERS_STRING),
                         COLUMN(container, reason, COLUMN_U32, .refers = REFERS_STRING),
                         COLUMN(container, kind, COLUMN_U8, .max = WIRE_CONTAINER_KIND_COUNT - 1),
                         COLUMN(container, state, COLUMN_U8, .max = WIRE_CONTAINER_STATE_COUNT - 1),
                         COLUMN(container, restarts, COLUMN_U32),
                         COLUMN(container, started_ns, COLUMN_TIME),
                     }},
};

/* Pointers to the rows have a type each; only their bytes are copied here. */

const uint8_t *schema_rows(const struct batch *batch, const struct wire_table *table)
{
    const uint8_t *rows;
    memcpy(&rows, (const char *)batch + table->rows_at, sizeof(rows));
    return rows;
}

uint32_t schema_count(const struct batch *batch, const struct wire_table *table)
{
    uint32_t count;
    memcpy(&count, (const char *)batch + table->count_at, sizeof(count));
    return count;
}

void schema_set(struct batch *batch, const struct wire_table *table, const void *rows,
                uint32_t count)
{
    memcpy((char *)batch + table->rows_at, &rows, sizeof(rows));
    memcpy((char *)batch + table->count_at, &count, sizeof(count));
}
