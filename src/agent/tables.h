/* tables.h: unwind tables of the objects that run, shared by all processes, built by a thread of
 * their own and kept on disk. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cfi_image;
struct counters;
struct err;
struct object;
struct object_place;
struct objects;
struct tables;
struct unwind_table;

struct tables_config {
    const char *dir;   /* where they are kept; NULL: nowhere */
    size_t max_bytes;  /* of memory */
    size_t disk_bytes; /* of the directory */
};

int tables_start(const struct tables_config *config, struct objects *objects,
                 struct counters *counters, struct tables **ret, struct err *err);
void tables_stop(struct tables **tables);

/* ---- by the sampling thread alone */

/* The object's table, valid until the next tables_turn; NULL if it has none, or, with *ret_pending,
 * if it is being built, which is asked for here. */
const struct unwind_table *tables_find(struct tables *tables, struct object *object,
                                       const struct object_place *place, bool *ret_pending);

/* Likewise the object's CFI itself, for libunwind. The object's table must have been found. */
const struct cfi_image *tables_find_image(struct tables *tables, struct object *object,
                                          const struct object_place *place, bool *ret_pending);

/* Takes over what was built meanwhile, and drops what was not asked for longest while there is more
 * than max_bytes. True if a table came: places that were pending may be known now. */
bool tables_turn(struct tables *tables);

/* Waits until all that was asked for is built, `within_ns` at most; for replays. */
void tables_wait(struct tables *tables, int64_t within_ns);

/* From any thread. */
size_t tables_bytes(const struct tables *tables);
