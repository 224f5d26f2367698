/* cgroup.c: takes a cgroup path, gives the pod, container, runtime and systemd unit it names. See
 * cgroup.h; the forms are listed with their sources in tests/golden/cgroup_paths.tsv.
 *
 * A path is read from its leaf upwards, since a node may itself be a container (kind, a CI runner)
 * and put any prefix in front. The innermost pod ends the search: a container above it is the
 * node's, not the pod's. */
#include "k8s/cgroup.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define ID_DIGITS  64 /* of every OCI runtime's container id */
#define UID_DIGITS 32
#define UID_DASHED 36

/* A piece of a path, not terminated. */
struct part {
    const char *p;
    size_t len;
};

static bool is_word(struct part part, const char *word)
{
    return part.len == strlen(word) && memcmp(part.p, word, part.len) == 0;
}

static bool take_prefix(struct part *part, const char *prefix)
{
    size_t len = strlen(prefix);
    if (part->len < len || memcmp(part->p, prefix, len) != 0)
        return false;
    part->p += len;
    part->len -= len;
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

static bool has_suffix(struct part part, const char *suffix)
{
    return take_suffix(&part, suffix);
}

static bool is_hex(struct part part, size_t len)
{
    if (part.len != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isxdigit((unsigned char)part.p[i]))
            return false;
    return true;
}

/* False, and nothing copied, if it does not fit: half a name is another name. */
static bool copy(char *to, size_t size, struct part part)
{
    if (part.len == 0 || part.len >= size || memchr(part.p, 0, part.len))
        return false;
    memcpy(to, part.p, part.len);
    to[part.len] = 0;
    return true;
}

/* 8-4-4-4-12 hex digits with `-` or, where systemd names the slice, `_`; or 32 of them. */
static bool copy_uid(struct part part, char ret[static UID_DASHED + 1])
{
    if (is_hex(part, UID_DIGITS))
        return copy(ret, UID_DASHED + 1, part);
    if (part.len != UID_DASHED)
        return false;
    for (size_t i = 0; i < part.len; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = part.p[i];
        if (is_dash ? c != '-' && c != '_' : !isxdigit((unsigned char)c))
            return false;
    }
    copy(ret, UID_DASHED + 1, part);
    for (char *c = ret; *c; c++)
        if (*c == '_')
            *c = '-';
    return true;
}

/* podUID, kubepods-QOS-podUID.slice, kubelet-kubepods-…-podUID.slice: what stands behind the last
 * "pod" that starts the name or follows a dash. */
static bool read_pod(struct part part, struct cgroup_id *id)
{
    take_suffix(&part, ".slice");
    for (size_t at = part.len; at-- > 0;) {
        struct part tail = {part.p + at, part.len - at};
        if ((at == 0 || part.p[at - 1] == '-') && take_prefix(&tail, "pod"))
            return copy_uid(tail, id->pod_uid);
    }
    return false;
}

/* Runtimes that put a word of their own before the id: WORD-ID.scope, WORD-ID, WORD:ID. */
static const struct {
    const char *prefix, *runtime;
} id_prefixes[] = {
    {"cri-containerd", "containerd"},
    {"nerdctl", "containerd"},
    {"crio", "crio"},
    {"docker", "docker"},
    {"libpod-payload", "podman"},
    {"libpod", "podman"},
    {"buildah", "buildah"},
};

static bool read_prefixed(struct part part, struct cgroup_id *id)
{
    take_suffix(&part, ".scope");
    for (size_t i = 0; i < ARRAY_LEN(id_prefixes); i++) {
        struct part tail = part;
        if (!take_prefix(&tail, id_prefixes[i].prefix) ||
            !(take_prefix(&tail, "-") || take_prefix(&tail, ":")) || !is_hex(tail, ID_DIGITS))
            continue;
        copy(id->container_id, sizeof(id->container_id), tail);
        strcpy(id->runtime, id_prefixes[i].runtime);
        return true;
    }
    return false;
}

/* ECS on its v2 agent names a container by its task's 32 digits and a number. */
static bool is_ecs_id(struct part part)
{
    if (part.len <= UID_DIGITS + 1 || part.p[UID_DIGITS] != '-' ||
        !is_hex((struct part){part.p, UID_DIGITS}, UID_DIGITS))
        return false;
    for (size_t i = UID_DIGITS + 1; i < part.len; i++)
        if (!isdigit((unsigned char)part.p[i]))
            return false;
    return true;
}

/* Cloud Foundry's garden: a GUID whose last group is cut to four digits. */
static bool is_garden_id(struct part part)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxx";
    if (part.len != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < part.len; i++)
        if (form[i] == '-' ? part.p[i] != '-' : !isxdigit((unsigned char)part.p[i]))
            return false;
    return true;
}

/* The last name of `rest` (a path without the slash at its end). */
static struct part last_part(struct part rest)
{
    const char *slash = memrchr(rest.p, '/', rest.len);
    if (!slash)
        return rest;
    return (struct part){slash + 1, (size_t)(rest.p + rest.len - slash - 1)};
}

static struct part parent_of(struct part rest)
{
    const char *slash = memrchr(rest.p, '/', rest.len);
    return (struct part){rest.p, slash ? (size_t)(slash - rest.p) : 0};
}

static bool has_part(struct part rest, const char *word)
{
    for (; rest.len; rest = parent_of(rest))
        if (is_word(last_part(rest), word))
            return true;
    return false;
}

/* A bare id, whose runtime its parents tell, if anything does. */
static bool read_bare(struct part part, struct part above, struct cgroup_id *id)
{
    struct part parent = last_part(above);
    bool in_ecs = has_part(above, "ecs");
    const char *runtime = NULL;
    take_suffix(&part, ".scope");
    if (is_hex(part, ID_DIGITS))
        runtime = in_ecs                      ? "ecs"
                  : is_word(parent, "docker") ? "docker"
                  : is_word(parent, "k8s.io") ? "containerd"
                  : is_word(parent, "moby")   ? "docker"
                                              : "";
    else if (in_ecs && is_ecs_id(part))
        runtime = "ecs";
    else if (is_word(parent, "garden") && is_garden_id(part))
        runtime = "garden";
    if (!runtime)
        return false;
    strcpy(id->runtime, runtime);
    return copy(id->container_id, sizeof(id->container_id), part);
}

/* systemd writes what a unit's name must not have as \xNN. */
static bool copy_unescaped(char *to, size_t size, struct part part)
{
    size_t n = 0;
    for (size_t i = 0; i < part.len; i++) {
        char c = part.p[i];
        unsigned value;
        if (c == '\\' && part.len - i >= 4 && part.p[i + 1] == 'x' &&
            is_hex((struct part){part.p + i + 2, 2}, 2) &&
            sscanf((char[]){part.p[i + 2], part.p[i + 3], 0}, "%x", &value) == 1 && value) {
            c = (char)value;
            i += 3;
        }
        if (n + 1 >= size || c == 0) {
            to[0] = 0;
            return false;
        }
        to[n++] = c;
    }
    to[n] = 0;
    return n > 0;
}

/* Containers that go by a name: lxc's (/lxc/NAME, /lxc.payload.NAME), and what systemd-machined
 * registers (machine-NAME.scope is nspawn's; libvirt's are machine-qemu\x2dN\x2dNAME.scope). */
static bool read_named(struct part part, struct part above, struct cgroup_id *id)
{
    struct part name = part;
    const char *runtime;
    if (is_word(last_part(above), "lxc") || take_prefix(&name, "lxc.payload.")) {
        runtime = "lxc";
    } else if (take_suffix(&name, ".scope") && take_prefix(&name, "machine-")) {
        struct part tail = name;
        runtime = take_prefix(&tail, "qemu\\x2d") ? "qemu" : "nspawn";
    } else {
        name = part;
        if (!take_prefix(&name, "systemd-nspawn@") || !take_suffix(&name, ".service"))
            return false;
        runtime = "nspawn";
    }
    if (!copy_unescaped(id->container_id, sizeof(id->container_id), name))
        return false;
    strcpy(id->runtime, runtime);
    return true;
}

/* Cgroups beside a container that carry its id: the monitor that waits for it, the mounts made for
 * it. */
static bool is_beside_container(struct part part)
{
    return take_prefix(&part, "crio-conmon-") || take_prefix(&part, "libpod-conmon-") ||
           take_prefix(&part, "lxc.monitor.") || has_suffix(part, ".mount");
}

static bool read_container(struct part part, struct part above, struct cgroup_id *id)
{
    if (is_beside_container(part))
        return false;
    return read_prefixed(part, id) || read_bare(part, above, id) || read_named(part, above, id);
}

static bool is_unit(struct part part)
{
    static const char *const suffixes[] = {".service", ".scope", ".mount", ".socket", ".swap"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        if (part.len > strlen(suffixes[i]) && has_suffix(part, suffixes[i]))
            return true;
    return false;
}

/* "kubepods-burstable-podUID.slice:cri-containerd:ID": kubelet with the systemd driver above a
 * runtime without it writes slice, prefix and id as one name. */
static bool read_slice_triple(struct part part, struct cgroup_id *id)
{
    const char *colon = memchr(part.p, ':', part.len);
    if (!colon)
        return false;
    struct part slice = {part.p, (size_t)(colon - part.p)};
    struct part tail = {colon + 1, part.len - slice.len - 1};
    if (!has_suffix(slice, ".slice") || !read_prefixed(tail, id))
        return false;
    read_pod(slice, id);
    return true;
}

void cgroup_parse_path(const char *path, size_t len, struct cgroup_id *ret)
{
    *ret = (struct cgroup_id){0};
    struct part rest = {path, len};
    take_suffix(&rest, " (deleted)"); /* its last process is a zombie */
    bool unit_seen = false;
    for (; rest.len && !*ret->pod_uid; rest = parent_of(rest)) {
        struct part part = last_part(rest), above = parent_of(rest);
        bool is_container = false;
        if (!*ret->container_id)
            is_container = read_slice_triple(part, ret) || read_container(part, above, ret);
        if (!is_container && !unit_seen && is_unit(part)) {
            copy(ret->unit, sizeof(ret->unit), part);
            unit_seen = true;
        }
        if (!is_container)
            read_pod(part, ret);
    }
    for (; rest.len && !unit_seen; rest = parent_of(rest)) {
        struct part part = last_part(rest);
        struct cgroup_id outer = {0};
        if (is_unit(part) && !read_container(part, parent_of(rest), &outer)) {
            copy(ret->unit, sizeof(ret->unit), part);
            unit_seen = true;
        }
    }
}
