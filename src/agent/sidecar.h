/* sidecar.h: what a profiler inside a pod can and cannot see, said once when it starts, with what
 * to set in the pod. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct attach_counts;
struct err;
struct event_features;

/* What we are in: */
struct sidecar {
    char pod_uid[40]; /* "" where the cgroup path does not say */
    bool sees_host;   /* hostPID: processes of all the machine */
    bool is_alone;    /* the pid namespace is the container's own */
    uint64_t caps;    /* effective, a bit each: 1 << CAP_... */
    bool was_given;   /* CAP_PERFMON is in the bounding set: lost because we are not root */
    bool in_user_ns;  /* not the machine's own: capabilities are of no use for perf_event_open */
};

/* Looks. -EINVAL where there is no pod: on a machine itself. `pod_uid`, if somebody knows it, else
 * NULL. */
int sidecar_look(int proc_fd, const char *pod_uid, struct sidecar *ret, struct err *err);

/* perf_event_open was refused with `code`, and `err` says so: adds what to set in the pod. */
int sidecar_explain(const struct sidecar *sidecar, int code, struct err *err);

/* A line for each thing that is missing. `features`: what may be sampled. */
void sidecar_report(const struct sidecar *sidecar, const struct event_features *features);

/* A line of how many of the pod's processes are sampled; of those that are not, why. */
void sidecar_report_processes(const struct sidecar *sidecar, const struct attach_counts *counts);
