/* hot.h: the hottest functions of a flamegraph. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct hot_function {
    const char *name, *object; /* of the answer */
    unsigned kind;             /* as the API has it */
    uint64_t self;             /* samples that ended in it */
    uint64_t total;            /* samples in whose stack it was, once each */
    const char *short_name;    /* the name, if it has none */
    const char *file;          /* "": unknown */
    uint32_t line;             /* 0: unknown, or lines were not asked for */
};

/* Reads the answer of /api/v1/flame?format=json, which must outlive the functions. Most self first.
 * -EBADMSG if it is not as src/server/openapi.json has it. */
int hot_functions(const json_t *flame, struct hot_function **ret, size_t *ret_count,
                  struct err *err);

const char *hot_kind_word(unsigned kind);
