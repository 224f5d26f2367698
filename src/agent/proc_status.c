/* proc_status.c: takes the text of /proc/PID/status, gives what is needed of it. See proc_status.h.
 */
#include "agent/proc_status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"

/* A line of groups may have 65,536 of them. */
#define TEXT_MAX (1u << 20)

/* Numbers between blanks, up to the line's end; gives how many. */
static size_t read_numbers(const char *at, const char *end, int base, unsigned long long *to,
                           size_t room)
{
    char line[512];
    size_t len = (size_t)(end - at) < sizeof(line) - 1 ? (size_t)(end - at) : sizeof(line) - 1;
    memcpy(line, at, len);
    line[len] = 0;
    size_t n = 0;
    for (char *c = line, *next; n < room; c = next) {
        to[n] = strtoull(c, &next, base);
        if (next == c)
            break;
        n++;
    }
    return n;
}

static bool starts(const char *at, const char *end, const char *word, const char **ret_rest)
{
    size_t len = strlen(word);
    *ret_rest = at + len;
    return (size_t)(end - at) >= len && memcmp(at, word, len) == 0;
}

int proc_status_parse(const char *text, size_t len, struct proc_status *ret)
{
    struct proc_status s = {0};
    unsigned long long v[PROC_STATUS_DEPTH];
    bool uid = false, gid = false, caught = false;
    for (const char *at = text, *stop = text + len, *end; at < stop; at = end + 1) {
        const char *rest;
        end = memchr(at, '\n', (size_t)(stop - at));
        if (!end)
            break;
        if (starts(at, end, "State:\t", &rest) && rest < end) {
            s.state = *rest;
        } else if (starts(at, end, "Uid:", &rest) && read_numbers(rest, end, 10, v, 4) >= 2) {
            s.euid = (uid_t)v[1];
            uid = true;
        } else if (starts(at, end, "Gid:", &rest) && read_numbers(rest, end, 10, v, 4) >= 2) {
            s.egid = (gid_t)v[1];
            gid = true;
        } else if (starts(at, end, "SigCgt:", &rest) && read_numbers(rest, end, 16, v, 1) == 1) {
            s.caught = v[0];
            caught = true;
        } else if (starts(at, end, "NSpid:", &rest)) {
            s.pid_count = read_numbers(rest, end, 10, v, PROC_STATUS_DEPTH);
            for (size_t i = 0; i < s.pid_count; i++)
                s.pids[i] = (pid_t)v[i];
        }
    }
    if (!uid || !gid || !caught || !s.state)
        return -EBADMSG;
    *ret = s;
    return 0;
}

int proc_status_read(int proc_pid_fd, struct proc_status *ret)
{
    _cleanup_(buf_free) struct buf text = {0};
    int r = fs_read_at(proc_pid_fd, "status", TEXT_MAX, &text, NULL);
    return r < 0 ? r : proc_status_parse((const char *)text.data, text.len, ret);
}
