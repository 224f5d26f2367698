/* answers.c: takes ranges of addresses with their names, gives the name of an address. See
 * answers.h. */
#include "symbol/answers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "symbol/elf_file.h"

#define NAMES_MAX (64u << 20) /* bytes of one object's names */
#define NO_NAME   UINT32_MAX

struct segment {
    uint64_t offset, bytes, address;
    uint64_t
        memory_bytes; /* as the loader maps it: in a debug file there are no bytes left of it */
};

struct range {
    uint64_t low, high, start;
    uint32_t name; /* in names, or NO_NAME */
};

struct answers {
    struct segment *segments; /* those with code first */
    size_t segment_count;
    bool segments_known;
    struct range *ranges; /* ascending, apart from each other */
    size_t count;
    struct buf names;
};

int answers_new(struct answers **ret)
{
    struct answers *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->names.max = NAMES_MAX;
    *ret = a;
    return 0;
}

void answers_free(struct answers **ap)
{
    struct answers *a = *ap;
    if (!a)
        return;
    free(a->segments);
    free(a->ranges);
    buf_free(&a->names);
    free(a);
    *ap = NULL;
}

size_t answers_bytes(const struct answers *a)
{
    return sizeof(*a) + a->segment_count * sizeof(*a->segments) + a->count * sizeof(*a->ranges) +
           a->names.cap;
}

/* The loader maps an ET_EXEC or ET_DYN file by its PT_LOAD segments; what lies in the file behind
 * p_filesz is not the segment's. Those with code come first, since a page of the file may be mapped
 * twice, at the end of one segment and the start of the next. */
int answers_set_segments(struct answers *a, const struct elf_file *file)
{
    struct segment *segments = calloc(file->segment_count + 1, sizeof(*segments));
    if (!segments)
        return -ENOMEM;
    size_t n = 0;
    for (int want_code = 1; want_code >= 0; want_code--) {
        for (size_t i = 0; i < file->segment_count; i++) {
            const GElf_Phdr *p = &file->segments[i];
            uint64_t end;
            if (p->p_type != PT_LOAD || ((p->p_flags & PF_X) != 0) != want_code ||
                p->p_filesz > p->p_memsz || p->p_memsz == 0 ||
                __builtin_add_overflow(p->p_vaddr, p->p_memsz, &end) ||
                __builtin_add_overflow(p->p_offset, p->p_filesz, &end))
                continue;
            segments[n++] = (struct segment){p->p_offset, p->p_filesz, p->p_vaddr, p->p_memsz};
        }
    }
    free(a->segments);
    a->segments = segments;
    a->segment_count = n;
    a->segments_known = true;
    return 0;
}

bool answers_have_segments(const struct answers *a)
{
    return a->segments_known;
}

bool answers_translate(const struct answers *a, uint64_t offset, uint64_t *ret_address,
                       uint64_t *ret_low, uint64_t *ret_high)
{
    for (size_t i = 0; i < a->segment_count; i++) {
        const struct segment *s = &a->segments[i];
        if (offset < s->offset || offset - s->offset >= s->bytes)
            continue;
        *ret_address = s->address + (offset - s->offset);
        *ret_low = s->address;
        *ret_high = s->address + s->bytes;
        return true;
    }
    return false;
}

bool answers_find_segment(const struct answers *a, uint64_t address, uint64_t *ret_low,
                          uint64_t *ret_high)
{
    for (size_t i = 0; i < a->segment_count; i++) {
        const struct segment *s = &a->segments[i];
        if (address < s->address || address - s->address >= s->memory_bytes)
            continue;
        *ret_low = s->address;
        *ret_high = s->address + s->memory_bytes;
        return true;
    }
    return false;
}

/* The first range that ends behind the address. */
static size_t first_behind(const struct answers *a, uint64_t address)
{
    size_t low = 0, high = a->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (a->ranges[mid].high <= address)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool answers_find(const struct answers *a, uint64_t address, struct answer *ret)
{
    size_t i = first_behind(a, address);
    if (i == a->count || a->ranges[i].low > address)
        return false;
    const struct range *r = &a->ranges[i];
    *ret = (struct answer){r->low, r->high, r->start, NULL};
    if (r->name != NO_NAME)
        ret->name = (const char *)a->names.data + r->name;
    return true;
}

/* Ranges next to each other are often parts of one symbol, around another inside it. */
static int add_name(struct answers *a, const char *name, const char *last, uint32_t *at)
{
    if (!name) {
        *at = NO_NAME;
        return 0;
    }
    if (name == last)
        return 0;
    size_t end = a->names.len;
    int r = buf_append(&a->names, name, strlen(name) + 1);
    if (r == 0)
        *at = (uint32_t)end;
    return r;
}

int answers_add(struct answers *a, const struct answer *more, size_t count)
{
    _cleanup_free_ struct range *merged = calloc(a->count + count + 1, sizeof(*merged));
    if (!merged)
        return -ENOMEM;
    size_t n = 0, old = 0;
    const char *last = NULL;
    uint32_t name = NO_NAME;
    for (size_t i = 0; i < count; i++) {
        uint64_t low = more[i].low, high = more[i].high;
        while (old < a->count && a->ranges[old].low <= low)
            merged[n++] = a->ranges[old++];
        if (n && merged[n - 1].high > low)
            low = merged[n - 1].high;
        if (old < a->count && a->ranges[old].low < high)
            high = a->ranges[old].low;
        if (low >= high)
            continue;
        int r = add_name(a, more[i].name, last, &name);
        if (r < 0)
            return r;
        last = more[i].name;
        merged[n++] = (struct range){low, high, more[i].start, name};
    }
    while (old < a->count)
        merged[n++] = a->ranges[old++];
    free(a->ranges);
    a->ranges = TAKE_PTR(merged);
    a->count = n;
    return 0;
}
