/* downward.h: who we are, by Kubernetes' downward API: what a pod's manifest puts into the
 * environment and into a volume of its own containers.
 *
 *     PODFLAME_NAMESPACE  metadata.namespace     PODFLAME_POD_UID    metadata.uid
 *     PODFLAME_POD_NAME   metadata.name          PODFLAME_NODE_NAME  spec.nodeName
 *
 * and, in the volume's directory, the file `labels` (metadata.labels), which kubelet keeps up to
 * date. To a static pod kubelet tells the uid that it knows it by itself, its configuration's hash,
 * as in the cgroup's path. */
#pragma once

#include <stddef.h>

struct err;
struct facts_sink;
struct source;

#define DOWNWARD_DIR_USUAL "/etc/podinfo"

/* One line of such a file, KEY="VALUE" with VALUE as Go's %q writes it, read out of *text, which is
 * moved behind it. Appends key and value, each with its NUL, to `room` and gives where they lie. 1:
 * a line; 0: the text has ended; -EBADMSG: the line is none, and has been passed over; -ENOSPC: it
 * is longer than `room`. */
struct downward_line {
    char *key, *value;
};
int downward_next(const char **text, size_t *len, char *room, size_t room_size,
                  struct downward_line *ret);

/* What the environment and the directory `dirfd` (-1: none) say of our pod. -ENOENT: nothing;
 * -EINVAL: some of it, but not uid, namespace and name. */
int downward_read(int dirfd, const struct facts_sink *sink, struct err *err);

/* The uid of the pod that we are in; NULL: the environment does not say. */
const char *downward_own_uid(void);

/* `dir`: the volume's; NULL: DOWNWARD_DIR_USUAL, if it is there. */
int downward_source_new(const char *dir, struct source *ret, struct err *err);
