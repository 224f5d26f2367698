/* strings.c: takes texts, gives their numbers. See strings.h. */
#include "server/strings.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define BLOCK_BYTES 65536u
#define EMPTY       UINT32_MAX

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
        size_t size = len > BLOCK_BYTES ? len : BLOCK_BYTES;
        block = malloc(sizeof(*block) + size);
        if (!block)
            return NULL;
        *block = (struct strings_block){.next = strings->blocks, .size = size};
        strings->blocks = block;
    }
    char *bytes = block->bytes + block->used;
    block->used += len;
    return bytes;
}

static bool grow_slots(struct strings *strings)
{
    size_t slots = strings->slots ? ((size_t)strings->mask + 1) * 2 : 256;
    struct strings_slot *table = malloc(slots * sizeof(*table));
    if (!table)
        return false;
    memset(table, 0xff, slots * sizeof(*table));
    uint32_t mask = (uint32_t)(slots - 1);
    for (uint32_t i = 0; i < strings->count; i++) {
        uint64_t hash = XXH3_64bits(strings->texts[i], strlen(strings->texts[i]));
        uint32_t at = (uint32_t)hash & mask;
        while (table[at].text != EMPTY)
            at = (at + 1) & mask;
        table[at] = (struct strings_slot){(uint32_t)(hash >> 32), i};
    }
    free(strings->slots);
    strings->slots = table;
    strings->mask = mask;
    return true;
}

static bool grow_texts(struct strings *strings)
{
    if (strings->cap > UINT32_MAX / 4)
        return false;
    uint32_t cap = strings->cap ? strings->cap * 2 : 256;
    const char **texts = realloc(strings->texts, cap * sizeof(*texts));
    if (!texts)
        return false;
    strings->texts = texts;
    strings->cap = cap;
    return true;
}

static int add(struct strings *strings, struct strings_slot *slot, uint64_t hash, const char *text,
               size_t len, uint32_t *ret)
{
    if (strings->max_bytes && strings->bytes + len + 1 > strings->max_bytes)
        return -EFBIG;
    if (strings->count == strings->cap && !grow_texts(strings))
        return -ENOMEM;
    char *copy = take_bytes(strings, len + 1);
    if (!copy)
        return -ENOMEM;
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
    if ((!strings->slots || strings->count >= strings->mask / 2) && !grow_slots(strings))
        return -ENOMEM;
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

void strings_free(struct strings *strings)
{
    while (strings->blocks) {
        struct strings_block *next = strings->blocks->next;
        free(strings->blocks);
        strings->blocks = next;
    }
    free(strings->texts);
    free(strings->slots);
    *strings = (struct strings){.max_bytes = strings->max_bytes};
}
