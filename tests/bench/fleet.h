/* fleet.h: the batches of a fleet of nodes, in likely proportions: some programs take most of the
 * time, each in some of its stacks mostly; programs are the same on all nodes, pods are not. */
#pragma once

#include <stdint.h>

#include "wire/batch.h"

struct fleet_config {
    uint32_t nodes;
    uint32_t processes; /* of a node */
    uint32_t samples;   /* of a node and window */
    int64_t start_ns, window_ns, slot_ns;
};

struct fleet;

struct fleet *fleet_new(const struct fleet_config *config);
void fleet_free(struct fleet *fleet);

/* The batch of a node's window; valid until the next call. */
const struct batch *fleet_batch(struct fleet *fleet, uint32_t node, uint32_t window);

/* A number of a stack of the last batch that is the same in all batches. */
uint32_t fleet_stack(const struct fleet *fleet, uint32_t row);

/* The pod of a node's process, as its label says. */
void fleet_pod(uint32_t node, uint32_t process, char *text, uint32_t size);
