/* downward.c: takes the environment and the files of a downward API volume, gives the fact of our
 * own pod. See downward.h. */
#include "k8s/downward.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/parse.h"
#include "k8s/facts.h"
#include "k8s/source.h"

#define FILE_MAX (1u << 20) /* far above what labels come to */

/* ---- Go's quoted text */

/* The character as UTF-8; false: it is none. */
static bool put_rune(char **to, uint32_t c)
{
    if (c < 0x80) {
        *(*to)++ = (char)c;
    } else if (c < 0x800) {
        *(*to)++ = (char)(0xc0 | c >> 6);
        *(*to)++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *(*to)++ = (char)(0xe0 | c >> 12);
        *(*to)++ = (char)(0x80 | (c >> 6 & 0x3f));
        *(*to)++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x110000) {
        *(*to)++ = (char)(0xf0 | c >> 18);
        *(*to)++ = (char)(0x80 | (c >> 12 & 0x3f));
        *(*to)++ = (char)(0x80 | (c >> 6 & 0x3f));
        *(*to)++ = (char)(0x80 | (c & 0x3f));
    } else {
        return false;
    }
    return c != 0;
}

/* What stands behind a backslash, at least one byte; the escape is never shorter than what it says.
 */
static bool unescape(const char **from, const char *end, char **to)
{
    static const char letters[] = "abfnrtv\"\\", bytes[] = "\a\b\f\n\r\t\v\"\\";
    char c = *(*from)++;
    const char *letter = c ? strchr(letters, c) : NULL;
    uint32_t value;
    if (letter) {
        *(*to)++ = bytes[letter - letters];
        return true;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (!digits || parse_hex(*from, (size_t)(end - *from), digits, &value) < 0)
        return false;
    *from += digits;
    if (c != 'x')
        return put_rune(to, value);
    *(*to)++ = (char)value; /* a byte of what is no UTF-8 */
    return value != 0;
}

/* `from` stands behind the first quote, the last one must end the line. */
static bool unquote(const char *from, const char *end, char *to)
{
    while (from < end && *from != '"') {
        if (*from == 0)
            return false;
        if (*from != '\\')
            *to++ = *from++;
        else if (++from == end || !unescape(&from, end, &to))
            return false;
    }
    *to = 0;
    return from + 1 == end;
}

int downward_next(const char **text, size_t *len, char *room, size_t room_size,
                  struct downward_line *ret)
{
    if (*len == 0)
        return 0;
    const char *line = *text, *newline = memchr(line, '\n', *len);
    const char *end = newline ? newline : line + *len;
    *len -= (size_t)(end - line) + (newline != NULL);
    *text = end + (newline != NULL);
    /* What is unquoted is no longer than the line, of which '=' and '"' leave place for both NULs.
     */
    if ((size_t)(end - line) > room_size)
        return -ENOSPC;
    const char *equals = memchr(line, '=', (size_t)(end - line));
    if (!equals || equals == line || end - equals < 3 || equals[1] != '"' ||
        memchr(line, 0, (size_t)(equals - line)))
        return -EBADMSG;
    size_t key_len = (size_t)(equals - line);
    memcpy(room, line, key_len);
    room[key_len] = 0;
    if (!unquote(equals + 2, end, room + key_len + 1))
        return -EBADMSG;
    *ret = (struct downward_line){room, room + key_len + 1};
    return 1;
}

/* ---- our pod */

struct file {
    struct buf bytes, room;
    struct fact_label labels[FACT_LABELS_MAX];
    size_t count;
};

static void free_file(struct file *f)
{
    buf_free(&f->bytes);
    buf_free(&f->room);
}

/* 0 also if there is no such file: then it has no lines, and room.data is NULL. */
static int read_file(int dirfd, const char *name, struct file *f, struct err *err)
{
    int r = dirfd < 0 ? -ENOENT : fs_read_at(dirfd, name, FILE_MAX, &f->bytes, err);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = buf_reserve(&f->room, f->bytes.len + 1);
    if (r < 0)
        return err_errno(err, r, "reading %s", name);
    const char *text = (const char *)f->bytes.data;
    size_t len = f->bytes.len;
    char *room = (char *)f->room.data;
    while (f->count < FACT_LABELS_MAX) {
        struct downward_line line;
        size_t left = f->room.cap - (size_t)(room - (char *)f->room.data);
        r = downward_next(&text, &len, room, left, &line);
        if (r == 0)
            break;
        if (r < 0)
            continue;
        f->labels[f->count++] = (struct fact_label){line.key, line.value};
        room = line.value + strlen(line.value) + 1;
    }
    return 0;
}

static const char *variable(const char *name)
{
    const char *text = getenv(name);
    return text && text[0] ? text : NULL;
}

const char *downward_own_uid(void)
{
    return variable("PODFLAME_POD_UID");
}

int downward_read(int dirfd, const struct facts_sink *sink, struct err *err)
{
    _cleanup_(free_file) struct file labels = {0};
    struct pod_fact pod = {
        .uid = downward_own_uid(),
        .namespace = variable("PODFLAME_NAMESPACE"),
        .name = variable("PODFLAME_POD_NAME"),
        .node = variable("PODFLAME_NODE_NAME"),
    };
    if (!pod.uid && !pod.namespace && !pod.name)
        return err_set(err, -ENOENT, "PODFLAME_POD_UID is not set");
    if (!pod.uid || !pod.namespace || !pod.name)
        return err_set(err, -EINVAL,
                       "of PODFLAME_POD_UID, PODFLAME_NAMESPACE and "
                       "PODFLAME_POD_NAME some are set and some are not");
    int r = read_file(dirfd, "labels", &labels, err);
    if (r < 0)
        return r;
    if (labels.bytes.data)
        pod.labels = labels.labels;
    pod.label_count = labels.count;
    return sink->pod(sink->ctx, &pod);
}

/* ---- the source */

struct downward {
    bool is_usual;
    char dir[];
};

static int refresh(void *self, const struct facts_sink *sink, struct err *err)
{
    const struct downward *d = self;
    _cleanup_close_ int fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && !(d->is_usual && errno == ENOENT)) {
        int r = errno == ENOENT ? -ENOTDIR : -errno; /* it was configured */
        return err_errno(err, r, "opening %s", d->dir);
    }
    return downward_read(fd, sink, err);
}

static const struct source_ops ops = {"downward", refresh, free};

int downward_source_new(const char *dir, struct source *ret, struct err *err)
{
    const char *from = dir ? dir : DOWNWARD_DIR_USUAL;
    struct downward *d = malloc(sizeof(*d) + strlen(from) + 1);
    if (!d)
        return err_errno(err, -ENOMEM, "the downward API");
    d->is_usual = !dir;
    strcpy(d->dir, from);
    *ret = (struct source){&ops, d};
    return 0;
}
