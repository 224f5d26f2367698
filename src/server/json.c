/* json.c: takes texts and numbers, gives JSON. See json.h. */
#include "server/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"

/* RFC 8259, section 7: the quote, the backslash and what is below a blank. DEL and the two line
 * ends of Unicode need no escape since ECMAScript 2019. */
static bool is_plain(unsigned char c)
{
    return c >= ' ' && c != '"' && c != '\\';
}

static int put_escape(struct buf *buf, unsigned char c)
{
    static const char short_of[] = "btnvfr"; /* from 8 on; JSON has no \v */
    if (c == '"' || c == '\\')
        return buf_append(buf, (char[]){'\\', (char)c}, 2);
    if (c >= '\b' && c <= '\r' && c != '\v')
        return buf_append(buf, (char[]){'\\', short_of[c - '\b']}, 2);
    return buf_printf(buf, "\\u%04x", c);
}

int json_text(struct buf *buf, const char *text)
{
    int r = buf_append(buf, "\"", 1);
    while (r == 0 && *text) {
        size_t plain = 0;
        while (is_plain((unsigned char)text[plain]))
            plain++;
        r = buf_append(buf, text, plain);
        text += plain;
        if (r == 0 && *text)
            r = put_escape(buf, (unsigned char)*text++);
    }
    return r < 0 ? r : buf_append(buf, "\"", 1);
}

int json_u64(struct buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return buf_append(buf, digits + at, sizeof(digits) - at);
}

int json_key(struct buf *buf, const char *before, const char *key)
{
    int r = buf_puts(buf, before);
    if (r == 0)
        r = json_text(buf, key);
    return r < 0 ? r : buf_append(buf, ":", 1);
}

int json_key_string(struct buf *buf, const char *before, const char *key, const char *text)
{
    int r = json_key(buf, before, key);
    return r < 0 ? r : json_text(buf, text);
}

int json_key_u64(struct buf *buf, const char *before, const char *key, uint64_t value)
{
    int r = json_key(buf, before, key);
    return r < 0 ? r : json_u64(buf, value);
}
