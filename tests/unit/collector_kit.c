/* collector_kit.c: what tests of the collector share. See collector_kit.h. */
#include "collector_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/log.h"

static void take_window(void *ctx, struct window *window)
{
    struct collector_kit *k = ctx;
    assert_true(k->window_count < WINDOWS);
    k->windows[k->window_count++] = window;
}

static void take_open(void *ctx, struct object *object, const struct object_place *place)
{
    struct collector_kit *k = ctx;
    k->opens++;
    if (k->open)
        k->open(k, object, place);
}

void start(struct collector_kit *k, int64_t after, int proc_fd)
{
    struct collector_config config = {
        .window_ns = 30 * SEC,
        .first_window_ns = 5 * SEC,
        .limits = {.max_stacks = 1000, .max_samples = 1000},
        .chain_max = 127,
        .proc_fd = proc_fd,
        .outsiders = k->outsiders,
    };
    struct collector_sinks sinks = {.window = take_window, .open = take_open, .ctx = k};
    k->to_real_ns = WALL + after * SEC - MONO;
    assert_int_equal(collector_new(&config, &sinks, k->objects, k->cgroups, &k->counters, MONO,
                                   k->to_real_ns, &k->collector, NULL),
                     0);
}

int collector_kit_make(void **state)
{
    static struct collector_kit k;
    k = (struct collector_kit){0};
    log_set_level(LOG_LEVEL_ERR);
    assert_int_equal(objects_new(&k.objects, NULL), 0);
    assert_int_equal(cgroups_new(&k.cgroups, NULL), 0);
    *state = &k;
    return 0;
}

int collector_kit_free(void **state)
{
    struct collector_kit *k = *state;
    collector_free(&k->collector);
    for (size_t i = 0; i < k->window_count; i++)
        window_free(&k->windows[i]);
    cgroups_free(&k->cgroups);
    objects_free(&k->objects);
    return 0;
}

uint64_t at(int64_t ms)
{
    return (uint64_t)(MONO + ms * NS_PER_MS);
}

void tick(struct collector_kit *k, int64_t ms)
{
    collector_tick(k->collector, at(ms), k->to_real_ns);
}

void tell(struct collector_kit *k, const struct record *record)
{
    assert_int_equal(collector_take_record(k->collector, record), 0);
}

void tell_program(struct collector_kit *k, uint32_t pid, const char *name)
{
    tell(k, &(struct record){.kind = RECORD_FORK, .time = at(0), .pid = pid, .tid = pid});
    tell(k, &(struct record){.kind = RECORD_COMM, .pid = pid, .tid = pid, .comm = {name, true}});
    tell(k, &(struct record){.kind = RECORD_MMAP,
                             .pid = pid,
                             .tid = pid,
                             .mmap = {.start = CODE,
                                      .len = 0x10000,
                                      .file_offset = 0x1000,
                                      .inode = 5,
                                      .prot = PROT_EXEC,
                                      .path = "/bin/program"}});
}

void tell_stack(struct collector_kit *k, uint32_t pid, int64_t ms, const uint64_t *chain,
                size_t count)
{
    tell(k, &(struct record){.kind = RECORD_SAMPLE,
                             .time = at(ms),
                             .pid = pid,
                             .tid = pid,
                             .cpu = 1,
                             .sample = {.ip = count > 1 ? chain[1] : 0,
                                        .user_mode = count && chain[0] == PERF_CONTEXT_USER,
                                        .chain = chain,
                                        .chain_count = count}});
}

void tell_sample(struct collector_kit *k, uint32_t pid, int64_t ms)
{
    static const uint64_t chain[] = {PERF_CONTEXT_USER, CODE + 0x10, CODE + 0x20};
    tell_stack(k, pid, ms, chain, ARRAY_LEN(chain));
}

void assert_window(const struct collector_kit *k, size_t i, int64_t from_s, int64_t to_s,
                   uint64_t samples)
{
    const struct window *w = k->windows[i];
    if (w->start_ns != WALL + from_s * SEC || w->end_ns != WALL + to_s * SEC ||
        w->sample_count != samples)
        fail_msg("window %zu: from %.3f s to %.3f s, %lu samples", i,
                 (double)(w->start_ns - WALL) / SEC, (double)(w->end_ns - WALL) / SEC,
                 (unsigned long)w->sample_count);
}

const struct window_sample *sample_of(const struct window *w, uint32_t row)
{
    assert_true(row < w->samples.count);
    return table_row(&w->samples, row);
}

const struct window_process *process_of(const struct window *w, uint32_t row)
{
    return table_row(&w->processes, sample_of(w, row)->process);
}

const char *stack_of(const struct window *w, uint32_t row)
{
    static const char *const markers[] = {
#define X(id, name, help) name,
        MARKERS(X)
#undef X
    };
    static char text[4096];
    uint32_t path[1024];
    size_t depth = 0, n = 0;
    for (uint32_t node = sample_of(w, row)->stack; node;
         node = ((struct window_node *)table_row(&w->nodes, node))->parent)
        path[depth++] = node;
    text[0] = 0;
    while (depth-- > 0 && n < sizeof(text) - 100) {
        const struct window_node *node = table_row(&w->nodes, path[depth]);
        const struct window_object *o = table_row(&w->objects, node->object);
        unsigned long offset = (unsigned long)node->offset;
        const char *space = n ? " " : "";
        if (node->kind == FRAME_MARKER)
            n += (size_t)sprintf(text + n, "%s%s", space, markers[offset]);
        else if (node->kind == FRAME_KERNEL)
            n += (size_t)sprintf(text + n, "%sK+%lx", space, offset - (unsigned long)K(0));
        else
            n += (size_t)sprintf(text + n, "%s%s%s+%lx", space, node->kind == FRAME_JIT ? "J:" : "",
                                 o->object->path, offset);
    }
    return text;
}
