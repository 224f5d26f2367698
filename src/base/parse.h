/* parse.h: numbers as people write them: 30s, 5m, 64MiB. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;

/* "250ms", "30s", "5m", "1h", "7d"; a bare number is seconds. Nanoseconds, never negative. */
int parse_duration(const char *text, int64_t *ret_ns, struct err *err);

/* "4096", "64K", "64KiB", "1M", "2GiB": powers of 1024. */
int parse_bytes(const char *text, uint64_t *ret_bytes, struct err *err);

/* A decimal number, the whole text. */
int parse_u64(const char *text, uint64_t *ret, struct err *err);

/* The first `digits` bytes, 8 at most, of text of `len` bytes as a hexadecimal number: -EINVAL if
 * there are not as many, or one is no digit. */
int parse_hex(const char *text, size_t len, size_t digits, uint32_t *ret);
