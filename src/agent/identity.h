/* identity.h: what a window must wait for, and what must not be in it, by whose pods its processes
 * are. The naming thread's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct counters;
struct err;
struct identity;
struct pods;
struct selectors;
struct sources;
struct window;

struct identity_config {
    struct pods *pods;
    struct sources *sources; /* NULL: nobody to wait for */
    /* Only samples of pods that one of `include` means are kept, if it is not empty, and none that
     * one of `exclude` does. What runs in no pod is meant by none. A pod of which too little is
     * known to tell is not kept: what was to be kept out must not come in. NULL: empty. */
    const struct selectors *include, *exclude;
};

/* All of the config must outlive it. */
int identity_new(const struct identity_config *config, struct counters *counters,
                 struct identity **ret, struct err *err);
void identity_free(struct identity **identity);

/* If the window has processes of containers that are not known yet, asks the sources and waits
 * until they are, `within_ns` at most; for one that stays unknown not again. */
void identity_wait(struct identity *identity, const struct window *window, int64_t within_ns);

/* Whether what is in a cgroup is to be kept. */
bool identity_wants(const struct identity *identity, const char *cgroup_path);

/* Takes out of the window what the selectors leave out; counted. -ENOMEM; then the window must not
 * be used. */
int identity_select(struct identity *identity, struct window *window, struct err *err);
