/* event.c: takes what we want sampled, gives perf event fds, or the words for why not. See event.h.
 */
#include "agent/event.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/arch.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"

static int open_event(struct perf_event_attr *attr, pid_t pid, int cpu)
{
    int fd = (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int open_scoped(const struct event_config *config, struct perf_event_attr *attr, int whom,
                       int cpu)
{
    if (config->scope != EVENT_CGROUPS)
        return open_event(attr, whom, cpu);
    int fd = (int)syscall(SYS_perf_event_open, attr, whom, cpu, -1,
                          PERF_FLAG_FD_CLOEXEC | PERF_FLAG_PID_CGROUP);
    return fd < 0 ? -errno : fd;
}

static void describe_common(const struct event_config *config,
                            const struct event_features *features, struct perf_event_attr *attr)
{
    *attr = (struct perf_event_attr){
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof(*attr),
        .sample_type = features->format.sample_type,
        .sample_id_all = 1,
        .use_clockid = 1,
        .clockid = CLOCK_MONOTONIC,
        .watermark = 1,
        .wakeup_watermark = config->watermark,
        .exclude_hv = 1,
        .exclude_kernel = !features->kernel,
        .exclude_callchain_kernel = !features->kernel,
        .exclude_idle = features->exclude_idle,
    };
    if (features->format.sample_type & PERF_SAMPLE_REGS_USER)
        attr->sample_regs_user = features->format.regs_user;
    if (features->format.sample_type & PERF_SAMPLE_STACK_USER)
        attr->sample_stack_user = config->stack_bytes;
}

/* What tells of processes goes to an event of its own on each CPU, so that samples cannot crowd it
 * out; where each thread is opened on its own, that would be twice the descriptors. */
static void add_sideband(const struct event_features *features, struct perf_event_attr *attr)
{
    attr->mmap = attr->mmap2 = 1;
    attr->comm = attr->comm_exec = 1;
    attr->task = 1;
    attr->cgroup = features->cgroup_records;
    attr->ksymbol = features->ksymbols;
    attr->build_id = features->build_id;
}

static void describe_sample(const struct event_config *config,
                            const struct event_features *features, struct perf_event_attr *attr)
{
    describe_common(config, features, attr);
    attr->config = PERF_COUNT_SW_CPU_CLOCK;
    attr->sample_period = config->period_ns;
    if (!features->all_cpus) {
        attr->inherit = 1;
        add_sideband(features, attr);
    }
}

static void describe_sideband(const struct event_config *config,
                              const struct event_features *features, struct perf_event_attr *attr)
{
    describe_common(config, features, attr);
    attr->config = PERF_COUNT_SW_DUMMY;
    if (features->all_cpus)
        add_sideband(features, attr);
}

static long read_number(const char *path)
{
    long value = -1;
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    if (!f || fscanf(f, "%ld", &value) != 1)
        return -1;
    return value;
}

/* perf_event_open(2) says EACCES for the paranoid setting and missing capabilities; EPERM comes
 * from seccomp filters (as container runtimes set them) and from Debian's and Ubuntu's patch for
 * paranoid 3 and 4, which asks for CAP_SYS_ADMIN. */
static int explain(int r, struct err *err)
{
    if (!err)
        return r;
    long paranoid;
    switch (-r) {
    case EACCES:
        paranoid = read_number("/proc/sys/kernel/perf_event_paranoid");
        if (paranoid > 2)
            return err_set(err, r,
                           "perf_event_open is refused (EACCES): kernel.perf_event_paranoid is "
                           "%ld, a distribution's patch for which only CAP_SYS_ADMIN serves; give "
                           "that, or set it to 2 and give CAP_PERFMON (kernel 5.8 and later)",
                           paranoid);
        return err_set(err, r,
                       "perf_event_open is refused (EACCES): kernel.perf_event_paranoid is %ld and "
                       "CAP_PERFMON is missing (before kernel 5.8: CAP_SYS_ADMIN); other users' "
                       "processes also need CAP_SYS_PTRACE",
                       paranoid);
    case EPERM:
        return err_set(err, r,
                       "perf_event_open is refused (EPERM): a seccomp filter forbids it, as "
                       "container runtimes do unless the container has CAP_PERFMON (podman, docker "
                       "up to 20.10: CAP_SYS_ADMIN); add the capability or allow the system call "
                       "in the seccomp profile (systemd: SystemCallFilter=perf_event_open)");
    case ENOSYS:
        return err_set(err, r,
                       "perf_event_open is not there (ENOSYS): the kernel was built without "
                       "CONFIG_PERF_EVENTS, or a seccomp filter hides it");
    case EMFILE:
        return err_set(err, r, "perf_event_open: too many open files; raise RLIMIT_NOFILE");
    default:
        return err_errno(err, r, "perf_event_open");
    }
}

static int try_both(const struct event_config *config, const struct event_features *features)
{
    struct perf_event_attr attr;
    pid_t pid = features->all_cpus ? -1 : 0;
    describe_sample(config, features, &attr);
    _cleanup_close_ int sample = open_event(&attr, pid, 0);
    if (sample < 0)
        return sample;
    describe_sideband(config, features, &attr);
    _cleanup_close_ int sideband = open_event(&attr, pid, 0);
    return sideband < 0 ? sideband : 0;
}

/* The widest view that is allowed: all CPUs with the kernel, own processes with it, own processes'
 * user code. */
static int probe_scope(const struct event_config *config, struct event_features *f, struct err *err)
{
    static const struct {
        bool all_cpus, kernel;
    } scopes[] = {{true, true}, {true, false}, {false, true}, {false, false}};
    int first = 0;
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
        if (config->scope == (scopes[i].all_cpus ? EVENT_THREADS : EVENT_CGROUPS))
            continue;
        f->all_cpus = scopes[i].all_cpus;
        f->kernel = scopes[i].kernel;
        int r = try_both(config, f);
        if (r == 0) {
            struct err why;
            if (first < 0 && explain(first, &why))
                log_warn("%s", why.text);
            return 0;
        }
        if (!first)
            first = r;
    }
    return explain(first, err);
}

/* Turns one thing on, and off again if the kernel does not know it. */
static bool probe_flag(const struct event_config *config, struct event_features *f, bool *flag)
{
    *flag = true;
    if (try_both(config, f) == 0)
        return true;
    *flag = false;
    return false;
}

static void probe_sample_type(const struct event_config *config, struct event_features *f,
                              bool *flag, uint64_t bits, uint64_t regs)
{
    struct record_format before = f->format;
    f->format.sample_type |= bits;
    f->format.regs_user |= regs;
    if (!probe_flag(config, f, flag))
        f->format = before;
}

/* Whether it is worth a word that a feature is not there. */
static bool is_wanted(const struct event_config *config, size_t member)
{
    if (member == offsetof(struct event_features, all_cpus))
        return config->scope != EVENT_THREADS;
    if (member == offsetof(struct event_features, sample_cgroup))
        return !config->no_cgroup_ids;
    return true;
}

int event_probe(const struct event_config *config, struct event_features *ret, struct err *err)
{
    struct event_features f = {
        .format.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |
                              PERF_SAMPLE_CPU | PERF_SAMPLE_CALLCHAIN,
    };
    int r = probe_scope(config, &f, err);
    if (r < 0)
        return r;
    probe_flag(config, &f, &f.exclude_idle);
    probe_flag(config, &f, &f.build_id);
    probe_flag(config, &f, &f.cgroup_records);
    probe_flag(config, &f, &f.ksymbols);
    if (!config->no_cgroup_ids)
        probe_sample_type(config, &f, &f.sample_cgroup, PERF_SAMPLE_CGROUP, 0);
    if (config->stack_bytes && arch_user_regs())
        probe_sample_type(config, &f, &f.user_stack, PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
                          arch_user_regs());
#define X(member, name, without)                                                 \
    if (!f.member && is_wanted(config, offsetof(struct event_features, member))) \
        log_warn("kernel feature missing feature=%s fallback=\"%s\"", name, without);
    EVENT_FEATURES(X)
#undef X
    *ret = f;
    return 0;
}

int event_open_sample(const struct event_config *config, const struct event_features *features,
                      pid_t pid, int cpu, struct err *err)
{
    struct perf_event_attr attr;
    describe_sample(config, features, &attr);
    int fd = open_scoped(config, &attr, pid, cpu);
    return fd < 0 ? explain(fd, err) : fd;
}

int event_open_sideband(const struct event_config *config, const struct event_features *features,
                        pid_t pid, int cpu, struct err *err)
{
    struct perf_event_attr attr;
    describe_sideband(config, features, &attr);
    int fd = open_scoped(config, &attr, pid, cpu);
    return fd < 0 ? explain(fd, err) : fd;
}

int event_open_carrier(const struct event_config *config, const struct event_features *features,
                       bool news, int cpu, struct err *err)
{
    struct perf_event_attr attr;
    describe_common(config, features, &attr);
    attr.config = PERF_COUNT_SW_DUMMY;
    attr.cgroup = news && features->all_cpus && features->cgroup_records;
    attr.ksymbol = news && features->all_cpus && features->ksymbols;
    int fd = open_event(&attr, features->all_cpus ? -1 : 0, cpu);
    return fd < 0 ? explain(fd, err) : fd;
}
