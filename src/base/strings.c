/* strings.c: takes texts, gives their numbers: open addressing over text numbers, at most half
 * full, each slot with the other half of the hash so that few texts are compared. See strings.h. */
#include "base/strings.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Texts lie in blocks, each as large as those before together, so that few texts take little; one
 * longer than a block gets its own. */
#define BLOCK_MIN 1024u
#define BLOCK_MAX 65536u
#define ROWS_MIN  32u
#define EMPTY     UINT32_MAX

struct strings_slot {
    uint32_t hash; /* the upper half; the lower one chose the slot */
    uint32_t text;
};

struct strings_block {
    struct strings_block *next;
    size_t used, size;
    char bytes[];
};

static char *take_bytes(struct strings *strings, size_t len)
{
    struct strings_block *block = strings->blocks;
    if (!block || block->size - block->used < len) {
        size_t size = strings->bytes < BLOCK_MIN   ? BLOCK_MIN
                      : strings->bytes > BLOCK_MAX ? BLOCK_MAX
                                                   : strings->bytes;
        if (size < len)
            size = len;
        block = malloc(sizeof(*block) + size);
        if (!block)
            return NULL;
        strings->block_bytes += sizeof(*block) + size;
        *block = (struct strings_block){.next = strings->blocks, .size = size};
        strings->blocks = block;
    }
    char *bytes = block->bytes + block->used;
    block->used += len;
    return bytes;
}

static int grow_slots(struct strings *strings)
{
    uint32_t count = strings->slots ? (strings->mask + 1) * 2 : ROWS_MIN;
    struct strings_slot *slots = count ? malloc(count * sizeof(*slots)) : NULL;
    if (!slots)
        return -ENOMEM;
    memset(slots, 0xff, count * sizeof(*slots));
    uint32_t mask = count - 1;
    for (uint32_t i = 0; i < strings->count; i++) {
        uint64_t hash = XXH3_64bits(strings->texts[i], strlen(strings->texts[i]));
        uint32_t at = (uint32_t)hash & mask;
        while (slots[at].text != EMPTY)
            at = (at + 1) & mask;
        slots[at] = (struct strings_slot){(uint32_t)(hash >> 32), i};
    }
    free(strings->slots);
    strings->slots = slots;
    strings->mask = mask;
    return 0;
}

static int grow_texts(struct strings *strings)
{
    uint32_t cap = strings->cap ? strings->cap * 2 : ROWS_MIN;
    const char **texts = cap ? realloc(strings->texts, cap * sizeof(*texts)) : NULL;
    if (!texts)
        return -ENOMEM;
    strings->texts = texts;
    strings->cap = cap;
    return 0;
}

static int add(struct strings *strings, struct strings_slot *slot, uint64_t hash, const char *text,
               size_t len, uint32_t *ret)
{
    if (strings->max_count && strings->count >= strings->max_count)
        return -ENOSPC;
    if (strings->max_bytes &&
        (strings->bytes >= strings->max_bytes || len >= strings->max_bytes - strings->bytes))
        return -EFBIG;
    int r = strings->count == strings->cap ? grow_texts(strings) : 0;
    if (r < 0)
        return r;
    char *copy = take_bytes(strings, len + 1);
    if (!copy)
        return -ENOMEM;
    if (len)
        memcpy(copy, text, len);
    copy[len] = 0;
    strings->bytes += len + 1;
    *slot = (struct strings_slot){(uint32_t)(hash >> 32), strings->count};
    strings->texts[strings->count] = copy;
    *ret = strings->count++;
    return 0;
}

int strings_intern(struct strings *strings, const char *text, size_t len, uint32_t *ret)
{
    assert(len == 0 || !memchr(text, 0, len));
    if (!strings->slots || strings->count > strings->mask / 2) {
        int r = grow_slots(strings);
        if (r < 0)
            return r;
    }
    uint64_t hash = XXH3_64bits(text, len);
    uint32_t at = (uint32_t)hash & strings->mask;
    for (; strings->slots[at].text != EMPTY; at = (at + 1) & strings->mask) {
        const struct strings_slot *slot = &strings->slots[at];
        if (slot->hash != (uint32_t)(hash >> 32))
            continue;
        const char *have = strings->texts[slot->text];
        if (strncmp(have, text, len) == 0 && have[len] == 0) {
            *ret = slot->text;
            return 0;
        }
    }
    return add(strings, &strings->slots[at], hash, text, len, ret);
}

int strings_add(struct strings *strings, const char *text, uint32_t *ret)
{
    return strings_intern(strings, text, strlen(text), ret);
}

static void free_blocks(struct strings *strings)
{
    while (strings->blocks) {
        struct strings_block *next = strings->blocks->next;
        free(strings->blocks);
        strings->blocks = next;
    }
    strings->block_bytes = 0;
}

size_t strings_memory(const struct strings *strings)
{
    size_t slots = strings->slots ? (size_t)strings->mask + 1 : 0;
    return strings->block_bytes + slots * sizeof(*strings->slots) +
           strings->cap * sizeof(*strings->texts);
}

void strings_clear(struct strings *strings)
{
    free_blocks(strings);
    strings->count = 0;
    strings->bytes = 0;
    if (strings->slots)
        memset(strings->slots, 0xff, ((size_t)strings->mask + 1) * sizeof(*strings->slots));
}

void strings_free(struct strings *strings)
{
    free_blocks(strings);
    free(strings->texts);
    free(strings->slots);
    *strings = (struct strings){.max_bytes = strings->max_bytes, .max_count = strings->max_count};
}
