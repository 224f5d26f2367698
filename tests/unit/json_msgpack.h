/* json_msgpack.h: msgpack written as JSON, so that a test can show the batch it means, also one
 * that no encoder would write. Objects with one of these keys stand for what JSON cannot say:
 *   {"$bin": "00ff"}         bin
 *   {"$raw": "c1"}           these bytes as they are
 *   {"$uint": "1844..."}     an integer beyond 63 bits
 *   {"$repeat": [3, 7]}      the array [7, 7, 7]
 *   {"$chain": 4}            the array [0, 0, 1, 2]: parents of one deep stack
 *   {"$text": [3, "x"]}      the str "xxx"
 *   {"$pairs": [["a", 1]]}   a map whose keys may be anything, also twice the same */
#pragma once

#include <jansson.h>

struct buf;

void json_to_msgpack(const json_t *json, struct buf *out);

/* Puts `value` at a dotted path of objects ("node.name"); removes what is there if it is NULL. */
void json_put(json_t *root, const char *path, const char *value);
