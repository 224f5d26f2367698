/* cfi_image.c: takes an ELF file, gives the bytes of its CFI by their addresses. See cfi_image.h.
 */
#include "unwind/cfi_image.h"

#include <dwarf.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

#define SEGMENTS_MAX 64u
#define WORD         8u

struct segment {
    uint64_t address, offset, bytes;
};

struct cfi_image {
    struct segment segments[SEGMENTS_MAX];
    uint32_t segment_count;
    struct cfi_index index;
    uint64_t start; /* address of the first byte */
    size_t len;
    uint8_t *bytes;
};

struct cfi_image_headers {
    Elf64_Ehdr elf;
    Elf64_Phdr index; /* PT_GNU_EH_FRAME */
    bool has_index;
};

void cfi_image_free(struct cfi_image **image)
{
    if (!*image)
        return;
    free((*image)->bytes);
    free(*image);
    *image = NULL;
}

static int read_at(int fd, void *to, size_t len, uint64_t offset)
{
    if (offset > INT64_MAX - len)
        return -EBADMSG;
    ssize_t n = pread(fd, to, len, (off_t)offset);
    return n < 0 ? -errno : (size_t)n < len ? -EBADMSG : 0;
}

static void take_segment(struct cfi_image *i, const Elf64_Phdr *p)
{
    if (i->segment_count == SEGMENTS_MAX || p->p_vaddr + p->p_memsz < p->p_vaddr)
        return;
    i->segments[i->segment_count++] = (struct segment){p->p_vaddr, p->p_offset, p->p_filesz};
    if (p->p_vaddr < i->index.low)
        i->index.low = p->p_vaddr;
    if (p->p_vaddr + p->p_memsz > i->index.high)
        i->index.high = p->p_vaddr + p->p_memsz;
}

static int read_headers(int fd, struct cfi_image *i, struct cfi_image_headers *ret)
{
    Elf64_Ehdr *e = &ret->elf;
    int r = read_at(fd, e, sizeof(*e), 0);
    if (r < 0)
        return r;
    if (memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 || e->e_ident[EI_CLASS] != ELFCLASS64 ||
        e->e_ident[EI_DATA] != ELFDATA2LSB || e->e_phentsize != sizeof(Elf64_Phdr))
        return -EBADMSG;
    for (unsigned k = 0; k < e->e_phnum && k < SEGMENTS_MAX; k++) {
        Elf64_Phdr p;
        if ((r = read_at(fd, &p, sizeof(p), e->e_phoff + k * sizeof(p))) < 0)
            return r;
        if (p.p_type == PT_LOAD)
            take_segment(i, &p);
        if (p.p_type == PT_GNU_EH_FRAME) {
            ret->index = p;
            ret->has_index = true;
        }
    }
    return ret->has_index ? 0 : -ENODATA;
}

/* As linkers write it: version 1, .eh_frame pc-relative in 4 bytes, the count in 4, pairs of 4 and
 * 4 from the header's address on. */
static int read_index(const uint8_t header[12], uint64_t address, struct cfi_index *ret,
                      uint64_t *ret_frame)
{
    int32_t frame;
    if (header[0] != 1 || header[1] != (DW_EH_PE_pcrel | DW_EH_PE_sdata4) ||
        header[2] != DW_EH_PE_udata4 || header[3] != (DW_EH_PE_datarel | DW_EH_PE_sdata4))
        return -ENODATA;
    memcpy(&frame, header + 4, 4);
    memcpy(&ret->count, header + 8, 4);
    ret->header = address;
    ret->pairs = address + 12;
    *ret_frame = address + 4 + (uint64_t)(int64_t)frame;
    return 0;
}

static const struct segment *find_segment(const struct cfi_image *i, uint64_t address)
{
    for (uint32_t k = 0; k < i->segment_count; k++) {
        if (address - i->segments[k].address < i->segments[k].bytes)
            return &i->segments[k];
    }
    return NULL;
}

/* Both lie in one segment; what follows them there comes along. */
static int read_bytes(int fd, struct cfi_image *i, uint64_t frame, size_t max_bytes)
{
    uint64_t header = i->index.header;
    const struct segment *s = find_segment(i, header);
    if (!s || s != find_segment(i, frame))
        return -ENODATA;
    i->start = header < frame ? header : frame;
    i->len = s->address + s->bytes - i->start;
    if (i->len > max_bytes)
        return -EFBIG;
    if (i->len < 12 || i->index.count > (i->len - 12) / 8)
        return -EBADMSG;
    i->bytes =
        calloc(1, i->len + WORD); /* libunwind reads words, of which the last may hang over */
    return i->bytes ? read_at(fd, i->bytes, i->len, s->offset + i->start - s->address) : -ENOMEM;
}

int cfi_image_read(int fd, size_t max_bytes, struct cfi_image **ret, struct err *err)
{
    _cleanup_(cfi_image_free) struct cfi_image *i = calloc(1, sizeof(*i));
    if (!i)
        return err_errno(err, -ENOMEM, "an image of CFI");
    i->index.low = UINT64_MAX;
    struct cfi_image_headers headers = {0};
    uint8_t header[12];
    uint64_t frame = 0;
    int r = read_headers(fd, i, &headers);
    if (r == 0)
        r = read_at(fd, header, sizeof(header), headers.index.p_offset);
    if (r == 0)
        r = read_index(header, headers.index.p_vaddr, &i->index, &frame);
    if (r == 0)
        r = read_bytes(fd, i, frame, max_bytes);
    if (r < 0)
        return err_errno(err, r, "reading .eh_frame_hdr and .eh_frame");
    *ret = TAKE_PTR(i);
    return 0;
}

size_t cfi_image_bytes(const struct cfi_image *image)
{
    return sizeof(*image) + image->len;
}

struct cfi_index cfi_image_index(const struct cfi_image *image)
{
    return image->index;
}

bool cfi_image_address(const struct cfi_image *image, uint64_t file_offset, uint64_t *ret)
{
    for (uint32_t k = 0; k < image->segment_count; k++) {
        const struct segment *s = &image->segments[k];
        if (file_offset - s->offset >= s->bytes)
            continue;
        *ret = s->address + file_offset - s->offset;
        return true;
    }
    return false;
}

bool cfi_image_word(const struct cfi_image *image, uint64_t address, uint64_t *ret)
{
    uint64_t at = address - image->start;
    if (at < image->len) {
        memcpy(ret, image->bytes + at, WORD);
        return true;
    }
    *ret = 0;
    return address >= image->index.low && address < image->index.high;
}
