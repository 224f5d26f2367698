/* sampler.c: takes the CPUs there are, drains their rings into a collector. See sampler.h. */
#include "agent/sampler.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/cgroups.h"
#include "agent/counters.h"
#include "agent/dump_size.h"
#include "agent/follow.h"
#include "agent/hotplug.h"
#include "agent/merge.h"
#include "agent/peek.h"
#include "agent/priority.h"
#include "agent/procfs.h"
#include "agent/recording.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"

/* A quiet CPU's records are not older than this. */
#define DRAIN_EVERY_MS 100

/* A record is in its ring some microseconds after its time was taken; on a virtual CPU that is
 * paused just then, some milliseconds. Younger records wait for the next turn. */
#define SLACK_NS (5 * (uint64_t)NS_PER_MS)

#define CPUS_MAX 4096

struct sampler {
    struct sampler_config config;
    struct event_features features;
    struct counters *counters;
    struct cgroups *cgroups;
    struct collector *collector;
    struct recorder *recorder;
    struct hotplug *hotplug;
    struct follow *follow;
    struct peek *peek;
    struct dump_size dump;
    struct cpu *cpus;
    size_t cpu_count;
    struct ring **rings; /* of the CPUs that are online */
    size_t ring_count;
    struct merge merge;
    int proc_fd, epoll_fd, stop_fd;
    int64_t drained_ns;
    pthread_t thread;
    bool started, ended;
    _Atomic uint32_t online, stack_bytes;
    _Atomic size_t processes, ring_bytes;
    _Atomic uint64_t drains;
};

/* ---- CPUs that come and go */

static void watch(struct sampler *s, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (fd >= 0 && epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
        log_warn("epoll: %s", strerrordesc_np(errno)); /* it is drained by the clock then */
}

static void list_rings(struct sampler *s)
{
    s->ring_count = 0;
    size_t bytes = 0;
    uint32_t online = 0;
    for (size_t i = 0; i < s->cpu_count; i++) {
        struct cpu *cpu = &s->cpus[i];
        if (!cpu->online)
            continue;
        online++;
        struct ring *both[] = {&cpu->sideband, &cpu->sample};
        for (size_t k = 0; k < ARRAY_LEN(both); k++) {
            if (!both[k]->base)
                continue;
            s->rings[s->ring_count++] = both[k];
            bytes += both[k]->size;
        }
    }
    s->online = online;
    s->ring_bytes = bytes;
}

static int open_cpu(struct sampler *s, size_t i, struct err *err)
{
    int r = cpu_open(&s->cpus[i], (int)i, &s->config.cpu, &s->features, err);
    if (r < 0)
        return r;
    watch(s, s->cpus[i].sideband_fd);
    watch(s, s->cpus[i].sample_fd);
    if (s->recorder) {
        recorder_reset_ring(s->recorder, s->cpus[i].sideband.id);
        recorder_reset_ring(s->recorder, s->cpus[i].sample.id);
    }
    return 0;
}

static void drain(struct sampler *s, uint64_t until);

static void change_cpu(void *ctx, size_t cpu, bool online)
{
    struct sampler *s = ctx;
    if (cpu >= s->cpu_count || s->cpus[cpu].online == online)
        return;
    struct err err = {0};
    if (!online) {
        drain(s, (uint64_t)clock_ns(CLOCK_MONOTONIC)); /* its last records, before they go */
        follow_close_cpu(s->follow, (int)cpu);
        cpu_close(&s->cpus[cpu]); /* a closed fd leaves epoll by itself */
        log_info("CPU went offline cpu=%zu", cpu);
    } else if (open_cpu(s, cpu, &err) < 0) {
        log_warn("a CPU is not sampled error=\"%s\"", err.text);
    } else {
        follow_open_cpu(s->follow, &s->cpus[cpu]);
        /* What ran on it before: its mappings and threads were told to nobody. */
        collector_set_stale(s->collector);
        log_info("CPU came online cpu=%zu", cpu);
    }
    list_rings(s);
}

/* ---- draining */

static void drain(struct sampler *s, uint64_t until)
{
    for (size_t i = 0; i < s->ring_count; i++) {
        ring_refresh(s->rings[i]);
        if (s->recorder)
            recorder_put_ring(s->recorder, s->rings[i]);
    }
    uint64_t garbled = s->merge.garbled;
    int r = merge_drain(&s->merge, s->rings, s->ring_count, until, collector_take, s->collector);
    if (r < 0)
        log_err("draining the rings: %s", strerrordesc_np(-r));
    /* Behind what the merge had to look up in /proc: a replay must know that first. */
    if (s->recorder)
        recorder_put_turn(s->recorder, until);
    counter_add(s->counters, records_garbled, s->merge.garbled - garbled);
    atomic_fetch_add(&s->drains, 1);
    s->processes = collector_processes(s->collector);
    s->drained_ns = clock_ns(CLOCK_MONOTONIC);
}

/* ---- how much of a stack is copied */

/* In the midst of draining: the events are opened anew behind it. */
static void take_dumps(void *ctx, const struct stacker_dumps *dumps)
{
    struct sampler *s = ctx;
    if (s->features.all_cpus && s->features.user_stack)
        dump_size_judge(&s->dump, dumps);
}

static void reopen_samples(struct sampler *s)
{
    uint32_t before = s->config.cpu.event.stack_bytes;
    s->config.cpu.event.stack_bytes = s->dump.bytes;
    drain(s, (uint64_t)clock_ns(CLOCK_MONOTONIC));
    bool is_done = follow_set_stack_bytes(s->follow, s->dump.bytes, s->cpus, s->cpu_count);
    for (size_t i = 0; i < s->cpu_count && !is_done; i++) {
        struct err err = {0};
        if (!s->cpus[i].online)
            continue;
        if (cpu_reopen_sample(&s->cpus[i], &s->config.cpu, &s->features, &err) < 0)
            log_err("a CPU is not sampled any more error=\"%s\"", err.text);
        watch(s, s->cpus[i].sample_fd);
        if (s->recorder)
            recorder_reset_ring(s->recorder, s->cpus[i].sample.id);
    }
    list_rings(s);
    s->stack_bytes = s->dump.bytes;
    log_info("stacks are copied up to another size stack_bytes=%u before=%u", s->dump.bytes,
             before);
}

/* Reading /proc takes long where there are thousands of processes: the rings do not wait. */
static void record_known(void *ctx, const struct record *record)
{
    struct sampler *s = ctx;
    if (s->recorder)
        recorder_put_known(s->recorder, record);
}

static size_t read_memory(void *ctx, pid_t pid, uint64_t address, void *to, size_t len)
{
    struct sampler *s = ctx;
    size_t got = peek_read(s->peek, pid, address, to, len);
    if (s->recorder && got)
        recorder_put_memory(s->recorder, pid, address, to, got);
    return got;
}

static int know(void *ctx, const struct record *record)
{
    struct sampler *s = ctx;
    record_known(s, record);
    int r = collector_take_record(s->collector, record);
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    if (now - s->drained_ns > DRAIN_EVERY_MS * NS_PER_MS)
        drain(s, (uint64_t)now - SLACK_NS);
    return r;
}

static void scan(struct sampler *s)
{
    struct err err = {0};
    if (procfs_scan(s->proc_fd, know, s, &err) < 0)
        log_warn("some processes that ran before are not known error=\"%s\"", err.text);
}

static void turn(struct sampler *s)
{
    uint64_t until = (uint64_t)clock_ns(CLOCK_MONOTONIC) - SLACK_NS;
    drain(s, until);
    collector_tick(s->collector, until, clock_monotonic_to_real());
    if (s->dump.bytes != s->config.cpu.event.stack_bytes)
        reopen_samples(s);
    bool stale = collector_take_stale(s->collector);
    if (!follow_is_whole(s->follow))
        follow_turn(s->follow, s->cpus, s->cpu_count, until, stale);
    else if (stale)
        scan(s);
    if (!s->ended && follow_is_over(s->follow)) {
        s->ended = true;
        s->config.ended(s->config.ended_ctx);
    }
}

static void *run(void *arg)
{
    struct sampler *s = arg;
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(s->epoll_fd, events, ARRAY_LEN(events), DRAIN_EVERY_MS);
        bool stop = false;
        bool news = false;
        for (int i = 0; i < n; i++) {
            stop = stop || events[i].data.fd == s->stop_fd;
            news = news || events[i].data.fd == hotplug_fd(s->hotplug);
        }
        if (stop)
            break;
        /* First, so that /proc is read before the samples of these moments are looked up. */
        hotplug_check(s->hotplug, news, change_cpu, s);
        turn(s);
    }
    uint64_t now = (uint64_t)clock_ns(CLOCK_MONOTONIC);
    drain(s, now);
    collector_flush(s->collector, now);
    return NULL;
}

static void *run_first(void *arg)
{
    struct sampler *s = arg;
    pthread_setname_np(pthread_self(), "sampler");
    if (s->config.realtime)
        priority_raise_sampler();
    if (follow_is_whole(s->follow))
        scan(s);
    return run(arg);
}

/* ---- starting and stopping */

static size_t read_chain_max(void)
{
    _cleanup_(buf_free) struct buf text = {0};
    if (fs_read_at(AT_FDCWD, "/proc/sys/kernel/perf_event_max_stack", 64, &text, NULL) < 0)
        return 0;
    return (size_t)strtoul((const char *)text.data, NULL, 10);
}

static int open_all_cpus(struct sampler *s, struct err *err)
{
    uint8_t online[CPUS_MAX];
    int r = hotplug_read(s->hotplug, online, sizeof(online), err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(online); i++)
        s->cpu_count = online[i] ? i + 1 : s->cpu_count;
    /* Room for those that come later. */
    long configured = sysconf(_SC_NPROCESSORS_CONF);
    if (configured > (long)s->cpu_count && configured <= CPUS_MAX)
        s->cpu_count = (size_t)configured;
    s->cpus = calloc(s->cpu_count, sizeof(*s->cpus));
    s->rings = calloc(s->cpu_count * 2, sizeof(*s->rings));
    if (!s->cpus || !s->rings)
        return err_errno(err, -ENOMEM, "%zu CPUs", s->cpu_count);
    for (size_t i = 0; i < s->cpu_count; i++)
        s->cpus[i] = (struct cpu){.number = (int)i, .sample_fd = -1, .sideband_fd = -1};
    for (size_t i = 0; i < s->cpu_count; i++) {
        if (online[i] && (r = open_cpu(s, i, err)) < 0 && r != -ENODEV)
            return r;
    }
    list_rings(s);
    return s->ring_count ? 0 : err_set(err, -ENODEV, "no CPU could be opened");
}

static void free_sampler(struct sampler *s)
{
    if (s->recorder) {
        struct err err = {0};
        if (recorder_close(&s->recorder, &err) < 0)
            log_err("the recording is cut error=\"%s\"", err.text);
    }
    follow_free(&s->follow);
    for (size_t i = 0; i < s->cpu_count && s->cpus; i++)
        cpu_close(&s->cpus[i]);
    free(s->cpus);
    free(s->rings);
    merge_free(&s->merge);
    collector_free(&s->collector);
    peek_stop(&s->peek);
    cgroups_free(&s->cgroups);
    hotplug_close(&s->hotplug);
    const int fds[] = {s->proc_fd, s->epoll_fd, s->stop_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    free(s);
}

static int open_recorder(struct sampler *s, uint64_t now, int64_t to_real_ns, struct err *err)
{
    if (!s->config.record)
        return 0;
    struct recording_info info = {
        .format = s->features.format,
        .period_ns = s->config.cpu.event.period_ns,
        .start = now,
        .to_real_ns = to_real_ns,
        .chain_max = (uint32_t)s->config.collector.chain_max,
    };
    return recorder_open(s->config.record, &info, &s->recorder, err);
}

static int record_cgroup(void *ctx, const struct record *record)
{
    recorder_put_known(((struct sampler *)ctx)->recorder, record);
    return 0;
}

/* Events first, /proc behind: what changes in between is told by records. */
static int begin(struct sampler *s, const struct collector_sinks *sinks, struct objects *objects,
                 struct err *err)
{
    s->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (s->proc_fd < 0 || s->epoll_fd < 0 || s->stop_fd < 0)
        return err_errno(err, -errno, "the sampler's descriptors");
    watch(s, s->stop_fd);
    int r = cgroups_new(&s->cgroups, err);
    if (r == 0)
        r = follow_new(&s->config.target, s->proc_fd, s->cgroups, &s->config.cpu.event,
                       &s->features, &s->follow, err);
    if (r == 0)
        r = hotplug_open(&s->hotplug, err);
    if (r == 0)
        r = peek_start(s->counters, &s->peek, err);
    if (r < 0)
        return r;
    watch(s, hotplug_fd(s->hotplug));
    uint64_t now = (uint64_t)clock_ns(CLOCK_MONOTONIC);
    int64_t to_real_ns = clock_monotonic_to_real();
    struct collector_config *c = &s->config.collector;
    c->proc_fd = s->proc_fd;
    c->chain_max = read_chain_max();
    c->regs_mask = s->features.format.regs_user;
    c->cgroups_from_proc = !s->features.sample_cgroup;
    c->outsiders = s->config.target.kind == TARGET_SIDECAR;
    c->known = record_known;
    c->known_ctx = s;
    c->peek = read_memory;
    c->peek_ctx = s;
    struct collector_sinks own = *sinks;
    own.dumps = take_dumps;
    own.dumps_ctx = s;
    r = collector_new(c, &own, objects, s->cgroups, s->counters, now, to_real_ns, &s->collector,
                      err);
    if (r == 0)
        r = open_recorder(s, now, to_real_ns, err);
    if (r == 0)
        r = open_all_cpus(s, err);
    if (r < 0)
        return r;
    if (s->recorder)
        cgroups_each(s->cgroups, record_cgroup, s);
    struct follow_sink sink = {.collector = s->collector, .known = know, .ctx = s};
    return follow_is_whole(s->follow) ? 0
                                      : follow_start(s->follow, &sink, s->cpus, s->cpu_count, err);
}

int sampler_start(const struct sampler_config *config, const struct collector_sinks *sinks,
                  struct objects *objects, struct counters *counters, struct sampler **ret,
                  struct err *err)
{
    struct sampler *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(err, -ENOMEM, "the sampler");
    s->config = *config;
    s->counters = counters;
    s->proc_fd = s->epoll_fd = s->stop_fd = -1;
    s->stack_bytes = config->cpu.event.stack_bytes;
    dump_size_init(&s->dump, s->stack_bytes, config->stack_bytes_max, config->cpu.ring_bytes);
    int r = begin(s, sinks, objects, err);
    if (r == 0 && (r = -pthread_create(&s->thread, NULL, run_first, s)) < 0)
        err_errno(err, r, "starting the sampling thread");
    if (r < 0) {
        free_sampler(s);
        return r;
    }
    log_info("sampling cpus=%u ring_bytes_per_cpu=%zu all_cpus=%d kernel=%d", s->online,
             s->online ? s->ring_bytes / s->online : 0, s->features.all_cpus, s->features.kernel);
    *ret = s;
    return 0;
}

void sampler_stop(struct sampler **sampler)
{
    struct sampler *s = *sampler;
    if (!s)
        return;
    uint64_t one = 1;
    ssize_t n = write(s->stop_fd, &one, sizeof(one));
    (void)n; /* an eventfd at zero takes a one */
    pthread_join(s->thread, NULL);
    free_sampler(s);
    *sampler = NULL;
}

void sampler_read_status(struct sampler *sampler, struct sampler_status *ret)
{
    *ret = (struct sampler_status){
        .cpus = sampler->online,
        .ring_bytes = sampler->ring_bytes,
        .stack_bytes = sampler->stack_bytes,
        .processes = sampler->processes,
        .drains = sampler->drains,
    };
}
