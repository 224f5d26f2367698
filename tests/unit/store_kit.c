/* store_kit.c: see store_kit.h. */
#include "store_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "temp_dir.h"

/* ---- a store in its own directory */

void kit_open(struct kit *kit)
{
    struct err err = {0};
    if (store_sqlite_open(kit->dir, &kit->store, &err) < 0)
        fail_msg("opening %s: %s", kit->dir, err.text);
}

void kit_close(struct kit *kit)
{
    if (kit->store)
        kit->store->ops->close(kit->store);
    kit->store = NULL;
}

void kit_reopen(struct kit *kit)
{
    kit_close(kit);
    kit_open(kit);
}

int kit_setup(void **state)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    assert_non_null(kit);
    assert_int_equal(temp_dir_make((void **)&kit->temp), 0);
    kit->dir = kit->temp->path;
    kit_open(kit);
    *state = kit;
    return 0;
}

int kit_teardown(void **state)
{
    struct kit *kit = *state;
    kit_close(kit);
    int r = temp_dir_remove((void **)&kit->temp);
    free(kit);
    return r;
}

bool kit_ingest(struct kit *kit, const struct batch *batch)
{
    struct err err = {0};
    bool duplicate = false;
    if (kit->store->ops->ingest(kit->store, batch, &duplicate, &err) < 0)
        fail_msg("ingest: %s", err.text);
    return duplicate;
}

/* ---- questions */

struct store_query kit_query(void)
{
    return (struct store_query){.start_ms = 0, .end_ms = INT64_MAX, .stacks = true};
}

void kit_filter(struct store_query *q, const char *key, const char *value)
{
    assert_true(q->filter_count < STORE_MAX_FILTERS);
    q->filters[q->filter_count++] = (struct store_label){key, value};
}

void kit_group(struct store_query *q, const char *key)
{
    assert_true(q->group_count < STORE_MAX_GROUPS);
    q->groups[q->group_count++] = key;
}

static int add_row(void *ctx, const struct store_row *row)
{
    struct kit_sum *sum = ctx;
    sum->rows++;
    sum->samples += row->samples;
    sum->cpu_ns += row->cpu_ns;
    return 0;
}

struct kit_sum kit_sum(struct kit *kit, const struct store_query *query)
{
    struct err err = {0};
    struct kit_sum sum = {0};
    if (kit->store->ops->query(kit->store, query, add_row, &sum, &err) < 0)
        fail_msg("query: %s", err.text);
    return sum;
}

uint64_t kit_samples(struct kit *kit)
{
    struct store_query q = kit_query();
    q.stacks = false;
    return kit_sum(kit, &q).samples;
}

struct folded {
    const struct store_query *query;
    struct line {
        char *groups, *frames;
        uint64_t stack, samples;
    } * lines;
    size_t count, cap;
};

static int keep_row(void *ctx, const struct store_row *row)
{
    struct folded *f = ctx;
    struct buf groups = {0};
    for (size_t i = 0; i < f->query->group_count; i++)
        assert_int_equal(buf_printf(&groups, "%s;", row->groups[i]), 0);
    assert_int_equal(buf_append(&groups, "", 1), 0);
    if (f->count == f->cap) {
        f->cap = f->cap * 2 + 64;
        f->lines = realloc(f->lines, f->cap * sizeof(*f->lines));
        assert_non_null(f->lines);
    }
    f->lines[f->count++] = (struct line){(char *)groups.data, NULL, row->stack, row->samples};
    return 0;
}

static int by_stack(const void *left, const void *right)
{
    const struct line *a = left, *b = right;
    return (a->stack > b->stack) - (a->stack < b->stack);
}

static int keep_stack(void *ctx, uint64_t stack, const struct store_frame *frames, size_t count)
{
    struct folded *f = ctx;
    struct buf text = {0};
    for (size_t i = 0; i < count; i++) {
        if (frames[i].name[0])
            assert_int_equal(buf_printf(&text, "%s;", frames[i].name), 0);
        else
            assert_int_equal(buf_printf(&text, "%s+0x%llx;", frames[i].object,
                                        (unsigned long long)frames[i].address),
                             0);
    }
    assert_int_equal(buf_append(&text, "", 1), 0);
    size_t at = 0; /* of the first line with this stack: they are sorted */
    for (size_t end = f->count; at < end;) {
        size_t half = at + (end - at) / 2;
        if (f->lines[half].stack < stack)
            at = half + 1;
        else
            end = half;
    }
    for (; at < f->count && f->lines[at].stack == stack; at++) {
        assert_null(f->lines[at].frames); /* each stack is told once */
        f->lines[at].frames = strdup((char *)text.data);
    }
    buf_free(&text);
    return 0;
}

void kit_lines_add(struct kit_lines *lines, const char *text, uint64_t samples)
{
    if (lines->count == lines->cap) {
        lines->cap = lines->cap * 2 + 64;
        lines->all = realloc(lines->all, lines->cap * sizeof(*lines->all));
        assert_non_null(lines->all);
    }
    lines->all[lines->count].text = strdup(text);
    assert_non_null(lines->all[lines->count].text);
    lines->all[lines->count++].samples = samples;
}

static int compare_lines(const void *left, const void *right)
{
    const struct kit_line *a = left, *b = right;
    return strcmp(a->text, b->text);
}

char *kit_lines_join(struct kit_lines *lines)
{
    struct buf all = {0};
    if (lines->count)
        qsort(lines->all, lines->count, sizeof(*lines->all), compare_lines);
    for (size_t i = 0; i < lines->count; i++) {
        struct kit_line *l = &lines->all[i];
        if (i + 1 < lines->count && strcmp(l->text, l[1].text) == 0)
            l[1].samples += l->samples;
        else
            assert_int_equal(buf_printf(&all, "%s %llu\n", l->text, (unsigned long long)l->samples),
                             0);
        free(l->text);
    }
    assert_int_equal(buf_append(&all, "", 1), 0);
    free(lines->all);
    return (char *)all.data;
}

/* Takes what it is made of with it. */
static char *join_lines(struct folded *f)
{
    struct kit_lines lines = {0};
    for (size_t i = 0; i < f->count; i++) {
        struct line *l = &f->lines[i];
        _cleanup_free_ char *text = NULL;
        assert_true(asprintf(&text, "%s%s", l->groups, l->frames ? l->frames : "(gone)") >= 0);
        kit_lines_add(&lines, text, l->samples);
        free(l->groups);
        free(l->frames);
    }
    free(f->lines);
    return kit_lines_join(&lines);
}

char *kit_folded(struct kit *kit, const struct store_query *query)
{
    struct err err = {0};
    struct folded f = {.query = query};
    const struct store_ops *ops = kit->store->ops;
    if (ops->query(kit->store, query, keep_row, &f, &err) < 0)
        fail_msg("query: %s", err.text);
    if (f.count)
        qsort(f.lines, f.count, sizeof(*f.lines), by_stack);
    uint64_t *stacks = calloc(f.count + 1, sizeof(*stacks));
    assert_non_null(stacks);
    for (size_t i = 0; i < f.count; i++)
        stacks[i] = f.lines[i].stack;
    if (ops->stacks(kit->store, stacks, f.count, keep_stack, &f, &err) < 0)
        fail_msg("stacks: %s", err.text);
    free(stacks);
    return join_lines(&f);
}

/* ---- random batches */

uint32_t kit_dice(uint64_t *state, uint32_t sides)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)((*state >> 32) * sides >> 32);
}

#define NAMES     40
#define FRAMES    60
#define STACKS    200
#define PROCESSES 12
#define SAMPLES   400

struct random_batch {
    struct batch batch;
    char names[NAMES][24];
    const char *strings[NAMES];
    struct batch_object objects[3];
    struct batch_frame frames[FRAMES];
    struct batch_stack stacks[STACKS];
    struct batch_process processes[PROCESSES];
    struct batch_label labels[PROCESSES * 2];
    struct batch_sample samples[SAMPLES];
    struct batch_counter counters[2];
    char node[16];
};

/* Names are in another order in each batch, as they are with agents that restart. */
static void fill_names(struct random_batch *r, uint64_t *state)
{
    uint32_t shift = kit_dice(state, NAMES - 1);
    r->strings[0] = "";
    for (uint32_t i = 1; i < NAMES; i++) {
        snprintf(r->names[i], sizeof(r->names[i]), "name-%u", (i + shift) % (NAMES - 1));
        r->strings[i] = r->names[i];
    }
}

static void fill_stacks(struct random_batch *r, uint64_t *state)
{
    for (uint32_t i = 0; i < 3; i++)
        r->objects[i] = (struct batch_object){.path = i ? kit_dice(state, NAMES) : 0,
                                              .kind = (uint8_t)i,
                                              .build_id_len = (uint8_t)(i * 10),
                                              .build_id = {(uint8_t)kit_dice(state, 3)}};
    for (uint32_t i = 0; i < FRAMES; i++)
        r->frames[i] = (struct batch_frame){.kind = (uint8_t)(1 + kit_dice(state, 5)),
                                            .object = kit_dice(state, 3),
                                            .address = kit_dice(state, 8) * 0x2000000000000001u,
                                            .name = kit_dice(state, NAMES),
                                            .file = kit_dice(state, 3),
                                            .line = kit_dice(state, 2) * UINT32_MAX};
    for (uint32_t i = 1; i < STACKS; i++)
        r->stacks[i] = (struct batch_stack){kit_dice(state, i), kit_dice(state, FRAMES)};
}

static void fill_processes(struct random_batch *r, uint64_t *state)
{
    for (uint32_t i = 0; i < PROCESSES; i++) {
        r->processes[i] = (struct batch_process){
            .pid = kit_dice(state, 2) ? kit_dice(state, 20) : UINT32_MAX - kit_dice(state, 3),
            .name = kit_dice(state, 6),
            .cgroup = kit_dice(state, 3)};
        for (uint32_t j = 0; j < 2; j++)
            r->labels[i * 2 + j] =
                (struct batch_label){i, 10 + 4 * j + kit_dice(state, 4), kit_dice(state, 5)};
    }
}

struct batch *kit_random_batch(uint64_t seed, uint64_t seq, int64_t start_ns)
{
    uint64_t state = 88172645463325252u + seed * 0x9e3779b97f4a7c15u;
    struct random_batch *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    fill_names(r, &state);
    fill_stacks(r, &state);
    fill_processes(r, &state);
    uint32_t slots = 1 + kit_dice(&state, 12);
    r->batch = (struct batch){.node = r->node,
                              .boot_id = "boot",
                              .kernel = "6.1",
                              .arch = "x86_64",
                              .agent = "0.1",
                              .cpus = 4,
                              .seq = seq,
                              .start_ns = start_ns,
                              .slot_ns = kit_dice(&state, 2) ? 10000000000 : 777777777,
                              .period_ns = kit_dice(&state, 3) ? 10000000 : 1000000000 / 99,
                              .strings = r->strings,
                              .string_count = NAMES,
                              .objects = r->objects,
                              .object_count = 3,
                              .frames = r->frames,
                              .frame_count = FRAMES,
                              .stacks = r->stacks,
                              .stack_count = STACKS,
                              .processes = r->processes,
                              .process_count = PROCESSES,
                              .labels = r->labels,
                              .label_count = PROCESSES * 2,
                              .samples = r->samples,
                              .sample_count = kit_dice(&state, SAMPLES + 1),
                              .counters = r->counters,
                              .counter_count = 2};
    r->batch.end_ns = start_ns + slots * r->batch.slot_ns;
    snprintf(r->node, sizeof(r->node), "node-%u", kit_dice(&state, 3));
    for (uint32_t i = 0; i < r->batch.sample_count; i++)
        r->samples[i] =
            (struct batch_sample){.slot = kit_dice(&state, slots),
                                  .process = kit_dice(&state, PROCESSES),
                                  .thread = kit_dice(&state, 8),
                                  .cpu = kit_dice(&state, 2) * kit_dice(&state, UINT32_MAX),
                                  .stack = kit_dice(&state, STACKS),
                                  .count = 1 + kit_dice(&state, 3) * kit_dice(&state, 1000000)};
    r->counters[0] = (struct batch_counter){"samples", kit_batch_samples(&r->batch)};
    r->counters[1] = (struct batch_counter){"lost", kit_dice(&state, 10)};
    return &r->batch;
}

void kit_batch_free(struct batch **batch)
{
    free(*batch); /* the first member of its struct random_batch */
    *batch = NULL;
}

uint64_t kit_batch_samples(const struct batch *b)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < b->sample_count; i++)
        sum += b->samples[i].count;
    return sum;
}
