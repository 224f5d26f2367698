/* utf8.c: takes bytes, gives how far they are UTF-8; see utf8.h. */
#include "wire/utf8.h"

#include <stdint.h>
#include <string.h>

/* Nearly all names are ASCII: eight bytes a step as long as no high bit is set. */
static size_t ascii_prefix(const uint8_t *s, size_t len)
{
    size_t i = 0;
    for (uint64_t word; i + sizeof(word) <= len; i += sizeof(word)) {
        memcpy(&word, s + i, sizeof(word));
        if (word & 0x8080808080808080u)
            break;
    }
    while (i < len && s[i] < 0x80)
        i++;
    return i;
}

/* Bytes of the character at s, 0 if it is none. The ranges are table 3-7 of the Unicode standard.
 */
static size_t character(const uint8_t *s, size_t len)
{
    uint8_t first = s[0], low = 0x80, high = 0xbf;
    size_t size;
    if (first >= 0xc2 && first <= 0xdf) {
        size = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        size = 3;
        low = first == 0xe0 ? 0xa0 : low;
        high = first == 0xed ? 0x9f : high;
    } else if (first >= 0xf0 && first <= 0xf4) {
        size = 4;
        low = first == 0xf0 ? 0x90 : low;
        high = first == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (size > len || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

size_t utf8_valid_prefix(const char *text, size_t len)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t i = 0;
    while ((i += ascii_prefix(s + i, len - i)) < len) {
        size_t size = character(s + i, len - i);
        if (size == 0)
            break;
        i += size;
    }
    return i;
}

void utf8_repair(char *text, size_t len)
{
    for (size_t i = 0; (i += utf8_valid_prefix(text + i, len - i)) < len; i++)
        text[i] = '?';
}

size_t utf8_cut(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    size_t cut = max; /* a character has at most three bytes behind its first */
    while (cut > 0 && max - cut < 3 && ((uint8_t)text[cut] & 0xc0) == 0x80)
        cut--;
    return cut;
}
