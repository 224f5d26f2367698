/* keys.h: what a query filters and groups by, in the numbers of one day. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/store.h"

struct err;
struct lookup;

enum key_kind {
    KEY_NODE,
    KEY_PROCESS,
    KEY_CGROUP,
    KEY_LABEL, /* up to here the same for all samples of a series */
    KEY_THREAD,
    KEY_PID,
    KEY_CPU,
};

enum key_kind key_kind_of(const char *key);

/* A string number that no string has: a series without the label. */
#define KEY_ABSENT UINT32_MAX

/* The filters of one key: any of the values will do. */
struct key_filter {
    enum key_kind kind;
    const char *key;
    const char *texts[STORE_MAX_FILTERS]; /* the values as they are asked for */
    size_t text_count;
    uint32_t label; /* its key's string number; KEY_ABSENT: the day has no such label */
    uint32_t values[STORE_MAX_FILTERS];
    size_t count; /* 0: nothing matches */
};

struct key_filters {
    struct key_filter keys[STORE_MAX_FILTERS];
    size_t count;
};

int key_filters_resolve(const struct store_query *query, struct lookup *lookup,
                        struct key_filters *ret, struct err *err);

/* A series' row, labels as packed. */
struct key_series {
    uint32_t node, process, cgroup;
    const uint8_t *labels;
    size_t labels_len;
};

/* The string number of a series' key; KEY_ABSENT if it has no such label. `label` for KEY_LABEL. */
uint32_t key_of_series(const struct key_series *series, enum key_kind kind, uint32_t label);

/* Labels that are not as the series has them. */
struct key_renamed {
    const char *const *keys;
    const char *const *values; /* "": it has none */
    size_t count;
};

/* Whether the filters leave anything of the series; the second: of a series with other labels. */
bool key_filters_pass_series(const struct key_filters *f, const struct key_series *series);
bool key_filters_pass_renamed(const struct key_filters *f, const struct key_series *series,
                              const struct key_renamed *renamed);

/* Whether a value (string number, pid or cpu) passes the filter of its kind; true without one. */
bool key_filters_pass(const struct key_filters *f, enum key_kind kind, uint32_t value);
bool key_filters_have(const struct key_filters *f, enum key_kind kind);
