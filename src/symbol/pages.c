/* pages.c: takes offsets in a file, gives the bytes there. See pages.h. */
#include "symbol/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/elf_file.h"

#define NO_PAGE UINT64_MAX

struct pages {
    const struct elf_file *file;
    uint64_t numbers[PAGES_KEPT]; /* of the pages in `bytes` */
    uint8_t bytes[PAGES_KEPT][PAGE_BYTES];
};

int pages_new(const struct elf_file *file, struct pages **ret)
{
    struct pages *p = malloc(sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->file = file;
    for (size_t i = 0; i < PAGES_KEPT; i++)
        p->numbers[i] = NO_PAGE;
    *ret = p;
    return 0;
}

void pages_free(struct pages **p)
{
    free(*p);
    *p = NULL;
}

/* Those next to each other share no place, nor do most that lie as far apart as two tables do. */
static size_t place_of(uint64_t number)
{
    return (size_t)((number ^ number / PAGES_KEPT) % PAGES_KEPT);
}

int pages_view(struct pages *p, uint64_t offset, const uint8_t **ret, size_t *ret_len)
{
    if (offset >= p->file->bytes)
        return -EBADMSG;
    uint64_t number = offset / PAGE_BYTES, start = number * PAGE_BYTES;
    size_t place = place_of(number), skip = (size_t)(offset - start), len = PAGE_BYTES;
    if (p->file->bytes - start < len)
        len = (size_t)(p->file->bytes - start);
    if (p->numbers[place] != number) {
        p->numbers[place] = NO_PAGE;
        int r = elf_file_read(p->file, start, p->bytes[place], len);
        if (r < 0)
            return r;
        p->numbers[place] = number;
    }
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
