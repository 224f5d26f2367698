/* log_names.h: what kubelet's log directories are called says which pod and container they are of.
 *
 *     pods/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log
 *     containers/POD_NAMESPACE_CONTAINER-ID.log ->
 * .../pods/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log
 *
 * Kubernetes' names have no underscore and no capital letter. (kubelet: BuildPodLogsDirectory,
 * BuildContainerLogsDirectory, logSymlink in pkg/kubelet/kuberuntime/helpers.go and legacy.go.) */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LOG_NAMESPACE_MAX    63u  /* a DNS label */
#define LOG_POD_MAX          253u /* a DNS subdomain */
#define LOG_CONTAINER_MAX    63u
#define LOG_CONTAINER_ID_LEN 64u

struct log_pod {
    char namespace[LOG_NAMESPACE_MAX + 1];
    char name[LOG_POD_MAX + 1];
    char uid[37]; /* dashed, or 32 hex digits */
};

struct log_container {
    char namespace[LOG_NAMESPACE_MAX + 1];
    char pod[LOG_POD_MAX + 1];
    char name[LOG_CONTAINER_MAX + 1];
    char id[LOG_CONTAINER_ID_LEN + 1];
};

struct log_target {
    struct log_pod pod;
    char container[LOG_CONTAINER_MAX + 1];
    uint32_t restarts;
};

/* Each reads one name, without its slash; -EINVAL if it is none of these. A name that kubelet had
 * to cut, since a file's may have 255 bytes only, is none: its id is not whole. */
int log_name_read_pod(const char *name, size_t len, struct log_pod *ret);
int log_name_read_container(const char *name, size_t len, struct log_container *ret);

/* Where a link in containers/ leads to: the last three parts count, whatever stands before. */
int log_name_read_target(const char *path, size_t len, struct log_target *ret);
