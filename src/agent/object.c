/* object.c: takes mappings, gives objects; takes a place to look, gives the object's file. See
 * object.h. */
#include "agent/object.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <uthash.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "agent/record.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/lock.h"
#include "symbol/debug_file.h"
#include "symbol/elf.h"

#define DELETED " (deleted)"

/* In a window, an object that one process's files do not show may be found with the next. */
#define OPEN_ATTEMPTS 4

/* Debug files are mostly there or not: not looked for in each window. */
#define DEBUG_RETRY_NS (300 * NS_PER_SEC)

struct entry {
    struct object object; /* first: a struct object * is a struct entry * */
    unsigned refs;
    uint32_t major, minor;
    uint64_t inode;
    uint8_t build_id_len; /* these and what follows change, under the lock */
    uint8_t build_id[WIRE_MAX_BUILD_ID];
    int fd;
    struct debug_files debug;
    struct debug_file_stamp debug_stamp;
    int64_t debug_retry_ns;
    uint32_t wanted_window;
    unsigned attempts;
    pid_t last_pid;
    UT_hash_handle hh;
};

struct objects {
    pthread_mutex_t lock;
    struct entry *by_key;
};

int objects_new(struct objects **ret, struct err *err)
{
    struct objects *o = calloc(1, sizeof(*o));
    if (!o)
        return err_errno(err, -ENOMEM, "the table of objects");
    lock_init(&o->lock);
    *ret = o;
    return 0;
}

static void free_entry(struct entry *e)
{
    if (e->fd >= 0)
        close(e->fd);
    debug_files_close(&e->debug);
    free((char *)e->object.path);
    free(e);
}

void objects_free(struct objects **objects)
{
    if (!*objects)
        return;
    assert(!(*objects)->by_key);
    pthread_mutex_destroy(&(*objects)->lock);
    free(*objects);
    *objects = NULL;
}

static enum object_kind kind_of(const char *path)
{
    if (strcmp(path, "[vdso]") == 0)
        return OBJECT_VDSO;
    /* perf calls anonymous memory //anon; [heap], [stack], [vsyscall] are the kernel's names. */
    if (path[0] != '/' || strncmp(path, "//", 2) == 0)
        return OBJECT_ANON;
    if (strncmp(path, "/dev/zero", 9) == 0 || strncmp(path, "/SYSV", 5) == 0 ||
        strncmp(path, "/anon_hugepage", 14) == 0 ||
        strncmp(path, "/memfd:doublemapper", 19) == 0) /* .NET's code, mapped twice */
        return OBJECT_ANON;
    return OBJECT_ELF;
}

static void append_key(struct symbol_key *key, const void *bytes, size_t len)
{
    memcpy(key->bytes + key->len, bytes, len);
    key->len = (uint8_t)(key->len + len);
}

#define KEY_BUILD_ID "b"

static void make_key(const struct record_mmap *m, enum object_kind kind, struct symbol_key *ret)
{
    *ret = (struct symbol_key){0};
    if (m->build_id_len) {
        append_key(ret, KEY_BUILD_ID, 1);
        append_key(ret, m->build_id, m->build_id_len);
    } else if (kind == OBJECT_ELF && m->inode) {
        append_key(ret, "i", 1);
        append_key(ret, &m->major, sizeof(m->major));
        append_key(ret, &m->minor, sizeof(m->minor));
        append_key(ret, &m->inode, sizeof(m->inode));
        append_key(ret, &m->generation, sizeof(m->generation));
    } else {
        XXH128_hash_t hash = XXH3_128bits(m->path, strlen(m->path));
        const uint8_t k = (uint8_t)kind; /* a process may call its memory [kernel] */
        append_key(ret, "p", 1);
        append_key(ret, &k, 1);
        append_key(ret, &hash, sizeof(hash));
    }
}

bool object_has_build_id_key(const struct object *object)
{
    return object->key.bytes[0] == KEY_BUILD_ID[0];
}

static struct entry *new_entry(const struct record_mmap *m, enum object_kind kind,
                               const struct symbol_key *key)
{
    struct entry *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    size_t len = strlen(m->path);
    const size_t tail = sizeof(DELETED) - 1;
    if (len > tail && memcmp(m->path + len - tail, DELETED, tail) == 0) {
        e->object.flags |= OBJECT_DELETED;
        len -= tail;
    }
    bool anon = kind == OBJECT_ANON && strcmp(m->path, "//anon") == 0;
    e->object.path = anon ? strdup("[anon]") : strndup(m->path, len);
    if (!e->object.path) {
        free(e);
        return NULL;
    }
    e->object.kind = (uint8_t)kind;
    e->object.key = *key;
    e->build_id_len = m->build_id_len;
    memcpy(e->build_id, m->build_id, m->build_id_len);
    e->major = m->major;
    e->minor = m->minor;
    e->inode = m->inode;
    e->fd = -1;
    e->debug = (struct debug_files){-1, -1};
    return e;
}

static int get(struct objects *objects, const struct record_mmap *m, enum object_kind kind,
               struct object **ret)
{
    struct symbol_key key;
    make_key(m, kind, &key);
    struct entry *e;
    pthread_mutex_lock(&objects->lock);
    HASH_FIND(hh, objects->by_key, &key, sizeof(key), e);
    if (!e && (e = new_entry(m, kind, &key)))
        HASH_ADD(hh, objects->by_key, object.key, sizeof(key), e);
    if (e)
        object_ref(&e->object);
    pthread_mutex_unlock(&objects->lock);
    if (!e)
        return -ENOMEM;
    *ret = &e->object;
    return 0;
}

int objects_get(struct objects *objects, const struct record_mmap *mmap, struct object **ret)
{
    return get(objects, mmap, kind_of(mmap->path), ret);
}

int objects_get_kernel(struct objects *objects, struct object **ret)
{
    struct record_mmap m = {.path = "[kernel]"};
    return get(objects, &m, OBJECT_KERNEL, ret);
}

struct object *object_ref(struct object *object)
{
    __atomic_add_fetch(&((struct entry *)object)->refs, 1, __ATOMIC_RELAXED);
    return object;
}

void object_unref(struct objects *objects, struct object **object)
{
    struct entry *e = (struct entry *)*object;
    *object = NULL;
    if (!e)
        return;
    /* The last one goes under the lock, so that objects_get cannot find it half gone. */
    unsigned refs = __atomic_load_n(&e->refs, __ATOMIC_RELAXED);
    while (refs > 1) {
        if (__atomic_compare_exchange_n(&e->refs, &refs, refs - 1, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
            return;
    }
    pthread_mutex_lock(&objects->lock);
    bool last = __atomic_sub_fetch(&e->refs, 1, __ATOMIC_ACQ_REL) == 0;
    if (last)
        HASH_DEL(objects->by_key, e);
    pthread_mutex_unlock(&objects->lock);
    if (last)
        free_entry(e);
}

bool object_wants_open(struct objects *objects, struct object *object, uint32_t window, pid_t pid)
{
    struct entry *e = (struct entry *)object;
    if (object->kind != OBJECT_ELF && object->kind != OBJECT_VDSO)
        return false;
    pthread_mutex_lock(&objects->lock);
    bool first = e->wanted_window != window;
    if (first) {
        e->wanted_window = window;
        e->attempts = 0;
    }
    bool wants = e->fd < 0 && e->attempts < OPEN_ATTEMPTS && (first || pid != e->last_pid);
    if (wants) {
        e->attempts++;
        e->last_pid = pid;
    }
    pthread_mutex_unlock(&objects->lock);
    return wants;
}

static int open_below(const char *root, const char *path)
{
    _cleanup_close_ int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? -errno : fs_open_in_root(dir, path, O_RDONLY);
}

uint8_t object_build_id(struct objects *objects, const struct object *object,
                        uint8_t ret[WIRE_MAX_BUILD_ID])
{
    const struct entry *e = (const struct entry *)object;
    pthread_mutex_lock(&objects->lock);
    uint8_t len = e->build_id_len;
    memcpy(ret, e->build_id, len);
    pthread_mutex_unlock(&objects->lock);
    return len;
}

/* What a file must be to be the one that was mapped. */
struct identity {
    const struct entry *entry;
    uint8_t build_id_len;
    uint8_t build_id[WIRE_MAX_BUILD_ID];
};

/* The build-id where one is known; else the inode. The device is compared only in our own mount
 * namespace: an overlay's files report the overlay's device, their mappings the one below. */
static bool is_same_file(const struct identity *i, int fd, bool own_root)
{
    const struct entry *e = i->entry;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    if (i->build_id_len) {
        uint8_t id[WIRE_MAX_BUILD_ID];
        size_t len = 0;
        return elf_read_build_id(fd, id, &len, NULL) == 0 && len == i->build_id_len &&
               memcmp(id, i->build_id, len) == 0;
    }
    if (st.st_ino != e->inode)
        return false;
    return !own_root || (major(st.st_dev) == e->major && minor(st.st_dev) == e->minor);
}

static int open_mapped(const struct object_place *place)
{
    char path[80];
    snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", place->pid,
             (unsigned long long)place->start, (unsigned long long)place->end);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd < 0 ? -errno : fd;
}

static int find_file(const struct identity *i, const struct object_place *place, struct err *err)
{
    const char *path = i->entry->object.path;
    /* No file can be in the way here, but the process may have mapped another since. */
    int mapped = open_mapped(place);
    if (mapped >= 0 && is_same_file(i, mapped, false))
        return mapped;
    if (mapped >= 0)
        close(mapped);
    const pid_t pids[] = {place->pid, place->ppid, 0};
    int first = 0;
    for (size_t k = 0; k < ARRAY_LEN(pids); k++) {
        char root[40] = "/";
        if (pids[k])
            snprintf(root, sizeof(root), "/proc/%d/root", pids[k]);
        int fd = open_below(root, path);
        if (fd >= 0 && is_same_file(i, fd, pids[k] == 0))
            return fd;
        if (fd >= 0)
            close(fd);
        if (!first)
            first = fd >= 0 ? -ESTALE : fd;
    }
    const char *advice = first == -EACCES ? "; needs CAP_SYS_PTRACE" : "";
    return err_errno(err, first, "opening %s as pid %d mapped it (map_files: %s%s)", path,
                     place->pid, mapped < 0 ? strerrordesc_np(-mapped) : "another file", advice);
}

/* The process's root, if it is still there, its parent's else, and our own, which may be the same
 * one. */
static size_t open_roots(const struct object_place *place, int ret[2])
{
    const pid_t pids[] = {place->pid, place->ppid};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(pids) && count == 0; i++) {
        char path[40];
        snprintf(path, sizeof(path), "/proc/%d/root", pids[i]);
        int fd = pids[i] ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        if (fd >= 0)
            ret[count++] = fd;
    }
    struct stat theirs, ours;
    int own = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool is_same = count && own >= 0 && fstat(ret[0], &theirs) == 0 && fstat(own, &ours) == 0 &&
                   theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
    if (own >= 0 && !is_same)
        ret[count++] = own;
    else if (own >= 0)
        close(own);
    return count;
}

static void find_debug_files(const struct entry *e, int fd, const struct object_place *place,
                             struct debug_file_stamp *stamp, struct debug_files *ret)
{
    int roots[2];
    size_t count = open_roots(place, roots);
    debug_files_find(fd, e->object.path, roots, count, stamp, ret, NULL);
    for (size_t i = 0; i < count; i++)
        close(roots[i]);
}

/* What an opening found, or was told. */
struct opened {
    int fd;
    uint8_t build_id_len; /* 0: known before */
    uint8_t build_id[WIRE_MAX_BUILD_ID];
    bool looked_for_debug;
    struct debug_files debug;
    struct debug_file_stamp stamp;
};

/* Two threads may have opened it at once. */
static void keep(struct objects *objects, struct entry *e, struct opened *o)
{
    pthread_mutex_lock(&objects->lock);
    if (o->build_id_len) {
        memcpy(e->build_id, o->build_id, o->build_id_len);
        e->build_id_len = o->build_id_len;
    }
    if (o->looked_for_debug) {
        e->debug_stamp = o->stamp;
        bool found = o->debug.debug >= 0 || o->debug.alt >= 0;
        e->debug_retry_ns = found ? 0 : clock_ns(CLOCK_MONOTONIC) + DEBUG_RETRY_NS;
    }
    if (e->fd < 0) {
        e->fd = TAKE_FD(o->fd);
        e->debug = o->debug;
        o->debug = (struct debug_files){-1, -1};
    }
    pthread_mutex_unlock(&objects->lock);
    cleanup_close(&o->fd);
    debug_files_close(&o->debug);
}

int object_open(struct objects *objects, struct object *object, const struct object_place *place,
                struct err *err)
{
    struct entry *e = (struct entry *)object;
    struct opened o = {.fd = -1, .debug = {-1, -1}};
    pthread_mutex_lock(&objects->lock);
    bool open_already = e->fd >= 0;
    struct identity identity = {.entry = e, .build_id_len = e->build_id_len};
    memcpy(identity.build_id, e->build_id, e->build_id_len);
    o.stamp = e->debug_stamp;
    o.looked_for_debug =
        object->kind == OBJECT_ELF && clock_ns(CLOCK_MONOTONIC) >= e->debug_retry_ns;
    pthread_mutex_unlock(&objects->lock);
    if (open_already)
        return 0;
    o.fd = object->kind == OBJECT_VDSO ? elf_open_vdso(err) : find_file(&identity, place, err);
    if (o.fd < 0)
        return o.fd;
    size_t len = 0;
    if (!identity.build_id_len && elf_read_build_id(o.fd, o.build_id, &len, NULL) == 0)
        o.build_id_len = (uint8_t)len;
    if (o.looked_for_debug)
        find_debug_files(e, o.fd, place, &o.stamp, &o.debug);
    keep(objects, e, &o);
    return 0;
}

static int dup_fd(int fd)
{
    int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -ENOENT : copy < 0 ? -errno : copy;
}

int object_dup_fd(struct objects *objects, struct object *object)
{
    struct entry *e = (struct entry *)object;
    pthread_mutex_lock(&objects->lock);
    int fd = dup_fd(e->fd);
    pthread_mutex_unlock(&objects->lock);
    return fd;
}

void object_dup_debug(struct objects *objects, struct object *object, struct debug_files *ret)
{
    struct entry *e = (struct entry *)object;
    pthread_mutex_lock(&objects->lock);
    int debug = dup_fd(e->debug.debug), alt = dup_fd(e->debug.alt);
    pthread_mutex_unlock(&objects->lock);
    *ret = (struct debug_files){debug < 0 ? -1 : debug, alt < 0 ? -1 : alt};
}

void object_close(struct objects *objects, struct object *object, uint32_t window)
{
    struct entry *e = (struct entry *)object;
    pthread_mutex_lock(&objects->lock);
    _cleanup_close_ int fd = -1;
    _cleanup_(debug_files_close) struct debug_files debug = {-1, -1};
    if (e->wanted_window <= window) {
        fd = TAKE_FD(e->fd);
        debug = e->debug;
        e->debug = (struct debug_files){-1, -1};
    }
    pthread_mutex_unlock(&objects->lock);
}
