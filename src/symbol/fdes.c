/* fdes.c: takes an ELF file's .eh_frame_hdr, gives the frame description entry around an address:
 * its first and last byte only. See fdes.h.
 *
 * Formats: Linux Standard Base core 5.0, 10.6 "Exception Frames". The header's table is sorted, so
 * that few bytes are read for an address. Only the encodings that linkers write are read: GNU ld,
 * gold, lld and mold know no others. */
#include "symbol/fdes.h"

#include <dwarf.h>
#include <errno.h>
#include <string.h>

#define ENC_POINTER  (DW_EH_PE_pcrel | DW_EH_PE_sdata4)
#define ENC_COUNT    DW_EH_PE_udata4
#define ENC_TABLE    (DW_EH_PE_datarel | DW_EH_PE_sdata4)
#define HEADER_BYTES 12u
#define ROW_BYTES    8u /* where the function begins, where its entry is */
#define CIE_BYTES_MAX \
    64u /* as many as are looked at; what is sought stands in the first 20 or so */

struct bytes {
    const uint8_t *at, *end;
};

/* The section with bytes in the file that holds [address, address + len). A debug file's have none:
 * they are of type NOBITS there. */
static int read_address(const struct elf_file *file, uint64_t address, void *to, size_t len)
{
    for (size_t i = 0; i < file->section_count; i++) {
        const GElf_Shdr *s = &file->sections[i];
        if (!(s->sh_flags & SHF_ALLOC) || s->sh_type == SHT_NOBITS || address < s->sh_addr ||
            address - s->sh_addr >= s->sh_size || len > s->sh_size - (address - s->sh_addr))
            continue;
        return elf_file_read(file, s->sh_offset + (address - s->sh_addr), to, len);
    }
    return -EBADMSG;
}

static int read_u32(const struct elf_file *file, uint64_t offset, uint32_t *ret, size_t count)
{
    int r = elf_file_read(file, offset, ret, count * sizeof(*ret));
    return r < 0 ? r : elf_file_translate(file, ELF_T_WORD, ret, count * sizeof(*ret));
}

static int read_u32_at(const struct elf_file *file, uint64_t address, uint32_t *ret, size_t count)
{
    int r = read_address(file, address, ret, count * sizeof(*ret));
    return r < 0 ? r : elf_file_translate(file, ELF_T_WORD, ret, count * sizeof(*ret));
}

static uint64_t add_relative(uint64_t base, uint32_t offset)
{
    return base + (uint64_t)(int64_t)(int32_t)offset;
}

void fdes_open(const struct elf_file *file, struct fdes *ret)
{
    *ret = (struct fdes){.file = file};
    const GElf_Phdr *header = NULL;
    for (size_t i = 0; i < file->segment_count; i++)
        if (file->segments[i].p_type == PT_GNU_EH_FRAME)
            header = &file->segments[i];
    uint8_t ident[4];
    uint32_t count;
    static const uint8_t want[4] = {1, ENC_POINTER, ENC_COUNT, ENC_TABLE};
    if (!header || read_address(file, header->p_vaddr, ident, sizeof(ident)) < 0 ||
        memcmp(ident, want, sizeof(want)) != 0 || header->p_filesz < HEADER_BYTES ||
        elf_file_read(file, header->p_offset, ident, sizeof(ident)) < 0 ||
        memcmp(ident, want, sizeof(want)) != 0 ||
        read_u32(file, header->p_offset + 8, &count, 1) < 0 ||
        count > (header->p_filesz - HEADER_BYTES) / ROW_BYTES)
        return;
    ret->address = header->p_vaddr;
    ret->offset = header->p_offset + HEADER_BYTES;
    ret->count = count;
}

static uint64_t take_uleb(struct bytes *b)
{
    uint64_t value = 0;
    for (unsigned shift = 0; b->at < b->end; shift += 7) {
        uint8_t byte = *b->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    return value;
}

static size_t encoded_bytes(const struct elf_file *file, uint8_t encoding)
{
    switch (encoding & 0x0f) {
    case DW_EH_PE_absptr:
        return file->class == ELFCLASS64 ? 8 : 4;
    case DW_EH_PE_udata2:
    case DW_EH_PE_sdata2:
        return 2;
    case DW_EH_PE_udata4:
    case DW_EH_PE_sdata4:
        return 4;
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        return 8;
    default:
        return 0;
    }
}

/* The encoding of the addresses of a CIE's functions: behind the letter R of its augmentation. */
static int read_encoding(const struct elf_file *file, uint64_t cie, uint8_t *ret)
{
    uint32_t head[2];                /* length, and 0 for a CIE */
    uint8_t text[CIE_BYTES_MAX + 8]; /* and what a pointer may be behind */
    int r = read_u32_at(file, cie, head, 2);
    if (r < 0)
        return r;
    size_t len = head[0] - 4 < CIE_BYTES_MAX ? head[0] - 4 : CIE_BYTES_MAX;
    if (head[0] < 4 + 2 || head[0] > UINT32_MAX - 16 || head[1] != 0 ||
        read_address(file, cie + 8, text, len) < 0)
        return -EBADMSG;
    struct bytes b = {text + 1, text + len};
    const uint8_t *letters = b.at, *end = memchr(letters, 0, (size_t)(b.end - b.at));
    *ret = DW_EH_PE_absptr;
    if (!end)
        return -EBADMSG;
    b.at = end + 1;
    if (*letters != 'z')
        return *letters == 0 ? 0 : -EBADMSG;
    take_uleb(&b); /* code alignment */
    take_uleb(&b); /* data alignment */
    take_uleb(&b); /* return address register; below 128 in both versions */
    take_uleb(&b); /* length of what follows */
    for (letters++; *letters && b.at < b.end; letters++) {
        uint8_t encoding = *letters == 'S' || *letters == 'B' ? 0 : *b.at++;
        if (*letters == 'R') {
            *ret = encoding;
            return 0;
        }
        if (*letters == 'P')
            b.at += encoded_bytes(file, encoding);
        else if (*letters != 'L' && *letters != 'S' && *letters != 'B')
            return -EBADMSG;
    }
    return -EBADMSG;
}

/* FDE: length, how far back its CIE is, where the function begins, how many bytes it has. */
static int read_fde(const struct elf_file *file, uint64_t fde, uint64_t *ret_bytes)
{
    uint32_t head[2], words[2];
    uint8_t encoding = 0;
    int r = read_u32_at(file, fde, head, 2);
    if (r == 0)
        r = head[0] > 8 && head[1] != 0 ? read_encoding(file, fde + 4 - head[1], &encoding)
                                        : -EBADMSG;
    if (r < 0)
        return r;
    size_t size = encoded_bytes(file, encoding);
    if (size == 4) {
        r = read_u32_at(file, fde + 8, words, 2);
        *ret_bytes = words[1];
        return r;
    }
    if (size != 8)
        return -EBADMSG;
    uint64_t range;
    r = read_address(file, fde + 16, &range, sizeof(range));
    if (r == 0)
        r = elf_file_translate(file, ELF_T_XWORD, &range, sizeof(range));
    *ret_bytes = range;
    return r;
}

int fdes_find(const struct fdes *f, uint64_t address, uint64_t *ret_start, uint64_t *ret_end)
{
    uint32_t row[2];
    size_t low = 0, high = f->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int r = read_u32(f->file, f->offset + mid * ROW_BYTES, row, 1);
        if (r < 0)
            return r;
        if (add_relative(f->address, row[0]) <= address)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0)
        return 0;
    uint64_t bytes = 0;
    int r = read_u32(f->file, f->offset + (low - 1) * ROW_BYTES, row, 2);
    if (r == 0)
        r = read_fde(f->file, add_relative(f->address, row[1]), &bytes);
    uint64_t start = add_relative(f->address, row[0]), end;
    if (r < 0 || start > address || __builtin_add_overflow(start, bytes, &end))
        return r < 0 ? r : -EBADMSG;
    *ret_start = start;
    *ret_end = end;
    return 0;
}
