/* builder.c: takes a window, gives a batch: has its nodes named, folds addresses of one function
 * and line together, and lays the tables out as format.h has them. See builder.h. */
#include "agent/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/counters.h"
#include "agent/fact_rows.h"
#include "agent/frames.h"
#include "agent/naming.h"
#include "agent/object.h"
#include "agent/pod_labels.h"
#include "agent/usage_rows.h"
#include "agent/window.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/strings.h"
#include "k8s/cgroup.h"
#include "k8s/pods.h"
#include "symbol/jit_name.h"
#include "wire/batch.h"

/* Of all processes in one cgroup. */
struct path_labels {
    uint32_t path; /* number of its text */
    /* behind the key; rows of batch_labels */
    uint32_t first, count;
};

struct builder {
    char node[256], boot_id[64];
    struct utsname uname;
    uint32_t cpus;
    int64_t period_ns;
    struct objects *objects;
    struct counters *counters;
    struct naming *names;
    struct pods *pods;

    /* Of the batch being built. */
    struct strings strings;
    struct frames frames;
    struct table stacks, samples, paths;
    struct batch_frame *batch_frames;
    struct batch_process *batch_processes;
    struct batch_label *batch_labels;
    uint32_t label_count, label_room;
    uint32_t *stack_of_node;

    struct usage_sources usage;
    struct usage_rows *usage_rows;
    struct fact_rows *fact_rows;
};

static void clear_batch(struct builder *b)
{
    strings_clear(&b->strings);
    frames_clear(&b->frames);
    table_clear(&b->stacks);
    table_clear(&b->samples);
    table_clear(&b->paths);
    free(b->batch_frames);
    free(b->batch_processes);
    free(b->batch_labels);
    free(b->stack_of_node);
    b->batch_frames = NULL;
    b->batch_processes = NULL;
    b->batch_labels = NULL;
    b->stack_of_node = NULL;
    b->label_count = b->label_room = 0;
}

void builder_free(struct builder **builder)
{
    struct builder *b = *builder;
    if (!b)
        return;
    clear_batch(b);
    frames_free(&b->frames);
    table_free(&b->stacks);
    table_free(&b->samples);
    table_free(&b->paths);
    strings_free(&b->strings);
    naming_free(&b->names);
    usage_rows_free(&b->usage_rows);
    fact_rows_free(&b->fact_rows);
    free(b);
    *builder = NULL;
}

static int read_machine(struct builder *b, const char *node, struct err *err)
{
    if (uname(&b->uname) < 0)
        return err_errno(err, -errno, "uname");
    const char *name = node && *node ? node : b->uname.nodename;
    snprintf(b->node, sizeof(b->node), "%s", name);
    _cleanup_(buf_free) struct buf text = {0};
    int r = fs_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, err);
    if (r < 0)
        return r;
    snprintf(b->boot_id, sizeof(b->boot_id), "%.*s", (int)strcspn((const char *)text.data, "\n"),
             (const char *)text.data);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    b->cpus = cpus > 0 ? (uint32_t)cpus : 1;
    return 0;
}

int builder_new(const struct builder_config *config, struct objects *objects,
                struct counters *counters, struct builder **ret, struct err *err)
{
    struct builder *b = calloc(1, sizeof(*b));
    if (!b)
        return err_errno(err, -ENOMEM, "the batch builder");
    b->period_ns = config->period_ns;
    b->objects = objects;
    b->counters = counters;
    b->pods = config->pods;
    b->strings.max_count = WIRE_MAX_STRINGS;
    frames_init(&b->frames, &b->strings, objects);
    table_init(&b->stacks, sizeof(struct batch_stack), offsetof(struct batch_stack, methods),
               WIRE_MAX_STACKS);
    table_init(&b->samples, sizeof(struct batch_sample), offsetof(struct batch_sample, count),
               WIRE_MAX_SAMPLES);
    table_init(&b->paths, sizeof(struct path_labels), sizeof(uint32_t), WIRE_MAX_STRINGS);
    const struct naming_config naming = {
        .objects = objects,
        .ksymbols = config->ksymbols,
        .counters = counters,
        .max_bytes = config->symbol_bytes,
        .worker = config->worker,
        .dwarf_ns = config->dwarf_ns,
        .exact = config->exact,
    };
    int r = read_machine(b, config->node, err);
    if (r == 0)
        r = naming_new(&naming, &b->names, err);
    if (r == 0 && (usage_rows_new(&b->usage_rows) < 0 ||
                   fact_rows_new(config->pods, counters, &b->fact_rows) < 0))
        r = err_errno(err, -ENOMEM, "the batch builder");
    if (r < 0) {
        builder_free(&b);
        return r;
    }
    naming_set_jit(b->names, config->jit);
    b->usage = (struct usage_sources){config->usage, config->pods, config->identity, b->fact_rows};
    *ret = b;
    return 0;
}

/* ---- stacks, samples, processes */

/* HotSpot's interpreter is one piece of code, whatever method it runs: one frame stands for a
 * chain of its own. */
static bool is_interpreter_again(const struct builder *b, uint32_t parent, uint32_t row)
{
    const struct batch_stack *above = table_row(&b->stacks, parent);
    const struct frame_row *f = table_row(&b->frames.rows, row);
    return parent && above->frame == row && f->kind == FRAME_JIT &&
           strcmp(b->strings.texts[f->name], JIT_NAME_INTERPRETER) == 0;
}

/* A node becomes a row for each of its functions, each below the one it is inlined into. */
static int build_stacks(struct builder *b, const struct window *w)
{
    struct batch_stack root = {.parent = UINT32_MAX};
    int r = table_add(&b->stacks, &root, &b->stack_of_node[0]);
    /* A parent's row comes before its children's. */
    for (uint32_t i = 1; r >= 0 && i < w->nodes.count; i++) {
        const struct window_node *node = table_row(&w->nodes, i);
        uint32_t at = b->stack_of_node[node->parent], count;
        const uint32_t *rows = frames_of_node(&b->frames, i, &count);
        for (uint32_t k = 0; r >= 0 && k < count; k++) {
            struct batch_stack key = {.parent = at, .frame = rows[k]};
            if (!is_interpreter_again(b, at, rows[k]))
                r = table_add(&b->stacks, &key, &at);
        }
        b->stack_of_node[i] = at;
        if (r >= 0)
            ((struct batch_stack *)table_row(&b->stacks, at))->methods |= node->methods;
    }
    if (r < 0)
        return r;
    ((struct batch_stack *)table_row(&b->stacks, 0))->parent = 0;
    return 0;
}

static void count_unnamed(struct builder *b, const struct window *w, uint32_t node, uint32_t count)
{
    const struct window_node *n = table_row(&w->nodes, node);
    enum naming_source source;
    if (n->kind == FRAME_MARKER || frames_has_name(&b->frames, w, node, &source))
        return;
    if (n->kind == FRAME_KERNEL)
        counter_add(b->counters, unsymbolized_kernel, count);
    else if (n->kind == FRAME_JIT)
        counter_add(b->counters, unsymbolized_jit, count);
    else if (source == NAMING_FILE)
        counter_add(b->counters, unsymbolized_no_symbol, count);
    else if (source == NAMING_NO_ELF)
        counter_add(b->counters, unsymbolized_no_elf, count);
    else
        counter_add(b->counters, unsymbolized_no_file, count);
}

static int build_samples(struct builder *b, const struct window *w)
{
    for (uint32_t i = 0; i < w->samples.count; i++) {
        const struct window_sample *s = table_row(&w->samples, i);
        const struct window_thread *t = table_row(&w->threads, s->thread);
        struct batch_sample key = {.slot = s->slot,
                                   .process = s->process,
                                   .cpu = s->cpu,
                                   .stack = b->stack_of_node[s->stack]};
        uint32_t row;
        int r = strings_add(&b->strings, t->name, &key.thread);
        if (r == 0)
            r = table_add(&b->samples, &key, &row);
        if (r < 0)
            return r;
        ((struct batch_sample *)table_row(&b->samples, row))->count += s->count;
        if (s->stack)
            count_unnamed(b, w, s->stack, s->count);
    }
    return 0;
}

static int add_label(struct builder *b, const struct batch_label *label)
{
    if (b->label_count == b->label_room) {
        uint32_t room = b->label_room * 2 + 64;
        struct batch_label *labels = realloc(b->batch_labels, room * sizeof(*labels));
        if (!labels)
            return -ENOMEM;
        b->batch_labels = labels;
        b->label_room = room;
    }
    b->batch_labels[b->label_count++] = *label;
    return 0;
}

static int read_labels(struct builder *b, uint32_t process, const char *cgroup_path)
{
    struct pod_labels labels;
    pod_labels_read(b->pods, cgroup_path, &labels);
    int r = 0;
    for (size_t i = 0; r == 0 && i < labels.count; i++) {
        struct batch_label label = {.process = process};
        r = strings_add(&b->strings, labels.v[i].key, &label.key);
        if (r == 0)
            r = strings_add(&b->strings, labels.v[i].value, &label.value);
        if (r == 0)
            r = add_label(b, &label);
    }
    return r;
}

static int copy_labels(struct builder *b, uint32_t process, const struct path_labels *of)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < of->count; i++) {
        struct batch_label label = b->batch_labels[of->first + i];
        label.process = process;
        r = add_label(b, &label);
    }
    return r;
}

/* A cgroup is looked up once, however many of its processes there are. */
static int add_cgroup(struct builder *b, uint32_t process, uint32_t path, const char *cgroup_path)
{
    uint32_t row;
    int r = table_add(&b->paths, &path, &row);
    if (r < 0)
        return r;
    struct path_labels *labels = table_row(&b->paths, row);
    if (r == 0)
        return copy_labels(b, process, labels);
    labels->first = b->label_count;
    r = read_labels(b, process, cgroup_path);
    labels->count = b->label_count - labels->first;
    return r == 0 ? fact_rows_add(b->fact_rows, cgroup_path) : r;
}

static int build_processes(struct builder *b, const struct window *w)
{
    b->batch_processes = calloc(w->processes.count + 1, sizeof(*b->batch_processes));
    if (!b->batch_processes)
        return -ENOMEM;
    for (uint32_t i = 0; i < w->processes.count; i++) {
        const struct window_process *from = table_row(&w->processes, i);
        struct batch_process *to = &b->batch_processes[i];
        to->pid = from->pid;
        to->ppid = from->ppid;
        int64_t start = from->start_time ? (int64_t)from->start_time + w->to_real_ns : 0;
        to->start_ns = start > 0 ? start : 0;
        const char *name = from->name[0] ? from->name : "[unknown]";
        int r = strings_add(&b->strings, name, &to->name);
        if (r == 0)
            r = strings_add(&b->strings, from->exe, &to->exe);
        if (r == 0)
            r = strings_add(&b->strings, from->cgroup_path, &to->cgroup);
        if (r == 0)
            r = add_cgroup(b, i, to->cgroup, from->cgroup_path);
        if (r < 0)
            return r;
    }
    return 0;
}

static int build_frames(struct builder *b)
{
    const struct table *rows = &b->frames.rows;
    b->batch_frames = calloc(rows->count + 1, sizeof(*b->batch_frames));
    if (!b->batch_frames)
        return -ENOMEM;
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct frame_row *f = table_row(rows, i);
        b->batch_frames[i] = (struct batch_frame){.address = f->address,
                                                  .object = f->object,
                                                  .name = f->name,
                                                  .file = f->file,
                                                  .line = f->line,
                                                  .kind = (uint8_t)f->kind};
    }
    return 0;
}

/* ---- the whole */

static int build_tables(struct builder *b, const struct window *w)
{
    b->stack_of_node = calloc(w->nodes.count, sizeof(*b->stack_of_node));
    if (!b->stack_of_node)
        return -ENOMEM;
    uint32_t row;
    int r = strings_add(&b->strings, "", &row);
    naming_begin(b->names);
    if (r == 0)
        r = frames_name(&b->frames, b->names, w);
    naming_end(b->names);
    if (r == 0)
        r = build_stacks(b, w);
    if (r == 0)
        r = build_samples(b, w);
    if (r == 0)
        r = build_processes(b, w);
    return r == 0 ? build_frames(b) : r;
}

int builder_build(struct builder *builder, const struct window *window, struct batch *ret,
                  struct err *err)
{
    struct builder *b = builder;
    clear_batch(b);
    fact_rows_begin(b->fact_rows, &b->strings, window->start_ns);
    int r = build_tables(b, window);
    if (r == 0)
        r = usage_rows_build(b->usage_rows, &b->usage, window->start_ns, window->end_ns,
                             &b->strings, b->counters);
    if (r < 0)
        return err_errno(err, r, "building a batch of %u samples", window->samples.count);
    *ret = (struct batch){
        .node = b->node,
        .boot_id = b->boot_id,
        .kernel = b->uname.release,
        .arch = b->uname.machine,
        .agent = "podflamed/" PACKAGE_VERSION,
        .cpus = b->cpus,
        .start_ns = window->start_ns,
        .end_ns = window->end_ns,
        .slot_ns = window->slot_ns,
        .period_ns = b->period_ns,
        .strings = b->strings.texts,
        .objects = b->frames.objects,
        .frames = b->batch_frames,
        .stacks = (const struct batch_stack *)b->stacks.rows,
        .processes = b->batch_processes,
        .labels = b->batch_labels,
        .samples = (const struct batch_sample *)b->samples.rows,
        .string_count = b->strings.count,
        .object_count = b->frames.object_count,
        .frame_count = b->frames.rows.count,
        .stack_count = b->stacks.count,
        .process_count = window->processes.count,
        .label_count = b->label_count,
        .sample_count = b->samples.count,
    };
    usage_rows_give(b->usage_rows, ret);
    fact_rows_give(b->fact_rows, ret);
    return 0;
}

size_t builder_bytes(const struct builder *builder)
{
    return naming_bytes(builder->names) + frames_bytes(&builder->frames) +
           table_bytes(&builder->stacks) + table_bytes(&builder->samples) +
           table_bytes(&builder->paths);
}
