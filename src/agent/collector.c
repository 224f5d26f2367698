/* collector.c: takes records, gives windows. See collector.h. */
#include "agent/collector.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroups.h"
#include "agent/counters.h"
#include "agent/hold.h"
#include "agent/ksymbols.h"
#include "agent/object.h"
#include "agent/process.h"
#include "agent/procfs.h"
#include "agent/record.h"
#include "agent/ring.h"
#include "agent/stacker.h"
#include "agent/tables.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "unwind/unwind.h"

/* Records of a process's last moments come at most a drain later. */
#define LINGER_NS         (2 * (uint64_t)NS_PER_SEC)
#define MAPS_RESCAN_NS    (NS_PER_SEC / 10) /* between two readings of maps, of all processes */
#define SLOT_NS           (10 * NS_PER_SEC)
#define UNALIGNED_SLOT_NS NS_PER_SEC
/* A large program's table takes some 100 ms to build; a sample is 17 KiB. */
#define HOLD_NS       (5 * (uint64_t)NS_PER_SEC)
#define HOLD_BYTES    (8u << 20)
#define CLOCK_JUMP_NS NS_PER_SEC
/* How far apart in time two users of one address must be to be told apart, in a process that is
 * known to use addresses again. */
#define MADE_EPOCH_NS (NS_PER_SEC / 4)
#define MADE_ASK_NS   (uint64_t) NS_PER_SEC /* how soon that becomes known */
#define TIME_MAX      ((uint64_t)INT64_MAX / 4)

struct collector {
    struct collector_config config;
    struct collector_sinks sinks;
    struct objects *objects;
    struct cgroups *cgroups;
    struct counters *counters;
    struct processes *processes;
    struct stacker *stacker;
    struct hold *hold;
    struct object *kernel;
    struct window *window;
    uint32_t windows;
    int64_t to_real_ns;
    uint64_t maps_rescanned;
    uint32_t maps_rescanned_serial;
    uint64_t expired, ticked;
    bool closing; /* the window: nothing may wait longer */
    bool stale;
};

/* ---- windows */

static int64_t floor_to(int64_t v, int64_t step)
{
    return v - v % step;
}

static int open_window(struct collector *c, int64_t start_ns, struct err *err)
{
    struct window *w;
    int r = window_new(c->objects, &c->config.limits, &w, err);
    if (r < 0)
        return r;
    w->number = ++c->windows;
    w->to_real_ns = c->to_real_ns;
    w->start_ns = start_ns;
    w->end_ns = floor_to(start_ns, c->config.window_ns) + c->config.window_ns;
    if (w->number == 1 && w->end_ns - start_ns > c->config.first_window_ns)
        w->end_ns = start_ns + c->config.first_window_ns;
    /* The store's slots are aligned to the clock; a window that is not gets slots so short that
     * none lies in two of the store's for long. */
    w->slot_ns = start_ns % SLOT_NS ? UNALIGNED_SLOT_NS : SLOT_NS;
    c->window = w;
    stacker_turn(c->stacker, w->number);
    return 0;
}

static void add_held(void *ctx, const struct record *record, struct process *p, const char *thread);

static void close_window(struct collector *c, int64_t end_ns)
{
    c->closing = true;
    hold_release(c->hold, add_held, c);
    c->closing = false;
    struct window *w = c->window;
    c->window = NULL;
    if (!w)
        return;
    w->end_ns = end_ns;
    counter_add(c->counters, windows, 1);
    struct stacker_dumps dumps = stacker_take_dumps(c->stacker);
    if (c->sinks.dumps)
        c->sinks.dumps(c->sinks.dumps_ctx, &dumps);
    counter_add(c->counters, samples_other, w->other_count);
    c->sinks.window(c->sinks.ctx, w);
}

/* At `now_ns` of the wall clock. */
static void turn_window(struct collector *c, int64_t now_ns)
{
    int64_t end = c->window ? c->window->end_ns : now_ns;
    if (c->window && now_ns < end)
        return;
    close_window(c, end);
    /* The machine slept: no empty windows in between. */
    int64_t start = now_ns - end > c->config.window_ns ? now_ns : end;
    struct err err = {0};
    if (open_window(c, start, &err) < 0) {
        log_err("samples are dropped error=\"%s\"", err.text);
        counter_add(c->counters, windows_dropped, 1);
    }
}

/* ---- samples */

static int scan_record(void *ctx, const struct record *record)
{
    struct collector *c = ctx;
    if (c->config.known)
        c->config.known(c->config.known_ctx, record);
    return processes_apply(c->processes, record);
}

/* Each process's maps are read once in a while at most. */
static bool rescan_maps(void *ctx, struct process *p, uint64_t now)
{
    struct collector *c = ctx;
    if (c->config.proc_fd < 0 || now - c->maps_rescanned < (uint64_t)MAPS_RESCAN_NS ||
        (c->maps_rescanned_serial == p->serial &&
         now - c->maps_rescanned < 10 * (uint64_t)NS_PER_SEC))
        return false;
    c->maps_rescanned = now;
    c->maps_rescanned_serial = p->serial;
    counter_add(c->counters, maps_rescans, 1);
    /* An error: it is gone meanwhile. */
    return procfs_scan_maps(c->config.proc_fd, (pid_t)p->pid, scan_record, c, NULL) == 0;
}

static size_t peek(void *ctx, const struct process *p, uint64_t address, void *to, size_t len)
{
    struct collector *c = ctx;
    return c->config.peek(c->config.peek_ctx, (pid_t)p->pid, address, to, len);
}

static int add_root_marker(struct collector *c, const struct unwind_stack *stack, uint32_t *node)
{
    if (stack->count == 0) {
        counter_add(c->counters, samples_no_stack, 1);
        return window_add_marker(c->window, 0, MARKER_unknown, node);
    }
    switch (stack->end) {
    case UNWIND_END_truncated:
        return window_add_marker(c->window, 0, MARKER_truncated, node);
    case UNWIND_END_no_rule:
        return window_add_marker(c->window, 0, MARKER_no_rule, node);
    case UNWIND_END_unmapped:
        return window_add_marker(c->window, 0, MARKER_unmapped, node);
    case UNWIND_END_stuck:
        return window_add_marker(c->window, 0, MARKER_stuck, node);
    default:
        return 0;
    }
}

static int add_made(struct collector *c, struct process *p, int64_t time_ns,
                    const struct unwind_frame *f, uint32_t *node)
{
    struct window *w = c->window;
    uint64_t time = (uint64_t)(time_ns - w->to_real_ns);
    if (p->made_window != w->number || time > p->made_time + MADE_ASK_NS) {
        p->made_window = w->number;
        p->made_time = time;
        p->made_reused = c->sinks.made && c->sinks.made(c->sinks.ctx, p, w->number);
    }
    struct window_object made = {.object = f->object, .process = p->serial};
    if (p->made_reused && time_ns > w->start_ns)
        made.epoch = (uint32_t)((time_ns - w->start_ns) / MADE_EPOCH_NS);
    return window_add_made(w, *node, &made, f->offset, time_ns, node);
}

static int add_frame(struct collector *c, const struct window_key *key, struct process *p,
                     const struct unwind_frame *f, uint32_t *node)
{
    if (f->kernel)
        return window_add_frame(c->window, *node, c->kernel, f->pc, FRAME_KERNEL, node);
    struct object *o = f->object;
    if (!o)
        return window_add_marker(c->window, *node, MARKER_unknown, node);
    if (o->kind == OBJECT_ANON)
        return add_made(c, p, key->time_ns, f, node);
    return window_add_frame(c->window, *node, o, f->offset, FRAME_USER, node);
}

static int add_stack(struct collector *c, const struct window_key *key, struct process *p,
                     const struct unwind_stack *stack, uint32_t *ret_node)
{
    uint32_t node = 0;
    int r = add_root_marker(c, stack, &node);
    for (size_t i = stack->count; i-- > 0 && r >= 0;)
        r = add_frame(c, key, p, &stack->frames[i], &node);
    *ret_node = node;
    return r;
}

/* As the batch has them, whatever the unwinder's order. */
static uint32_t methods_of(const struct unwind_stack *stack)
{
    static const uint8_t bits[] = {
#define X(name, help) [UNWIND_METHOD_##name] = WIRE_METHOD_##name,
        UNWIND_METHODS(X)
#undef X
    };
    uint32_t methods = 0;
    for (size_t i = 0; i < UNWIND_METHOD_COUNT; i++)
        methods |= (uint32_t)(stack->methods[i] != 0) << bits[i];
    return methods;
}

static int read_process(struct collector *c, uint32_t pid)
{
    return c->config.proc_fd < 0
               ? -ENOENT
               : procfs_scan_process(c->config.proc_fd, (pid_t)pid, scan_record, c, NULL);
}

/* A dying task has no pid any more (perf_event_pid() says -1); its samples stand under a process of
 * that number without a name. */
static struct process *process_of(struct collector *c, const struct record *record)
{
    struct process *p = processes_find(c->processes, record->pid);
    if (!p && record->pid != UINT32_MAX && read_process(c, record->pid) == 0)
        p = processes_find(c->processes, record->pid);
    if (!p) {
        p = processes_get(c->processes, record->pid, record->time);
        counter_add(c->counters, samples_no_process, 1);
    }
    return p;
}

static uint64_t cgroup_of(struct collector *c, struct process *p, const struct record_sample *s)
{
    if (s->has_cgroup)
        p->cgroup = s->cgroup;
    else if (!p->cgroup && c->config.cgroups_from_proc && c->config.proc_fd >= 0)
        p->cgroup = cgroups_of_process(c->cgroups, c->config.proc_fd, (pid_t)p->pid);
    return p->cgroup;
}

static int add_sample(struct collector *c, const struct record *record, struct process *p,
                      const char *thread, bool may_hold)
{
    const struct record_sample *s = &record->sample;
    const struct unwind_stack *stack = stacker_run(c->stacker, p, record->time, s);
    struct window_key key = {
        .process = p,
        .cgroup = cgroup_of(c, p, s),
        .thread = thread,
        .cpu = record->cpu,
        .time_ns = (int64_t)record->time + c->window->to_real_ns,
    };
    size_t registers = (size_t)__builtin_popcountll(c->config.regs_mask);
    if (may_hold && stacker_is_pending(c->stacker) &&
        hold_put(c->hold, record, registers, p, thread) == 0)
        return 0;
    stacker_count(c->stacker);
    int r = window_make_room(c->window, (uint32_t)stack->count + 2);
    if (r < 0)
        return r;
    key.cgroup_path = cgroups_path(c->cgroups, key.cgroup, (int64_t)record->time);
    uint32_t node, methods = methods_of(stack);
    r = add_stack(c, &key, p, stack, &node);
    if (r == 0)
        r = window_add_sample(c->window, &key, node, methods);
    return r == -ENOSPC ? window_add_other(c->window, &key, methods) : r;
}

static void add_held(void *ctx, const struct record *record, struct process *p, const char *thread)
{
    struct collector *c = ctx;
    bool may_hold = !c->closing && c->ticked < record->time + HOLD_NS;
    if (!c->window || add_sample(c, record, p, thread, may_hold) < 0)
        counter_add(c->counters, samples_dropped, 1);
}

static void take_sample(struct collector *c, const struct record *record)
{
    if (record->pid == 0 && record->tid == 0) {
        /* perf_event_pid() gives 0 for a task that is not in the event's pid namespace, too. */
        if (c->config.outsiders)
            counter_add(c->counters, samples_outsiders, 1);
        else
            counter_add(c->counters, samples_idle, 1);
        return;
    }
    turn_window(c, (int64_t)record->time + c->to_real_ns);
    counter_add(c->counters, samples, 1);
    if (!record->sample.user_mode)
        counter_add(c->counters, samples_kernel, 1);
    struct process *p = process_of(c, record);
    if (!p || !c->window ||
        add_sample(c, record, p, processes_thread_name(c->processes, record->tid), true) < 0)
        counter_add(c->counters, samples_dropped, 1);
}

/* ---- records */

int collector_take_record(void *collector, const struct record *record)
{
    struct collector *c = collector;
    counter_add(c->counters, records, 1);
    switch (record->kind) {
    case RECORD_SAMPLE:
        take_sample(c, record);
        return 0;
    case RECORD_LOST:
        counter_add(c->counters, lost_records, record->lost);
        c->stale = true;
        return 0;
    case RECORD_LOST_SAMPLES:
        counter_add(c->counters, lost_samples, record->lost);
        return 0;
    case RECORD_THROTTLE:
        counter_add(c->counters, throttles, 1);
        return 0;
    case RECORD_CGROUP:
        if (c->sinks.cgroup)
            c->sinks.cgroup(c->sinks.ctx, record->cgroup.path);
        return cgroups_add(c->cgroups, record->cgroup.id, record->cgroup.path);
    case RECORD_KSYMBOL:
        return c->config.ksymbols ? ksymbols_apply(c->config.ksymbols, record) : 0;
    default:
        return processes_apply(c->processes, record);
    }
}

int collector_take(void *collector, struct ring *ring, const void *bytes, size_t len)
{
    struct collector *c = collector;
    struct record record;
    /* Times of a real clock leave room to add and subtract; a garbled recording's may not. */
    if (record_parse(&ring->format, bytes, len, &record, NULL) < 0 || record.time > TIME_MAX) {
        counter_add(c->counters, records_garbled, 1);
        return 0;
    }
    /* Rings of samples hold no news of processes. */
    bool stale = c->stale;
    int r = collector_take_record(c, &record);
    if (ring->samples_only)
        c->stale = stale;
    return r;
}

/* The wall clock was set: what was counted so far keeps the old one. */
static void change_clock(struct collector *c, uint64_t now, int64_t to_real_ns)
{
    log_info("wall clock changed by_ms=%lld", (long long)(to_real_ns - c->to_real_ns) / NS_PER_MS);
    collector_flush(c, now);
    c->to_real_ns = to_real_ns;
    struct err err = {0};
    if (open_window(c, (int64_t)now + to_real_ns, &err) < 0)
        log_err("samples are dropped error=\"%s\"", err.text);
}

void collector_tick(struct collector *collector, uint64_t now, int64_t to_real_ns)
{
    struct collector *c = collector;
    c->ticked = now;
    if (llabs(to_real_ns - c->to_real_ns) > CLOCK_JUMP_NS)
        change_clock(c, now, to_real_ns);
    turn_window(c, (int64_t)now + c->to_real_ns);
    if (c->config.tables && tables_turn(c->config.tables) && c->window) {
        stacker_take_tables(c->stacker);
        hold_release(c->hold, add_held, c);
    } else if (hold_oldest(c->hold) && now > hold_oldest(c->hold) + HOLD_NS) {
        hold_release(c->hold, add_held, c);
    }
    /* A clock that is being slewed: the next window takes it over. */
    c->to_real_ns = to_real_ns;
    if (now - c->expired > LINGER_NS / 2) {
        processes_expire(c->processes, now);
        c->expired = now;
    }
}

void collector_flush(struct collector *collector, uint64_t now)
{
    struct collector *c = collector;
    if (!c->window)
        return;
    int64_t end = (int64_t)now + c->to_real_ns;
    if (end <= c->window->start_ns)
        end = c->window->start_ns + 1;
    close_window(c, end < c->window->end_ns ? end : c->window->end_ns);
}

static bool is_gone(uint32_t pid)
{
    return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

bool collector_take_stale(struct collector *collector)
{
    struct collector *c = collector;
    if (!c->stale)
        return false;
    c->stale = false;
    counter_add(c->counters, rescans, 1);
    /* /proc tells who is there; processes whose exit was lost would stay for ever. */
    if (c->config.proc_fd >= 0)
        processes_find_gone(c->processes, c->ticked, is_gone);
    return true;
}

void collector_set_stale(struct collector *collector)
{
    collector->stale = true;
}

bool collector_knows_thread(const struct collector *collector, uint32_t tid)
{
    return processes_know_thread(collector->processes, tid);
}

size_t collector_processes(const struct collector *collector)
{
    return processes_count(collector->processes);
}

static void open_object(void *ctx, struct object *object, const struct object_place *place)
{
    struct collector *c = ctx;
    c->sinks.open(c->sinks.ctx, object, place);
}

int collector_new(const struct collector_config *config, const struct collector_sinks *sinks,
                  struct objects *objects, struct cgroups *cgroups, struct counters *counters,
                  uint64_t now, int64_t to_real_ns, struct collector **ret, struct err *err)
{
    struct collector *c = calloc(1, sizeof(*c));
    if (!c)
        return err_errno(err, -ENOMEM, "the collector");
    c->config = *config;
    c->sinks = *sinks;
    c->objects = objects;
    c->cgroups = cgroups;
    c->counters = counters;
    c->to_real_ns = to_real_ns;
    int r = processes_new(objects, LINGER_NS, &c->processes, err);
    if (r == 0 && (r = objects_get_kernel(objects, &c->kernel)) < 0)
        err_errno(err, r, "the collector");
    struct stacker_config stacker = {.chain_max = config->chain_max,
                                     .regs_mask = config->regs_mask,
                                     .tail_ns = config->tail_ns,
                                     .tables = config->tables,
                                     .open = open_object,
                                     .rescan = rescan_maps,
                                     .peek = config->peek ? peek : NULL,
                                     .ctx = c};
    if (r == 0)
        r = stacker_new(&stacker, objects, counters, &c->stacker, err);
    if (r == 0)
        r = hold_new(HOLD_BYTES, c->processes, &c->hold, err);
    if (r == 0)
        r = open_window(c, (int64_t)now + to_real_ns, err);
    if (r < 0) {
        collector_free(&c);
        return r;
    }
    *ret = c;
    return 0;
}

void collector_free(struct collector **collector)
{
    struct collector *c = *collector;
    if (!c)
        return;
    window_free(&c->window);
    hold_free(&c->hold);
    if (c->kernel)
        object_unref(c->objects, &c->kernel);
    stacker_free(&c->stacker);
    processes_free(&c->processes);
    free(c);
    *collector = NULL;
}
