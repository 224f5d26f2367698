/* log_names.c: takes names of log directories and files, gives the pod and container they are of.
 * See log_names.h. */
#include "k8s/log_names.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* A piece of a name, not terminated. */
struct part {
    const char *p;
    size_t len;
};

/* What stands before the first, or the last, `c`; *rest keeps the other side. */
static bool split_first(struct part *rest, char c, struct part *ret)
{
    const char *at = memchr(rest->p, c, rest->len);
    if (!at)
        return false;
    *ret = (struct part){rest->p, (size_t)(at - rest->p)};
    *rest = (struct part){at + 1, rest->len - ret->len - 1};
    return true;
}

static bool split_last(struct part *rest, char c, struct part *ret)
{
    const char *at = memrchr(rest->p, c, rest->len);
    if (!at)
        return false;
    size_t before = (size_t)(at - rest->p);
    *ret = (struct part){at + 1, rest->len - before - 1};
    rest->len = before;
    return true;
}

static bool take_suffix(struct part *part, const char *suffix)
{
    size_t len = strlen(suffix);
    if (part->len < len || memcmp(part->p + part->len - len, suffix, len) != 0)
        return false;
    part->len -= len;
    return true;
}

/* Lower-case letters, digits and dashes, and of a subdomain dots: RFC 1123, as Kubernetes has it.
 */
static bool copy_name(char *to, size_t max, struct part part, bool dots)
{
    if (part.len == 0 || part.len > max)
        return false;
    for (size_t i = 0; i < part.len; i++) {
        char c = part.p[i];
        bool inner = c == '-' || (dots && c == '.');
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
            !(inner && i > 0 && i + 1 < part.len))
            return false;
    }
    memcpy(to, part.p, part.len);
    to[part.len] = 0;
    return true;
}

static bool is_hex(struct part part)
{
    for (size_t i = 0; i < part.len; i++)
        if (!isxdigit((unsigned char)part.p[i]))
            return false;
    return true;
}

static bool copy_uid(char to[37], struct part part)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    bool is_dashed = part.len == sizeof(form) - 1;
    if (!is_dashed && !(part.len == 32 && is_hex(part)))
        return false;
    for (size_t i = 0; is_dashed && i < part.len; i++)
        if (form[i] == '-' ? part.p[i] != '-' : !isxdigit((unsigned char)part.p[i]))
            return false;
    memcpy(to, part.p, part.len);
    to[part.len] = 0;
    return true;
}

static bool read_pod(struct part rest, struct log_pod *ret)
{
    struct part namespace, uid;
    return split_first(&rest, '_', &namespace) && split_last(&rest, '_', &uid) &&
           copy_name(ret->namespace, LOG_NAMESPACE_MAX, namespace, false) &&
           copy_name(ret->name, LOG_POD_MAX, rest, true) && copy_uid(ret->uid, uid);
}

int log_name_read_pod(const char *name, size_t len, struct log_pod *ret)
{
    struct log_pod pod;
    if (!read_pod((struct part){name, len}, &pod))
        return -EINVAL;
    *ret = pod;
    return 0;
}

int log_name_read_container(const char *name, size_t len, struct log_container *ret)
{
    struct log_container c;
    struct part rest = {name, len}, pod, namespace, id;
    if (!take_suffix(&rest, ".log") || !split_last(&rest, '-', &id) ||
        id.len != LOG_CONTAINER_ID_LEN || !is_hex(id) || !split_first(&rest, '_', &pod) ||
        !split_first(&rest, '_', &namespace) || !copy_name(c.pod, LOG_POD_MAX, pod, true) ||
        !copy_name(c.namespace, LOG_NAMESPACE_MAX, namespace, false) ||
        !copy_name(c.name, LOG_CONTAINER_MAX, rest, false))
        return -EINVAL;
    memcpy(c.id, id.p, id.len);
    c.id[id.len] = 0;
    *ret = c;
    return 0;
}

/* "0", "17"; no more digits than an uint32_t surely holds. */
static bool read_number(struct part part, uint32_t *ret)
{
    if (part.len == 0 || part.len > 9)
        return false;
    uint32_t number = 0;
    for (size_t i = 0; i < part.len; i++) {
        if (!isdigit((unsigned char)part.p[i]))
            return false;
        number = number * 10 + (uint32_t)(part.p[i] - '0');
    }
    *ret = number;
    return true;
}

int log_name_read_target(const char *path, size_t len, struct log_target *ret)
{
    struct log_target t;
    struct part rest = {path, len}, file, container, pod;
    if (!split_last(&rest, '/', &file) || !split_last(&rest, '/', &container))
        return -EINVAL;
    if (!split_last(&rest, '/', &pod))
        pod = rest;
    if (!take_suffix(&file, ".log") || !read_number(file, &t.restarts) ||
        !copy_name(t.container, LOG_CONTAINER_MAX, container, false) || !read_pod(pod, &t.pod))
        return -EINVAL;
    *ret = t;
    return 0;
}
