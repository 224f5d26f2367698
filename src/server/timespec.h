/* timespec.h: a moment as people write it in a URL. */
#pragma once

#include <stdint.h>

struct err;

/* What is refused as too long before it is read. */
#define TIMESPEC_MAX 64

/* Milliseconds since 1970, from 0 to the end of the year 9999, of
 *     now                          `now_ms`
 *     -30s -5m -1h30m -2d now-5m   an age; units s, m, h, d, each at most once, largest first
 *     2026-11-22T16:00:00Z         RFC 3339; also with a fraction and with an offset (+01:00)
 *     1795363200                   seconds since 1970
 *     1795363200000                milliseconds since 1970: any number of 100000000000 or more
 * Otherwise -EINVAL or -ERANGE; the error repeats the text and says what is allowed. */
int timespec_parse(const char *text, int64_t now_ms, int64_t *ret_ms, struct err *err);
