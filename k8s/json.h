/* json.h: reads JSON of others, by jansson, with bounds; for Kubernetes' and docker's objects. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct buf;
struct err;

/* Parses the whole text. -EBADMSG: no JSON. -EFBIG: it would take more than 256 MiB of memory; one
 * byte of text may cost fifty. */
int json_load_bounded(const char *bytes, size_t len, json_t **ret, struct err *err);

/* Appends the text without what nobody reads: of members of these names (the list ends with NULL)
 * that are objects or arrays the value becomes null, unseen. What does not end stays, for the
 * parser to refuse. -ENOMEM. */
int json_prune(const char *bytes, size_t len, const char *const *names, struct buf *buf);

/* NULL, 0 or -1 where it is not there or of another type: what is read is another's. A `key` of
 * "a.b" is b within a. */
const json_t *json_at(const json_t *object, const char *key);
const char *json_text_at(const json_t *object, const char *key);

/* "2026-11-22T09:25:11.5Z", wall clock; 0 where it is no such time. */
int64_t json_time_at(const json_t *object, const char *key);

/* 0 to UINT32_MAX; beyond, the nearest. */
uint32_t json_u32_at(const json_t *object, const char *key);

static inline void cleanup_json(json_t **json)
{
    json_decref(*json);
}
#define _cleanup_json_ _cleanup_(cleanup_json)
