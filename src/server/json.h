/* json.h: the words of JSON (RFC 8259), into a buffer. What buf_append() refused with is returned.
 */
#pragma once

#include <stdint.h>

struct buf;

/* The text in quotes; it is UTF-8. */
int json_text(struct buf *buf, const char *text);
int json_u64(struct buf *buf, uint64_t value);

/* `before` as it is (`{` or `,`), then `"key":` and the value. */
int json_key(struct buf *buf, const char *before, const char *key);
int json_key_string(struct buf *buf, const char *before, const char *key, const char *text);
int json_key_u64(struct buf *buf, const char *before, const char *key, uint64_t value);
