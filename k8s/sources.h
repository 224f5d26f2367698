/* sources.h: keeps asking the sources of pods, each in a thread of its own, so that one that hangs
 * holds nobody up: not the others, not who waits for names, not the end of the program. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "k8s/pods.h"

struct source;
struct sources;

struct sources_config {
    /* How often each is asked; a tenth is by chance, so that a cluster's nodes do not ask all at
     * once. One that fails is asked after `retry_ns`, then twice as long, up to `retry_max_ns`.
     * 0: 30 s, 5 s, 5 min. */
    int64_t interval_ns, retry_ns, retry_max_ns;
    /* How soon again it may be asked because somebody wants to know: after this, or after twenty
     * times what the last answer took if that is longer. 0: 250 ms. */
    int64_t wake_gap_ns;
};

/* `pods` must outlive it; `config` may be NULL. */
int sources_new(const struct sources_config *config, struct pods *pods, struct sources **ret,
                struct err *err);

/* Takes the source over, also on failure, and starts to ask it. Each rank once. */
int sources_add(struct sources *sources, enum pods_rank rank, struct source source,
                struct err *err);

/* A source that is asked right now has a second to come back; one that does not is left to end by
 * itself, and what it then says counts no more. */
void sources_stop(struct sources **sources);

/* Somebody saw a container that is not known: each source that answers is asked as soon as it may
 * be, and once more a second later, since a container runs before all have heard of it. Never waits
 * and takes no lock: fit for the sampling thread. */
void sources_wake(struct sources *sources);

/* Wakes them, then waits until each one that answers, and may be asked by then, has been, or
 * `is_enough` says so, which is asked after each answer; `within_ns` at most. */
void sources_wait(struct sources *sources, int64_t within_ns, bool (*is_enough)(void *ctx),
                  void *ctx);

/* ---- how they are */

enum source_state {
    SOURCE_STARTING, /* has not answered yet */
    SOURCE_OK,
    SOURCE_FAILING,
    SOURCE_NOT_FOUND, /* not configured, and in none of the usual places */
};

struct source_status {
    const char *name;
    enum source_state state;
    int64_t age_ns;            /* since the last answer; -1: none */
    int64_t since_ns;          /* how long it has been in its state */
    struct pods_counts counts; /* of the last answer */
    uint64_t answers, failures;
    char error[ERR_TEXT_MAX]; /* unless it is ok */
};

/* False: no source has that rank. */
bool sources_status(struct sources *sources, enum pods_rank rank, struct source_status *ret);

/* "ok", "failing", "not-found", "starting". */
const char *source_state_word(enum source_state state);
