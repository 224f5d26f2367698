/* usage_proc.c: takes /proc/PID/stat and io, gives what a process has used since it began. See
 * usage_files.h; formats: proc(5). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "k8s/usage_files.h"
#include "k8s/usage_text.h"

#define TEXT_MAX 4096u

/* Fields by their number in proc(5). */
enum {
    STAT_STATE = 3,
    STAT_PPID = 4,
    STAT_MINFLT = 10,
    STAT_CMINFLT,
    STAT_MAJFLT,
    STAT_CMAJFLT,
    STAT_UTIME,
    STAT_STIME,
    STAT_CUTIME,
    STAT_CSTIME,
    STAT_THREADS = 20,
    STAT_START = 22,
    STAT_VSIZE,
    STAT_RSS,
    STAT_STACK = 28,
    STAT_FIELDS
};

/* The name stands in parentheses and may hold any byte, so the fields count from the last ")". */
static int split_stat(struct usage_text text, struct usage_text *ret_name,
                      uint64_t fields[STAT_FIELDS])
{
    const char *open = memchr(text.p, '(', text.len), *close = memrchr(text.p, ')', text.len);
    if (!open || !close || close < open)
        return -EBADMSG;
    *ret_name = (struct usage_text){open + 1, (size_t)(close - open - 1)};
    struct usage_text rest = {close + 1, text.len - (size_t)(close + 1 - text.p)}, word;
    for (unsigned i = STAT_STATE; i < STAT_FIELDS; i++) {
        if (!text_word(&rest, &word))
            return -EBADMSG;
        /* Some are negative, or letters: none of those that are used. */
        if (!text_number(word, &fields[i]))
            fields[i] = 0;
    }
    return 0;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? USAGE_UNKNOWN : sum;
}

int usage_parse_stat(const char *text, size_t len, struct usage_stat *ret)
{
    uint64_t f[STAT_FIELDS] = {0};
    struct usage_text name;
    if (split_stat((struct usage_text){text, len}, &name, f) < 0 || f[STAT_THREADS] > UINT32_MAX ||
        f[STAT_PPID] > UINT32_MAX)
        return -EBADMSG;
    *ret = (struct usage_stat){
        .ppid = (uint32_t)f[STAT_PPID],
        .threads = (uint32_t)f[STAT_THREADS],
        .start = f[STAT_START],
        .image = f[STAT_STACK],
        .user = f[STAT_UTIME],
        .system = f[STAT_STIME],
        .rss = f[STAT_RSS],
        .virtual_bytes = f[STAT_VSIZE],
        .tally = {[TALLY_USER] = plus(f[STAT_UTIME], f[STAT_CUTIME]),
                  [TALLY_SYSTEM] = plus(f[STAT_STIME], f[STAT_CSTIME]),
                  [TALLY_MINOR] = plus(f[STAT_MINFLT], f[STAT_CMINFLT]),
                  [TALLY_MAJOR] = plus(f[STAT_MAJFLT], f[STAT_CMAJFLT]),
                  [TALLY_BLOCK_READ] = USAGE_UNKNOWN,
                  [TALLY_BLOCK_WRITE] = USAGE_UNKNOWN,
                  [TALLY_CHAR_READ] = USAGE_UNKNOWN,
                  [TALLY_CHAR_WRITE] = USAGE_UNKNOWN},
    };
    size_t fits = name.len < sizeof(ret->name) ? name.len : sizeof(ret->name) - 1;
    for (size_t i = 0; i < fits; i++)
        ret->name[i] = (unsigned char)name.p[i] < ' ' ? '?' : name.p[i];
    return 0;
}

int usage_parse_io(const char *text, size_t len, uint64_t tally[TALLY_COUNT])
{
    static const char *const names[TALLY_COUNT] = {
        [TALLY_BLOCK_READ] = "read_bytes",
        [TALLY_BLOCK_WRITE] = "write_bytes",
        [TALLY_CHAR_READ] = "rchar",
        [TALLY_CHAR_WRITE] = "wchar",
    };
    struct usage_text rest = {text, len}, line, name, value;
    unsigned found = 0;
    while (text_next(&rest, '\n', &line)) {
        if (!text_next(&line, ':', &name) || !text_word(&line, &value))
            continue;
        for (unsigned i = TALLY_BLOCK_READ; i < TALLY_COUNT; i++)
            if (text_is(name, names[i]) && text_number(value, &tally[i]))
                found |= 1u << i;
    }
    return found == (1u << TALLY_COUNT) - (1u << TALLY_BLOCK_READ) ? 0 : -EBADMSG;
}

/* Pages: size, resident ... What stat says of it is a sum that CPUs add to now and then. */
int usage_parse_statm(const char *text, size_t len, uint64_t *ret_resident)
{
    struct usage_text rest = {text, len}, size, word;
    uint64_t resident;
    if (!text_word(&rest, &size) || !text_word(&rest, &word) || !text_number(word, &resident))
        return -EBADMSG;
    *ret_resident = resident;
    return 0;
}

static int read_file(int proc, uint32_t pid, const char *name, struct buf *text)
{
    char path[32];
    snprintf(path, sizeof(path), "%u/%s", pid, name);
    text->len = 0;
    return fs_read_at(proc, path, TEXT_MAX, text, NULL);
}

int usage_read_process(int proc, uint32_t pid, struct buf *text, struct usage_stat *ret)
{
    struct usage_stat stat;
    int r = read_file(proc, pid, "stat", text);
    if (r == 0)
        r = usage_parse_stat((const char *)text->data, text->len, &stat);
    if (r < 0)
        return r;
    if (read_file(proc, pid, "statm", text) == 0)
        (void)usage_parse_statm((const char *)text->data, text->len, &stat.rss);
    r = read_file(proc, pid, "io", text);
    if (r == -ENOENT || r == -ESRCH)
        /* Without CONFIG_TASK_IO_ACCOUNTING there is no such file of anyone. */
        r = faccessat(proc, "self/io", F_OK, 0) == 0 ? -ESRCH : -EACCES;
    if (r == -ESRCH)
        return r;
    if (r == 0 && usage_parse_io((const char *)text->data, text->len, stat.tally) < 0)
        for (unsigned i = TALLY_BLOCK_READ; i < TALLY_COUNT; i++)
            stat.tally[i] = USAGE_UNKNOWN;
    *ret = stat;
    return 0;
}
