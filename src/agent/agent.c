/* agent.c: takes settings, gives a running agent: sampler → namer → spool → shipper, with the file
 * opener and /metrics beside. See agent.h. */
#include "agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/builder.h"
#include "agent/cgroups.h"
#include "agent/collector.h"
#include "agent/counters.h"
#include "agent/jit.h"
#include "agent/ksymbols.h"
#include "agent/namer.h"
#include "agent/object.h"
#include "agent/opener.h"
#include "agent/options.h"
#include "agent/pod_sources.h"
#include "agent/recording.h"
#include "agent/sampler.h"
#include "agent/ship.h"
#include "agent/spool.h"
#include "agent/status.h"
#include "agent/tables.h"
#include "agent/target.h"
#include "agent/usage_reader.h"
#include "agent/window.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "k8s/cgroup.h"
#include "k8s/pods.h"
#include "k8s/sources.h"

#define FIRST_WINDOW_NS (5 * NS_PER_SEC)
#define TABLES_WAIT_NS  (10 * NS_PER_SEC) /* of a replay, for what it asked for in a turn */

struct agent {
    struct counters counters;
    struct objects *objects;
    struct ksymbols *ksymbols;
    struct spool *spool;
    struct ship *ship;
    struct opener *opener;
    struct jit *jit;
    struct tables *tables;
    struct pod_sources pod_sources;
    struct usage_reader *usage;
    struct namer *namer;
    struct sampler *sampler;
    struct replay *replay;
    struct recording_info recording;
    struct status *status;
    struct collector_config collector;
    int64_t shutdown_ns;
    int ended_fd; /* an eventfd */
    bool is_replay;
};

/* ---- what the collector gives */

static void take_window(void *ctx, struct window *window)
{
    struct agent *a = ctx;
    namer_put(a->namer, window, a->is_replay);
}

static void take_open(void *ctx, struct object *object, const struct object_place *place)
{
    opener_ask(((struct agent *)ctx)->opener, object, place);
}

static bool take_made(void *ctx, const struct process *process, uint32_t window)
{
    return jit_ask(((struct agent *)ctx)->jit, process, window);
}

/* A container that starts should have its name before its samples are named. */
static void take_cgroup(void *ctx, const char *path)
{
    struct cgroup_id id;
    cgroup_parse_path(path, strlen(path), &id);
    if (id.container_id[0] || id.pod_uid[0])
        sources_wake(((struct agent *)ctx)->pod_sources.sources);
}

static void take_end(void *ctx)
{
    uint64_t one = 1;
    ssize_t n = write(((struct agent *)ctx)->ended_fd, &one, sizeof(one));
    (void)n; /* an eventfd at zero takes a one */
}

/* ---- starting */

static void describe_collector(const struct agent_options *o, struct collector_config *ret)
{
    *ret = (struct collector_config){
        .window_ns = o->window_ns,
        .first_window_ns = FIRST_WINDOW_NS,
        /* Distinct samples differ by process, thread, CPU and slot too: some more than stacks. */
        .limits = {.max_stacks = (uint32_t)o->max_stacks,
                   .max_samples =
                       (uint32_t)(o->max_stacks < WIRE_MAX_SAMPLES / 2 ? o->max_stacks * 2
                                                                       : WIRE_MAX_SAMPLES)},
        .tail_ns = o->tail_ns,
        .proc_fd = -1,
    };
}

static int start_shipping(struct agent *a, const struct agent_options *o, struct err *err)
{
    struct ship_config config = {
        .server = o->server,
        .ca_file = o->server_ca,
        .user_agent = "podflamed/" PACKAGE_VERSION,
    };
    return o->server && o->server[0] ? ship_start(&config, a->spool, &a->ship, err) : 0;
}

static int start_spool(struct agent *a, const struct agent_options *o, struct err *err)
{
    char dir[4096];
    int n = snprintf(dir, sizeof(dir), "%s/spool", o->state_dir);
    if (n < 0 || (size_t)n >= sizeof(dir))
        return err_set(err, -ENAMETOOLONG, "state-dir is longer than a path may be");
    return spool_open(dir, o->spool_bytes, &a->spool, err);
}

static int start_tables(struct agent *a, const struct agent_options *o, struct err *err)
{
    char dir[4096];
    if (!o->stack_bytes)
        return 0;
    int n = snprintf(dir, sizeof(dir), "%s/tables", o->state_dir);
    if (n < 0 || (size_t)n >= sizeof(dir))
        return err_set(err, -ENAMETOOLONG, "state-dir is longer than a path may be");
    struct tables_config config = {
        .dir = dir, .max_bytes = o->table_bytes, .disk_bytes = o->table_disk_bytes};
    int r = tables_start(&config, a->objects, &a->counters, &a->tables, err);
    a->collector.tables = a->tables;
    return r;
}

static int find_pod(void *ctx, const char *namespace, const char *name, char ret_uid[static 40])
{
    return pods_find_uid(((struct agent *)ctx)->pod_sources.pods, namespace, name, ret_uid);
}

static int start_sampler(struct agent *a, const struct agent_options *o, struct err *err)
{
    struct sampler_config config = {
        .cpu = {.event = {.period_ns = (uint64_t)NS_PER_SEC / o->frequency,
                          .stack_bytes = (uint32_t)o->stack_bytes,
                          .watermark = (uint32_t)(o->ring_bytes / 2)},
                .ring_bytes = o->ring_bytes},
        .collector = a->collector,
        .stack_bytes_max = (uint32_t)o->stack_bytes_max,
        .realtime = o->realtime,
        .record = o->record,
        .ended = take_end,
        .ended_ctx = a,
    };
    int r = agent_options_target(o, &config.target, err);
    if (r < 0)
        return r;
    config.target.resolve = find_pod;
    config.target.resolve_ctx = a;
    if (config.target.kind == TARGET_SIDECAR) {
        config.target.name = a->pod_sources.own_pod;
        pods_set_own_pod(a->pod_sources.pods, a->pod_sources.own_pod ? a->pod_sources.own_pod : "");
    }
    struct collector_sinks sinks = {
        .window = take_window,
        .open = take_open,
        .made = take_made,
        .cgroup = take_cgroup,
        .ctx = a,
    };
    return sampler_start(&config, &sinks, a->objects, &a->counters, &a->sampler, err);
}

/* Sampling goes on without it. */
static void start_usage(struct agent *a, const struct agent_options *o)
{
    struct err err = {0};
    bool is_whole_node = !o->pid && !o->cgroup && !o->container && !o->pod && !o->sidecar;
    struct usage_reader_config config = {
        .interval_ns = o->usage_ns,
        .full_commands = strcmp(o->command_lines, "full") == 0,
    };
    if (o->usage_ns && !o->replay && is_whole_node &&
        usage_reader_start(&config, &a->counters, &a->usage, &err) < 0)
        log_warn("what containers use is not read error=\"%s\"", err.text);
}

static int start_all(struct agent *a, const struct agent_options *o, struct err *err)
{
    int r = objects_new(&a->objects, err);
    if (r == 0)
        r = ksymbols_new(&a->ksymbols, err);
    a->collector.ksymbols = a->ksymbols;
    if (r == 0)
        r = start_spool(a, o, err);
    if (r == 0)
        r = start_shipping(a, o, err);
    if (r == 0)
        r = opener_start(a->objects, &a->counters, &a->opener, err);
    if (r == 0)
        r = start_tables(a, o, err);
    if (r == 0 && o->replay)
        r = replay_open(o->replay, &a->replay, &a->recording, err);
    if (r == 0 && !o->replay)
        r = jit_start(&a->counters, &a->jit, err);
    if (r == 0)
        r = pod_sources_start(o, &a->counters, &a->pod_sources, err);
    if (r < 0)
        return r;
    start_usage(a, o);
    struct builder_config config = {
        .node = pod_sources_node(o),
        .period_ns =
            o->replay ? (int64_t)a->recording.period_ns : NS_PER_SEC / (int64_t)o->frequency,
        .symbol_bytes = o->symbol_bytes,
        .worker = o->dwarf_ns ? "/proc/self/exe" : NULL,
        .dwarf_ns = o->dwarf_ns,
        .jit = a->jit,
        .ksymbols = a->ksymbols,
        .pods = a->pod_sources.pods,
        .exact = o->exact_addresses,
        .identity = a->pod_sources.identity,
        .usage = a->usage,
    };
    struct namer_inputs inputs = {a->opener, a->pod_sources.identity};
    r = namer_start(&config, a->objects, &inputs, &a->counters, a->spool, a->ship, &a->namer, err);
    if (r == 0 && !o->replay)
        r = start_sampler(a, o, err);
    if (r == 0 && o->metrics_listen && o->metrics_listen[0]) {
        struct status_sources sources = {&a->counters, a->spool,   a->ship,
                                         a->namer,     a->sampler, a->pod_sources.sources};
        r = status_start(o->metrics_listen, &sources, &a->status, err);
    }
    return r;
}

int agent_start(const struct agent_options *options, struct agent **ret, struct err *err)
{
    struct agent *a = calloc(1, sizeof(*a));
    if (!a)
        return err_errno(err, -ENOMEM, "the agent");
    a->shutdown_ns = options->shutdown_ns;
    a->is_replay = options->replay;
    a->ended_fd = eventfd(0, EFD_CLOEXEC);
    describe_collector(options, &a->collector);
    int r = a->ended_fd < 0 ? err_errno(err, -errno, "an eventfd") : start_all(a, options, err);
    if (r < 0) {
        a->shutdown_ns = 0;
        agent_stop(&a);
        return r;
    }
    *ret = a;
    return 0;
}

int agent_ended_fd(const struct agent *agent)
{
    return agent->ended_fd;
}

void agent_reload(struct agent *agent, const struct agent_options *options)
{
    struct err err = {0};
    struct ship *old = agent->ship;
    agent->ship = NULL;
    int r = start_shipping(agent, options, &err);
    if (r < 0) {
        agent->ship = old;
        log_err("the old server is kept error=\"%s\"", err.text);
        return;
    }
    namer_set_ship(agent->namer, agent->ship);
    if (agent->status)
        status_set_ship(agent->status, agent->ship);
    ship_stop(&old, 0);
}

/* In the data's order, so that each part's last words find the next one still there. */
void agent_stop(struct agent **agent)
{
    struct agent *a = *agent;
    if (!a)
        return;
    status_stop(&a->status);
    sampler_stop(&a->sampler);
    tables_stop(&a->tables);
    namer_stop(&a->namer);
    pod_sources_stop(&a->pod_sources);
    usage_reader_stop(&a->usage);
    jit_stop(&a->jit);
    opener_stop(&a->opener);
    ship_stop(&a->ship, a->shutdown_ns);
    spool_free(&a->spool);
    replay_free(&a->replay);
    ksymbols_free(&a->ksymbols);
    objects_free(&a->objects);
    if (a->ended_fd >= 0)
        close(a->ended_fd);
    free(a);
    *agent = NULL;
}

static int run_replay(struct agent *a, struct collector *collector, struct err *err)
{
    uint64_t until = a->recording.start;
    int r;
    while ((r = replay_turn(a->replay, collector_take, collector, &until, err)) == 1) {
        /* A recording's seconds pass in a moment: the tables would come too late for all of it. */
        if (a->tables)
            tables_wait(a->tables, TABLES_WAIT_NS);
        collector_tick(collector, until, a->recording.to_real_ns);
    }
    collector_flush(collector, until);
    return r;
}

int agent_replay(struct agent *agent, struct err *err)
{
    struct collector_sinks sinks = {.window = take_window, .open = take_open, .ctx = agent};
    struct cgroups *cgroups = NULL;
    struct collector *collector = NULL;
    struct collector_config config = agent->collector;
    config.chain_max = agent->recording.chain_max;
    config.regs_mask = agent->recording.format.regs_user;
    config.peek = replay_read_memory;
    config.peek_ctx = agent->replay;
    int r = cgroups_new(&cgroups, err);
    if (r == 0)
        r = collector_new(&config, &sinks, agent->objects, cgroups, &agent->counters,
                          agent->recording.start, agent->recording.to_real_ns, &collector, err);
    if (r == 0)
        r = run_replay(agent, collector, err);
    collector_free(&collector);
    cgroups_free(&cgroups);
    return r;
}
