/* options.h: podflamed's settings. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/options.h"

struct err;
struct target;

struct agent_options {
    char *server, *server_ca, *state_dir, *node, *metrics_listen, *log_level, *record, *replay;
    char *pid, *cgroup, *container, *pod;
    int64_t window_ns, duration_ns, shutdown_ns, tail_ns, dwarf_ns;
    uint64_t frequency, stack_bytes, stack_bytes_max, ring_bytes, spool_bytes, symbol_bytes,
        table_bytes, table_disk_bytes, max_stacks;
    bool realtime, exact_addresses, sidecar;
    /* Pods */
    char *kubelet_url, *kubelet_token, *kubelet_ca, *kubelet_server_name, *cri_socket,
        *docker_socket, *pod_logs, *pod_info, *include, *exclude;
    bool kubelet_insecure;
};

extern const struct option_set agent_option_set;

/* What is to be sampled; its texts are the options'. -EINVAL. */
int agent_options_target(const struct agent_options *options, struct target *ret, struct err *err);

/* What the table alone cannot say: values that exclude each other, powers of two. -EINVAL. */
int agent_options_check(const struct agent_options *options, struct err *err);
