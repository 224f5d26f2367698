/* process.c: takes records of forks, execs, mappings and exits, gives who and what lies at an
 * address. See process.h.
 *
 * A fork shares its parent's mappings until one of the two changes them, which is mostly never: the
 * child executes something else first. */
#include "agent/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <uthash.h>

#include "agent/object.h"
#include "agent/record.h"
#include "base/cleanup.h"
#include "base/err.h"

/* A process that maps more executable ranges than this is not followed further: its oldest, lowest
 * stay. Real ones have a few hundred. */
#define MAPPINGS_MAX 65536

/* Two sources tell the same start to a clock tick (10 ms) and what lies between two clock readings.
 */
#define START_TOLERANCE_NS 50000000u

struct maps {
    unsigned refs;
    uint32_t id; /* anew at each change */
    uint32_t count, room;
    struct mapping *v; /* by start, no two overlap */
};

struct entry {
    struct process process; /* first: a struct process * is a struct entry * */
    struct maps *maps;
    uint32_t threads;
    bool exited;
    bool told_again; /* /proc has told of it as it was known already; its COMM follows */
    uint64_t exit_time;
    char name[PROCESS_NAME_MAX];
    char *exe;
    uint32_t last_hit; /* mapping found last */
    UT_hash_handle hh;
};

struct thread {
    uint32_t tid, pid;
    char comm[PROCESS_COMM_MAX];
    UT_hash_handle hh;
};

struct processes {
    struct objects *objects;
    struct entry *by_pid;
    struct thread *by_tid;
    uint64_t linger_ns;
    uint32_t last_serial, last_maps_id;
};

/* ---- mappings */

static void maps_unref(struct processes *ps, struct maps **maps)
{
    struct maps *m = *maps;
    *maps = NULL;
    if (!m || --m->refs)
        return;
    for (uint32_t i = 0; i < m->count; i++)
        object_unref(ps->objects, &m->v[i].object);
    free(m->v);
    free(m);
}

/* Makes the entry's mappings its own and leaves room for two more. */
static int maps_own(struct processes *ps, struct entry *e)
{
    struct maps *old = e->maps;
    if (!old || old->refs > 1) {
        struct maps *m = calloc(1, sizeof(*m));
        uint32_t count = old ? old->count : 0;
        if (m && !(m->v = malloc((count + 8) * sizeof(*m->v)))) {
            free(m);
            m = NULL;
        }
        if (!m)
            return -ENOMEM;
        m->refs = 1;
        m->room = count + 8;
        m->count = count;
        for (uint32_t i = 0; i < count; i++) {
            m->v[i] = old->v[i];
            object_ref(m->v[i].object);
        }
        maps_unref(ps, &e->maps);
        e->maps = m;
    }
    struct maps *m = e->maps;
    if (m->room < m->count + 2) {
        struct mapping *v = realloc(m->v, (m->count + m->count / 2 + 8) * sizeof(*v));
        if (!v)
            return -ENOMEM;
        m->v = v;
        m->room = m->count + m->count / 2 + 8;
    }
    return 0;
}

/* Index of the first mapping that ends behind `address`. */
static uint32_t maps_lower(const struct maps *m, uint64_t address)
{
    uint32_t low = 0, high = m->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (m->v[mid].end <= address)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void maps_remove_at(struct processes *ps, struct maps *m, uint32_t at)
{
    object_unref(ps->objects, &m->v[at].object);
    memmove(&m->v[at], &m->v[at + 1], (m->count - at - 1) * sizeof(*m->v));
    m->count--;
}

static void maps_insert_at(struct maps *m, uint32_t at, struct mapping mapping)
{
    memmove(&m->v[at + 1], &m->v[at], (m->count - at) * sizeof(*m->v));
    m->v[at] = mapping;
    m->count++;
}

/* mmap(2) replaces whatever was there: clears [start, end), which may cut one mapping in two. */
static void maps_clear_range(struct processes *ps, struct maps *m, uint64_t start, uint64_t end)
{
    uint32_t at = maps_lower(m, start);
    if (at < m->count && m->v[at].start < start) {
        struct mapping *first = &m->v[at];
        /* At the cap no name is better than a wrong one: what lies behind is given up. */
        if (first->end > end && m->count < MAPPINGS_MAX) {
            struct mapping tail = *first;
            tail.file_offset += end - tail.start;
            tail.start = end;
            object_ref(tail.object);
            first->end = start;
            maps_insert_at(m, at + 1, tail);
            return;
        }
        first->end = start;
        at++;
    }
    while (at < m->count && m->v[at].end <= end)
        maps_remove_at(ps, m, at);
    if (at < m->count && m->v[at].start < end) {
        m->v[at].file_offset += end - m->v[at].start;
        m->v[at].start = end;
    }
}

/* /proc, when it is read again, tells of what is known, but has no build-ids. */
static bool is_known(const struct maps *m, const struct mapping *mapping,
                     const struct record_mmap *mmap)
{
    uint32_t at = m ? maps_lower(m, mapping->start) : 0;
    if (!m || at == m->count)
        return false;
    const struct mapping *old = &m->v[at];
    return old->start == mapping->start && old->end == mapping->end &&
           old->file_offset == mapping->file_offset &&
           (old->object == mapping->object ||
            (!mmap->build_id_len && object_has_build_id_key(old->object) &&
             strcmp(old->object->path, mapping->object->path) == 0));
}

static int add_mapping(struct processes *ps, struct entry *e, const struct record_mmap *mmap)
{
    if (!(mmap->prot & PROT_EXEC) || mmap->len == 0 || mmap->start + mmap->len < mmap->start)
        return 0;
    struct mapping mapping = {
        .start = mmap->start, .end = mmap->start + mmap->len, .file_offset = mmap->file_offset};
    int r = objects_get(ps->objects, mmap, &mapping.object);
    if (r < 0)
        return r;
    bool known = is_known(e->maps, &mapping, mmap);
    if (known || (r = maps_own(ps, e)) < 0) {
        object_unref(ps->objects, &mapping.object);
        return known ? 0 : r;
    }
    maps_clear_range(ps, e->maps, mapping.start, mapping.end);
    e->maps->id = ++ps->last_maps_id;
    if (e->maps->count >= MAPPINGS_MAX) {
        object_unref(ps->objects, &mapping.object);
        return 0;
    }
    maps_insert_at(e->maps, maps_lower(e->maps, mapping.start), mapping);
    return 0;
}

uint32_t process_maps_id(const struct process *process)
{
    const struct entry *e = (const struct entry *)process;
    return e->maps ? e->maps->id : 0;
}

const struct mapping *process_find_mapping(const struct process *process, uint64_t address)
{
    struct entry *e = (struct entry *)process;
    const struct maps *m = e->maps;
    if (!m || !m->count)
        return NULL;
    /* Neighbouring frames mostly lie in one object. */
    uint32_t at = e->last_hit;
    if (at >= m->count || address < m->v[at].start || address >= m->v[at].end)
        at = maps_lower(m, address);
    if (at == m->count || address < m->v[at].start)
        return NULL;
    e->last_hit = at;
    return &m->v[at];
}

const struct mapping *process_mappings(const struct process *process, uint32_t *ret_count)
{
    const struct entry *e = (const struct entry *)process;
    *ret_count = e->maps ? e->maps->count : 0;
    return e->maps ? e->maps->v : NULL;
}

/* ---- processes and threads */

int processes_new(struct objects *objects, uint64_t linger_ns, struct processes **ret,
                  struct err *err)
{
    struct processes *ps = calloc(1, sizeof(*ps));
    if (!ps)
        return err_errno(err, -ENOMEM, "the table of processes");
    ps->objects = objects;
    ps->linger_ns = linger_ns;
    *ret = ps;
    return 0;
}

static void drop(struct processes *ps, struct entry *e)
{
    HASH_DEL(ps->by_pid, e);
    maps_unref(ps, &e->maps);
    free(e->exe);
    free(e);
}

void processes_free(struct processes **processes)
{
    struct processes *ps = *processes;
    if (!ps)
        return;
    struct entry *e, *next;
    HASH_ITER (hh, ps->by_pid, e, next) {
        drop(ps, e);
    }
    struct thread *t, *next_thread;
    HASH_ITER (hh, ps->by_tid, t, next_thread) {
        HASH_DEL(ps->by_tid, t);
        free(t);
    }
    free(ps);
    *processes = NULL;
}

static struct entry *find(struct processes *ps, uint32_t pid)
{
    struct entry *e;
    HASH_FIND(hh, ps->by_pid, &pid, sizeof(pid), e);
    return e;
}

static struct entry *make(struct processes *ps, uint32_t pid)
{
    struct entry *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->process.pid = pid;
    e->process.serial = ++ps->last_serial;
    e->process.name = e->name;
    e->process.exe = "";
    HASH_ADD(hh, ps->by_pid, process.pid, sizeof(pid), e);
    return e;
}

struct process *processes_find(struct processes *processes, uint32_t pid)
{
    struct entry *e = find(processes, pid);
    return e ? &e->process : NULL;
}

struct process *processes_get(struct processes *processes, uint32_t pid, uint64_t time)
{
    struct entry *e = find(processes, pid);
    if (!e && (e = make(processes, pid))) {
        /* No EXIT will be counted for it: it goes after lingering, unless something is heard. */
        e->exited = true;
        e->exit_time = time;
    }
    return e ? &e->process : NULL;
}

struct process *processes_keep(struct processes *processes, const struct process *process)
{
    const struct entry *of = (const struct entry *)process;
    struct entry *e = malloc(sizeof(*e));
    if (!e)
        return NULL;
    *e = *of;
    if (of->exe && !(e->exe = strdup(of->exe))) {
        free(e);
        return NULL;
    }
    e->process.name = e->name;
    e->process.exe = e->exe ? e->exe : "";
    if (e->maps)
        e->maps->refs++; /* who changes them now makes a copy of its own */
    return &e->process;
}

void processes_let_go(struct processes *processes, struct process **kept)
{
    struct entry *e = (struct entry *)*kept;
    if (!e)
        return;
    maps_unref(processes, &e->maps);
    free(e->exe);
    free(e);
    *kept = NULL;
}

static void set_comm(char to[PROCESS_COMM_MAX], const char *from)
{
    size_t len = strnlen(from, PROCESS_COMM_MAX - 1);
    memcpy(to, from, len);
    to[len] = 0;
}

static struct thread *get_thread(struct processes *ps, uint32_t tid, uint32_t pid)
{
    struct thread *t;
    HASH_FIND(hh, ps->by_tid, &tid, sizeof(tid), t);
    if (!t) {
        if (!(t = calloc(1, sizeof(*t))))
            return NULL;
        t->tid = tid;
        HASH_ADD(hh, ps->by_tid, tid, sizeof(tid), t);
    }
    if (t->pid != pid) {
        struct entry *from = t->pid ? find(ps, t->pid) : NULL, *to = find(ps, pid);
        if (from && from->threads)
            from->threads--;
        if (to)
            to->threads++;
        t->pid = pid;
    }
    return t;
}

static void forget_thread(struct processes *ps, struct thread *t, uint64_t time)
{
    struct entry *e = find(ps, t->pid);
    if (e && e->threads && --e->threads == 0) {
        e->exited = true;
        e->exit_time = time;
    }
    HASH_DEL(ps->by_tid, t);
    free(t);
}

/* Threads that are left have not been told to exit: they must not count for the pid's next owner.
 */
static void drop_with_threads(struct processes *ps, struct entry *e)
{
    struct thread *t, *next;
    HASH_ITER (hh, ps->by_tid, t, next) {
        if (!e->threads)
            break;
        if (t->pid == e->process.pid)
            forget_thread(ps, t, e->exit_time);
    }
    drop(ps, e);
}

bool processes_know_thread(const struct processes *processes, uint32_t tid)
{
    struct thread *t;
    HASH_FIND(hh, processes->by_tid, &tid, sizeof(tid), t);
    return t;
}

const char *processes_thread_name(const struct processes *processes, uint32_t tid)
{
    struct thread *t;
    HASH_FIND(hh, processes->by_tid, &tid, sizeof(tid), t);
    return t ? t->comm : "";
}

static int apply_comm(struct processes *ps, const struct record *record)
{
    struct entry *e = find(ps, record->pid);
    if (!e && !(e = make(ps, record->pid)))
        return -ENOMEM;
    struct thread *t = get_thread(ps, record->tid, record->pid);
    if (!t)
        return -ENOMEM;
    set_comm(t->comm, record->comm.name);
    e->exited = false;
    bool same = e->told_again && strncmp(e->name, record->comm.name, PROCESS_COMM_MAX - 1) == 0;
    e->told_again = false;
    if (record->comm.exec && same)
        return 0;
    if (record->comm.exec) {
        /* The old program's mappings are gone; the new one's follow. */
        maps_unref(ps, &e->maps);
        free(e->exe);
        e->exe = NULL;
        e->process.exe = "";
        e->process.serial = ++ps->last_serial;
        e->process.made_window = 0;
    }
    if (record->comm.exec || (!e->name[0] && record->pid == record->tid))
        set_comm(e->name, record->comm.name);
    e->process.known = true;
    return 0;
}

/* The first file mapped after an exec is what was executed (load_elf_binary() maps the program
 * before its interpreter). A name cut at 15 bytes is completed from it. */
static int set_exe(struct processes *ps, struct entry *e, const char *path)
{
    e->exe = strdup(path);
    if (!e->exe)
        return -ENOMEM;
    e->process.exe = e->exe;
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    size_t len = strlen(base);
    if (strlen(e->name) == PROCESS_COMM_MAX - 1 && len >= PROCESS_COMM_MAX &&
        len < PROCESS_NAME_MAX && strncmp(base, e->name, PROCESS_COMM_MAX - 1) == 0) {
        memcpy(e->name, base, len + 1);
        e->process.serial = ++ps->last_serial;
        e->process.made_window = 0;
    }
    return 0;
}

static int apply_mmap(struct processes *ps, const struct record *record)
{
    /* The kernel's own text and modules: pid -1. */
    if (record->pid == UINT32_MAX)
        return 0;
    struct entry *e = find(ps, record->pid);
    if (!e && !(e = make(ps, record->pid)))
        return -ENOMEM;
    const char *path = record->mmap.path;
    if (!e->exe && path[0] == '/' && path[1] != '/') {
        int r = set_exe(ps, e, path);
        if (r < 0)
            return r;
    }
    return add_mapping(ps, e, &record->mmap);
}

static int apply_new_process(struct processes *ps, const struct record *record)
{
    struct entry *e = find(ps, record->pid);
    uint64_t start = record->time;
    if (e) {
        uint64_t known = e->process.start_time;
        uint64_t apart = known > start ? known - start : start - known;
        if (known && apart < START_TOLERANCE_NS && !e->exited) {
            e->process.ppid = record->task.ppid;
            e->told_again = true;
            return 0;
        }
        drop_with_threads(ps, e);
    }
    struct thread *left;
    HASH_FIND(hh, ps->by_tid, &record->tid, sizeof(record->tid), left);
    if (left) /* of another process; its EXIT was lost */
        forget_thread(ps, left, record->time);
    if (!(e = make(ps, record->pid)))
        return -ENOMEM;
    e->process.start_time = start;
    e->process.ppid = record->task.ppid;
    e->process.known = true;
    struct thread *t = get_thread(ps, record->tid, record->pid);
    if (!t)
        return -ENOMEM;
    struct entry *parent = find(ps, record->task.ppid);
    if (!parent)
        return 0;
    memcpy(e->name, parent->name, sizeof(e->name));
    set_comm(t->comm, processes_thread_name(ps, record->task.ptid));
    e->process.cgroup = parent->process.cgroup;
    if ((e->maps = parent->maps))
        e->maps->refs++;
    if (parent->exe) {
        if (!(e->exe = strdup(parent->exe)))
            return -ENOMEM;
        e->process.exe = e->exe;
    }
    return 0;
}

static int apply_fork(struct processes *ps, const struct record *record)
{
    if (record->pid == record->tid)
        return apply_new_process(ps, record);
    struct entry *e = find(ps, record->pid);
    if (!e && !(e = make(ps, record->pid)))
        return -ENOMEM;
    e->exited = false;
    struct thread *t = get_thread(ps, record->tid, record->pid);
    if (!t)
        return -ENOMEM;
    set_comm(t->comm, processes_thread_name(ps, record->task.ptid));
    return 0;
}

static void apply_exit(struct processes *ps, const struct record *record)
{
    struct thread *t;
    HASH_FIND(hh, ps->by_tid, &record->tid, sizeof(record->tid), t);
    if (t && t->pid != record->pid)
        return;
    struct entry *e = find(ps, record->pid);
    if (t)
        forget_thread(ps, t, record->time);
    if (e && e->threads == 0) {
        e->exited = true;
        e->exit_time = record->time;
    }
}

int processes_apply(struct processes *processes, const struct record *record)
{
    switch (record->kind) {
    case RECORD_COMM:
        return apply_comm(processes, record);
    case RECORD_MMAP:
        return apply_mmap(processes, record);
    case RECORD_FORK:
        return apply_fork(processes, record);
    case RECORD_EXIT:
        apply_exit(processes, record);
        return 0;
    default:
        return 0;
    }
}

void processes_expire(struct processes *processes, uint64_t now)
{
    struct entry *e, *next;
    HASH_ITER (hh, processes->by_pid, e, next) {
        if (e->exited && e->exit_time + processes->linger_ns < now)
            drop_with_threads(processes, e);
    }
}

void processes_find_gone(struct processes *processes, uint64_t now, bool (*is_gone)(uint32_t pid))
{
    struct entry *e, *next;
    HASH_ITER (hh, processes->by_pid, e, next) {
        if (!e->exited && is_gone(e->process.pid)) {
            e->exited = true;
            e->exit_time = now;
        }
    }
}

size_t processes_count(const struct processes *processes)
{
    return HASH_COUNT(processes->by_pid);
}
