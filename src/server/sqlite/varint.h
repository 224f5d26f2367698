/* varint.h: unsigned numbers in 7-bit groups, lowest first, the high bit says that more follow. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VARINT_MAX 10 /* bytes of a 64-bit number */

static inline uint8_t *varint_put(uint8_t *at, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *at++ = (uint8_t)(v | 0x80);
    *at++ = (uint8_t)v;
    return at;
}

/* A difference, of either sign, as a number that is small when the difference is: 0, -1, 1, -2. */
static inline uint64_t varint_zigzag(uint64_t difference)
{
    return difference << 1 ^ -(difference >> 63);
}

static inline uint64_t varint_unzigzag(uint64_t v)
{
    return (v >> 1) ^ -(v & 1);
}

/* False when the bytes end within the number, or it does not fit 64 bits. */
static inline bool varint_get(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
    const uint8_t *p = *at;
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *at = p;
            *ret = v;
            return true;
        }
    }
    return false;
}

static inline bool varint_get_u32(const uint8_t **at, const uint8_t *end, uint32_t *ret)
{
    uint64_t v;
    if (*at < end && **at < 0x80) {
        *ret = *(*at)++;
        return true;
    }
    if (!varint_get(at, end, &v) || v > UINT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}
