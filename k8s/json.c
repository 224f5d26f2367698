/* json.c: takes bytes, gives JSON within bounds and its members. See json.h. */
#include "k8s/json.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#define MEMORY_MAX (UINT64_C(256) << 20)

/* What jansson 2.14 allocates on x86-64, with malloc's own: for {} or [] 200 bytes, for what stands
 * behind a comma or colon up to 100 besides its text. Within strings they count, too: no matter. */
static uint64_t guess_memory(const char *bytes, size_t len)
{
    uint64_t sum = len;
    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];
        sum += c == '{' || c == '[' ? 200 : c == ',' || c == ':' ? 100 : 0;
    }
    return sum;
}

int json_load_bounded(const char *bytes, size_t len, json_t **ret, struct err *err)
{
    json_error_t why;
    if (guess_memory(bytes, len) > MEMORY_MAX)
        return err_set(err, -EFBIG, "JSON of %zu bytes with too many members", len);
    json_t *json = json_loadb(len ? bytes : "", len, 0, &why);
    if (!json && json_error_code(&why) == json_error_out_of_memory)
        return err_errno(err, -ENOMEM, "reading JSON");
    if (!json)
        return err_set(err, -EBADMSG, "no JSON: %s, at byte %d", why.text, why.position);
    *ret = json;
    return 0;
}

/* `at` is behind a string's first quote; behind its last one, or `len`. */
static size_t end_of_string(const char *bytes, size_t len, size_t at)
{
    for (size_t i = at; i < len; i++)
        if (bytes[i] == '"')
            return i + 1;
        else if (bytes[i] == '\\')
            i++;
    return len;
}

/* `at` is at an opening bracket; behind the one that closes it, or 0. */
static size_t end_of_value(const char *bytes, size_t len, size_t at)
{
    for (size_t i = at, depth = 0; i < len;) {
        char c = bytes[i++];
        if (c == '"')
            i = end_of_string(bytes, len, i);
        else if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return i;
    }
    return 0;
}

static bool is_one_of(const char *const *names, const char *text, size_t len)
{
    for (; *names; names++)
        if (strlen(*names) == len && memcmp(*names, text, len) == 0)
            return true;
    return false;
}

static size_t skip_blanks(const char *bytes, size_t len, size_t at)
{
    while (at < len && memchr(" \t\r\n", bytes[at], 4))
        at++;
    return at;
}

int json_prune(const char *bytes, size_t len, const char *const *names, struct buf *buf)
{
    size_t kept = 0; /* up to here `buf` has it */
    const char *quote;
    int r = 0;
    for (size_t i = 0; r == 0 && i < len && (quote = memchr(bytes + i, '"', len - i));) {
        size_t name = (size_t)(quote - bytes) + 1;
        i = end_of_string(bytes, len, name);
        if (!is_one_of(names, bytes + name, i - name ? i - name - 1 : 0))
            continue;
        size_t value = skip_blanks(bytes, len, i);
        if (value == len || bytes[value] != ':')
            continue;
        value = skip_blanks(bytes, len, value + 1);
        if (value == len || (bytes[value] != '{' && bytes[value] != '['))
            continue;
        size_t end = end_of_value(bytes, len, value);
        if (!end)
            break;
        r = buf_append(buf, bytes + kept, value - kept);
        if (r == 0)
            r = buf_puts(buf, "null");
        kept = i = end;
    }
    return r < 0 ? r : buf_append(buf, bytes + kept, len - kept);
}

const json_t *json_at(const json_t *object, const char *key)
{
    for (const char *dot; object && (dot = strchr(key, '.')); key = dot + 1) {
        char part[64];
        size_t len = (size_t)(dot - key);
        if (len >= sizeof(part))
            return NULL;
        memcpy(part, key, len);
        part[len] = 0;
        object = json_object_get(object, part);
    }
    return json_object_get(object, key);
}

const char *json_text_at(const json_t *object, const char *key)
{
    return json_string_value(json_at(object, key));
}

/* The nanoseconds behind the point; moves behind them. */
static long read_fraction(const char **at)
{
    long ns = 0, unit = NS_PER_SEC / 10;
    if (**at != '.')
        return 0;
    for ((*at)++; isdigit((unsigned char)**at); (*at)++, unit /= 10)
        ns += (**at - '0') * unit;
    return ns;
}

/* RFC 3339, of Kubernetes always in UTC, of others with an offset. */
int64_t json_time_at(const json_t *object, const char *key)
{
    const char *text = json_text_at(object, key), *at;
    struct tm tm = {0};
    int hours = 0, minutes = 0, used = 0;
    if (!text || !(at = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm)))
        return 0;
    if (tm.tm_year < 70 || tm.tm_year > 300) /* up to 2200: nanoseconds fit */
        return 0;
    long ns = read_fraction(&at);
    int sign = *at == '-' ? -1 : *at == '+' ? 1 : 0;
    if (sign && (sscanf(at + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || used != 5 || at[6]))
        return 0;
    if (!sign && strcmp(at, "Z") != 0)
        return 0;
    return (timegm(&tm) - sign * (hours * 3600LL + minutes * 60LL)) * NS_PER_SEC + ns;
}

uint32_t json_u32_at(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_at(object, key));
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}
