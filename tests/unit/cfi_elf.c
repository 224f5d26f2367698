/* cfi_elf.c: takes FDEs, gives an ELF file. See cfi_elf.h.
 *
 *   ELF header | program headers | section names | note | CFI | its index | more | section headers
 */
#include "cfi_elf.h"

#include <assert.h>
#include <dwarf.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/fs.h"

static void add(struct buf *b, const void *bytes, size_t len)
{
    int r = buf_append(b, bytes, len);
    assert(r == 0);
}

static void add_u32(struct buf *b, uint32_t v)
{
    add(b, &v, sizeof(v));
}

static void add_u8(struct buf *b, uint8_t v)
{
    add(b, &v, 1);
}

/* Entries' lengths are a multiple of 8, filled up with DW_CFA_nop; `start` is where one begins. */
static void end_entry(struct buf *b, size_t start)
{
    while ((b->len - start) % 8)
        add_u8(b, DW_CFA_nop);
    uint32_t len = (uint32_t)(b->len - start - 4);
    memcpy(b->data + start, &len, sizeof(len));
}

size_t cfi_add_cie(struct buf *section, unsigned machine, const char *augmentation,
                   const void *program, size_t len)
{
    size_t start = section->len;
    add_u32(section, 0);
    add_u32(section, 0);
    add_u8(section, 1);
    add(section, augmentation, strlen(augmentation) + 1);
    add_u8(section, machine == EM_AARCH64 ? 4 : 1);
    add_u8(section, 0x78); /* -8 */
    add_u8(section, machine == EM_AARCH64 ? 30 : 16);
    if (*augmentation == 'z') {
        add_u8(section, 1);
        add_u8(section, DW_EH_PE_pcrel | DW_EH_PE_sdata4);
    }
    add(section, program, len);
    end_entry(section, start);
    return start;
}

void cfi_add_fde(struct buf *section, size_t cie, uint64_t address, uint32_t bytes,
                 const void *program, size_t len)
{
    size_t start = section->len;
    add_u32(section, 0);
    add_u32(section, (uint32_t)(section->len - cie));
    add_u32(section, (uint32_t)(address - CFI_ELF_SECTION - section->len));
    add_u32(section, bytes);
    add_u8(section, 0);
    add(section, program, len);
    end_entry(section, start);
}

/* ---- the index */

struct pair {
    int32_t pc, fde; /* from the index's own address */
};

static int by_pc(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return (x->pc > y->pc) - (x->pc < y->pc);
}

/* LSB core, "Exception Frames": .eh_frame_hdr. */
static void add_index(struct buf *to, const struct buf *cfi)
{
    struct pair pairs[256];
    uint32_t count = 0;
    uint64_t own = CFI_ELF_SECTION + ((cfi->len + 7) & ~(size_t)7);
    for (size_t at = 0; at + 12 <= cfi->len;) {
        uint32_t words[3];
        memcpy(words, cfi->data + at, sizeof(words));
        assert(count < sizeof(pairs) / sizeof(*pairs));
        if (words[1]) /* a CIE's is 0 */
            pairs[count++] = (struct pair){
                (int32_t)(CFI_ELF_SECTION + at + 8 + (uint64_t)(int32_t)words[2] - own),
                (int32_t)(CFI_ELF_SECTION + at - own)};
        at += 4 + words[0];
    }
    qsort(pairs, count, sizeof(*pairs), by_pc);
    const uint8_t head[] = {1, DW_EH_PE_pcrel | DW_EH_PE_sdata4, DW_EH_PE_udata4,
                            DW_EH_PE_datarel | DW_EH_PE_sdata4};
    add(to, head, sizeof(head));
    add_u32(to, (uint32_t)(CFI_ELF_SECTION - own - 4));
    add_u32(to, count);
    add(to, pairs, count * sizeof(*pairs));
}

/* ---- the file */

#define NAMES       "\0.shstrtab\0.note.gnu.build-id\0"
#define NAME_NAMES  1u
#define NAME_NOTE   11u
#define NAME_CFI    (sizeof(NAMES) - 1)
#define SECTIONS    4u
#define ALIGN(at)   (((at) + 7) & ~(size_t)7)
#define NOTE_HEADER 16u

static void add_more(const struct cfi_elf *elf, size_t count, size_t start, struct buf *to)
{
    for (size_t i = 0; i < count; i++) {
        while ((to->len - start) % 8)
            add_u8(to, 0);
        add(to, elf->more[i].bytes->data, elf->more[i].bytes->len);
    }
}

/* Their headers, from where their names and bytes begin; gives where their bytes end. */
static size_t place_more(const struct cfi_elf *elf, size_t count, size_t name, size_t at,
                         Elf64_Shdr *ret)
{
    for (size_t i = 0; i < count; i++) {
        const struct cfi_elf_section *s = &elf->more[i];
        at = ALIGN(at);
        ret[i] = (Elf64_Shdr){.sh_name = (uint32_t)name,
                              .sh_type = SHT_PROGBITS,
                              .sh_addr = s->address,
                              .sh_offset = at,
                              .sh_size = s->bytes->len,
                              .sh_addralign = 8};
        at += s->bytes->len;
        name += strlen(s->name) + 1;
    }
    return at;
}

static void add_segment(const struct cfi_elf_section *section, const Elf64_Shdr *header,
                        struct buf *to)
{
    Elf64_Phdr segment = {.p_type = PT_LOAD,
                          .p_flags = PF_R,
                          .p_offset = header->sh_offset,
                          .p_vaddr = header->sh_addr,
                          .p_filesz = header->sh_size,
                          .p_memsz = header->sh_size};
    if (section->loaded)
        add(to, &segment, sizeof(segment));
}

void cfi_elf_bytes(const struct cfi_elf *elf, struct buf *to)
{
    static const struct buf nothing;
    const struct buf *cfi = elf->section ? elf->section : &nothing;
    const char *name = elf->section_name ? elf->section_name : ".eh_frame";
    size_t more = 0, more_name = NAME_CFI + strlen(name) + 1;
    size_t names_len = more_name;
    for (; more < CFI_ELF_MORE && elf->more[more].name; more++)
        names_len += strlen(elf->more[more].name) + 1;
    size_t segment_count = elf->indexed ? 4 : 2, loaded = 0;
    for (size_t i = 0; i < more; i++)
        loaded += elf->more[i].loaded;
    size_t names_at = sizeof(Elf64_Ehdr) + (segment_count + loaded) * sizeof(Elf64_Phdr);
    size_t note_at = ALIGN(names_at + names_len);
    size_t note_len = elf->build_id ? NOTE_HEADER + elf->build_id_len : 0;
    size_t cfi_at = ALIGN(note_at + note_len);
    size_t index_at = ALIGN(cfi_at + cfi->len);
    struct buf index = {0};
    if (elf->indexed)
        add_index(&index, cfi);
    Elf64_Shdr more_headers[CFI_ELF_MORE];
    size_t headers_at = ALIGN(place_more(elf, more, more_name, index_at + index.len, more_headers));
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_DYN,
        .e_machine = (uint16_t)elf->machine,
        .e_version = EV_CURRENT,
        .e_entry = elf->entry,
        .e_phoff = sizeof(header),
        .e_shoff = headers_at,
        .e_ehsize = sizeof(header),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (uint16_t)(segment_count + loaded),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = (uint16_t)(SECTIONS + more),
        .e_shstrndx = 1,
    };
    Elf64_Phdr segments[4] = {
        {.p_type = PT_LOAD,
         .p_flags = PF_R | PF_X,
         .p_offset = CFI_ELF_OFFSET,
         .p_vaddr = CFI_ELF_ADDRESS,
         .p_filesz = elf->code_bytes,
         .p_memsz = elf->code_bytes},
        {.p_type = elf->build_id ? PT_NOTE : PT_NULL,
         .p_flags = PF_R,
         .p_offset = note_at,
         .p_filesz = note_len,
         .p_memsz = note_len,
         .p_align = 4},
        {.p_type = PT_LOAD,
         .p_flags = PF_R,
         .p_offset = cfi_at,
         .p_vaddr = CFI_ELF_SECTION,
         .p_filesz = index_at + index.len - cfi_at,
         .p_memsz = index_at + index.len - cfi_at},
        {.p_type = PT_GNU_EH_FRAME,
         .p_flags = PF_R,
         .p_offset = index_at,
         .p_vaddr = CFI_ELF_SECTION + index_at - cfi_at,
         .p_filesz = index.len,
         .p_memsz = index.len},
    };
    Elf64_Shdr sections[SECTIONS] = {
        {0},
        {.sh_name = NAME_NAMES, .sh_type = SHT_STRTAB, .sh_offset = names_at, .sh_size = names_len},
        {.sh_name = NAME_NOTE,
         .sh_type = SHT_NOTE,
         .sh_offset = note_at,
         .sh_size = note_len,
         .sh_addralign = 4},
        {.sh_name = NAME_CFI,
         .sh_type = SHT_PROGBITS,
         .sh_addr = CFI_ELF_SECTION,
         .sh_offset = cfi_at,
         .sh_size = cfi->len,
         .sh_addralign = 8},
    };
    Elf64_Nhdr note = {4, (uint32_t)elf->build_id_len, 3 /* NT_GNU_BUILD_ID */};
    size_t start = to->len;
    add(to, &header, sizeof(header));
    add(to, segments, segment_count * sizeof(*segments));
    for (size_t i = 0; i < more; i++)
        add_segment(&elf->more[i], &more_headers[i], to);
    add(to, NAMES, sizeof(NAMES) - 1);
    add(to, name, strlen(name) + 1);
    for (size_t i = 0; i < more; i++)
        add(to, elf->more[i].name, strlen(elf->more[i].name) + 1);
    while (to->len - start < note_at)
        add_u8(to, 0);
    if (elf->build_id) {
        add(to, &note, sizeof(note));
        add(to, "GNU", 4);
        add(to, elf->build_id, elf->build_id_len);
    }
    while (to->len - start < cfi_at)
        add_u8(to, 0);
    add(to, cfi->data, cfi->len);
    while (to->len - start < index_at)
        add_u8(to, 0);
    add(to, index.data, index.len);
    buf_free(&index);
    add_more(elf, more, start, to);
    while (to->len - start < headers_at)
        add_u8(to, 0);
    add(to, sections, sizeof(sections));
    add(to, more_headers, more * sizeof(*more_headers));
}

int cfi_elf_open(const struct cfi_elf *elf)
{
    struct buf bytes = {0};
    cfi_elf_bytes(elf, &bytes);
    int fd = memfd_create("elf", MFD_CLOEXEC);
    assert(fd >= 0);
    int r = fs_write_all(fd, bytes.data, bytes.len);
    assert(r == 0);
    buf_free(&bytes);
    return fd;
}
