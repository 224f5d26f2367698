/* usage_net.c: takes a process's network namespace, gives which one it is and what went through it.
 * See usage_files.h. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fs.h"
#include "k8s/usage_files.h"
#include "k8s/usage_text.h"

#define NET_DEV_MAX (1u << 20)

/* "  eth0: 611697000 13667 0 0 0 0 0 0 660608 ...": bytes received stand first, bytes sent ninth;
 * a name may hold anything but blanks and slashes (dev_valid_name()), colons only in old kernels'
 * aliases. Above stand two lines of words, with "|" between them. */
int usage_parse_net_dev(const char *text, size_t len, uint64_t *ret_rx, uint64_t *ret_tx)
{
    struct usage_text rest = {text, len}, line, word;
    uint64_t rx = 0, tx = 0;
    for (unsigned lines = 0; text_next(&rest, '\n', &line); lines++) {
        uint64_t values[9];
        const char *colon = memrchr(line.p, ':', line.len);
        if (lines < 2)
            continue;
        if (!colon)
            return -EBADMSG;
        struct usage_text name = {line.p, (size_t)(colon - line.p)};
        struct usage_text fields = {colon + 1, line.len - name.len - 1};
        for (unsigned i = 0; i < 9; i++)
            if (!text_word(&fields, &word) || !text_number(word, &values[i]))
                return -EBADMSG;
        if (text_word(&name, &word) && text_is(word, "lo"))
            continue;
        if (__builtin_add_overflow(rx, values[0], &rx) || rx == USAGE_UNKNOWN ||
            __builtin_add_overflow(tx, values[8], &tx) || tx == USAGE_UNKNOWN)
            return -EBADMSG;
    }
    *ret_rx = rx;
    *ret_tx = tx;
    return 0;
}

/* /proc/PID/ns/net would need the right to trace the process; that of PID 1 root in a container may
 * lack. Each namespace has its own files below /proc/PID/net, with inodes from the same numbers
 * (proc_net_ns_init(), proc_register()). */
int usage_read_network(int proc, const char *pid, uint64_t *ret)
{
    char path[48];
    struct stat st;
    snprintf(path, sizeof(path), "%s/net/dev", pid);
    if (fstatat(proc, path, &st, 0) < 0)
        return -errno;
    *ret = st.st_ino;
    return 0;
}

int usage_read_net_dev(int proc, uint32_t pid, struct buf *text, uint64_t *ret_rx, uint64_t *ret_tx)
{
    char path[48];
    snprintf(path, sizeof(path), "%u/net/dev", pid);
    text->len = 0;
    int r = fs_read_at(proc, path, NET_DEV_MAX, text, NULL);
    return r < 0 ? r : usage_parse_net_dev((const char *)text->data, text->len, ret_rx, ret_tx);
}
