/* pods_view.h: the facts of one source, found by pod uid and container id. Part of pods.c's. */
#pragma once

#include "base/strings.h"
#include "base/table.h"
#include "k8s/facts.h"
#include "k8s/pods.h"

#define POD_UID_SIZE      40
#define CONTAINER_ID_SIZE 128

/* Texts are numbers in `texts`, of which 0 is "not said". Rows are found by their first member,
 * which is filled up with zeros. */
struct pod_row {
    char uid[POD_UID_SIZE];
    /* behind the key */
    uint32_t namespace, name, node, ip, phase, owner_kind, owner;
    uint32_t first_label, label_count;
    bool has_labels;
    int64_t started_ns;
    int64_t gone_ns; /* since when it is not in the source's answers; 0: it is */
};

struct container_row {
    char id[CONTAINER_ID_SIZE];
    /* behind the key */
    uint32_t pod_uid, name, image, reason, runtime;
    uint32_t restarts;
    enum container_kind kind;
    enum container_state state;
    int64_t started_ns;
    int64_t gone_ns;
};

struct label_row {
    uint32_t key, value;
};

struct pods_view {
    struct strings texts;
    struct table pods, containers;
    struct label_row *labels;
    uint32_t label_count, label_room;
    uint32_t gone_pods, gone_containers;
    uint32_t left_out;
};

int pods_view_new(const struct pods_limits *limits, struct pods_view **ret);
void pods_view_free(struct pods_view **view);

/* 0 also if the fact was left out. -ENOMEM. */
int pods_view_add_pod(struct pods_view *view, const struct pod_fact *pod, int64_t gone_ns);
int pods_view_add_container(struct pods_view *view, const struct container_fact *container,
                            int64_t gone_ns);

/* Adds what `old` has and the view has not, unless it has gone for longer than `keep_ns`. */
int pods_view_keep_gone(struct pods_view *view, const struct pods_view *old, int64_t now_ns,
                        int64_t keep_ns);

/* NULL: none. */
const struct pod_row *pods_view_pod(const struct pods_view *view, const char *uid);
const struct container_row *pods_view_container(const struct pods_view *view, const char *id);

/* Fills the fields of the fact that are NULL or 0. `labels` has room for FACT_LABELS_MAX. */
void pods_view_tell_pod(const struct pods_view *view, const struct pod_row *row,
                        struct pod_fact *pod, struct fact_label *labels);
void pods_view_tell_container(const struct pods_view *view, const struct container_row *row,
                              struct container_fact *container);
