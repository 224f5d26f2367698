/* chains.c: takes addresses with their functions, gives the functions of an address. See chains.h.
 *
 * A chain is stored once for each address; its strings, which repeat a lot, once for the object. */
#include "symbol/chains.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "base/table.h"

#define STRINGS_MAX ((size_t)64 << 20) /* bytes of one object's */
#define FRAMES_MAX  (4u << 20)         /* of one object */

struct row { /* of the table: a chain */
    uint64_t address;
    /* behind the key */
    uint64_t start;
    uint32_t first, count; /* in frames */
};

struct chains {
    struct table rows;
    struct strings strings;
    struct symbol_frame *frames;
    uint32_t frame_count, frame_room;
};

int chains_new(struct chains **ret)
{
    struct chains *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    table_init(&c->rows, sizeof(struct row), offsetof(struct row, start), 0);
    c->strings.max_bytes = STRINGS_MAX;
    *ret = c;
    return 0;
}

void chains_free(struct chains **cp)
{
    struct chains *c = *cp;
    if (!c)
        return;
    table_free(&c->rows);
    strings_free(&c->strings);
    free(c->frames);
    free(c);
    *cp = NULL;
}

size_t chains_bytes(const struct chains *c)
{
    return sizeof(*c) + table_bytes(&c->rows) + strings_memory(&c->strings) +
           c->frame_room * sizeof(*c->frames);
}

/* Texts do not move, so frames may point to them. */
static int keep_text(struct chains *c, const char *text, const char **ret)
{
    uint32_t number;
    if (!text) {
        *ret = NULL;
        return 0;
    }
    int r = strings_add(&c->strings, text, &number);
    if (r == 0)
        *ret = c->strings.texts[number];
    return r;
}

static int reserve_frames(struct chains *c, size_t more)
{
    if (more > FRAMES_MAX - c->frame_count)
        return -EFBIG;
    uint32_t room = c->frame_room;
    while (room < c->frame_count + more)
        room = room ? room * 2 : 16;
    if (room == c->frame_room)
        return 0;
    struct symbol_frame *frames = reallocarray(c->frames, room, sizeof(*frames));
    if (!frames)
        return -ENOMEM;
    c->frames = frames;
    c->frame_room = room;
    return 0;
}

int chains_add(struct chains *c, uint64_t address, uint64_t start,
               const struct symbol_frame *frames, size_t count)
{
    uint32_t number;
    if (table_find(&c->rows, &address, &number) == 0)
        return 0;
    if (count > CHAIN_FRAMES_MAX)
        count = CHAIN_FRAMES_MAX;
    int r = reserve_frames(c, count);
    for (size_t i = 0; i < count && r == 0; i++) {
        struct symbol_frame *to = &c->frames[c->frame_count + i];
        to->line = frames[i].line;
        r = keep_text(c, frames[i].name, &to->name);
        if (r == 0)
            r = keep_text(c, frames[i].file, &to->file);
    }
    if (r == 0)
        r = table_add(&c->rows, &address, &number);
    if (r < 0)
        return r;
    struct row *row = table_row(&c->rows, number);
    row->start = start;
    row->first = c->frame_count;
    row->count = (uint32_t)count;
    c->frame_count += row->count;
    return 0;
}

bool chains_find(const struct chains *c, uint64_t address, uint64_t *ret_start,
                 const struct symbol_frame **ret, uint32_t *ret_count)
{
    uint32_t number;
    if (table_find(&c->rows, &address, &number) < 0)
        return false;
    const struct row *row = table_row(&c->rows, number);
    *ret_start = row->start;
    *ret = row->count ? c->frames + row->first : NULL;
    *ret_count = row->count;
    return true;
}
