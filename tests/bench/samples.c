/* samples.c: takes a recording, gives its samples and their processes' code. See samples.h.
 *
 * Which program of the corpus a process belongs to it has from its parent; the first one of each
 * has named itself "pf:NAME". Samples of processes that have none are left out. */
#include "samples.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "agent/object.h"
#include "agent/process.h"
#include "agent/recording.h"
#include "agent/ring.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "symbol/elf.h"
#include "unwind/arch.h"
#include "unwind/cfi_image.h"
#include "unwind/table.h"

#define LABEL_NONE UINT32_MAX

struct labelled { /* a process */
    uint32_t pid, label;
    UT_hash_handle hh;
};

struct known_object {
    struct object *object;
    uint32_t index;
    UT_hash_handle hh;
};

struct known_space {
    uint32_t maps_id, index;
    UT_hash_handle hh;
};

struct load {
    struct samples *s;
    struct objects *objects;
    struct processes *processes;
    struct labelled *by_pid;
    struct known_object *by_object;
    struct known_space *by_maps;
    struct record_format format;
    uint32_t room, per_label;
    uint32_t *seen; /* samples of each label met so far */
    uint32_t *want; /* first pass: all of each label */
    bool counting;
};

/* ---- labels */

static uint32_t add_label(struct load *l, const char *name)
{
    struct samples *s = l->s;
    size_t len = strcspn(name, "\n");
    for (uint32_t i = 0; i < s->label_count; i++) {
        if (strlen(s->labels[i].name) == len && memcmp(s->labels[i].name, name, len) == 0)
            return i;
    }
    uint32_t i = s->label_count++;
    s->labels = reallocarray(s->labels, s->label_count, sizeof(*s->labels));
    l->seen = reallocarray(l->seen, s->label_count, sizeof(*l->seen));
    l->want = reallocarray(l->want, s->label_count, sizeof(*l->want));
    s->labels[i] = (struct bench_label){.name = strndup(name, len)};
    l->seen[i] = l->want[i] = 0;
    return i;
}

static void set_label(struct load *l, uint32_t pid, uint32_t label)
{
    struct labelled *p;
    HASH_FIND(hh, l->by_pid, &pid, sizeof(pid), p);
    if (!p) {
        p = calloc(1, sizeof(*p));
        p->pid = pid;
        HASH_ADD(hh, l->by_pid, pid, sizeof(pid), p);
    }
    if (label != LABEL_NONE && p->label != label)
        l->s->labels[label].processes++;
    p->label = label;
}

static uint32_t get_label(const struct load *l, uint32_t pid)
{
    struct labelled *p;
    HASH_FIND(hh, l->by_pid, &pid, sizeof(pid), p);
    return p ? p->label : LABEL_NONE;
}

static void forget_labels(struct load *l)
{
    struct labelled *p, *next;
    HASH_ITER (hh, l->by_pid, p, next) {
        HASH_DEL(l->by_pid, p);
        free(p);
    }
}

/* ---- code */

static void read_headers(struct bench_object *o)
{
    const Elf64_Ehdr *e = (const Elf64_Ehdr *)o->bytes;
    if (o->len < sizeof(*e) || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 ||
        e->e_ident[EI_CLASS] != ELFCLASS64 || e->e_phoff % 8 ||
        e->e_phoff + e->e_phnum * sizeof(Elf64_Phdr) > o->len)
        return;
    const Elf64_Phdr *p = (const Elf64_Phdr *)(o->bytes + e->e_phoff);
    for (unsigned i = 0; i < e->e_phnum; i++) {
        if (p[i].p_type == PT_LOAD && o->load_count < SAMPLES_LOADS_MAX &&
            p[i].p_offset + p[i].p_filesz <= o->len)
            o->loads[o->load_count++] = p[i];
        else if (p[i].p_type == PT_GNU_EH_FRAME)
            o->eh_frame_hdr = p[i];
    }
}

static void open_object(struct samples *s, struct bench_object *o, bool vdso)
{
    struct stat st;
    o->fd = vdso ? elf_open_vdso(NULL) : open(o->path, O_RDONLY | O_CLOEXEC);
    if (o->fd < 0 || fstat(o->fd, &st) < 0 || !st.st_size)
        return;
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, o->fd, 0);
    if (bytes == MAP_FAILED)
        return;
    o->bytes = bytes;
    o->len = (size_t)st.st_size;
    read_headers(o);
    cfi_image_read(o->fd, (size_t)8 << 20, &o->image, NULL);
    int64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    struct err err = {0};
    struct unwind_table_info info;
    if (unwind_table_build(o->fd, NULL, &o->table, &err) == 0) {
        s->build_ns += (uint64_t)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start);
        unwind_table_describe(o->table, &info);
        s->rows += info.rows;
        s->table_bytes += info.bytes;
    }
}

static uint32_t get_object(struct load *l, struct object *object)
{
    if (object->kind != OBJECT_ELF && object->kind != OBJECT_VDSO)
        return SAMPLES_NO_OBJECT;
    struct known_object *k;
    HASH_FIND_PTR(l->by_object, &object, k);
    if (k)
        return k->index;
    struct samples *s = l->s;
    k = calloc(1, sizeof(*k));
    k->object = object_ref(object);
    k->index = s->object_count++;
    HASH_ADD_PTR(l->by_object, object, k);
    s->objects = reallocarray(s->objects, s->object_count, sizeof(*s->objects));
    struct bench_object *o = &s->objects[k->index];
    *o = (struct bench_object){.path = strdup(object->path), .fd = -1};
    open_object(s, o, object->kind == OBJECT_VDSO);
    return k->index;
}

static void add_module(struct samples *s, struct bench_space *space, const struct bench_mapping *m)
{
    if (m->object == SAMPLES_NO_OBJECT)
        return;
    const struct bench_object *o = &s->objects[m->object];
    for (uint32_t i = 0; i < o->load_count; i++) {
        const Elf64_Phdr *p = &o->loads[i];
        uint64_t from = p->p_offset & ~UINT64_C(4095);
        if (!(p->p_flags & PF_X) || m->file_offset < from ||
            m->file_offset >= p->p_offset + p->p_filesz)
            continue;
        uint64_t bias = m->start - m->file_offset + p->p_offset - p->p_vaddr;
        const Elf64_Phdr *last = &o->loads[o->load_count - 1];
        struct bench_module module = {.low = bias + (o->loads[0].p_vaddr & ~UINT64_C(4095)),
                                      .high = bias + last->p_vaddr + last->p_memsz,
                                      .bias = bias,
                                      .object = m->object};
        uint32_t n = space->module_count;
        if (n && module.low < space->modules[n - 1].high)
            return;
        space->modules[space->module_count++] = module;
        return;
    }
}

static uint32_t get_space(struct load *l, const struct process *p)
{
    uint32_t id = process_maps_id(p);
    struct known_space *k;
    HASH_FIND(hh, l->by_maps, &id, sizeof(id), k);
    if (k)
        return k->index;
    struct samples *s = l->s;
    k = calloc(1, sizeof(*k));
    k->maps_id = id;
    k->index = s->space_count++;
    HASH_ADD(hh, l->by_maps, maps_id, sizeof(id), k);
    s->spaces = reallocarray(s->spaces, s->space_count, sizeof(*s->spaces));
    uint32_t count;
    const struct mapping *m = process_mappings(p, &count);
    struct bench_space *space = &s->spaces[k->index];
    *space = (struct bench_space){.maps_id = id,
                                  .pid = p->pid,
                                  .mapping_count = count,
                                  .mappings = calloc(count + 1, sizeof(*space->mappings)),
                                  .modules = calloc(count + 1, sizeof(*space->modules))};
    for (uint32_t i = 0; i < count; i++) {
        space->mappings[i] = (struct bench_mapping){.start = m[i].start,
                                                    .end = m[i].end,
                                                    .file_offset = m[i].file_offset,
                                                    .object = get_object(l, m[i].object)};
        add_module(s, space, &space->mappings[i]);
    }
    return k->index;
}

/* ---- samples */

static void *copy(const void *from, size_t len)
{
    void *to = malloc(len ? len : 1);
    if (!to)
        abort();
    return memcpy(to, from, len);
}

/* Every n-th, so that all phases of a program are there. */
static bool is_chosen(const struct load *l, uint32_t label, uint32_t number)
{
    uint64_t want = l->want[label], max = l->per_label;
    return !max || want <= max || (number + 1) * max / want != number * max / want;
}

static void take_sample(struct load *l, const struct record *record)
{
    struct samples *s = l->s;
    const struct record_sample *from = &record->sample;
    uint32_t label = get_label(l, record->pid);
    s->in_file += l->counting;
    if (label == LABEL_NONE || !from->regs || !from->stack_len)
        return;
    if (l->counting) {
        l->want[label]++;
        return;
    }
    uint64_t number = l->seen[label]++;
    const struct process *p = processes_find(l->processes, record->pid);
    if (!p || !is_chosen(l, label, (uint32_t)number))
        return;
    if (s->count == l->room) {
        l->room = l->room * 2 + 1024;
        s->v = reallocarray(s->v, l->room, sizeof(*s->v));
    }
    struct bench_sample sample = {
        .space = get_space(l, p),
        .label = label,
        .regs = copy(from->regs, (size_t)__builtin_popcountll(l->format.regs_user) * 8),
        .stack = copy(from->stack, from->stack_len),
        .stack_len = (uint32_t)from->stack_len};
    struct arch_state state;
    if (!arch_load(s->regs_mask, sample.regs, from->regs_abi, &state))
        return;
    sample.stack_base = state.sp;
    if (sample.stack_len > s->dump_max)
        s->dump_max = sample.stack_len;
    s->labels[label].samples++;
    s->v[s->count++] = sample;
}

static int take(void *ctx, struct ring *ring, const void *bytes, size_t len)
{
    struct load *l = ctx;
    struct record record;
    if (record_parse(&ring->format, bytes, len, &record, NULL) < 0)
        return 0;
    if (record.kind == RECORD_SAMPLE) {
        take_sample(l, &record);
        return 0;
    }
    if (record.kind == RECORD_FORK && record.pid != record.task.ppid)
        set_label(l, record.pid, get_label(l, record.task.ppid));
    if (record.kind == RECORD_COMM && strncmp(record.comm.name, "pf:", 3) == 0)
        set_label(l, record.pid, add_label(l, record.comm.name + 3));
    return processes_apply(l->processes, &record);
}

static int pass(struct load *l, const char *path, struct err *err)
{
    struct replay *replay = NULL;
    struct recording_info info;
    int r = replay_open(path, &replay, &info, err);
    if (r < 0)
        return r;
    l->format = info.format;
    l->s->regs_mask = info.format.regs_user;
    r = processes_new(l->objects, 2 * (uint64_t)NS_PER_SEC, &l->processes, err);
    uint64_t until, expired = 0;
    while (r == 0 && (r = replay_turn(replay, take, l, &until, err)) == 1) {
        if (until - expired > (uint64_t)NS_PER_SEC)
            processes_expire(l->processes, expired = until);
        r = 0;
    }
    processes_free(&l->processes);
    replay_free(&l->s->replay);
    l->s->replay = replay;
    forget_labels(l);
    return r;
}

int samples_load(const char *path, uint32_t per_label, struct samples **ret, struct err *err)
{
    struct samples *s = calloc(1, sizeof(*s));
    struct load l = {.s = s, .per_label = per_label, .counting = true};
    if (!s)
        return err_errno(err, -ENOMEM, "samples");
    int r = objects_new(&l.objects, err);
    if (r == 0)
        r = pass(&l, path, err);
    l.counting = false;
    for (uint32_t i = 0; i < s->label_count; i++)
        s->labels[i].processes = 0;
    if (r == 0)
        r = pass(&l, path, err);
    if (r == 0 && !s->count)
        r = err_set(err, -ENODATA, "%s has no samples of the corpus's programs", path);
    *ret = s;
    return r;
}

/* ---- finding */

const struct bench_mapping *samples_find_mapping(const struct bench_space *space, uint64_t address)
{
    uint32_t low = 0, high = space->mapping_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (space->mappings[mid].end <= address)
            low = mid + 1;
        else
            high = mid;
    }
    const struct bench_mapping *m = &space->mappings[low];
    return low < space->mapping_count && address >= m->start ? m : NULL;
}

const struct bench_module *samples_find_module(const struct bench_space *space, uint64_t address)
{
    for (uint32_t i = 0; i < space->module_count; i++) {
        const struct bench_module *m = &space->modules[i];
        if (address >= m->low && address < m->high)
            return m;
    }
    return NULL;
}

size_t samples_read_code(const struct samples *samples, const struct bench_space *space,
                         const struct bench_mapping *mapping, uint64_t from, uint64_t to,
                         uint8_t *ret)
{
    if (mapping->object == SAMPLES_NO_OBJECT)
        return replay_read_memory(samples->replay, (pid_t)space->pid, from, ret, to - from);
    const struct bench_object *o = &samples->objects[mapping->object];
    uint64_t at = from - mapping->start + mapping->file_offset;
    if (at >= o->len)
        return 0;
    size_t n = to - from < o->len - at ? to - from : o->len - at;
    memcpy(ret, o->bytes + at, n);
    return n;
}
