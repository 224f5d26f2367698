/* opener.h: a thread that opens files for the sampling thread, which must not wait for a disk, a
 * network or a FUSE server. */
#pragma once

#include <stdint.h>

struct counters;
struct err;
struct object;
struct object_place;
struct objects;
struct opener;

int opener_start(struct objects *objects, struct counters *counters, struct opener **ret,
                 struct err *err);

/* Asks for the object's file. Never waits: with too many in the queue it is dropped and counted. */
void opener_ask(struct opener *opener, struct object *object, const struct object_place *place);

/* Waits until all that was asked for before has been tried, `within_ns` at most. */
void opener_wait(struct opener *opener, int64_t within_ns);

void opener_stop(struct opener **opener);
