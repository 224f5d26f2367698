/* dict.h: a day's dictionary, as its one writer sees it: a thing's hash becomes its number, and a
 * thing that is new gets one. */
#pragma once

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "server/sqlite/hash.h"

struct dict;
struct err;

enum dict_kind { DICT_STRING, DICT_OBJECT, DICT_FRAME, DICT_STACK, DICT_SERIES };
#define DICT_KINDS 5

/* What the rows of a kind say, beside their id; see layout.h. Numbers are this day's. */
struct dict_object {
    uint8_t kind, flags, build_id_len;
    const uint8_t *build_id;
    uint32_t path;
};

struct dict_frame {
    uint64_t address;
    uint32_t object, name, file, line;
    uint8_t kind;
};

struct dict_series {
    uint32_t node, process, cgroup;
    const uint8_t *labels;
    size_t labels_len;
};

/* `db` must outlive it. */
int dict_new(sqlite3 *db, struct dict **ret, struct err *err);
void dict_free(struct dict **dict);

/* *ret_id is 0 when the hash has no number yet. */
int dict_find(struct dict *d, enum dict_kind kind, struct hash hash, uint32_t *ret_id,
              struct err *err);

/* Give a new number to what dict_find did not find, within the caller's transaction. */
int dict_add_string(struct dict *d, struct hash hash, const char *text, uint32_t *ret_id,
                    struct err *err);
int dict_add_object(struct dict *d, struct hash hash, const struct dict_object *object,
                    uint32_t *ret_id, struct err *err);
int dict_add_frame(struct dict *d, struct hash hash, const struct dict_frame *frame,
                   uint32_t *ret_id, struct err *err);
/* frames: varints, root first. */
int dict_add_stack(struct dict *d, struct hash hash, const uint8_t *frames, size_t len,
                   uint32_t *ret_id, struct err *err);
int dict_add_series(struct dict *d, struct hash hash, const struct dict_series *series,
                    uint32_t *ret_id, struct err *err);

/* A string as often needed: its number, new or not; 0 for "". */
int dict_string(struct dict *d, const char *text, uint32_t *ret_id, struct err *err);

/* After a rollback: what was numbered since the last commit never was. */
int dict_forget(struct dict *d, struct err *err);
