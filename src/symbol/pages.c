/* pages.c: takes offsets in a file, gives the bytes there. See pages.h. */
#include "symbol/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/elf_file.h"

#define NO_PAGE UINT64_MAX

/* A page can be in any place of its set; where all are taken, the one not asked for the longest
 * goes. */
#define WAYS 4u
#define SETS (PAGES_KEPT / WAYS)

struct pages {
    const struct elf_file *file;
    uint64_t clock;
    uint64_t numbers[PAGES_KEPT]; /* of the pages in `bytes`, set by set */
    uint64_t asked[PAGES_KEPT];   /* when, by that clock */
    uint8_t bytes[PAGES_KEPT][PAGE_BYTES];
};

int pages_new(const struct elf_file *file, struct pages **ret)
{
    struct pages *p = malloc(sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->file = file;
    p->clock = 0;
    for (size_t i = 0; i < PAGES_KEPT; i++) {
        p->numbers[i] = NO_PAGE;
        p->asked[i] = 0;
    }
    *ret = p;
    return 0;
}

void pages_free(struct pages **p)
{
    free(*p);
    *p = NULL;
}

/* Where the page is, or is to be put. */
static size_t find_place(const struct pages *p, uint64_t number)
{
    size_t first = (size_t)(number % SETS) * WAYS, oldest = first;
    for (size_t i = first; i < first + WAYS; i++) {
        if (p->numbers[i] == number)
            return i;
        if (p->asked[i] < p->asked[oldest])
            oldest = i;
    }
    return oldest;
}

int pages_view(struct pages *p, uint64_t offset, const uint8_t **ret, size_t *ret_len)
{
    if (offset >= p->file->bytes)
        return -EBADMSG;
    uint64_t number = offset / PAGE_BYTES, start = number * PAGE_BYTES;
    size_t place = find_place(p, number), skip = (size_t)(offset - start), len = PAGE_BYTES;
    if (p->file->bytes - start < len)
        len = (size_t)(p->file->bytes - start);
    if (p->numbers[place] != number) {
        p->numbers[place] = NO_PAGE;
        int r = elf_file_read(p->file, start, p->bytes[place], len);
        if (r < 0)
            return r;
        p->numbers[place] = number;
    }
    p->asked[place] = ++p->clock;
    *ret = p->bytes[place] + skip;
    *ret_len = len - skip;
    return 0;
}

int pages_read(struct pages *p, uint64_t offset, void *to, size_t len)
{
    for (size_t done = 0; done < len;) {
        const uint8_t *bytes;
        size_t n;
        int r = pages_view(p, offset + done, &bytes, &n);
        if (r < 0)
            return r;
        if (n > len - done)
            n = len - done;
        memcpy((char *)to + done, bytes, n);
        done += n;
    }
    return 0;
}
