/* build.c: takes an ELF file, gives its table of unwind rules: from its sections of CFI, from what
 * Go programs have instead, or from the file that is packed into it. See table.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "unwind/debugdata.h"
#include "unwind/eh_frame.h"
#include "unwind/elf_section.h"
#include "unwind/go_build.h"
#include "unwind/runs.h"
#include "unwind/table_internal.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

#define SECTION_BYTES_MAX ((size_t)256 << 20)
#define ROWS_MAX          (16u << 20)
#define DEBUGDATA_MAX     ((size_t)64 << 20)
#define SEGMENTS_READ_MAX 1024u /* real files have some ten */

struct build {
    const struct rule_registers *registers;
    struct runs *runs;
    size_t max_bytes; /* of a section */
};

/* libelf takes memory for as many headers as the file claims to have, and the file may be sparse.
 * Counts beyond 16 bits stand in section 0 (gABI); no linked file needs them. */
static int check_counts(const Elf64_Ehdr *h)
{
    /* Another class or byte order has the counts elsewhere, and no table here. */
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
        h->e_ident[EI_DATA] != ELFDATA2LSB)
        return -ENOEXEC;
    return h->e_phnum > SEGMENTS_READ_MAX || (h->e_shnum == 0 && h->e_shoff != 0) ? -EFBIG : 0;
}

static int read_machine(const GElf_Ehdr *header, const struct rule_registers **ret_registers,
                        enum unwind_machine *ret_machine)
{
    switch (header->e_machine) {
    case EM_X86_64:
        *ret_registers = &rule_registers_x86_64;
        *ret_machine = UNWIND_X86_64;
        return 0;
    case EM_AARCH64:
        *ret_registers = &rule_registers_aarch64;
        *ret_machine = UNWIND_AARCH64;
        return 0;
    default:
        return -ENOEXEC;
    }
}

static int read_segments(Elf *elf, struct runs *runs)
{
    size_t count, taken = 0;
    if (elf_getphdrnum(elf, &count) < 0)
        return -EBADMSG;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(elf, (int)i, &p))
            return -EBADMSG;
        if (p.p_type == PT_LOAD && p.p_flags & PF_X)
            taken += runs_add_segment(runs, p.p_vaddr, p.p_filesz, p.p_offset);
    }
    return taken ? 0 : -ENODATA;
}

static int add_fde(void *ctx, const struct cfi_fde *fde)
{
    struct build *b = ctx;
    if (!runs_begin(b->runs, fde->start, fde->end))
        return 0;
    int r = cfa_run(b->registers, fde->cie, fde->program, fde->program_end, fde->start, fde->end,
                    runs_add_row, b->runs);
    if (r == -EBADMSG) {
        runs_drop(b->runs);
        return 0;
    }
    return r < 0 ? r : runs_end(b->runs, fde->end);
}

static int add_cfi(struct build *b, Elf *elf, const char *name, struct err *err)
{
    GElf_Shdr header;
    Elf_Data *data;
    int r = elf_section_read(elf, name, b->max_bytes, &header, &data, err);
    if (r < 0)
        return r == -ENODATA ? 0 : r;
    struct cfi_section section = {
        .ident = (const unsigned char *)elf_getident(elf, NULL),
        .data = data,
        .address = header.sh_addr,
        .eh_frame = name[1] == 'e',
    };
    uint32_t bad;
    r = cfi_walk(&section, add_fde, b, &bad);
    runs_count_bad(b->runs, bad);
    return r < 0 ? err_errno(err, r, "reading %s", name) : 0;
}

static void end_elf(Elf **elf)
{
    elf_end(*elf);
}

/* Its file has names, and in Android's programs .debug_frame. Its addresses are those of the file
 * it is in. */
static int add_debugdata(struct build *b, Elf *outer, struct err *err)
{
    GElf_Shdr header;
    Elf_Data *data;
    int r = elf_section_read(outer, ".gnu_debugdata", b->max_bytes, &header, &data, err);
    if (r < 0)
        return r == -ENODATA ? 0 : r;
    _cleanup_(buf_free) struct buf bytes = {.max = DEBUGDATA_MAX};
    r = debugdata_unpack(data->d_buf, data->d_size, &bytes, err);
    if (r < 0)
        return r;
    Elf64_Ehdr h;
    if (bytes.len < sizeof(h))
        return 0;
    memcpy(&h, bytes.data, sizeof(h));
    if (check_counts(&h) < 0)
        return 0;
    _cleanup_(end_elf) Elf *elf = elf_memory((char *)bytes.data, bytes.len);
    return elf ? add_cfi(b, elf, ".debug_frame", err) : 0;
}

/* What one section tells is not lost because another makes no sense. */
static int also(const struct build *b, int r)
{
    return r == -ENOMEM || runs_count(b->runs) == 0 ? r : 0;
}

/* A program with code of C and of Go has rules for each in another section. What is in two of them
 * is taken from the first: Go's own table tells also the frame pointer and where stacks begin. */
static int add_all(struct build *b, Elf *elf, struct err *err)
{
    int r = add_cfi(b, elf, ".eh_frame", err);
    if (r == 0)
        r = also(b, go_build_add(elf, b->registers, b->max_bytes, b->runs, err));
    if (r == 0)
        r = also(b, add_cfi(b, elf, ".debug_frame", err));
    if (r == 0 && runs_count(b->runs) == 0)
        r = add_debugdata(b, elf, err);
    if (r == 0 && runs_count(b->runs) == 0)
        return err_set(err, -ENODATA, "no CFI");
    return r;
}

static int open_elf(int fd, Elf **ret, GElf_Ehdr *ret_header, struct err *err)
{
    elf_version(EV_CURRENT);
    Elf64_Ehdr h;
    int r = pread(fd, &h, sizeof(h), 0) == sizeof(h) ? check_counts(&h) : -ENOEXEC;
    if (r < 0)
        return err_set(err, r,
                       r == -EFBIG ? "more headers than are read"
                                   : "no 64-bit little-endian ELF file");
    /* Read, not mapped: a file that is cut while it is mapped kills its reader. */
    _cleanup_(end_elf) Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    if (!elf)
        return err_set(err, -ENOEXEC, "%s", elf_errmsg(-1));
    if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, ret_header))
        return err_set(err, -ENOEXEC, "no 64-bit little-endian ELF file");
    *ret = TAKE_PTR(elf);
    return 0;
}

/* ---- what a table is built from */

static int hash_section(XXH3_state_t *state, Elf *elf, const char *name)
{
    GElf_Shdr h;
    Elf_Scn *scn = elf_section_find(elf, name, &h);
    if (!scn)
        return 0;
    if (h.sh_size > SECTION_BYTES_MAX)
        return -EFBIG;
    Elf_Data *data = elf_rawdata(scn, NULL);
    if (!data || !data->d_buf)
        return -EBADMSG;
    const uint64_t place[] = {h.sh_addr, h.sh_flags, data->d_size};
    XXH3_128bits_update(state, place, sizeof(place));
    XXH3_128bits_update(state, data->d_buf, data->d_size);
    return 0;
}

/* libelf keeps what it has read: a table that is built by the same handle is of these bytes,
 * whoever writes to the file meanwhile. */
static int hash_source(Elf *elf, const GElf_Ehdr *header, uint64_t seed,
                       uint8_t ret[UNWIND_SOURCE_SIZE], struct err *err)
{
    static const char *const sections[] = {".eh_frame", ".debug_frame", ".gopclntab",
                                           ".data.rel.ro.gopclntab", ".gnu_debugdata"};
    XXH3_state_t state = {.seed = 0};
    XXH3_128bits_reset_withSeed(&state, seed);
    XXH3_128bits_update(&state, header, sizeof(*header));
    int r = 0;
    for (int i = 0; r == 0 && i < header->e_phnum; i++) {
        GElf_Phdr p;
        r = gelf_getphdr(elf, i, &p) ? 0 : -EBADMSG;
        if (r == 0)
            XXH3_128bits_update(&state, &p, sizeof(p));
    }
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(sections); i++)
        r = hash_section(&state, elf, sections[i]);
    if (r < 0)
        return err_errno(err, r, "reading what an unwind table is built from");
    XXH128_canonical_t hash;
    static_assert(sizeof(hash) == UNWIND_SOURCE_SIZE, "of 128 bits");
    XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(&state));
    memcpy(ret, &hash, sizeof(hash));
    return 0;
}

int unwind_table_source(int fd, uint64_t seed, uint8_t ret[UNWIND_SOURCE_SIZE], struct err *err)
{
    GElf_Ehdr header;
    _cleanup_(end_elf) Elf *elf = NULL;
    int r = open_elf(fd, &elf, &header, err);
    return r < 0 ? r : hash_source(elf, &header, seed, ret, err);
}

int unwind_table_build(int fd, const struct unwind_table_limits *limits, struct unwind_table **ret,
                       struct err *err)
{
    return unwind_table_build_from(fd, limits, 0, NULL, ret, err);
}

int unwind_table_build_from(int fd, const struct unwind_table_limits *limits, uint64_t seed,
                            uint8_t ret_source[UNWIND_SOURCE_SIZE], struct unwind_table **ret,
                            struct err *err)
{
    GElf_Ehdr header;
    _cleanup_(end_elf) Elf *elf = NULL;
    int r = open_elf(fd, &elf, &header, err);
    if (r < 0)
        return r;
    _cleanup_(unwind_table_free) struct unwind_table *t = calloc(1, sizeof(*t));
    _cleanup_(runs_free) struct runs *runs = NULL;
    r = runs_new(limits && limits->max_rows ? limits->max_rows : ROWS_MAX, &runs);
    if (!t || r < 0)
        return err_errno(err, -ENOMEM, "an unwind table");
    struct build b = {.runs = runs,
                      .max_bytes = limits && limits->max_section_bytes ? limits->max_section_bytes
                                                                       : SECTION_BYTES_MAX};
    r = read_machine(&header, &b.registers, &t->info.machine);
    if (r < 0)
        return err_set(err, r, "an ELF file of machine %u", header.e_machine);
    uint8_t source[UNWIND_SOURCE_SIZE];
    if (ret_source && (r = hash_source(elf, &header, seed, source, err)) < 0)
        return r;
    r = read_segments(elf, runs);
    if (r < 0)
        return err_set(err, r, "no executable segment");
    r = add_all(&b, elf, err);
    if (r < 0)
        return r;
    r = runs_lay_out(runs, header.e_entry, t);
    if (r < 0)
        return err_errno(err, r, "laying out %u functions' rows", runs_count(runs));
    if (ret_source)
        memcpy(ret_source, source, sizeof(source));
    *ret = TAKE_PTR(t);
    return 0;
}
