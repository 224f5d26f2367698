/* target.h: what is sampled, if it is not the whole machine: chosen by flags, and found among the
 * cgroups there are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "k8s/cgroup.h"

struct err;

enum target_kind {
    TARGET_NODE, /* all of the machine */
    TARGET_PROCESS,
    TARGET_CGROUP,
    TARGET_CONTAINER,
    TARGET_POD,
    TARGET_SIDECAR, /* the pod that we are in */
};

/* Gives the uid that pod has now. -ENOENT: no such pod is known (yet). Called on the sampling
 * thread: it must not wait for anything. */
typedef int (*target_resolve_fn)(void *ctx, const char *namespace, const char *name,
                                 char ret_uid[static 40]);

struct target {
    enum target_kind kind;
    pid_t pid;                 /* of a process */
    const char *name;          /* a cgroup's path, a container's id or how it begins, a pod's uid or
                                  NAMESPACE/NAME; a sidecar's own pod uid or NULL. Whoever called keeps it */
    target_resolve_fn resolve; /* pods' names to uids; NULL: only uids can be given */
    void *resolve_ctx;
};

/* The settings' words; NULL: not given. */
struct target_words {
    const char *pid, *cgroup, *container, *pod;
    bool sidecar;
};

/* -EINVAL with a text that says why: more than one, or a word that cannot be one. */
int target_choose(const struct target_words *words, struct target *ret, struct err *err);

/* For the log: container=3f9a. */
const char *target_describe(const struct target *target, char *to, size_t size);

/* More cgroups than one are a target only where a pod's have no common parent. */
#define TARGET_DIRS_MAX 16

struct target_dir {
    uint64_t id; /* the cgroup's */
    char path[CGROUP_PATH_MAX];
};

struct target_dirs {
    size_t count;
    struct target_dir v[TARGET_DIRS_MAX];
    char container_id[CGROUP_NAME_MAX]; /* in full, of a container that was found */
};

/* Looks for a cgroup, container or pod (or a sidecar's, by its name) below the hierarchy's root,
 * and gives its topmost directories: events count what is below them, too. None: it is not there
 * (now); that is no error. `mount` is where the hierarchy is mounted, since a path may start with
 * that. -ENOENT: no pod of that name is known; -ENOTUNIQ: several containers' ids begin so. */
int target_find(const struct target *target, int hierarchy, const char *mount,
                struct target_dirs *ret, struct err *err);

/* Each process in the cgroup whose directory is open as `dir`, or below it, that our pid namespace
 * has. An error if it cannot be read, as when it is gone. */
int target_each_process(int dir, void (*fn)(void *ctx, uint32_t pid), void *ctx);
