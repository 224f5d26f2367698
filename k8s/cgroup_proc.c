/* cgroup_proc.c: takes the text of /proc/PID/cgroup and /proc/self/mountinfo, gives the path that
 * tells most and the hierarchy's mount point. See cgroup.h. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "k8s/cgroup.h"

/* A piece of the text, not terminated. */
struct span {
    const char *p;
    size_t len;
};

/* Cuts the text at the first `c`: gives what stands before it and moves behind it. At the text's
 * end gives what is left; false when nothing is. */
static bool next_piece(struct span *text, char c, struct span *ret)
{
    if (text->len == 0)
        return false;
    const char *end = memchr(text->p, c, text->len);
    size_t len = end ? (size_t)(end - text->p) : text->len;
    *ret = (struct span){text->p, len};
    len += end ? 1 : 0;
    text->p += len;
    text->len -= len;
    return true;
}

static bool is_word(struct span span, const char *word)
{
    return span.len == strlen(word) && memcmp(span.p, word, span.len) == 0;
}

/* Whether a comma-separated list has the word. */
static bool list_has(struct span list, const char *word)
{
    struct span item;
    while (next_piece(&list, ',', &item))
        if (is_word(item, word))
            return true;
    return false;
}

/* What a line says, best first: container and pod, container, pod, unit, some path but the root.
 * Of equals v2's line ("0::") is believed, it being the one systemd and runtimes keep in order on
 * hosts that have both. */
static int line_score(struct span hierarchy, struct span path)
{
    struct cgroup_id id;
    cgroup_parse_path(path.p, path.len, &id);
    int score = 1;
    score += *id.container_id ? 16 : 0;
    score += *id.pod_uid ? 8 : 0;
    score += *id.unit ? 4 : 0;
    score += path.len > 1 ? 2 : 0;
    return score * 2 + (is_word(hierarchy, "0") ? 1 : 0);
}

/* Of a path that does not fit the head is kept, up to a slash: the node's part of a path, with pod
 * and container, stands there; what a container makes below itself must not push it out. */
static size_t fitting(struct span path)
{
    if (path.len < CGROUP_PATH_MAX)
        return path.len;
    const char *slash = memrchr(path.p, '/', CGROUP_PATH_MAX);
    return slash && slash > path.p ? (size_t)(slash - path.p) : CGROUP_PATH_MAX - 1;
}

int cgroup_choose_path(const char *text, size_t len, char ret_path[CGROUP_PATH_MAX])
{
    struct span rest = {text, len}, line, best = {0};
    int best_score = 0;
    while (next_piece(&rest, '\n', &line)) {
        /* hierarchy:controllers:path; only the first two colons part, since a path may have more
         * (slice:cri-containerd:id). */
        struct span hierarchy, controllers;
        if (!next_piece(&line, ':', &hierarchy) || !next_piece(&line, ':', &controllers) ||
            line.len == 0 || line.p[0] != '/' || memchr(line.p, 0, line.len))
            continue;
        line.len = fitting(line);
        int score = line_score(hierarchy, line);
        if (score > best_score) {
            best = line;
            best_score = score;
        }
    }
    if (!best_score)
        return -ENOENT;
    memcpy(ret_path, best.p, best.len);
    ret_path[best.len] = 0;
    return 0;
}

/* mountinfo writes blank, tab, newline and backslash as \ooo (fs/proc_namespace.c, mangle()). */
static bool unescape(struct span in, char *to, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.p[i];
        if (c == '\\' && in.len - i >= 4) {
            unsigned value = 0;
            for (size_t d = 1; d <= 3; d++) {
                unsigned digit = (unsigned)(in.p[i + d] - '0');
                if (digit > 7)
                    return false;
                value = value * 8 + digit;
            }
            c = (char)value;
            i += 3;
        }
        if (n + 1 >= size || c == 0)
            return false;
        to[n++] = c;
    }
    to[n] = 0;
    return n > 0;
}

/* 3 for the controller's hierarchy, 1 for the unified one, 0 for any other mount; one more if the
 * mount shows the hierarchy from its root, not from some container's cgroup. */
static int mount_score(struct span line, const char *controller, struct span *ret_point)
{
    /* id parent major:minor root point options [tags…] - type source super-options (proc(5)) */
    struct span fields[6], field, type, source, options;
    for (size_t i = 0; i < 6; i++)
        if (!next_piece(&line, ' ', &fields[i]))
            return 0;
    do {
        if (!next_piece(&line, ' ', &field))
            return 0;
    } while (!is_word(field, "-"));
    if (!next_piece(&line, ' ', &type) || !next_piece(&line, ' ', &source) ||
        !next_piece(&line, ' ', &options))
        return 0;
    *ret_point = fields[4];
    int score = is_word(type, "cgroup") && list_has(options, controller) ? 3
                : is_word(type, "cgroup2")                               ? 1
                                                                         : 0;
    return score && is_word(fields[3], "/") ? score + 1 : score;
}

/* Of mounts that score at least `least`. */
static int find_mount(const char *mountinfo, size_t len, const char *controller, int least,
                      char ret_path[CGROUP_PATH_MAX])
{
    struct span rest = {mountinfo, len}, line, point;
    char path[CGROUP_PATH_MAX];
    int best = 0;
    while (next_piece(&rest, '\n', &line)) {
        int score = mount_score(line, controller, &point);
        if (score < least || score <= best || !unescape(point, path, sizeof(path)))
            continue;
        memcpy(ret_path, path, strlen(path) + 1);
        best = score;
    }
    return best ? 0 : -ENOENT;
}

int cgroup_find_mount(const char *mountinfo, size_t len, char ret_path[CGROUP_PATH_MAX])
{
    return find_mount(mountinfo, len, "perf_event", 1, ret_path);
}

int cgroup_find_hierarchy(const char *mountinfo, size_t len, const char *controller,
                          char ret_path[CGROUP_PATH_MAX])
{
    /* No option of a v1 mount is empty. */
    return find_mount(mountinfo, len, controller ? controller : "", controller ? 3 : 1, ret_path);
}
