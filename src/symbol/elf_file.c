/* elf_file.c: takes a descriptor, gives an ELF file's headers. See elf_file.h. */
#include "symbol/elf_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

#define SEGMENTS_MAX      1024u /* real files have some ten */
#define SECTION_NAMES_MAX (1u << 20)

int elf_file_read(const struct elf_file *file, uint64_t offset, void *to, size_t len)
{
    if (offset > file->bytes || len > file->bytes - offset)
        return -EBADMSG;
    if (file->memory) {
        memcpy(to, file->memory + offset, len);
        return 0;
    }
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(file->fd, (char *)to + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EBADMSG; /* cut short since its size was asked */
        done += (size_t)n;
    }
    return 0;
}

int elf_file_translate(const struct elf_file *file, Elf_Type type, void *bytes, size_t len)
{
    Elf_Data data = {.d_buf = bytes, .d_type = type, .d_version = EV_CURRENT, .d_size = len};
    Elf_Data *done = file->class == ELFCLASS64 ? elf64_xlatetom(&data, &data, file->encoding)
                                               : elf32_xlatetom(&data, &data, file->encoding);
    return done ? 0 : -EBADMSG;
}

size_t elf_file_symbol_bytes(const struct elf_file *file)
{
    return file->class == ELFCLASS64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
}

GElf_Sym elf_file_symbol(const struct elf_file *file, const void *symbols, size_t i)
{
    if (file->class == ELFCLASS64)
        return ((const Elf64_Sym *)symbols)[i];
    const Elf32_Sym *s = (const Elf32_Sym *)symbols + i;
    return (GElf_Sym){.st_name = s->st_name,
                      .st_info = s->st_info,
                      .st_other = s->st_other,
                      .st_shndx = s->st_shndx,
                      .st_value = s->st_value,
                      .st_size = s->st_size};
}

static void widen_header(struct elf_file *file, const Elf32_Ehdr *h)
{
    file->header = (GElf_Ehdr){
        .e_type = h->e_type,
        .e_machine = h->e_machine,
        .e_phoff = h->e_phoff,
        .e_shoff = h->e_shoff,
        .e_phentsize = h->e_phentsize,
        .e_phnum = h->e_phnum,
        .e_shentsize = h->e_shentsize,
        .e_shnum = h->e_shnum,
        .e_shstrndx = h->e_shstrndx,
    };
}

static GElf_Phdr widen_segment(const Elf32_Phdr *p)
{
    return (GElf_Phdr){.p_type = p->p_type,
                       .p_flags = p->p_flags,
                       .p_offset = p->p_offset,
                       .p_vaddr = p->p_vaddr,
                       .p_filesz = p->p_filesz,
                       .p_memsz = p->p_memsz,
                       .p_align = p->p_align};
}

static GElf_Shdr widen_section(const Elf32_Shdr *s)
{
    return (GElf_Shdr){.sh_name = s->sh_name,
                       .sh_type = s->sh_type,
                       .sh_flags = s->sh_flags,
                       .sh_addr = s->sh_addr,
                       .sh_offset = s->sh_offset,
                       .sh_size = s->sh_size,
                       .sh_link = s->sh_link,
                       .sh_info = s->sh_info,
                       .sh_entsize = s->sh_entsize};
}

static int read_header(struct elf_file *file)
{
    union {
        unsigned char ident[EI_NIDENT];
        Elf32_Ehdr e32;
        Elf64_Ehdr e64;
    } h;
    if (elf_file_read(file, 0, h.ident, EI_NIDENT) < 0 || memcmp(h.ident, ELFMAG, SELFMAG) != 0)
        return -ENOEXEC;
    file->class = h.ident[EI_CLASS];
    file->encoding = h.ident[EI_DATA];
    if ((file->class != ELFCLASS32 && file->class != ELFCLASS64) ||
        (file->encoding != ELFDATA2LSB && file->encoding != ELFDATA2MSB) ||
        h.ident[EI_VERSION] != EV_CURRENT)
        return -ENOEXEC;
    size_t len = file->class == ELFCLASS64 ? sizeof(h.e64) : sizeof(h.e32);
    int r = elf_file_read(file, 0, &h, len);
    if (r == 0)
        r = elf_file_translate(file, ELF_T_EHDR, &h, len);
    if (r < 0)
        return r;
    if (file->class == ELFCLASS64)
        file->header = h.e64;
    else
        widen_header(file, &h.e32);
    return 0;
}

/* Reads a table of `count` headers into memory that fits the wide form: a narrow table is widened
 * by its caller from the back. */
static int read_table(const struct elf_file *file, Elf_Type type, uint64_t offset, size_t count,
                      size_t narrow_bytes, size_t wide_bytes, void **ret)
{
    size_t entry = file->class == ELFCLASS64 ? wide_bytes : narrow_bytes;
    if (offset > file->bytes || count > (file->bytes - offset) / entry)
        return -EBADMSG;
    _cleanup_free_ void *table = calloc(count, wide_bytes);
    if (!table)
        return -ENOMEM;
    int r = elf_file_read(file, offset, table, count * entry);
    if (r == 0)
        r = elf_file_translate(file, type, table, count * entry);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(table);
    return 0;
}

static int read_segments(struct elf_file *file)
{
    const GElf_Ehdr *h = &file->header;
    size_t entry = file->class == ELFCLASS64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (h->e_phnum == 0)
        return 0;
    if (h->e_phentsize != entry || h->e_phnum > SEGMENTS_MAX)
        return h->e_phentsize != entry ? -EBADMSG : -EFBIG;
    void *table;
    int r = read_table(file, ELF_T_PHDR, h->e_phoff, h->e_phnum, sizeof(Elf32_Phdr),
                       sizeof(GElf_Phdr), &table);
    if (r < 0)
        return r;
    file->segments = table;
    file->segment_count = h->e_phnum;
    if (file->class == ELFCLASS32) {
        for (size_t i = file->segment_count; i-- > 0;) {
            Elf32_Phdr narrow = ((const Elf32_Phdr *)table)[i];
            file->segments[i] = widen_segment(&narrow);
        }
    }
    return 0;
}

/* A file whose section headers are gone or broken still runs, and its segments are enough to
 * translate offsets: then there are no sections. */
static int read_sections(struct elf_file *file)
{
    const GElf_Ehdr *h = &file->header;
    size_t entry = file->class == ELFCLASS64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
    /* With more than 0xfeff sections, as only unlinked objects have, e_shnum is 0 and section 0 has
     * the count (gABI). */
    if (h->e_shnum == 0 || h->e_shentsize != entry)
        return 0;
    void *table;
    int r = read_table(file, ELF_T_SHDR, h->e_shoff, h->e_shnum, sizeof(Elf32_Shdr),
                       sizeof(GElf_Shdr), &table);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    file->sections = table;
    file->section_count = h->e_shnum;
    if (file->class == ELFCLASS32) {
        for (size_t i = file->section_count; i-- > 0;) {
            Elf32_Shdr narrow = ((const Elf32_Shdr *)table)[i];
            file->sections[i] = widen_section(&narrow);
        }
    }
    return 0;
}

static int read_headers(struct elf_file *file, struct elf_file *ret, struct err *err)
{
    int r = read_header(file);
    if (r == -ENOEXEC)
        return err_set(err, r, "no ELF file");
    if (r == 0)
        r = read_segments(file);
    if (r == 0)
        r = read_sections(file);
    if (r < 0)
        return err_errno(err, r, "reading the ELF headers");
    *ret = *file;
    *file = (struct elf_file){0};
    return 0;
}

int elf_file_open(int fd, struct elf_file *ret, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, -errno, "looking at the ELF file");
    if (!S_ISREG(st.st_mode))
        return err_set(err, -ENOEXEC, "no regular file");
    _cleanup_(elf_file_close) struct elf_file file = {.fd = fd, .bytes = (uint64_t)st.st_size};
    return read_headers(&file, ret, err);
}

int elf_file_open_memory(const void *bytes, size_t len, struct elf_file *ret, struct err *err)
{
    _cleanup_(elf_file_close) struct elf_file file = {.fd = -1, .memory = bytes, .bytes = len};
    return read_headers(&file, ret, err);
}

void elf_file_close(struct elf_file *file)
{
    free(file->segments);
    free(file->sections);
    file->segments = NULL;
    file->sections = NULL;
}

static int read_section_names(const struct elf_file *file, char **ret, size_t *ret_len)
{
    if (file->header.e_shstrndx >= file->section_count)
        return -ENOENT;
    const GElf_Shdr *section = &file->sections[file->header.e_shstrndx];
    if (section->sh_type != SHT_STRTAB || section->sh_size == 0)
        return -ENOENT;
    if (section->sh_size > SECTION_NAMES_MAX)
        return -EFBIG;
    size_t len = (size_t)section->sh_size;
    _cleanup_free_ char *names = malloc(len + 1);
    if (!names)
        return -ENOMEM;
    int r = elf_file_read(file, section->sh_offset, names, len);
    if (r < 0)
        return r;
    names[len] = 0;
    *ret = TAKE_PTR(names);
    *ret_len = len;
    return 0;
}

int elf_file_find_section(const struct elf_file *file, const char *name, GElf_Shdr *ret)
{
    _cleanup_free_ char *names = NULL;
    size_t len = 0;
    int r = read_section_names(file, &names, &len);
    if (r < 0)
        return r;
    for (size_t i = 0; i < file->section_count; i++) {
        const GElf_Shdr *section = &file->sections[i];
        if (section->sh_name >= len || strcmp(names + section->sh_name, name) != 0)
            continue;
        *ret = *section;
        return 0;
    }
    return -ENOENT;
}

/* .zdebug_info is GNU's form of compression before the gABI had one. */
bool elf_file_has_dwarf(const struct elf_file *file)
{
    static const char *const names[] = {".debug_info", ".zdebug_info"};
    GElf_Shdr section;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (elf_file_find_section(file, names[i], &section) == 0 && section.sh_type != SHT_NOBITS &&
            section.sh_size)
            return true;
    return false;
}
