/* cgroup.h: a cgroup path says which pod, container or systemd unit a process belongs to. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;

#define CGROUP_PATH_MAX 1024
#define CGROUP_NAME_MAX 128

/* Empty strings where the path does not say. */
struct cgroup_id {
    char pod_uid[40];                   /* dashed; 32 hex digits for a static pod */
    char container_id[CGROUP_NAME_MAX]; /* as the runtime prints it: 64 hex digits, or a name */
    char
        runtime[16]; /* containerd, crio, docker, podman, ecs, garden, lxc, nspawn ... "" unknown */
    char unit[CGROUP_NAME_MAX]; /* innermost systemd unit: nginx.service, session-3.scope ... */
};

/* Reads one path, as it stands behind the second colon of a line of /proc/PID/cgroup or below the
 * hierarchy's mount point. Knows every form in tests/golden/cgroup_paths.tsv. Never fails: a path
 * it does not know gives empty strings. */
void cgroup_parse_path(const char *path, size_t len, struct cgroup_id *ret);

/* Chooses, of the text of /proc/PID/cgroup, the line that says most of pod and container (on hybrid
 * hosts sometimes v2's, sometimes a v1 controller's) and copies its path. -ENOENT if no line has
 * one. */
int cgroup_choose_path(const char *text, size_t len, char ret_path[CGROUP_PATH_MAX]);

/* Called with each directory's id (its inode: what PERF_SAMPLE_CGROUP stamps) and its path below
 * the hierarchy's root, "/" first. Non-zero stops the walk and is returned. */
typedef int (*cgroup_walk_fn)(void *ctx, uint64_t id, const char *path);

/* Walks the hierarchy below `dirfd`, at most `max_dirs` directories (-E2BIG past it). */
int cgroup_walk(int dirfd, size_t max_dirs, cgroup_walk_fn fn, void *ctx, struct err *err);

/* Finds where the perf_event hierarchy is mounted (v1, hybrid) or else the unified one, from the
 * text of /proc/self/mountinfo, and copies the mount point. -ENOENT if neither is mounted. */
int cgroup_find_mount(const char *mountinfo, size_t len, char ret_path[CGROUP_PATH_MAX]);

/* The mount point of a v1 controller ("memory", "name=systemd"), of NULL the unified hierarchy's.
 * -ENOENT. */
int cgroup_find_hierarchy(const char *mountinfo, size_t len, const char *controller,
                          char ret_path[CGROUP_PATH_MAX]);
