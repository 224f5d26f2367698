/* sidecar.c: takes what the kernel and /proc say of us, gives words. See sidecar.h. */
#include "agent/sidecar.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/attach.h"
#include "agent/event.h"
#include "agent/members.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "k8s/cgroup.h"

#define PROC_CGROUP_MAX 65536u

/* Older headers do not have it. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif

/* PROC_USER_INIT_INO of the kernel's include/linux/proc_ns.h, since 3.8. */
#define HOST_USER_NS "user:[4026531837]"

/* How a container of the pod gets them (core/v1 Capabilities has no CAP_ in front). */
#define GIVE_BOTH "securityContext: {capabilities: {add: [PERFMON, SYS_PTRACE]}}"

static bool has(const struct sidecar *s, unsigned cap)
{
    return s->caps >> cap & 1;
}

static uint64_t read_caps(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capget, &header, data) < 0)
        return 0;
    return data[0].effective | (uint64_t)data[1].effective << 32;
}

static int read_path(int proc_fd, const char *name, char ret_path[CGROUP_PATH_MAX])
{
    _cleanup_(buf_free) struct buf text = {0};
    int r = fs_read_at(proc_fd, name, PROC_CGROUP_MAX, &text, NULL);
    return r < 0 ? r : cgroup_choose_path((const char *)text.data, text.len, ret_path);
}

int sidecar_look(int proc_fd, const char *pod_uid, struct sidecar *ret, struct err *err)
{
    struct sidecar s = {.sees_host = members_see_host(proc_fd), .caps = read_caps()};
    char path[CGROUP_PATH_MAX], first[CGROUP_PATH_MAX], link[64];
    struct cgroup_id id = {0};
    if (read_path(proc_fd, "self/cgroup", path) == 0)
        cgroup_parse_path(path, strlen(path), &id);
    snprintf(s.pod_uid, sizeof(s.pod_uid), "%s", id.pod_uid[0] || !pod_uid ? id.pod_uid : pod_uid);
    /* Seen from a cgroup namespace of one's own, pid 1 of the machine is somewhere above. */
    bool is_nested = read_path(proc_fd, "1/cgroup", first) == 0 && strncmp(first, "/..", 3) == 0;
    if (s.sees_host && !s.pod_uid[0] && !is_nested)
        return err_set(err, -EINVAL,
                       "--sidecar: this is no pod: the pid namespace is the machine's own, and "
                       "/proc/self/cgroup names no pod; without --sidecar the whole machine is "
                       "sampled");
    s.is_alone = getpid() == 1;
    s.was_given = prctl(PR_CAPBSET_READ, CAP_PERFMON) == 1;
    ssize_t n = readlinkat(proc_fd, "self/ns/user", link, sizeof(link) - 1);
    link[n > 0 ? n : 0] = 0;
    s.in_user_ns = n > 0 && strcmp(link, HOST_USER_NS) != 0;
    *ret = s;
    return 0;
}

int sidecar_explain(const struct sidecar *sidecar, int code, struct err *err)
{
    if (code == -EPERM)
        log_warn("sidecar is kept off by a seccomp filter (EPERM): to see all of the pod give its "
                 "container " GIVE_BOTH ", with which RuntimeDefault lets it through; to see "
                 "only processes of its own user without any capability, a seccompProfile that "
                 "allows perf_event_open: {type: Localhost} or {type: Unconfined}");
    if (code == -EACCES)
        log_warn("sidecar is kept off by kernel.perf_event_paranoid (EACCES): give its container "
                 "%s",
                 has(sidecar, CAP_PERFMON) && !sidecar->in_user_ns
                     ? "CAP_SYS_ADMIN, since this kernel is a distribution's that wants that"
                     : GIVE_BOTH);
    return err_wrap(err, code, "--sidecar");
}

static void report_namespace(const struct sidecar *s)
{
    if (s->sees_host)
        log_warn("sidecar sees the processes of the whole machine (hostPID): of them it takes "
                 "those whose cgroup is in its own pod; set shareProcessNamespace: true in the "
                 "pod's spec instead of hostPID");
    else if (s->is_alone)
        log_warn("sidecar sees only its own container's processes: set shareProcessNamespace: true "
                 "in the pod's spec");
}

/* Kubernetes has no ambient capabilities: what a container is given, a program that is not root's
 * loses when it is executed. */
static const char *why_no_perfmon(const struct sidecar *s)
{
    if (s->in_user_ns)
        return "it is in a user namespace (hostUsers: false), where CAP_PERFMON does not count for "
               "perf_event_open; set hostUsers: true, and " GIVE_BOTH;
    if (s->was_given && geteuid() != 0)
        return "CAP_PERFMON is missing: the container was given it, but only as root (runAsUser: "
               "0) "
               "a program has it";
    return "CAP_PERFMON is missing (before Linux 5.8: CAP_SYS_ADMIN); set " GIVE_BOTH;
}

static void report_perfmon(const struct sidecar *s, const struct event_features *features)
{
    if (!features->kernel)
        log_warn("sidecar samples only processes of its own user (uid %u), only in user code: %s",
                 geteuid(), why_no_perfmon(s));
}

void sidecar_report(const struct sidecar *sidecar, const struct event_features *features)
{
    const struct sidecar *s = sidecar;
    report_namespace(s);
    report_perfmon(s, features);
    if (!has(s, CAP_SYS_PTRACE))
        log_warn("sidecar cannot read mappings and files of other users' processes, nor of those "
                 "with more capabilities than it has: CAP_SYS_PTRACE is missing, and %s; set "
                 "securityContext: {capabilities: {add: [SYS_PTRACE]}}",
                 features->kernel ? "what they ran before it was seen has no names"
                                  : "they are not sampled at all");
    else if (!has(s, CAP_SYSLOG) && features->kernel)
        log_info("sidecar has no names for kernel functions: CAP_SYSLOG is missing");
}

void sidecar_report_processes(const struct sidecar *sidecar, const struct attach_counts *counts)
{
    if (!counts->refused) {
        log_info("sidecar samples all processes that it sees count=%zu", counts->processes);
        return;
    }
    char name[32], comm[32];
    snprintf(name, sizeof(name), "/proc/%d", counts->example);
    struct stat st = {0};
    (void)stat(name, &st); /* gone: what is said of it is a little wrong */
    snprintf(name, sizeof(name), "/proc/%d/comm", counts->example);
    _cleanup_(buf_free) struct buf text = {0};
    fs_read_at(AT_FDCWD, name, 64, &text, NULL);
    snprintf(comm, sizeof(comm), "%.*s", (int)strcspn(text.len ? (char *)text.data : "?", "\n"),
             text.len ? (char *)text.data : "?");
    log_warn("sidecar does not sample all processes that it sees count=%zu refused=%zu "
             "example_pid=%d example=\"%s\" example_uid=%u error=%s: %s",
             counts->processes, counts->refused, counts->example, comm, st.st_uid,
             strerrorname_np(-counts->error),
             counts->error == -EACCES && !has(sidecar, CAP_PERFMON)
                 ? "they are another user's, or have capabilities that it has not; set " GIVE_BOTH
                   ", or the same runAsUser"
                 : "see perf_event_open(2)");
}
