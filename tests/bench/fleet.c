/* fleet.c: takes the size of a fleet, gives its batches. The same size gives the same batches. */
#include "fleet.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define PROGRAMS    100
#define FUNCTIONS   250 /* of a program */
#define STACKS      300 /* of a program: leaves that are sampled */
#define DEPTH       25
#define THREADS     12
#define CPUS        8
#define STRING_SIZE 64
#define NODES_MAX   (STACKS * DEPTH)

struct program {
    struct batch_stack *tree; /* its own calls; parents and frames count from the program's first */
    uint32_t count;
    uint32_t leaves[STACKS];
};

/* A table's rows that a batch has, and where: row + 1; 0: not in it. */
struct picked {
    uint32_t *at;
    uint32_t *which;
    uint32_t count;
};

/* Everything the programs have; a batch is given what its samples need of it, as an agent does. */
struct world {
    struct batch_frame *frames;
    struct batch_stack *stacks;
    uint32_t frame_count, stack_count;
};

struct fleet {
    struct fleet_config config;
    struct program programs[PROGRAMS];
    uint32_t first_stack[PROGRAMS];
    struct world world;
    struct picked picked_frames, picked_stacks;
    struct batch batch;
    char (*text)[STRING_SIZE];
    const char **strings;
    struct batch_object *objects;
    struct batch_frame *frames;
    struct batch_stack *stacks;
    struct batch_process *processes;
    struct batch_label *labels;
    struct batch_sample *samples;
    struct batch_counter counters[2];
    char node[STRING_SIZE];
    uint64_t dice;
};

static uint32_t dice(uint64_t *state, uint32_t sides)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)((*state >> 32) * sides >> 32);
}

/* Of `n` things the i-th about 1/i as often as the first. */
static uint32_t zipf(uint64_t *state, uint32_t n)
{
    double u = dice(state, 1u << 30) / (double)(1u << 30);
    uint32_t i = (uint32_t)exp(u * log(n + 1.0)) - 1;
    return i < n ? i : n - 1;
}

/* Stacks branch off one another at random heights, as those of a program do. */
static void grow_tree(struct program *p, uint64_t *state)
{
    uint32_t way[2 * DEPTH] = {0}, depth = 0;
    p->tree = calloc(NODES_MAX + 1, sizeof(*p->tree));
    assert(p->tree);
    p->count = 1;
    for (uint32_t leaf = 0; leaf < STACKS; leaf++) {
        uint32_t keep = depth ? dice(state, depth) : 0, want = DEPTH / 2 + dice(state, DEPTH);
        for (depth = keep; depth < want && p->count < NODES_MAX; depth++) {
            p->tree[p->count] =
                (struct batch_stack){depth ? way[depth - 1] : 0, dice(state, FUNCTIONS)};
            way[depth] = p->count++;
        }
        p->leaves[leaf] = depth ? way[depth - 1] : 0;
    }
}

static uint32_t add_string(struct fleet *f, const char *fmt, uint32_t a, uint32_t b)
{
    uint32_t row = f->batch.string_count++;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(f->text[row], STRING_SIZE, fmt, a, b);
#pragma GCC diagnostic pop
    f->strings[row] = f->text[row];
    return row;
}

static void *rows_of(size_t count, size_t size)
{
    void *rows = calloc(count + 1, size);
    assert(rows);
    return rows;
}

static struct picked picked_of(uint32_t total)
{
    return (struct picked){rows_of(total, sizeof(uint32_t)), rows_of(total, sizeof(uint32_t)), 0};
}

static void add_program(struct fleet *f, struct world *w, uint32_t p)
{
    uint32_t first_frame = w->frame_count;
    for (uint32_t i = 0; i < FUNCTIONS; i++)
        w->frames[w->frame_count++] =
            (struct batch_frame){.kind = i % 5 ? FRAME_USER : FRAME_KERNEL,
                                 .object = p + 1,
                                 .address = 0x400000 + i * 0x340ull};
    f->first_stack[p] = w->stack_count - 1;
    for (uint32_t i = 1; i < f->programs[p].count; i++) {
        struct batch_stack s = f->programs[p].tree[i];
        s.parent += s.parent ? f->first_stack[p] : 0;
        s.frame += first_frame;
        w->stacks[w->stack_count++] = s;
    }
}

static void make_world(struct fleet *f)
{
    struct world *w = &f->world;
    uint32_t stacks = 1;
    for (uint32_t p = 0; p < PROGRAMS; p++) {
        grow_tree(&f->programs[p], &f->dice);
        stacks += f->programs[p].count;
    }
    w->frames = rows_of(PROGRAMS * FUNCTIONS, sizeof(*w->frames));
    w->stacks = rows_of(stacks, sizeof(*w->stacks));
    w->stack_count = 1;
    for (uint32_t p = 0; p < PROGRAMS; p++)
        add_program(f, w, p);
    f->picked_frames = picked_of(w->frame_count);
    f->picked_stacks = picked_of(w->stack_count);
}

void fleet_pod(uint32_t node, uint32_t process, char *text, uint32_t size)
{
    snprintf(text, size, "web-%u-%u", node, process / 3);
}

struct fleet *fleet_new(const struct fleet_config *config)
{
    struct fleet *f = rows_of(1, sizeof(*f));
    f->config = *config;
    f->dice = 88172645463325252u;
    make_world(f);
    uint32_t strings = f->world.frame_count + PROGRAMS + config->processes * 3 + 100;
    f->text = rows_of(strings, STRING_SIZE);
    f->strings = rows_of(strings, sizeof(*f->strings));
    f->objects = rows_of(PROGRAMS + 1, sizeof(*f->objects));
    f->frames = rows_of(f->world.frame_count, sizeof(*f->frames));
    f->stacks = rows_of(f->world.stack_count, sizeof(*f->stacks));
    f->processes = rows_of(config->processes, sizeof(*f->processes));
    f->labels = rows_of(config->processes * 3, sizeof(*f->labels));
    f->samples = rows_of(config->samples, sizeof(*f->samples));
    f->batch = (struct batch){.node = f->node,
                              .boot_id = "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
                              .kernel = "6.1.0-50-amd64",
                              .arch = "x86_64",
                              .agent = "0.1.0",
                              .cpus = CPUS,
                              .slot_ns = config->slot_ns,
                              .period_ns = 10000000,
                              .strings = f->strings,
                              .objects = f->objects,
                              .frames = f->frames,
                              .stacks = f->stacks,
                              .processes = f->processes,
                              .labels = f->labels,
                              .samples = f->samples,
                              .counters = f->counters,
                              .counter_count = 2};
    return f;
}

static void picked_free(struct picked *p)
{
    free(p->at);
    free(p->which);
}

void fleet_free(struct fleet *f)
{
    for (uint32_t p = 0; p < PROGRAMS; p++)
        free(f->programs[p].tree);
    picked_free(&f->picked_frames);
    picked_free(&f->picked_stacks);
    free(f->world.frames);
    free(f->world.stacks);
    free(f->text);
    free(f->strings);
    free(f->objects);
    free(f->frames);
    free(f->stacks);
    free(f->processes);
    free(f->labels);
    free(f->samples);
    free(f);
}

/* The batch's row of one of the world's. */
static uint32_t pick(struct picked *p, uint32_t which)
{
    if (!p->at[which]) {
        p->which[p->count++] = which;
        p->at[which] = p->count;
    }
    return p->at[which] - 1;
}

static void unpick(struct picked *p)
{
    while (p->count)
        p->at[p->which[--p->count]] = 0;
}

static uint32_t pick_stack(struct fleet *f, uint32_t which)
{
    uint32_t way[4 * DEPTH], depth = 0;
    for (; which && !f->picked_stacks.at[which]; which = f->world.stacks[which].parent)
        way[depth++] = which;
    uint32_t row = which ? f->picked_stacks.at[which] - 1 : 0;
    while (depth--) {
        uint32_t parent = row;
        row = pick(&f->picked_stacks, way[depth]);
        f->stacks[row] = (struct batch_stack){
            parent, pick(&f->picked_frames, f->world.stacks[way[depth]].frame)};
    }
    return row;
}

/* Replaces the samples' stacks of the world by the batch's own, with what they need. */
static void send_what_is_used(struct fleet *f)
{
    struct batch *b = &f->batch;
    unpick(&f->picked_frames);
    unpick(&f->picked_stacks);
    pick(&f->picked_stacks, 0);
    f->stacks[0] = (struct batch_stack){0, 0};
    for (uint32_t i = 0; i < b->sample_count; i++)
        f->samples[i].stack = pick_stack(f, f->samples[i].stack);
    f->objects[0] = (struct batch_object){.kind = OBJECT_NONE};
    for (uint32_t p = 0; p < PROGRAMS; p++)
        f->objects[p + 1] =
            (struct batch_object){.path = add_string(f, "/usr/lib/program-%u/bin/main", p, 0),
                                  .kind = OBJECT_ELF,
                                  .build_id_len = 20,
                                  .build_id = {(uint8_t)p}};
    for (uint32_t i = 0; i < f->picked_frames.count; i++) {
        uint32_t which = f->picked_frames.which[i];
        f->frames[i] = f->world.frames[which];
        f->frames[i].name = add_string(f, "program%u::Module::function_%u(Request const&)",
                                       which / FUNCTIONS, which % FUNCTIONS);
    }
    b->object_count = PROGRAMS + 1;
    b->frame_count = f->picked_frames.count;
    b->stack_count = f->picked_stacks.count;
}

static void lay_out_processes(struct fleet *f, uint32_t node)
{
    struct batch *b = &f->batch;
    uint32_t ns_key = add_string(f, "namespace", 0, 0), pod_key = add_string(f, "pod", 0, 0);
    uint32_t container_key = add_string(f, "container", 0, 0);
    uint32_t ns = add_string(f, "shop", 0, 0), container = add_string(f, "main", 0, 0);
    b->process_count = b->label_count = 0;
    for (uint32_t i = 0; i < f->config.processes; i++) {
        char pod[STRING_SIZE];
        fleet_pod(node, i, pod, sizeof(pod));
        uint32_t pod_row = add_string(f, "", 0, 0);
        memcpy(f->text[pod_row], pod, sizeof(pod));
        f->processes[b->process_count++] = (struct batch_process){
            .pid = 1000 + i * 7,
            .ppid = 1,
            .name = add_string(f, "program-%u", i % PROGRAMS, 0),
            .cgroup = add_string(f, "/kubepods/burstable/pod%u/%u", node * 1000 + i / 3, i)};
        f->labels[b->label_count++] = (struct batch_label){i, ns_key, ns};
        f->labels[b->label_count++] = (struct batch_label){i, pod_key, pod_row};
        f->labels[b->label_count++] = (struct batch_label){i, container_key, container};
    }
}

static int compare_samples(const void *left, const void *right)
{
    return memcmp(left, right, offsetof(struct batch_sample, count));
}

static void take_samples(struct fleet *f)
{
    struct batch *b = &f->batch;
    uint32_t slots = (uint32_t)(f->config.window_ns / f->config.slot_ns), kept = 0;
    uint32_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++)
        threads[i] = add_string(f, "worker-%u", i, 0);
    for (uint32_t i = 0; i < f->config.samples; i++) {
        uint32_t process = zipf(&f->dice, f->config.processes), p = process % PROGRAMS;
        f->samples[i] = (struct batch_sample){
            .slot = dice(&f->dice, slots),
            .process = process,
            .thread = threads[zipf(&f->dice, THREADS)],
            .cpu = dice(&f->dice, CPUS),
            .stack = f->first_stack[p] + f->programs[p].leaves[zipf(&f->dice, STACKS)],
            .count = 1};
    }
    qsort(f->samples, f->config.samples, sizeof(*f->samples), compare_samples);
    for (uint32_t i = 1; i < f->config.samples; i++) {
        if (compare_samples(&f->samples[kept], &f->samples[i]) == 0)
            f->samples[kept].count++;
        else
            f->samples[++kept] = f->samples[i];
    }
    b->sample_count = kept + 1;
}

const struct batch *fleet_batch(struct fleet *f, uint32_t node, uint32_t window)
{
    struct batch *b = &f->batch;
    b->string_count = 0;
    add_string(f, "", 0, 0);
    snprintf(f->node, sizeof(f->node), "node-%u.example.org", node);
    lay_out_processes(f, node);
    take_samples(f);
    send_what_is_used(f);
    b->seq = window + 1;
    b->start_ns = f->config.start_ns + window * f->config.window_ns;
    b->end_ns = b->start_ns + f->config.window_ns;
    f->counters[0] = (struct batch_counter){"samples", f->config.samples};
    f->counters[1] = (struct batch_counter){"lost", 0};
    return b;
}

uint32_t fleet_stack(const struct fleet *f, uint32_t row)
{
    return f->picked_stacks.which[row];
}
