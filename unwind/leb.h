/* leb.h: the numbers of DWARF, read from bytes that may end anywhere: then `bad` is set and every
 * answer is zero. DWARF 5, section 7.6. Little endian machines only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct leb {
    const uint8_t *at, *end;
    bool bad;
};

static inline const uint8_t *leb_bytes(struct leb *p, uint64_t len)
{
    if (p->bad || len > (uint64_t)(p->end - p->at)) {
        p->bad = true;
        return NULL;
    }
    const uint8_t *at = p->at;
    p->at += len;
    return at;
}

#define LEB_FIXED(name, type)                        \
    static inline type name(struct leb *p)           \
    {                                                \
        type v = 0;                                  \
        const uint8_t *at = leb_bytes(p, sizeof(v)); \
        if (at)                                      \
            memcpy(&v, at, sizeof(v));               \
        return v;                                    \
    }
LEB_FIXED(leb_u8, uint8_t)
LEB_FIXED(leb_u16, uint16_t)
LEB_FIXED(leb_u32, uint32_t)
LEB_FIXED(leb_u64, uint64_t)
#undef LEB_FIXED

static inline uint64_t leb_unsigned(struct leb *p)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t b = leb_u8(p);
        if (shift < 64)
            v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return p->bad ? 0 : v;
    }
    p->bad = true;
    return 0;
}

static inline int64_t leb_signed(struct leb *p)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t b = leb_u8(p);
        if (shift < 64)
            v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            if ((b & 0x40) && shift + 7 < 64)
                v |= ~UINT64_C(0) << (shift + 7);
            return p->bad ? 0 : (int64_t)v;
        }
    }
    p->bad = true;
    return 0;
}
