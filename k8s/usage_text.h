/* usage_text.h: lines and words of the kernel's text files; in a header so that each parser has
 * them inlined. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A piece of a text, not terminated. */
struct usage_text {
    const char *p;
    size_t len;
};

/* Cuts the text at the first `c`: gives what stands before it and moves behind it; at the end what
 * is left, false when nothing is. */
static inline bool text_next(struct usage_text *text, char c, struct usage_text *ret)
{
    if (text->len == 0)
        return false;
    const char *end = memchr(text->p, c, text->len);
    size_t len = end ? (size_t)(end - text->p) : text->len;
    *ret = (struct usage_text){text->p, len};
    len += end ? 1 : 0;
    text->p += len;
    text->len -= len;
    return true;
}

/* As text_next at blanks, of which there may be several. */
static inline bool text_word(struct usage_text *text, struct usage_text *ret)
{
    while (text_next(text, ' ', ret))
        if (ret->len)
            return true;
    return false;
}

static inline bool text_is(struct usage_text text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.p, word, text.len) == 0;
}

/* The whole text is a decimal number; USAGE_UNKNOWN is none. */
static inline bool text_number(struct usage_text text, uint64_t *ret)
{
    uint64_t value = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] < '0' || text.p[i] > '9' ||
            __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.p[i] - '0'), &value))
            return false;
    if (value == UINT64_MAX)
        return false;
    *ret = value;
    return true;
}
