/* naming.c: takes an object's offsets, gives names. See naming.h. */
#include "agent/naming.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/counters.h"
#include "agent/jit.h"
#include "agent/ksymbols.h"
#include "agent/naming_made.h"
#include "agent/object.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/strings.h"
#include "symbol/debug_file.h"
#include "symbol/kallsyms.h"
#include "symbol/symbol.h"
#include "symbol/worker.h"

/* A module loaded since brings symbols; reading kallsyms costs some 100 ms. */
#define KALLSYMS_RELOAD_NS (60 * NS_PER_SEC)

struct naming {
    struct objects *objects;
    bool exact;
    struct counters *counters;
    struct worker *worker;                    /* NULL: none */
    uint64_t workers_started, workers_failed; /* of it, counted already */
    int64_t dwarf_ns;                         /* CPU time it may take for a window */
    struct symbolizer *symbolizer;
    struct kallsyms *kallsyms; /* NULL: hidden */
    int64_t kallsyms_loaded_ns;
    struct ksymbols *ksymbols;          /* or NULL */
    struct symbol_frame *kernel_frames; /* handed out by the last call */
    size_t kernel_room;
    struct jit *jit;
    struct naming_made *made;
    struct strings ksymbol_names; /* of the last call */
};

static void load_kallsyms(struct naming *n)
{
    n->kallsyms_loaded_ns = clock_ns(CLOCK_MONOTONIC);
    _cleanup_close_ int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
    struct err err = {0};
    struct kallsyms *fresh = NULL;
    int r = fd < 0 ? err_errno(&err, -errno, "opening /proc/kallsyms")
                   : kallsyms_load(fd, &fresh, &err);
    if (r < 0) {
        if (!n->kallsyms)
            log_warn("kernel frames have no names error=\"%s\"", err.text);
        return;
    }
    kallsyms_free(&n->kallsyms);
    n->kallsyms = fresh;
}

int naming_new(const struct naming_config *config, struct naming **ret, struct err *err)
{
    struct naming *n = calloc(1, sizeof(*n));
    if (!n)
        return err_errno(err, -ENOMEM, "names");
    n->objects = config->objects;
    n->counters = config->counters;
    n->ksymbols = config->ksymbols;
    n->exact = config->exact;
    n->dwarf_ns = config->dwarf_ns;
    int r = symbolizer_new(config->max_bytes, &n->symbolizer, err);
    if (r == 0 && config->worker)
        r = worker_new(config->worker, &n->worker, err);
    if (r < 0) {
        naming_free(&n);
        return r;
    }
    load_kallsyms(n);
    *ret = n;
    return 0;
}

void naming_free(struct naming **names)
{
    if (!*names)
        return;
    symbolizer_free(&(*names)->symbolizer);
    worker_free(&(*names)->worker);
    kallsyms_free(&(*names)->kallsyms);
    free((*names)->kernel_frames);
    naming_made_free(&(*names)->made);
    strings_free(&(*names)->ksymbol_names);
    free(*names);
    *names = NULL;
}

void naming_begin(struct naming *names)
{
    if (names->worker)
        symbolizer_use_worker(names->symbolizer, names->worker, names->dwarf_ns,
                              clock_ns(CLOCK_MONOTONIC) + names->dwarf_ns);
}

void naming_end(struct naming *names)
{
    if (!names->worker)
        return;
    worker_rest(names->worker);
    uint64_t started = worker_started(names->worker), failed = worker_failed(names->worker);
    counter_add(names->counters, symbol_workers_started, started - names->workers_started);
    counter_add(names->counters, symbol_workers_failed, failed - names->workers_failed);
    names->workers_started = started;
    names->workers_failed = failed;
}

static bool any_unknown(const struct naming *n, const uint64_t *addresses, size_t count)
{
    struct kallsyms_symbol s;
    uint64_t offset;
    for (size_t i = 0; i < count; i++) {
        if (kallsyms_find(n->kallsyms, addresses[i], &s, &offset) < 0)
            return true;
    }
    return false;
}

static bool reserve_kernel_frames(struct naming *n, size_t count)
{
    if (count <= n->kernel_room)
        return true;
    struct symbol_frame *frames = reallocarray(n->kernel_frames, count, sizeof(*frames));
    if (!frames)
        return false;
    n->kernel_frames = frames;
    n->kernel_room = count;
    return true;
}

static int find_ksymbol(struct naming *n, uint64_t address, struct symbol_frame *to,
                        struct name *ret)
{
    struct ksymbol found;
    uint32_t text;
    if (!n->ksymbols)
        return -ENOENT;
    switch (ksymbols_find(n->ksymbols, address, &found)) {
    case KSYMBOL_NONE:
        return -ENOENT;
    case KSYMBOL_UNSURE:
        return 0;
    case KSYMBOL_FOUND:
        break;
    }
    if (strings_add(&n->ksymbol_names, found.name, &text) == 0) {
        *to = (struct symbol_frame){.name = n->ksymbol_names.texts[text]};
        *ret = (struct name){0, to, 1, found.module};
    }
    return 0;
}

/* Without kallsyms nothing turns an address into an offset, and a bare one would tell where the
 * kernel lies. What the kernel told of code that came later goes before what was read earlier. */
static void find_kernel(struct naming *n, const uint64_t *addresses, size_t count, struct name *ret)
{
    int64_t age = clock_ns(CLOCK_MONOTONIC) - n->kallsyms_loaded_ns;
    if (age > KALLSYMS_RELOAD_NS && (!n->kallsyms || any_unknown(n, addresses, count)))
        load_kallsyms(n);
    bool has_room = reserve_kernel_frames(n, count);
    strings_clear(&n->ksymbol_names);
    for (size_t i = 0; i < count; i++) {
        ret[i] = (struct name){.module = "kernel"};
        struct symbol_frame *frame = &n->kernel_frames[i];
        struct kallsyms_symbol s;
        if (!n->kallsyms || !has_room || find_ksymbol(n, addresses[i], frame, &ret[i]) == 0 ||
            kallsyms_find(n->kallsyms, addresses[i], &s, &ret[i].address) < 0)
            continue;
        *frame = (struct symbol_frame){.name = s.name};
        ret[i] = (struct name){s.start, frame, 1, s.module};
    }
}

struct open_ctx {
    struct objects *objects;
    struct object *object;
    bool found;
};

static int open_object(void *ctx, struct debug_files *ret_debug, struct err *err)
{
    struct open_ctx *c = ctx;
    int fd = object_dup_fd(c->objects, c->object);
    if (fd < 0)
        return err_errno(err, fd, "%s was not found", c->object->path);
    c->found = true;
    object_dup_debug(c->objects, c->object, ret_debug);
    return fd;
}

static enum naming_source find_in_file(struct naming *n, struct object *object,
                                       const uint64_t *offsets, size_t count, struct name *ret)
{
    _cleanup_free_ struct symbol_addr *addrs = calloc(count, sizeof(*addrs));
    for (size_t i = 0; i < count; i++)
        ret[i] = (struct name){.address = offsets[i]};
    if (!addrs)
        return NAMING_NO_FILE;
    for (size_t i = 0; i < count; i++)
        addrs[i].file_offset = offsets[i];
    struct open_ctx ctx = {n->objects, object, false};
    struct err err = {0};
    int r = symbolizer_resolve(n->symbolizer, &object->key, open_object, &ctx, addrs, count, &err);
    if (r < 0)
        log_debug("no symbols object=\"%s\" error=\"%s\"", object->path, err.text);
    bool all_translated = true;
    for (size_t i = 0; i < count; i++)
        all_translated = all_translated && addrs[i].translated;
    /* One object's addresses are of one kind: all of the file, or all of the ELF image. */
    if (!all_translated)
        return r == -ENOENT && !ctx.found ? NAMING_NO_FILE : NAMING_NO_ELF;
    for (size_t i = 0; i < count; i++) {
        bool at_start = addrs[i].frame_count && !n->exact;
        ret[i].address = at_start ? addrs[i].start : addrs[i].address;
        ret[i].frames = addrs[i].frames;
        ret[i].frame_count = addrs[i].frame_count;
    }
    return NAMING_FILE;
}

enum naming_source naming_find(struct naming *names, struct object *object, const uint64_t *offsets,
                               size_t count, struct name *ret)
{
    switch (object->kind) {
    case OBJECT_KERNEL:
        find_kernel(names, offsets, count, ret);
        return NAMING_FILE;
    case OBJECT_ELF:
    case OBJECT_VDSO:
        return find_in_file(names, object, offsets, count, ret);
    default:
        for (size_t i = 0; i < count; i++)
            ret[i] = (struct name){.address = offsets[i]};
        return NAMING_FILE;
    }
}

bool naming_is_exact(const struct naming *names)
{
    return names->exact;
}

void naming_set_jit(struct naming *names, struct jit *jit)
{
    names->jit = jit;
}

void naming_find_made(struct naming *names, uint32_t process, const struct jit_span *spans,
                      size_t count, struct name *ret)
{
    naming_made_find(&names->made, names->jit, process, spans, count, ret);
}

size_t naming_bytes(const struct naming *names)
{
    return symbolizer_bytes(names->symbolizer) +
           (names->kallsyms ? kallsyms_bytes(names->kallsyms) : 0) +
           (names->jit ? jit_bytes(names->jit) : 0);
}
