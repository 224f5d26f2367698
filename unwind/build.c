/* build.c: takes an ELF file, gives its table of unwind rules. See table.h.
 *
 * FDEs mostly lie in the order of their functions, but not always, and a linker leaves some for
 * functions it dropped; so rows are collected as they come, each FDE's in one run, the runs are
 * sorted, and where two claim the same bytes the first in the file has them. */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/table.h"
#include "unwind/eh_frame.h"
#include "unwind/table_internal.h"

#define SECTION_BYTES_MAX ((size_t)256 << 20)
#define ROWS_MAX          (16u << 20)
#define RULES_MAX         65535u
#define SEGMENTS_MAX      64
#define ENTRY_BYTES       64u
#define SEGMENTS_READ_MAX 1024u      /* real files have some ten */
#define NAMES_MAX         (1u << 20) /* of all sections */

struct row {
    uint32_t offset;
    uint16_t rule;
};

struct run {             /* rows of one FDE */
    uint32_t start, end; /* offsets in the file */
    uint32_t first, count;
};

struct segment {
    uint64_t address, size, offset;
};

struct build {
    const struct rule_registers *registers;
    struct segment segments[SEGMENTS_MAX];
    size_t segment_count;
    struct table rules; /* struct unwind_rule, nothing behind; row 0 is RULE_NONE */
    struct row *rows;
    uint32_t row_count, row_room, max_rows;
    struct run *runs;
    uint32_t run_count, run_room;
    uint32_t bad;
    const struct segment *segment; /* of the FDE at hand */
    uint64_t entry;                /* address the file starts at; 0: none */
};

static int add_row(void *ctx, uint64_t pc, const struct unwind_rule *rule)
{
    struct build *b = ctx;
    if (b->row_count == b->max_rows)
        return -EFBIG;
    if (b->row_count == b->row_room) {
        uint32_t room = b->row_room + b->row_room / 2 + 1024;
        struct row *rows = realloc(b->rows, room * sizeof(*rows));
        if (!rows)
            return -ENOMEM;
        b->rows = rows;
        b->row_room = room;
    }
    uint32_t index;
    int r = table_add(&b->rules, rule, &index);
    if (r == -ENOSPC) {
        static const struct unwind_rule other = {.kind = RULE_OTHER};
        r = table_add(&b->rules, &other, &index);
    }
    if (r < 0)
        return r == -ENOSPC ? -EFBIG : r;
    b->rows[b->row_count++] =
        (struct row){(uint32_t)(pc - b->segment->address + b->segment->offset), (uint16_t)index};
    return 0;
}

static const struct segment *find_segment(const struct build *b, uint64_t address)
{
    for (size_t i = 0; i < b->segment_count; i++) {
        if (address - b->segments[i].address < b->segments[i].size)
            return &b->segments[i];
    }
    return NULL;
}

static int add_run(struct build *b, const struct cfi_fde *fde, uint32_t first)
{
    if (b->run_count == b->run_room) {
        uint32_t room = b->run_room + b->run_room / 2 + 256;
        struct run *runs = realloc(b->runs, room * sizeof(*runs));
        if (!runs)
            return -ENOMEM;
        b->runs = runs;
        b->run_room = room;
    }
    uint64_t base = b->segment->offset - b->segment->address;
    b->runs[b->run_count++] = (struct run){
        (uint32_t)(fde->start + base), (uint32_t)(fde->end + base), first, b->row_count - first};
    return 0;
}

static int add_fde(void *ctx, const struct cfi_fde *fde)
{
    struct build *b = ctx;
    b->segment = find_segment(b, fde->start);
    /* Of a function that the linker dropped: its address is 0 or below every segment. */
    if (!b->segment || fde->end - b->segment->address > b->segment->size) {
        b->bad++;
        return 0;
    }
    uint32_t first = b->row_count;
    int r = cfa_run(b->registers, fde->cie, fde->program, fde->program_end, fde->start, fde->end,
                    add_row, b);
    if (r == -EBADMSG) {
        b->row_count = first;
        b->bad++;
        return 0;
    }
    return r < 0 ? r : add_run(b, fde, first);
}

/* ---- the ELF file */

static int read_segments(Elf *elf, struct build *b)
{
    size_t count;
    if (elf_getphdrnum(elf, &count) < 0)
        return -EBADMSG;
    for (size_t i = 0; i < count && b->segment_count < SEGMENTS_MAX; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(elf, (int)i, &p))
            return -EBADMSG;
        /* Offsets are kept in 32 bits: code behind 4 GiB of a file has no rules. */
        if (p.p_type != PT_LOAD || !(p.p_flags & PF_X) || p.p_offset > UINT32_MAX ||
            p.p_filesz > UINT32_MAX - p.p_offset || p.p_vaddr + p.p_filesz < p.p_vaddr)
            continue;
        b->segments[b->segment_count++] = (struct segment){p.p_vaddr, p.p_filesz, p.p_offset};
    }
    return b->segment_count ? 0 : -ENODATA;
}

/* libelf takes memory for as many headers as the file claims to have, and the file may be sparse.
 * Counts beyond 16 bits stand in section 0 (gABI); no linked file needs them. */
static int check_counts(int fd)
{
    Elf64_Ehdr h;
    /* Another class or byte order has the counts elsewhere, and no table here. */
    if (pread(fd, &h, sizeof(h), 0) != sizeof(h) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
        h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB)
        return -ENOEXEC;
    return h.e_phnum > SEGMENTS_READ_MAX || (h.e_shnum == 0 && h.e_shoff != 0) ? -EFBIG : 0;
}

/* Debug files have .eh_frame too, without bytes. */
static Elf_Scn *find_section(Elf *elf, const char *wanted, GElf_Shdr *ret)
{
    size_t names;
    Elf_Scn *scn;
    if (elf_getshdrstrndx(elf, &names) < 0 || !(scn = elf_getscn(elf, names)) ||
        !gelf_getshdr(scn, ret) || ret->sh_size > NAMES_MAX || ret->sh_flags & SHF_COMPRESSED)
        return NULL;
    scn = NULL;
    while ((scn = elf_nextscn(elf, scn))) {
        const char *name;
        if (gelf_getshdr(scn, ret) && ret->sh_type != SHT_NOBITS && ret->sh_size &&
            (name = elf_strptr(elf, names, ret->sh_name)) && strcmp(name, wanted) == 0)
            return scn;
    }
    return NULL;
}

static int walk_section(Elf *elf, const char *name, size_t max_bytes, struct build *b,
                        struct err *err)
{
    GElf_Shdr shdr;
    Elf_Scn *scn = find_section(elf, name, &shdr);
    if (!scn)
        return -ENODATA;
    if (shdr.sh_size > max_bytes)
        return err_set(err, -EFBIG, "%s is %llu bytes; at most %zu are read", name,
                       (unsigned long long)shdr.sh_size, max_bytes);
    if (shdr.sh_flags & SHF_COMPRESSED) {
        GElf_Chdr chdr;
        if (!gelf_getchdr(scn, &chdr) || chdr.ch_size > max_bytes)
            return err_set(err, -EFBIG, "%s is too large or malformed", name);
        if (elf_compress(scn, 0, 0) < 0)
            return err_set(err, -EBADMSG, "%s: %s", name, elf_errmsg(-1));
    }
    struct cfi_section section = {
        .ident = (const unsigned char *)elf_getident(elf, NULL),
        .data = elf_rawdata(scn, NULL),
        .address = shdr.sh_addr,
        .eh_frame = name[1] == 'e',
    };
    if (shdr.sh_flags & SHF_COMPRESSED)
        section.data = elf_getdata(scn, NULL);
    if (!section.data || !section.data->d_buf)
        return err_set(err, -EBADMSG, "%s cannot be read: %s", name, elf_errmsg(-1));
    uint32_t bad;
    int r = cfi_walk(&section, add_fde, b, &bad);
    b->bad += bad;
    if (r < 0)
        return err_errno(err, r, "reading %s", name);
    return b->run_count ? 0 : -ENODATA;
}

static int read_elf(Elf *elf, size_t max_bytes, struct build *b, enum unwind_machine *ret_machine,
                    struct err *err)
{
    GElf_Ehdr header;
    if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header) ||
        header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_ident[EI_CLASS] != ELFCLASS64)
        return err_set(err, -ENOEXEC, "no 64-bit little-endian ELF file");
    switch (header.e_machine) {
    case EM_X86_64:
        b->registers = &rule_registers_x86_64;
        *ret_machine = UNWIND_X86_64;
        break;
    case EM_AARCH64:
        b->registers = &rule_registers_aarch64;
        *ret_machine = UNWIND_AARCH64;
        break;
    default:
        return err_set(err, -ENOEXEC, "an ELF file of machine %u", header.e_machine);
    }
    int r = read_segments(elf, b);
    if (r < 0)
        return err_set(err, r, "no executable segment");
    b->entry = header.e_entry;
    r = walk_section(elf, ".eh_frame", max_bytes, b, err);
    if (r == -ENODATA)
        r = walk_section(elf, ".debug_frame", max_bytes, b, err);
    return r == -ENODATA ? err_set(err, r, "no CFI") : r;
}

/* ---- rows in order */

static int by_start(const void *a, const void *b)
{
    const struct run *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static void put(struct unwind_table *t, uint32_t offset, uint16_t rule)
{
    uint32_t n = t->info.rows;
    if (n && t->rule_of_row[n - 1] == rule)
        return;
    t->offsets[n] = offset;
    t->rule_of_row[n] = rule;
    t->info.rows++;
}

static void lay_out(const struct build *b, struct unwind_table *t)
{
    uint32_t covered = 0; /* offset up to which rows stand */
    for (uint32_t i = 0; i < b->run_count; i++) {
        const struct run *run = &b->runs[i];
        if (run->end <= covered)
            continue;
        if (run->start > covered)
            put(t, covered, 0);
        for (uint32_t k = 0; k < run->count; k++) {
            const struct row *row = &b->rows[run->first + k];
            uint32_t end = k + 1 < run->count ? row[1].offset : run->end;
            uint32_t start = row->offset < covered ? covered : row->offset;
            if (start < end)
                put(t, start, row->rule);
        }
        covered = run->end;
    }
    put(t, covered, 0);
}

static void *shrink(void *p, size_t size)
{
    void *smaller = realloc(p, size ? size : 1);
    return smaller ? smaller : p;
}

/* What a file starts at has no caller. Programs' _start says so in CFI; the dynamic linker's, where
 * every dynamic program begins, has none. */
static int add_entry(struct build *b)
{
    b->segment = find_segment(b, b->entry);
    if (!b->entry || !b->segment)
        return 0;
    uint64_t base = b->segment->offset - b->segment->address;
    uint64_t left = b->segment->address + b->segment->size - b->entry;
    struct cfi_fde fde = {.start = b->entry,
                          .end = b->entry + (left < ENTRY_BYTES ? left : ENTRY_BYTES)};
    for (uint32_t i = 0; i < b->run_count; i++) {
        uint64_t start = b->runs[i].start - base;
        if (start <= b->entry && b->entry < b->runs[i].end - base)
            return 0;
        if (start > b->entry && start < fde.end)
            fde.end = start;
    }
    struct unwind_rule rule = {.kind = RULE_END};
    uint32_t first = b->row_count;
    int r = add_row(b, fde.start, &rule);
    return r < 0 ? r : add_run(b, &fde, first);
}

static int finish(struct build *b, struct unwind_table *t)
{
    int r = add_entry(b);
    if (r < 0)
        return r;
    qsort(b->runs, b->run_count, sizeof(*b->runs), by_start);
    /* Between two runs there may be a gap. */
    size_t room = (size_t)b->row_count + b->run_count + 2;
    t->offsets = malloc(room * sizeof(*t->offsets));
    t->rule_of_row = malloc(room * sizeof(*t->rule_of_row));
    t->rules = malloc(b->rules.count * sizeof(*t->rules));
    if (!t->offsets || !t->rule_of_row || !t->rules)
        return -ENOMEM;
    memcpy(t->rules, b->rules.rows, b->rules.count * sizeof(*t->rules));
    t->info.rules = b->rules.count;
    t->info.fdes = b->run_count;
    t->info.bad_fdes = b->bad;
    lay_out(b, t);
    t->offsets = shrink(t->offsets, t->info.rows * sizeof(*t->offsets));
    t->rule_of_row = shrink(t->rule_of_row, t->info.rows * sizeof(*t->rule_of_row));
    return unwind_table_index(t);
}

static void free_build(struct build *b)
{
    table_free(&b->rules);
    free(b->rows);
    free(b->runs);
}

static void end_elf(Elf **elf)
{
    elf_end(*elf);
}

int unwind_table_build(int fd, const struct unwind_table_limits *limits, struct unwind_table **ret,
                       struct err *err)
{
    elf_version(EV_CURRENT);
    int r = check_counts(fd);
    if (r < 0)
        return err_set(err, r,
                       r == -EFBIG ? "more headers than are read"
                                   : "no 64-bit little-endian ELF file");
    /* Read, not mapped: a file that is cut while it is mapped kills its reader. */
    _cleanup_(end_elf) Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    if (!elf)
        return err_set(err, -ENOEXEC, "%s", elf_errmsg(-1));
    _cleanup_(free_build) struct build b = {
        .max_rows = limits && limits->max_rows ? limits->max_rows : ROWS_MAX};
    size_t max_bytes =
        limits && limits->max_section_bytes ? limits->max_section_bytes : SECTION_BYTES_MAX;
    table_init(&b.rules, sizeof(struct unwind_rule), sizeof(struct unwind_rule), RULES_MAX);
    _cleanup_(unwind_table_free) struct unwind_table *t = calloc(1, sizeof(*t));
    struct unwind_rule none = {.kind = RULE_NONE}, other = {.kind = RULE_OTHER};
    uint32_t row;
    if (!t || table_add(&b.rules, &none, &row) < 0 || table_add(&b.rules, &other, &row) < 0)
        return err_errno(err, -ENOMEM, "an unwind table");
    r = read_elf(elf, max_bytes, &b, &t->info.machine, err);
    if (r < 0)
        return r;
    r = finish(&b, t);
    if (r < 0)
        return err_errno(err, r, "an unwind table of %u rows", b.row_count);
    *ret = TAKE_PTR(t);
    return 0;
}
