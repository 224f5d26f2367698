/* sample_batch.c: batches for tests. */
#include "sample_batch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const strings[] = {
    /*  0 */ "",
    /*  1 */ "/usr/bin/burner",
    /*  2 */ "[kernel]",
    /*  3 */ "main",
    /*  4 */ "std::map<int, char>::find(int const&)",
    /*  5 */ "do_syscall_64",
    /*  6 */ "/src/burner.cc",
    /*  7 */ "burner",
    /*  8 */ "worker;1",
    /*  9 */ "/system.slice/burner.service",
    /* 10 */ "unit",
    /* 11 */ "burner.service",
    /* 12 */ "[other]",
    /* 13 */ "[anon]",
    /* 14 */ "~parse größe.js:12",
    /* 15 */ "[vdso]",
};

static const struct batch_object objects[] = {
    {.path = 0, .kind = OBJECT_NONE},
    {.path = 1,
     .kind = OBJECT_ELF,
     .flags = OBJECT_DELETED,
     .build_id_len = 20,
     .build_id = {0xde, 0xad, 0xbe, 0xef, 4,  5,  6,  7,  8,  9,
                  10,   11,   12,   13,   14, 15, 16, 17, 18, 255}},
    {.path = 2, .kind = OBJECT_KERNEL},
    {.path = 13, .kind = OBJECT_ANON},
    {.path = 15, .kind = OBJECT_VDSO, .flags = OBJECT_FILE_OFFSETS, .build_id_len = 8},
};

static const struct batch_frame frames[] = {
    {.kind = FRAME_USER, .object = 1, .address = 0x401136, .name = 3, .file = 6, .line = 41},
    {.kind = FRAME_INLINED, .object = 1, .address = 0x401180, .name = 4, .file = 6, .line = 70000},
    {.kind = FRAME_USER, .object = 1, .address = UINT64_MAX},
    {.kind = FRAME_KERNEL, .object = 2, .address = 0xa0b0c0, .name = 5},
    {.kind = FRAME_JIT, .object = 3, .address = 0x7f0012345678, .name = 14},
    {.kind = FRAME_MARKER, .object = 0, .name = 12},
    {.kind = FRAME_USER, .object = 4, .address = 0xe3d},
};

/* root ─ main ─┬ find ─ ffffffffffffffff
 *              ├ do_syscall_64
 *              └ parse
 * root ─ [other]
 * root ─ vdso */
static const struct batch_stack stacks[] = {
    {0, 0, 0},
    {0, 0, 0},
    {1, 1, 0},
    {2, 2, 1u << WIRE_METHOD_table},
    {1, 3, 1u << WIRE_METHOD_frame_pointer | 1u << WIRE_METHOD_scan},
    {1, 4, 1u << 31},
    {0, 5, 1u << WIRE_METHOD_chain | 1u << 30},
    {0, 6, 0},
};

static const struct batch_process processes[] = {
    {.pid = 4711, .ppid = 1, .start_ns = 1790000000123456789, .name = 7, .exe = 1, .cgroup = 9},
    {.pid = 4712, .ppid = 4711, .start_ns = 0, .name = 7, .exe = 0, .cgroup = 0},
};

static const struct batch_label labels[] = {{0, 10, 11}, {1, 10, 0}};

static const struct batch_sample samples[] = {
    {.slot = 0, .process = 0, .thread = 7, .cpu = 0, .stack = 3, .count = 1},
    {.slot = 0, .process = 0, .thread = 8, .cpu = 255, .stack = 4, .count = 300},
    {.slot = 1, .process = 1, .thread = 7, .cpu = 1, .stack = 5, .count = 70000},
    {.slot = 2, .process = 1, .thread = 0, .cpu = 1, .stack = 6, .count = 2},
    {.slot = 2, .process = 1, .thread = 0, .cpu = 1, .stack = 0, .count = 5000000},
    {.slot = 2, .process = 0, .thread = 7, .cpu = 0, .stack = 7, .count = 4},
};

static const struct batch_counter counters[] = {{"samples", 5070307}, {"lost", 0}};

#define UNKNOWN WIRE_UNKNOWN
static const struct batch_usage usage[] = {
    {.time_ns = 1790000010000000000,
     .span_ns = 0,
     .cgroup = 9,
     .summed = 1u << WIRE_USAGE_rss_bytes | 1u << WIRE_USAGE_virtual_bytes,
     .figures = {UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN,
                 UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 4096, 8192, 0, INT64_MAX}},
    {.time_ns = 1790000039999999999,
     .span_ns = 10000000001,
     .cgroup = 9,
     .network = UINT64_MAX,
     .figures = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}},
};
_Static_assert(WIRE_USAGE_COUNT == 19, "each figure has a value above");

static const struct batch_usage_label usage_labels[] = {{9, 10, 11}};

static const struct batch_usage_process usage_processes[] = {
    {.usage = 0,
     .pid = 4711,
     .threads = 2,
     .start_ns = 1790000000123456789,
     .exe = 1,
     .command = 1,
     .cpu_user_ns = UNKNOWN,
     .cpu_system_ns = UNKNOWN,
     .rss_bytes = 4096,
     .virtual_bytes = 8192},
    {.usage = 1,
     .pid = 4711,
     .threads = 300,
     .exe = 1,
     .command = 14,
     .cpu_user_ns = 1,
     .cpu_system_ns = 0,
     .rss_bytes = INT64_MAX,
     .virtual_bytes = UNKNOWN},
};

static const struct batch_pod pods[] = {
    {.uid = 3,
     .namespace = 7,
     .name = 8,
     .ip = 5,
     .phase = 11,
     .workload = 10,
     .started_ns = 1790000000123456789},
    {.uid = 1, .namespace = 7, .name = 14},
};
static const struct batch_pod_label pod_labels[] = {{0, 10, 11}, {0, 7, 0}};
static const struct batch_container containers[] = {
    {.id = 4,
     .pod_uid = 3,
     .name = 7,
     .image = 6,
     .reason = 12,
     .restarts = 70000,
     .started_ns = 1790000000123456789,
     .kind = WIRE_CONTAINER_SANDBOX,
     .state = WIRE_CONTAINER_EXITED},
    {.id = 2},
};

#define POD_TABLES                                                          \
    .pods = pods, .pod_labels = pod_labels, .containers = containers,       \
    .pod_count = ARRAY_LEN(pods), .pod_label_count = ARRAY_LEN(pod_labels), \
    .container_count = ARRAY_LEN(containers)

#define USAGE_TABLES                                                                  \
    .usage = usage, .usage_labels = usage_labels, .usage_processes = usage_processes, \
    .usage_count = ARRAY_LEN(usage), .usage_label_count = ARRAY_LEN(usage_labels),    \
    .usage_process_count = ARRAY_LEN(usage_processes)

#define SAMPLE_TABLES                                                                        \
    .node = "node-1", .boot_id = "1b4e28ba-2fa1-11d2-883f-0016d3cca427",                     \
    .kernel = "6.1.0-50-amd64", .arch = "x86_64", .agent = "0.1.0", .cpus = 256,             \
    .seq = 1790000001000000, .start_ns = 1790000010000000000, .end_ns = 1790000040000000000, \
    .slot_ns = 10000000000, .period_ns = 10000000, .strings = strings, .objects = objects,   \
    .frames = frames, .stacks = stacks, .processes = processes, .labels = labels,            \
    .samples = samples, .counters = counters, .string_count = ARRAY_LEN(strings),            \
    .object_count = ARRAY_LEN(objects), .frame_count = ARRAY_LEN(frames),                    \
    .stack_count = ARRAY_LEN(stacks), .process_count = ARRAY_LEN(processes),                 \
    .label_count = ARRAY_LEN(labels), .sample_count = ARRAY_LEN(samples),                    \
    .counter_count = ARRAY_LEN(counters)

const struct batch sample_batch = {SAMPLE_TABLES};
const struct batch sample_usage_batch = {SAMPLE_TABLES, USAGE_TABLES};
const struct batch sample_pods_batch = {SAMPLE_TABLES, USAGE_TABLES, POD_TABLES};

/* xorshift64: tests must not differ from run to run. */
static uint32_t dice(uint64_t *state, uint32_t sides)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)((*state >> 32) * sides >> 32);
}

static void *rows_of(uint32_t count, size_t size)
{
    void *rows = calloc(count + 1u, size);
    assert(rows);
    return rows;
}

static void big_names(struct batch *b, uint32_t frame_count)
{
    static const char *const words[] = {
        "std::vector<", "tcp_", "json::", "__do_", "Parser", "visit"};
    uint64_t state = 88172645463325252u;
    b->string_count = 1 + frame_count;
    const char **s = rows_of(b->string_count, sizeof(*s));
    struct batch_frame *f = rows_of(frame_count, sizeof(*f));
    s[0] = strdup("");
    for (uint32_t i = 0; i < frame_count; i++) {
        char name[128];
        snprintf(name, sizeof(name), "%s%s%u(%s*, int)", words[dice(&state, 6)],
                 words[dice(&state, 6)], i, words[dice(&state, 6)]);
        s[i + 1] = strdup(name);
        uint32_t kernel = dice(&state, 4) == 0;
        f[i] = (struct batch_frame){.kind = kernel ? FRAME_KERNEL : FRAME_USER,
                                    .object = kernel ? 2 : 1,
                                    .address = 0x400000 + dice(&state, 50000000),
                                    .name = i + 1};
    }
    b->strings = s;
    b->frames = f;
    b->frame_count = frame_count;
}

struct batch *sample_batch_big(uint32_t samples_wanted, uint64_t seq)
{
    uint64_t state = 0x9e3779b97f4a7c15u + seq;
    struct batch *b = rows_of(1, sizeof(*b));
    *b = sample_batch;
    b->seq = seq;
    big_names(b, samples_wanted / 10 + 1);
    struct batch_object *o = rows_of(3, sizeof(*o));
    memcpy(o, objects, 3 * sizeof(*o));
    o[1].path = o[2].path = 1;
    b->objects = o;
    b->object_count = 3;
    b->stack_count = samples_wanted + 1;
    struct batch_stack *st = rows_of(b->stack_count, sizeof(*st));
    uint32_t depth = 0;
    for (uint32_t i = 1; i < b->stack_count; i++) { /* chains of about 30 that branch off chains */
        depth = dice(&state, 30) ? depth + 1 : 0;
        st[i].parent = depth && depth < 900 ? i - 1 : 0;
        depth = depth < 900 ? depth : 0;
        st[i].frame = dice(&state, b->frame_count);
        st[i].methods = 1u << dice(&state, WIRE_METHOD_COUNT) & i;
    }
    b->stacks = st;
    b->process_count = samples_wanted / 400 + 1;
    struct batch_process *p = rows_of(b->process_count, sizeof(*p));
    for (uint32_t i = 0; i < b->process_count; i++)
        p[i] = (struct batch_process){.start_ns = b->start_ns - (int64_t)i * 1000003,
                                      .pid = 1000 + i,
                                      .ppid = 1,
                                      .name = dice(&state, b->string_count)};
    b->processes = p;
    b->labels = NULL;
    b->label_count = 0;
    struct batch_sample *sa = rows_of(samples_wanted, sizeof(*sa));
    for (uint32_t i = 0; i < samples_wanted; i++)
        sa[i] = (struct batch_sample){.slot = i * 3 / samples_wanted,
                                      .process = dice(&state, b->process_count),
                                      .thread = dice(&state, b->string_count),
                                      .cpu = dice(&state, 64),
                                      .stack = dice(&state, b->stack_count),
                                      .count = 1 + dice(&state, 5) / 4};
    b->samples = sa;
    b->sample_count = samples_wanted;
    return b;
}

void sample_batch_free(struct batch **batch)
{
    struct batch *b = *batch;
    if (!b)
        return;
    for (uint32_t i = 0; i < b->string_count; i++)
        free((void *)b->strings[i]);
    free((void *)b->strings);
    free((void *)b->objects);
    free((void *)b->frames);
    free((void *)b->stacks);
    free((void *)b->processes);
    free((void *)b->samples);
    free(b);
    *batch = NULL;
}
