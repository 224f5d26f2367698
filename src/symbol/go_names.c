/* go_names.c: takes addresses of a Go program, gives the functions there, with what is inlined. See
 * go_names.h.
 *
 * As Go's runtime does it (runtime/symtabinl.go): code tells which inlined call it belongs to; that
 * call, which function was inlined and at which instruction of its caller; that instruction again,
 * which call it belongs to, until it is none. File and line are those of each instruction. Before
 * Go 1.20 calls tell their callers and lines also themselves, and are right more often. */
#include "symbol/go_names.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "symbol/chains.h"
#include "symbol/go_image.h"
#include "symbol/go_symtab.h"
#include "symbol/go_text.h"
#include "symbol/names.h"
#include "symbol/pages.h"

/* Go's compiler has written trees with circles in them (go.dev/issue/54625). */
#define DEPTH_MAX 256u

/* Of work for one call, about in bytes to read. Real programs take some 2 KiB for an address. */
#define LEFT_MIN         ((uint64_t)16 << 20)
#define LEFT_PER_ADDRESS ((uint64_t)8 << 10)

struct finder {
    struct go_image image;
    uint64_t left;
    /* of the function at hand */
    struct go_record record;
    struct go_values files, lines, inlined;
    bool readable; /* its programs are */
    /* of the address at hand */
    struct buf name; /* as the linker has it */
    struct buf texts;
};

/* A function at an address: where its texts are among `texts`. */
struct place {
    size_t name, file;
    bool has_file;
    uint32_t line;
};

static void finder_done(struct finder *f)
{
    go_values_free(&f->files);
    go_values_free(&f->lines);
    go_values_free(&f->inlined);
    buf_free(&f->name);
    buf_free(&f->texts);
}

/* What is malformed costs an answer; other failures end the search. */
static bool is_fatal(int r)
{
    return r < 0 && r != -EBADMSG;
}

static int read_programs(struct finder *f)
{
    const struct go_record *record = &f->record;
    int r = go_values_read(&f->image, record, record->lines, &f->left, &f->lines);
    if (r == 0)
        r = go_values_read(&f->image, record, record->files, &f->left, &f->files);
    if (r == 0)
        r = go_values_read(&f->image, record, record->inlined, &f->left, &f->inlined);
    f->readable = r == 0;
    return is_fatal(r) ? r : 0;
}

/* -EBADMSG also for a name that is longer than any other source's. */
static int read_name(struct finder *f, uint32_t name, struct place *ret)
{
    f->name.len = 0;
    ret->name = f->texts.len;
    int r = go_symtab_name(&f->image, name, &f->left, &f->name);
    if (r == 0)
        r = go_text_print((const char *)f->name.data, &f->texts);
    if (r < 0)
        return r;
    size_t len = f->texts.len - ret->name;
    return len > 1 && len <= NAMES_TEXT_MAX ? 0 : -EBADMSG;
}

/* A function at an address, from the innermost out. */
struct step {
    uint32_t name;
    int32_t file, line; /* of what it executes; GO_NONE: unknown */
};

static int read_line(struct finder *f, const struct step *step, struct place *ret)
{
    ret->file = f->texts.len;
    if (step->file < 0 || step->line <= 0)
        return 0;
    int r = go_symtab_file(&f->image, &f->record, step->file, &f->left, &f->texts);
    if (r < 0)
        return is_fatal(r) ? r : 0;
    ret->has_file = true;
    ret->line = (uint32_t)step->line;
    return 0;
}

/* The step of an instruction, and the number of the call that it belongs to. */
static struct step step_at(const struct finder *f, uint64_t pc, int32_t *ret_number)
{
    *ret_number = go_values_at(&f->inlined, pc);
    return (struct step){.file = go_values_at(&f->files, pc), .line = go_values_at(&f->lines, pc)};
}

static int walk_calls(struct finder *f, uint64_t pc, struct step steps[DEPTH_MAX], size_t *ret)
{
    int32_t number;
    steps[0] = step_at(f, pc, &number);
    for (size_t n = 0; number >= 0; *ret = ++n + 1) {
        struct go_call call;
        int r = n + 1 < DEPTH_MAX ? go_symtab_call(&f->image, &f->record, number, &f->left, &call)
                                  : -EBADMSG;
        if (r < 0)
            return r;
        steps[n].name = call.name;
        if (call.has_caller) {
            steps[n + 1] = step_at(f, call.caller, &number);
        } else {
            steps[n + 1] = (struct step){.file = call.file, .line = call.line};
            number = call.outer;
        }
    }
    return 0;
}

/* From the outermost function in; of more than CHAIN_FRAMES_MAX the outermost. */
static int list_places(struct finder *f, uint64_t pc, struct place *to, size_t *ret)
{
    struct step steps[DEPTH_MAX];
    size_t depth = 1, n = 0;
    int r = f->readable ? walk_calls(f, pc, steps, &depth) : -EBADMSG;
    steps[depth - 1].name = f->record.name;
    for (; n < depth && n < CHAIN_FRAMES_MAX && r == 0; n++) {
        const struct step *step = &steps[depth - 1 - n];
        to[n] = (struct place){0};
        r = read_name(f, step->name, &to[n]);
        if (r == 0)
            r = read_line(f, step, &to[n]);
    }
    if (r == 0)
        *ret = n;
    return r;
}

/* Where what is inlined is not known the outermost function is right all the same, and its line is
 * not. */
static int list_outermost(struct finder *f, struct place *to, size_t *ret)
{
    to[0] = (struct place){0};
    f->texts.len = 0;
    int r = read_name(f, f->record.name, &to[0]);
    *ret = r == 0;
    return is_fatal(r) ? r : 0;
}

static int add_chain(struct finder *f, uint64_t address, struct chains *chains)
{
    struct place places[CHAIN_FRAMES_MAX];
    struct symbol_frame frames[CHAIN_FRAMES_MAX];
    size_t n = 0;
    uint64_t pc = address - f->record.start;
    if (f->readable && pc >= go_values_end(&f->lines))
        return 0; /* between two functions */
    f->texts.len = 0;
    int r = list_places(f, pc, places, &n);
    if (r == -EBADMSG)
        r = list_outermost(f, places, &n);
    if (r < 0 || n == 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        const char *texts = (const char *)f->texts.data;
        frames[i] =
            (struct symbol_frame){.name = texts + places[i].name,
                                  .file = places[i].has_file ? texts + places[i].file : NULL,
                                  .line = places[i].line};
    }
    return chains_add(chains, address, f->record.start, frames, n);
}

/* Addresses next to each other are mostly of one function. */
static int find_function(struct finder *f, uint64_t address)
{
    struct go_record record;
    int r = go_symtab_find(&f->image, address, &record);
    if (r < 0 || (record.start == f->record.start && record.end == f->record.end))
        return r;
    f->record = record;
    return read_programs(f);
}

static int add_chains(struct finder *f, const uint64_t *addresses, size_t count,
                      struct chains *chains)
{
    for (size_t i = 0; i < count; i++) {
        int r = find_function(f, addresses[i]);
        if (r == -ENOENT || r == -EBADMSG)
            continue;
        if (r == 0)
            r = add_chain(f, addresses[i], chains);
        if (r < 0)
            return r;
    }
    return 0;
}

int go_names_find(const struct elf_file *file, const uint64_t *addresses, size_t count,
                  struct chains *chains, struct err *err)
{
    _cleanup_(pages_free) struct pages *pages = NULL;
    _cleanup_(finder_done) struct finder f = {
        .left = LEFT_MIN + count * LEFT_PER_ADDRESS,
    };
    int r = pages_new(file, &pages);
    if (r == 0)
        r = go_image_find(file, pages, &f.image);
    if (r == -ENODATA)
        return err_set(err, r, "no table of Go's functions");
    if (r == 0)
        r = add_chains(&f, addresses, count, chains);
    return r < 0 ? err_errno(err, r, "reading the table of Go's functions") : 0;
}
