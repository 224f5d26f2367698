/* namer.h: a thread that turns finished windows into batches in the spool. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct builder_config;
struct counters;
struct err;
struct identity;
struct namer;
struct jit;
struct objects;
struct opener;
struct ship;
struct spool;
struct window;

/* What it waits for before it names a window; each may be NULL. */
struct namer_inputs {
    struct opener *opener;
    struct identity *identity; /* also says which samples are wanted */
};

/* The config's `jit`, and `ship`, may be NULL. All must outlive it. */
int namer_start(const struct builder_config *config, struct objects *objects,
                const struct namer_inputs *inputs, struct counters *counters, struct spool *spool,
                struct ship *ship, struct namer **ret, struct err *err);

/* Takes the window over. Never waits: when naming is so far behind that several windows queue up,
 * the window is dropped and counted. With `wait` it waits for room instead (a replay has time). */
void namer_put(struct namer *namer, struct window *window, bool wait);

/* Another shipper, or NULL, is to be woken from now on; the old one is not touched after the call.
 */
void namer_set_ship(struct namer *namer, struct ship *ship);

/* Finishes what is queued, then ends the thread. */
void namer_stop(struct namer **namer);

/* Batches put into the spool, and bytes held from window to window; from any thread. */
uint64_t namer_batches(struct namer *namer);
size_t namer_bytes(struct namer *namer);
