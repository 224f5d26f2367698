/* strings.c: takes texts, gives their numbers. Texts are told apart by a 128-bit hash, so that the
 * table's keys have one size. See strings.h. */
#include "agent/strings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/err.h"
#include "base/table.h"

/* Texts lie in blocks; one longer than a block gets its own. */
#define BLOCK_BYTES 65536u

struct block {
    struct block *next;
    size_t used, size;
    char bytes[];
};

struct strings {
    struct table hashes; /* XXH128_canonical_t, nothing behind */
    const char **list;
    uint32_t room;
    struct block *blocks;
};

int strings_new(uint32_t max, struct strings **ret, struct err *err)
{
    struct strings *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(err, -ENOMEM, "a table of strings");
    table_init(&s->hashes, sizeof(XXH128_canonical_t), sizeof(XXH128_canonical_t), max);
    *ret = s;
    return 0;
}

void strings_clear(struct strings *strings)
{
    table_clear(&strings->hashes);
    for (struct block *b = strings->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    strings->blocks = NULL;
}

void strings_free(struct strings **strings)
{
    if (!*strings)
        return;
    strings_clear(*strings);
    table_free(&(*strings)->hashes);
    free((*strings)->list);
    free(*strings);
    *strings = NULL;
}

static char *copy_text(struct strings *s, const char *text, size_t size)
{
    struct block *b = s->blocks;
    if (!b || b->size - b->used < size) {
        size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        b = malloc(sizeof(*b) + room);
        if (!b)
            return NULL;
        *b = (struct block){.next = s->blocks, .size = room};
        s->blocks = b;
    }
    char *to = b->bytes + b->used;
    memcpy(to, text, size);
    b->used += size;
    return to;
}

static int reserve_list(struct strings *s)
{
    if (s->hashes.count < s->room)
        return 0;
    uint32_t room = s->room * 2 + 256;
    const char **list = realloc(s->list, room * sizeof(*list));
    if (!list)
        return -ENOMEM;
    s->list = list;
    s->room = room;
    return 0;
}

int strings_add(struct strings *strings, const char *text, uint32_t *ret)
{
    size_t len = strlen(text);
    XXH128_canonical_t key;
    XXH128_canonicalFromHash(&key, XXH3_128bits(text, len));
    if (table_find(&strings->hashes, &key, ret) == 0)
        return 0;
    int r = reserve_list(strings);
    if (r < 0)
        return r;
    char *copy = copy_text(strings, text, len + 1);
    if (!copy)
        return -ENOMEM;
    r = table_add(&strings->hashes, &key, ret);
    if (r < 0)
        return r;
    strings->list[*ret] = copy;
    return 0;
}

uint32_t strings_count(const struct strings *strings)
{
    return strings->hashes.count;
}

const char *const *strings_list(const struct strings *strings)
{
    return strings->list;
}
