/* maps.c: takes the text of /proc/PID/maps, gives its lines. See maps.h. */
#include "agent/maps.h"

#include <errno.h>
#include <string.h>

void maps_init(struct maps_parser *parser, const void *text, size_t len)
{
    parser->at = text;
    parser->end = parser->at + len;
}

/* A number up to `stop`, which is taken too. */
static bool take_number(struct maps_parser *p, unsigned base, char stop, uint64_t *ret)
{
    uint64_t value = 0;
    const char *start = p->at;
    for (; p->at < p->end; p->at++) {
        char c = *p->at;
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 99;
        if (digit >= base)
            break;
        if (value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    if (p->at == start || p->at == p->end || *p->at != stop)
        return false;
    p->at++;
    *ret = value;
    return true;
}

/* mangle_path() in fs/seq_file.c writes a newline in a name as \012 and nothing else so. */
static bool take_path(const char *from, const char *end, char *to, size_t size)
{
    size_t n = 0;
    while (from < end) {
        if (n + 1 >= size)
            return false;
        if (end - from >= 4 && memcmp(from, "\\012", 4) == 0) {
            to[n++] = '\n';
            from += 4;
        } else if (!*from) {
            return false;
        } else {
            to[n++] = *from++;
        }
    }
    to[n] = 0;
    return true;
}

static bool parse_line(struct maps_parser *p, struct maps_line *ret)
{
    uint64_t major, minor;
    if (!take_number(p, 16, '-', &ret->start) || !take_number(p, 16, ' ', &ret->end) ||
        ret->end <= ret->start || p->end - p->at < 5 || p->at[4] != ' ')
        return false;
    ret->executable = p->at[2] == 'x';
    p->at += 5;
    if (!take_number(p, 16, ' ', &ret->file_offset) || !take_number(p, 16, ':', &major) ||
        !take_number(p, 16, ' ', &minor) || major > UINT32_MAX || minor > UINT32_MAX)
        return false;
    ret->major = (uint32_t)major;
    ret->minor = (uint32_t)minor;
    /* A line without a name ends in a blank, before 2.6 kernels without one. */
    const char *at = p->at;
    while (at < p->end && *at >= '0' && *at <= '9')
        at++;
    if (at == p->end) {
        uint64_t inode = 0;
        for (const char *c = p->at; c < at; c++)
            inode = inode * 10 + (uint64_t)(*c - '0');
        ret->inode = inode;
        ret->path[0] = 0;
        return at > p->at && at - p->at < 20;
    }
    if (!take_number(p, 10, ' ', &ret->inode))
        return false;
    while (p->at < p->end && *p->at == ' ')
        p->at++;
    return take_path(p->at, p->end, ret->path, sizeof(ret->path));
}

int maps_next(struct maps_parser *parser, struct maps_line *ret)
{
    if (parser->at >= parser->end)
        return 0;
    const char *newline = memchr(parser->at, '\n', (size_t)(parser->end - parser->at));
    struct maps_parser line = {parser->at, newline ? newline : parser->end};
    parser->at = newline ? newline + 1 : parser->end;
    return parse_line(&line, ret) ? 1 : -EBADMSG;
}
