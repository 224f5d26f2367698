/* strings.h: each distinct text once, by a number from 0 on in the order they came. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is an empty table without limits; the limits are the owner's to set. */
struct strings {
    const char *
        *texts; /* by number; NUL-terminated. Moves when a text is added, the texts do not */
    uint32_t count;
    uint32_t cap;
    uint32_t mask;
    struct strings_slot *slots;
    struct strings_block *blocks; /* the bytes */
    size_t block_bytes;
    size_t bytes;       /* of all texts, with their NULs */
    size_t max_bytes;   /* 0: no limit */
    uint32_t max_count; /* 0: no limit */
};

/* The text's number; `text` has no NUL within its `len` bytes and is copied when it is new.
 * -EFBIG past max_bytes, -ENOSPC past max_count, -ENOMEM. */
int strings_intern(struct strings *strings, const char *text, size_t len, uint32_t *ret);

/* As intern, of a whole C string. */
int strings_add(struct strings *strings, const char *text, uint32_t *ret);

/* Forgets all texts, keeps the limits and the memory of the index. */
void strings_clear(struct strings *strings);

/* Forgets all but the limits. */
void strings_free(struct strings *strings);

/* Bytes of memory it holds. */
size_t strings_memory(const struct strings *strings);
