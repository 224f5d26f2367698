/* hash.c: takes a batch, gives the hashes by which the dictionary knows its strings, objects,
 * frames and stacks. What is hashed is part of the layout: a change of it is a new DAY_VERSION. */
#include "server/sqlite/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL /* most of what is hashed is 32 or 64 bytes, known when it is compiled */
#include <xxhash.h>

#include "base/err.h"
#include "wire/batch.h"

/* What is hashed of an object and a frame, without padding. Strings are named by their hash: their
 * numbers differ from batch to batch. */
struct object_words {
    struct hash path;
    uint64_t kind_flags_len;
    uint8_t build_id[24];
};
_Static_assert(sizeof(struct object_words) == 48, "no padding is hashed");

struct frame_words {
    struct hash object, name, file;
    uint64_t address, kind_line;
};
_Static_assert(sizeof(struct frame_words) == 64, "no padding is hashed");

struct hash hash_bytes(const void *bytes, size_t len)
{
    XXH128_hash_t h = XXH3_128bits(bytes, len);
    return (struct hash){h.high64, h.low64};
}

struct hash hash_text(const char *text)
{
    return hash_bytes(text, strlen(text));
}

void hash_put(uint8_t bytes[HASH_SIZE], struct hash hash)
{
    XXH128_canonicalFromHash((XXH128_canonical_t *)bytes, (XXH128_hash_t){hash.low, hash.high});
}

struct hash hash_get(const uint8_t bytes[HASH_SIZE])
{
    XXH128_hash_t h = XXH128_hashFromCanonical((const XXH128_canonical_t *)bytes);
    return (struct hash){h.high64, h.low64};
}

static struct hash hash_object(const struct batch_hashes *h, const struct batch_object *o)
{
    struct object_words w = {.path = h->strings[o->path]};
    w.kind_flags_len = (uint64_t)o->kind << 16 | (uint64_t)o->flags << 8 | o->build_id_len;
    memcpy(w.build_id, o->build_id, o->build_id_len);
    return hash_bytes(&w, sizeof(w));
}

static struct hash hash_frame(const struct batch_hashes *h, const struct batch_frame *f)
{
    struct frame_words w = {.object = h->objects[f->object],
                            .name = h->strings[f->name],
                            .file = h->strings[f->file],
                            .address = f->address,
                            .kind_line = (uint64_t)f->kind << 32 | f->line};
    return hash_bytes(&w, sizeof(w));
}

static struct hash hash_stack(struct hash parent, struct hash frame)
{
    struct hash both[2] = {parent, frame};
    struct hash h = hash_bytes(both, sizeof(both));
    h.high += h.high == 0;
    return h;
}

int batch_hashes_make(const struct batch *b, struct batch_hashes *ret, struct err *err)
{
    size_t total = (size_t)b->string_count + b->object_count + b->frame_count + b->stack_count;
    struct hash *block = calloc(total + 1, sizeof(*block));
    if (!block)
        return err_errno(err, -ENOMEM, "hashing %zu rows", total);
    struct batch_hashes h = {.strings = block};
    h.objects = h.strings + b->string_count;
    h.frames = h.objects + b->object_count;
    h.stacks = h.frames + b->frame_count;
    for (uint32_t i = 0; i < b->string_count; i++)
        h.strings[i] = hash_text(b->strings[i]);
    for (uint32_t i = 0; i < b->object_count; i++)
        h.objects[i] = hash_object(&h, &b->objects[i]);
    for (uint32_t i = 0; i < b->frame_count; i++)
        h.frames[i] = hash_frame(&h, &b->frames[i]);
    for (uint32_t i = 1; i < b->stack_count; i++) /* row 0, the root, stays zero */
        h.stacks[i] = hash_stack(h.stacks[b->stacks[i].parent], h.frames[b->stacks[i].frame]);
    *ret = h;
    return 0;
}

void batch_hashes_free(struct batch_hashes *h)
{
    free(h->strings);
    *h = (struct batch_hashes){0};
}
