/* pod_sources.h: whom podflamed asks of pods, and which pods it is to keep, by its settings. */
#pragma once

struct agent_options;
struct counters;
struct err;
struct identity;
struct pods;
struct selectors;
struct sources;

struct pod_sources {
    struct pods *pods;
    struct sources *sources;
    struct selectors *include, *exclude;
    struct identity *identity;
    const char
        *own_pod; /* the uid of the pod we are in, as the downward API has it; NULL: unknown */
};

/* The node's name as Kubernetes has it, or as it is set; NULL: neither. */
const char *pod_sources_node(const struct agent_options *options);

/* Never waits for a source. `ret`, zeroed by the caller, is to be stopped also on failure. */
int pod_sources_start(const struct agent_options *options, struct counters *counters,
                      struct pod_sources *ret, struct err *err);
void pod_sources_stop(struct pod_sources *pod_sources);
