/* perf_map.c: takes the text of a perf-PID.map, gives pieces of code. See perf_map.h. */
#include "symbol/perf_map.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "symbol/jit_index.h"

/* Longer than any line that could make sense. */
#define CHUNK (64u << 10)

void perf_map_init(struct perf_map_parser *parser, const void *text, size_t len)
{
    *parser = (struct perf_map_parser){text, (const char *)text + len};
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A number and the space behind it; NULL: there is none. */
static const char *read_number(const char *at, const char *end, uint64_t *ret)
{
    uint64_t v = 0;
    size_t digits = 0;
    if (end - at > 2 && at[0] == '0' && (at[1] | 0x20) == 'x')
        at += 2;
    for (; at < end && hex_digit(*at) >= 0; at++, digits++) {
        if (v >> 60)
            return NULL;
        v = v << 4 | (unsigned)hex_digit(*at);
    }
    *ret = v;
    return digits && at < end && *at == ' ' ? at + 1 : NULL;
}

int perf_map_next(struct perf_map_parser *parser, struct perf_map_line *ret)
{
    const char *at = parser->at;
    const char *end = at == parser->end ? NULL : memchr(at, '\n', (size_t)(parser->end - at));
    if (!end)
        return 0;
    parser->at = end + 1;
    struct perf_map_line line;
    if (!(at = read_number(at, end, &line.start)) || !(at = read_number(at, end, &line.size)))
        return -EBADMSG;
    while (end > at && (end[-1] == '\r' || end[-1] == ' '))
        end--;
    line.name = at;
    line.name_len = (size_t)(end - at);
    if (!line.name_len || memchr(at, 0, line.name_len))
        return -EBADMSG;
    *ret = line;
    return 1;
}

/* Gives how many bytes whole lines took. */
static int take_lines(struct perf_map_cursor *cursor, struct jit_index *index, const char *text,
                      size_t len, const struct jit_time *when, size_t *ret_taken)
{
    struct perf_map_parser parser;
    struct perf_map_line line;
    perf_map_init(&parser, text, len);
    int r;
    while ((r = perf_map_next(&parser, &line)) != 0) {
        if (r > 0)
            r = jit_index_add(index, line.start, line.size, line.name, line.name_len, when);
        if (r == -ENOMEM)
            return r;
        cursor->garbled += r == -EBADMSG || r == -EINVAL;
    }
    *ret_taken = (size_t)(parser.at - text);
    return 0;
}

static int read_at(int fd, uint64_t offset, char *to, size_t len, size_t *ret_len)
{
    ssize_t n;
    do
        n = pread(fd, to, len, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    *ret_len = (size_t)n;
    return 0;
}

static bool is_same(int fd, uint64_t size, const struct perf_map_cursor *c)
{
    char bytes[sizeof(c->before)];
    size_t len = 0;
    return size >= c->offset &&
           (c->before_len == 0 ||
            (read_at(fd, c->offset - c->before_len, bytes, c->before_len, &len) == 0 &&
             len == c->before_len && memcmp(bytes, c->before, len) == 0));
}

static void advance(struct perf_map_cursor *c, const char *text, size_t len)
{
    c->offset += len;
    c->before_len = len < sizeof(c->before) ? len : sizeof(c->before);
    memcpy(c->before, text + len - c->before_len, c->before_len);
}

static int read_chunks(int fd, uint64_t size, struct perf_map_cursor *cursor,
                       struct jit_index *index, const struct jit_time *when, char *text)
{
    while (cursor->offset < size) {
        if (cursor->offset >= PERF_MAP_MAX)
            return -EFBIG;
        uint64_t left = size - cursor->offset;
        size_t want = left < CHUNK ? (size_t)left : CHUNK, len = 0, taken = 0;
        int r = read_at(fd, cursor->offset, text, want, &len);
        if (r == 0)
            r = take_lines(cursor, index, text, len, when, &taken);
        if (r < 0)
            return r;
        if (taken == 0 && len < CHUNK)
            return 0;
        if (taken == 0) { /* no line is so long: it goes on as garbage until it ends */
            cursor->garbled++;
            taken = len;
        }
        advance(cursor, text, taken);
    }
    return 0;
}

int perf_map_read(int fd, uint64_t size, struct perf_map_cursor *cursor, struct jit_index *index,
                  const struct jit_time *when, struct err *err)
{
    _cleanup_free_ char *text = malloc(CHUNK);
    if (!text)
        return err_errno(err, -ENOMEM, "a perf map");
    if (!is_same(fd, size, cursor))
        return err_set(err, -ESTALE, "a perf map has been made anew");
    int r = read_chunks(fd, size, cursor, index, when, text);
    return r < 0 ? err_errno(err, r, "reading a perf map") : 0;
}
