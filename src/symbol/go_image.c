/* go_image.c: takes an ELF file, gives where Go's tables of functions are and what their addresses
 * count from. See go_image.h.
 *
 * The second is in the runtime's own description of the program, moduledata (runtime/symtab.go),
 * which only since Go 1.26 has a section to itself. Before, it lies somewhere in the data, and is
 * known by its first fields: where the table is, and how many functions it has.
 *
 *   word  what
 *      0  address of .gopclntab
 *      1  slices (address, length, capacity): names,
 *     16  and the sixth of them: the list of functions, with its end
 *     22  text
 *      …  since Go 1.18: where the trees of inlined calls are; from 1.26 the end of .gopclntab; a
 *         slice: the parts of text, of which there is one */
#include "symbol/go_image.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "symbol/elf_file.h"
#include "symbol/pages.h"

#define WORD_BYTES     8u
#define MODULE_NAMES   1u
#define MODULE_LIST    16u
#define MODULE_TEXT    22u
#define MODULE_TREES   38u /* the first word that they may be in: Go 1.18 */
#define MODULE_WORDS   56u /* none of the versions has the parts of text later; all have as many */
#define TEXT_PARTS_MAX 1024u

/* Of data that is searched for what has no section. */
#define SEARCH_BYTES_MAX ((uint64_t)64 << 20)
#define CANDIDATES_MAX   1024u /* in there, of which a real program has a few */

/* All versions' magic numbers, with the zeros that follow. */
#define MAGIC_MASK UINT64_C(0x0000fffffffffff0)
#define MAGIC      UINT64_C(0x00000000fffffff0)

static const GElf_Phdr *find_segment(const struct elf_file *file, uint64_t address)
{
    for (size_t i = 0; i < file->segment_count; i++) {
        const GElf_Phdr *s = &file->segments[i];
        if (s->p_type == PT_LOAD && address >= s->p_vaddr && address - s->p_vaddr < s->p_filesz)
            return s;
    }
    return NULL;
}

static bool is_code(const struct elf_file *file, uint64_t address)
{
    const GElf_Phdr *s = find_segment(file, address);
    return s && s->p_flags & PF_X;
}

int go_image_read(const struct go_image *image, uint64_t address, void *to, size_t len)
{
    const GElf_Phdr *s = find_segment(image->file, address);
    uint64_t at;
    if (!s || len > s->p_filesz - (address - s->p_vaddr) ||
        __builtin_add_overflow(s->p_offset, address - s->p_vaddr, &at))
        return -EBADMSG;
    return pages_read(image->pages, at, to, len);
}

/* False unless the file has all of the section's bytes. */
static bool find_section(const struct elf_file *file, const char *name, GElf_Shdr *ret)
{
    GElf_Shdr s;
    if (elf_file_find_section(file, name, &s) < 0 || s.sh_type == SHT_NOBITS ||
        s.sh_offset > file->bytes || s.sh_size > file->bytes - s.sh_offset)
        return false;
    *ret = s;
    return true;
}

/* ---- pointers that the dynamic linker fills in */

static bool is_relative(const struct elf_file *file, uint64_t info)
{
    uint64_t type = ELF64_R_TYPE(info);
    return file->header.e_machine == EM_AARCH64 ? type == R_AARCH64_RELATIVE
                                                : type == R_X86_64_RELATIVE;
}

/* Linkers put relocations of this kind first, ordered by the place they fill in. */
static uint64_t find_addend(const struct go_image *image, uint64_t address)
{
    uint64_t low = 0, high = image->relocations_len / sizeof(Elf64_Rela);
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        Elf64_Rela rela;
        if (pages_read(image->pages, image->relocations + mid * sizeof(rela), &rela, sizeof(rela)) <
            0)
            return 0;
        bool relative = is_relative(image->file, rela.r_info);
        if (relative && rela.r_offset == address)
            return (uint64_t)rela.r_addend;
        if (relative && rela.r_offset < address)
            low = mid + 1;
        else
            high = mid;
    }
    return 0;
}

/* Most linkers leave the address in the file too; LLVM's does not. */
uint64_t go_image_pointer(const struct go_image *image, uint64_t address)
{
    uint64_t value;
    if (go_image_read(image, address, &value, sizeof(value)) < 0)
        return 0;
    if (value == 0)
        value = find_addend(image, address);
    return value;
}

/* ---- the table */

/* The first word of a section, from *at on, that has these bits; *at is moved there. */
static bool find_word(const struct go_image *image, const GElf_Shdr *section, uint64_t mask,
                      uint64_t bits, uint64_t *at)
{
    uint64_t len = section->sh_size < SEARCH_BYTES_MAX ? section->sh_size : SEARCH_BYTES_MAX;
    if (section->sh_offset % WORD_BYTES != 0)
        return false;
    while (*at + WORD_BYTES <= len) {
        const uint8_t *bytes;
        size_t n;
        if (pages_view(image->pages, section->sh_offset + *at, &bytes, &n) < 0)
            return false;
        for (size_t i = 0; i + WORD_BYTES <= n && *at + WORD_BYTES <= len; i += WORD_BYTES) {
            uint64_t word;
            memcpy(&word, bytes + i, sizeof(word));
            if ((word & mask) == bits)
                return true;
            *at += WORD_BYTES;
        }
        if (n < WORD_BYTES)
            return false;
    }
    return false;
}

/* The table at a place in a section, which may hold more. */
static bool open_table(struct go_image *image, const GElf_Shdr *section, uint64_t at)
{
    uint8_t bytes[GO_HEADER_BYTES_MAX];
    struct go_header *h = &image->header;
    image->table = section->sh_offset + at;
    image->table_len = section->sh_size - at;
    image->table_address = section->sh_addr + at;
    size_t len = image->table_len < sizeof(bytes) ? (size_t)image->table_len : sizeof(bytes);
    return pages_read(image->pages, image->table, bytes, len) == 0 &&
           go_header_read(bytes, len, image->table_len, h) == 0 && h->names <= h->units &&
           h->units <= h->files && h->files <= h->programs && h->programs <= h->functions;
}

/* Where the dynamic linker has something to fill in, GNU's linkers put it among other such data. */
static bool find_table(struct go_image *image)
{
    static const char *const names[] = {".gopclntab", ".data.rel.ro.gopclntab"};
    GElf_Shdr section;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (find_section(image->file, names[i], &section))
            return open_table(image, &section, 0);
    if (elf_file_find_section(image->file, ".go.buildinfo", &section) < 0 ||
        !find_section(image->file, ".data.rel.ro", &section))
        return false;
    uint64_t at = 0;
    for (size_t i = 0; i < CANDIDATES_MAX; i++, at += WORD_BYTES) {
        if (!find_word(image, &section, MAGIC_MASK, MAGIC, &at))
            return false;
        if (open_table(image, &section, at))
            return true;
    }
    return false;
}

/* ---- what it counts from */

struct module {
    uint64_t address;
    uint64_t words[MODULE_WORDS]; /* as the file has them: lengths are right, pointers may lack */
};

static uint64_t module_pointer(const struct go_image *image, const struct module *m, size_t word)
{
    return go_image_pointer(image, m->address + word * WORD_BYTES);
}

static bool read_module(const struct go_image *image, uint64_t address, struct module *ret)
{
    ret->address = address;
    const uint64_t *w = ret->words;
    return go_image_read(image, address, ret->words, sizeof(ret->words)) == 0 &&
           w[MODULE_NAMES + 1] == w[MODULE_NAMES + 2] && w[MODULE_LIST + 1] == w[MODULE_LIST + 2] &&
           w[MODULE_LIST + 1] == image->header.count + 1 &&
           module_pointer(image, ret, 0) == image->table_address;
}

static bool find_module_in(const struct go_image *image, const GElf_Shdr *section,
                           struct module *ret)
{
    const uint64_t behind = (MODULE_LIST + 1) * WORD_BYTES, count = image->header.count + 1;
    uint64_t at = behind;
    for (size_t i = 0; i < CANDIDATES_MAX; i++, at += WORD_BYTES) {
        if (!find_word(image, section, UINT64_MAX, count, &at))
            return false;
        if (read_module(image, section->sh_addr + at - behind, ret))
            return true;
    }
    return false;
}

static bool find_module(const struct go_image *image, struct module *ret)
{
    static const char *const names[] = {".go.module", ".noptrdata", ".data"};
    GElf_Shdr section;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (find_section(image->file, names[i], &section) && find_module_in(image, &section, ret))
            return true;
    return false;
}

/* Fields were added before it in 1.20 and 1.27, and behind it in 1.26: it is found by the slice
 * that follows. False: there is none. */
static bool find_trees(struct go_image *image, const struct module *m)
{
    for (size_t i = MODULE_TREES; i + 3 < MODULE_WORDS; i++) {
        uint64_t parts = m->words[i + 2];
        if (parts == 0 || parts > TEXT_PARTS_MAX || parts != m->words[i + 3])
            continue;
        /* From 1.26 on the trees are a part of .gopclntab, and its end stands between. */
        uint64_t before = module_pointer(image, m, i - 1);
        if (before < image->table_address || before - image->table_address >= image->table_len)
            before = module_pointer(image, m, i);
        image->trees = before;
        return parts == 1;
    }
    return false;
}

/* Without a description the header may tell where text is, but not where trees are. */
static bool find_text(struct go_image *image)
{
    struct module m;
    if (!find_module(image, &m)) {
        image->text = go_image_pointer(image, image->table_address + GO_HEADER_TEXT_OFFSET);
        return is_code(image->file, image->text);
    }
    image->text = module_pointer(image, &m, MODULE_TEXT);
    return find_trees(image, &m) && is_code(image->file, image->text);
}

int go_image_find(const struct elf_file *file, struct pages *pages, struct go_image *ret)
{
    struct go_image image = {.file = file, .pages = pages};
    GElf_Shdr section;
    if (file->class != ELFCLASS64 || file->encoding != ELFDATA2LSB || !find_table(&image))
        return -ENODATA;
    if (find_section(file, ".rela.dyn", &section)) {
        image.relocations = section.sh_offset;
        image.relocations_len = section.sh_size;
    }
    if (image.header.relative && !find_text(&image))
        return -ENODATA;
    *ret = image;
    return 0;
}
