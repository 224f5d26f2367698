/* usage_blob.h: what one cgroup used within one minute, packed.
 *
 *   offset  size  what
 *        0     2  check, little endian: the low 16 bits of XXH3_64 over the rest, seeded as a
 * blob's 2     -  rows, by rising time, each of varints (varint.h):
 *
 *   time     milliseconds into the minute, less those of the row before
 *   span     microseconds, less those of the row before (zigzag)
 *   marks    bit 0: summed is other than expected; bit 1: network; bit i + 2: the i-th figure
 *            (enum wire_usage)
 *   values   of the marked, figures first, in their order: a counter's is 0 for what is not known,
 *            else one more than its value; a gauge's the same less that of the row before (zigzag);
 *            then summed and network as they are
 *
 * Expected is: what the row before had; of a counter 0, unless it was not known there. Before the
 * first row all is 0, but gauges are not known. Most cgroups do nothing most of the time: a row of
 * theirs takes 5 bytes.
 *
 * The figures' order is part of the layout: new ones are put last (wire/figures.h), and what an
 * older blob has no bit for is as expected of it: a gauge not known. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/format.h"

#define USAGE_BLOB_MAX_ROWS  1000u
#define USAGE_BLOB_ROW_BYTES (10u * (5u + WIRE_USAGE_COUNT)) /* one row takes at most */

struct err;

struct usage_row {
    uint32_t time_ms; /* into the minute */
    uint32_t summed;
    uint64_t span_us;
    uint64_t network;
    uint64_t figures[WIRE_USAGE_COUNT]; /* WIRE_UNKNOWN or below 2^63 */
};

/* Rows by rising time, at most USAGE_BLOB_MAX_ROWS; `to` has 2 + count * USAGE_BLOB_ROW_BYTES.
 * Gives how many bytes it took. */
size_t usage_blob_encode(const struct usage_row *rows, size_t count, uint64_t seed, uint8_t *to);

/* Reads bytes that a failing disk may have changed into at most USAGE_BLOB_MAX_ROWS rows: -EUCLEAN,
 * with what is wrong in the error. */
int usage_blob_decode(const void *bytes, size_t len, uint64_t seed, struct usage_row *rows,
                      size_t *ret_count, struct err *err);

/* The check of the rows' bytes, for tests that make damaged ones with a good check. */
uint16_t usage_blob_check(const void *bytes, size_t len, uint64_t seed);

/* A figure as a number: 0 for what is not known. Of a list of processes, too. */
static inline uint64_t usage_figure_code(uint64_t figure)
{
    return figure == WIRE_UNKNOWN ? 0 : figure + 1;
}

/* False: there is no such figure. */
static inline bool usage_figure_of_code(uint64_t code, uint64_t *ret)
{
    if (code > (uint64_t)INT64_MAX + 1)
        return false;
    *ret = code ? code - 1 : WIRE_UNKNOWN;
    return true;
}
