/* usage_list.h: the processes of one cgroup at one moment, packed. A minute keeps its last list.
 *
 *   offset  size  what
 *        0     2  check, little endian: the low 16 bits of XXH3_64 over the rest, seeded as a
 * blob's 2     -  varints (varint.h): milliseconds into the minute; span in microseconds; number of
 *                 processes; then for each: pid, threads, start in milliseconds since 1970, exe,
 *                 command (string), and cpu_user_ns, cpu_system_ns, rss_bytes, virtual_bytes, each
 * 0 for what is not known or one more than its value */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define USAGE_LIST_MAX       1000u
#define USAGE_LIST_ROW_BYTES 90u /* one process takes at most */
#define USAGE_LIST_BYTES     (32u + USAGE_LIST_MAX * USAGE_LIST_ROW_BYTES)

struct err;

struct usage_list_row {
    uint32_t pid, threads;
    uint32_t exe, command; /* string */
    uint64_t start_ms;
    uint64_t cpu_user_ns, cpu_system_ns, rss_bytes, virtual_bytes; /* WIRE_UNKNOWN or below 2^63 */
};

struct usage_list {
    uint32_t time_ms; /* into the minute */
    uint32_t count;   /* at most USAGE_LIST_MAX */
    uint64_t span_us;
    struct usage_list_row rows[USAGE_LIST_MAX];
};

/* `to` has USAGE_LIST_BYTES. Gives how many it took. */
size_t usage_list_encode(const struct usage_list *list, uint64_t seed, uint8_t *to);

/* Reads bytes that a failing disk may have changed: -EUCLEAN, with what is wrong in the error. */
int usage_list_decode(const void *bytes, size_t len, uint64_t seed, struct usage_list *ret,
                      struct err *err);

/* Of the list's head alone: when it was. -EUCLEAN. */
int usage_list_time(const void *bytes, size_t len, uint64_t seed, uint32_t *ret_ms,
                    struct err *err);
