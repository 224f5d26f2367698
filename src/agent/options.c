/* options.c: takes nothing, gives the table that podflamed's flags, environment, file, --help and
 * man page are made from. See base/options.h. */
#include "agent/options.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "agent/target.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "k8s/selector.h"

#define AT(member) offsetof(struct agent_options, member)

static const struct option_def defs[] = {
    {"server", OPTION_STRING, AT(server), "URL", "http://127.0.0.1:7357", 0, 0, "Shipping",
     "Where podflame-server listens; http or https. Empty: batches stay in the spool."},
    {"server-ca", OPTION_STRING, AT(server_ca), "FILE", NULL, 0, 0, "Shipping",
     "Certificate authorities (PEM) for https; by default the system's."},
    {"state-dir", OPTION_STRING, AT(state_dir), "DIR", "/var/lib/podflame", 0, 0, "Shipping",
     "Where batches wait until the server has them, in DIR/spool. One podflamed uses it."},
    {"spool-max", OPTION_BYTES, AT(spool_bytes), "SIZE", "256MiB", 1 << 20, UINT64_C(1) << 40,
     "Shipping", "Disk space the spool may take; past it the oldest batches are dropped, counted."},
    {"shutdown-timeout", OPTION_DURATION, AT(shutdown_ns), "TIME", "5s", 0, 300 * NS_PER_SEC,
     "Shipping", "How long to go on shipping after SIGTERM; the rest waits in the spool."},

    {"frequency", OPTION_UINT, AT(frequency), "HZ", "100", 1, 1000, "Sampling",
     "Samples a second of each busy CPU."},
    {"window", OPTION_DURATION, AT(window_ns), "TIME", "30s", NS_PER_SEC, 300 * NS_PER_SEC,
     "Sampling", "Length of a batch, aligned to the wall clock. The first one ends within 5s."},
    {"stack-bytes", OPTION_BYTES, AT(stack_bytes), "SIZE", "16KiB", 0, 65528, "Sampling",
     "How much of a user stack each sample holds, a multiple of 8; 0: none."},
    {"stack-bytes-max", OPTION_BYTES, AT(stack_bytes_max), "SIZE", "65528", 0, 65528, "Sampling",
     "What stack-bytes grows to by itself while more than one stack in a hundred is cut, as far as "
     "ring-bytes has room for 8 samples; at most stack-bytes: it stays as it is."},
    {"live-tail", OPTION_DURATION, AT(tail_ns), "TIME", "0s", 0, NS_PER_SEC, "Sampling",
     "Read the rest of a stack that is cut from the process itself, if the sample is not "
     "older than this and the stack unchanged at the seam; 0s: never. Such callers are counted as "
     "frames_live."},
    {"ring-bytes", OPTION_BYTES, AT(ring_bytes), "SIZE", "512KiB", 32 << 10, 512 << 10, "Sampling",
     "Memory for samples per CPU, a power of two; half as much again holds news of processes."},
    {"max-stacks", OPTION_UINT, AT(max_stacks), "N", "200000", 1000, 1000000, "Sampling",
     "Nodes in a window's tree of stacks; past it the rarest stacks go to [other], counted."},
    {"symbol-cache", OPTION_BYTES, AT(symbol_bytes), "SIZE", "16MiB", 1 << 20, UINT64_C(1) << 32,
     "Sampling", "Memory for names that were found once."},
    {"dwarf-time", OPTION_DURATION, AT(dwarf_ns), "TIME", "600ms", 0, 60 * NS_PER_SEC, "Sampling",
     "CPU time for lines and inlined functions, out of debug information, of each window; what it "
     "does not suffice for comes with the next windows. 0s: they are not read."},
    {"exact-addresses", OPTION_BOOL, AT(exact_addresses), NULL, "false", 0, 0, "Sampling",
     "Send the address of each sample also where the function is known, so that a server that has "
     "debug files can tell lines and inlined functions. Batches grow by some 14 %."},
    {"table-cache", OPTION_BYTES, AT(table_bytes), "SIZE", "32MiB", 1 << 20, UINT64_C(1) << 32,
     "Sampling", "Memory for unwind tables of the programs that run."},
    {"table-disk", OPTION_BYTES, AT(table_disk_bytes), "SIZE", "256MiB", 0, UINT64_C(1) << 40,
     "Sampling", "Disk space for unwind tables, in the state directory."},
    {"realtime", OPTION_BOOL, AT(realtime), NULL, "true", 0, 0, "Sampling",
     "Run the sampling thread at SCHED_FIFO where allowed, so that a loaded machine loses no "
     "records."},

    {"kubelet-url", OPTION_STRING, AT(kubelet_url), "URL", NULL, 0, 0, "Pods",
     "Where kubelet says what this node runs, as in https://127.0.0.1:10250; by default port 10250 "
     "of the address in the variable NODE_IP, and of this machine. Empty: do not ask it."},
    {"kubelet-token", OPTION_STRING, AT(kubelet_token), "FILE", NULL, 0, 0, "Pods",
     "Token for kubelet, read anew each time; by default the service account's, if it is there. It "
     "must be allowed nodes/proxy (get)."},
    {"kubelet-ca", OPTION_STRING, AT(kubelet_ca), "FILE", NULL, 0, 0, "Pods",
     "Certificate authorities (PEM) for kubelet; by default the service account's, if they are "
     "there, else the system's."},
    {"kubelet-server-name", OPTION_STRING, AT(kubelet_server_name), "NAME", NULL, 0, 0, "Pods",
     "The name that kubelet's certificate must have; by default the host of kubelet-url, or, where "
     "kubelet was found by itself, the node's name."},
    {"kubelet-insecure", OPTION_BOOL, AT(kubelet_insecure), NULL, "false", 0, 0, "Pods",
     "Do not look at kubelet's certificate, as where it signed it itself: whoever answers "
     "then gets the token."},
    {"cri-socket", OPTION_STRING, AT(cri_socket), "PATH", NULL, 0, 0, "Pods",
     "The container runtime's socket (CRI); by default those of containerd, CRI-O and cri-dockerd "
     "in their usual places. Empty: do not ask it."},
    {"docker-socket", OPTION_STRING, AT(docker_socket), "PATH", NULL, 0, 0, "Pods",
     "Docker's socket, for containers that are in no pod; by default /var/run/docker.sock, if "
     "it is there. Empty: do not ask it."},
    {"pod-logs", OPTION_STRING, AT(pod_logs), "DIR", NULL, 0, 0, "Pods",
     "Name pods and containers by their log directories, DIR/pods and DIR/containers; by default "
     "those in /var/log, if they are there. Empty: do not."},
    {"pod-info", OPTION_STRING, AT(pod_info), "DIR", NULL, 0, 0, "Pods",
     "Where podflamed's own pod has a downward API volume with its labels; by "
     "default /etc/podinfo, if it is there. Empty: do not look, nor at the variables "
     "PODFLAME_NAMESPACE, PODFLAME_POD_NAME and PODFLAME_POD_UID."},
    {"include", OPTION_STRING, AT(include), "PODS", NULL, 0, 0, "Pods",
     "Keep samples of these pods only, as in namespace=shop,pod=web-*;label.tier=test: pods for "
     "which all terms of one selector hold, with * and ? for any text and character. Samples of "
     "what is in no pod are not kept then."},
    {"exclude", OPTION_STRING, AT(exclude), "PODS", NULL, 0, 0, "Pods",
     "Keep no samples of these pods, nor of any of which is not known whether they are meant, for "
     "want of their names or labels. What is left out is not in any batch; it is counted as "
     "samples_excluded and samples_unidentified."},
    {"pid", OPTION_STRING, AT(pid), "PID", NULL, 0, 0, "Target",
     "Sample only this process: all its threads, what it has created and what it creates. "
     "Ends when all of that is gone."},
    {"cgroup", OPTION_STRING, AT(cgroup), "PATH", NULL, 0, 0, "Target",
     "Sample only what is in this cgroup or below: a path below the root of the hierarchy "
     "that perf uses (perf_event, else the unified one), or the directory itself."},
    {"container", OPTION_STRING, AT(container), "ID", NULL, 0, 0, "Target",
     "Sample only this container: its id, or how that begins. Waits for it, also when it is "
     "restarted under the same id."},
    {"pod", OPTION_STRING, AT(pod), "POD", NULL, 0, 0, "Target",
     "Sample only the containers of this pod, those that come later, too: NAMESPACE/NAME or its "
     "uid. Waits for it."},
    {"sidecar", OPTION_BOOL, AT(sidecar), NULL, "false", 0, 0, "Target",
     "Sample the pod that podflamed itself is in, which has shareProcessNamespace: true. The log "
     "says what it cannot see, and what to set in the pod."},
    {"usage-interval", OPTION_DURATION, AT(usage_ns), "TIME", "10s", 0, 300 * NS_PER_SEC, "Usage",
     "How often to read what containers and systemd units use: CPU, memory, disk, network, "
     "and their processes; 0s: never. With a target (--pid ...) it is not read."},
    {"command-lines", OPTION_STRING, AT(command_lines), "WHAT", "short", 0, 0, "Usage",
     "What to keep of processes' command lines: short: the executable, and the script that an "
     "interpreter runs; full: all arguments, passwords and tokens among them."},

    {"node", OPTION_STRING, AT(node), "NAME", NULL, 0, 0, "General",
     "This machine's name in the data; by default what the variable PODFLAME_NODE_NAME says, else "
     "its host name."},
    {"metrics-listen", OPTION_STRING, AT(metrics_listen), "ADDR", "127.0.0.1:7358", 0, 0, "General",
     "Where /metrics (Prometheus) and /healthz are served; port 0 takes a free one, empty: "
     "nowhere."},
    {"log-level", OPTION_STRING, AT(log_level), "LEVEL", "info", 0, 0, "General",
     "error, warning, info or debug."},
    {"duration", OPTION_DURATION, AT(duration_ns), "TIME", "0s", 0, 0, "General",
     "Stop after so long; 0s: never."},
    {"record", OPTION_STRING, AT(record), "FILE", NULL, 0, 0, "General",
     "Also write the raw rings to FILE. It holds memory of all processes: keep it to yourself."},
    {"replay", OPTION_STRING, AT(replay), "FILE", NULL, 0, 0, "General",
     "Take samples from a recording instead of the kernel, then stop."},
};

const struct option_set agent_option_set = {
    .program = "podflamed",
    .summary = "always-on CPU profiler for a Kubernetes node",
    .synopsis_tail = "",
    .description =
        "podflamed samples the stack of whatever runs on each CPU, adds the stacks up in windows "
        "of 30 seconds by process, thread and cgroup, and ships each window to podflame-server as "
        "a batch.\n\n"
        "It uses perf_event_open(2) and no BPF. Best run as root. Otherwise CAP_PERFMON (before "
        "kernel 5.8: CAP_SYS_ADMIN) lets it sample all CPUs, CAP_SYS_PTRACE read other users' "
        "mappings and files, CAP_SYSLOG name kernel functions, CAP_SYS_NICE keep up under full "
        "load, CAP_IPC_LOCK map its rings. Without any of them it samples the processes of the "
        "user that runs it.\n\n"
        "With one of --pid, --cgroup, --container, --pod and --sidecar it samples only that, and "
        "little else costs anything.",
    .man_tail =
        ".SH SIGNALS\n.TP\n.BR SIGTERM \", \" SIGINT\nShip the window at hand, and stop.\n"
        ".TP\n.B SIGHUP\nRead the settings again. log\\-level, server and server\\-ca take effect "
        "at once, others with the next start.\n"
        ".SH FILES\n.TP\n.I /etc/podflame/podflamed.conf\nSettings.\n"
        ".TP\n.I /var/lib/podflame/spool\nBatches that wait to be shipped.\n"
        ".SH SEE ALSO\n.BR podflame (1),\n.BR podflame\\-server (8),\n.BR perf_event_open (2)\n",
    .man_section = 8,
    .defs = defs,
    .count = ARRAY_LEN(defs),
    .default_file = "/etc/podflame/podflamed.conf",
};

static int check_selectors(const char *name, const char *text, struct err *err)
{
    _cleanup_(selectors_free) struct selectors *selectors = NULL;
    int r = text ? selectors_parse(text, &selectors, err) : 0;
    return r < 0 ? err_wrap(err, r, "%s", name) : 0;
}

int agent_options_target(const struct agent_options *options, struct target *ret, struct err *err)
{
    const struct target_words words = {.pid = options->pid,
                                       .cgroup = options->cgroup,
                                       .container = options->container,
                                       .pod = options->pod,
                                       .sidecar = options->sidecar};
    return target_choose(&words, ret, err);
}

int agent_options_check(const struct agent_options *options, struct err *err)
{
    enum log_level level;
    int r = log_parse_level(options->log_level, &level, err);
    if (r < 0)
        return r;
    if (options->ring_bytes & (options->ring_bytes - 1))
        return err_set(err, -EINVAL, "ring-bytes is %llu; it must be a power of two, as 512KiB",
                       (unsigned long long)options->ring_bytes);
    if (options->stack_bytes % 8)
        return err_set(err, -EINVAL, "stack-bytes is %llu; it must be a multiple of 8",
                       (unsigned long long)options->stack_bytes);
    if (options->stack_bytes * 2 > options->ring_bytes)
        return err_set(err, -EINVAL, "ring-bytes must be at least twice stack-bytes");
    struct target target;
    if ((r = agent_options_target(options, &target, err)) < 0)
        return r;
    if (target.kind != TARGET_NODE && options->replay)
        return err_set(err, -EINVAL, "a replay has what was recorded: it takes no target");
    if (options->usage_ns && options->usage_ns < NS_PER_SEC)
        return err_set(err, -EINVAL, "usage-interval must be 0s or at least 1s");
    if (strcmp(options->command_lines, "short") != 0 && strcmp(options->command_lines, "full") != 0)
        return err_set(err, -EINVAL, "command-lines is \"%s\"; it must be short or full",
                       options->command_lines);
    if (options->record && options->replay)
        return err_set(err, -EINVAL, "record and replay exclude each other");
    r = check_selectors("include", options->include, err);
    return r < 0 ? r : check_selectors("exclude", options->exclude, err);
}
