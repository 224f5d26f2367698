/* strings.h: each distinct text once, by a number from 0 on in the order they came. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is an empty table without a limit. */
struct strings {
    const char **texts; /* by number; NUL-terminated */
    uint32_t count;
    uint32_t cap;
    uint32_t mask;
    struct strings_slot *slots;
    struct strings_block *blocks; /* the bytes */
    size_t bytes;                 /* of all texts */
    size_t max_bytes;             /* 0: no limit */
};

/* -ENOMEM, or -EFBIG past the limit. */
int strings_intern(struct strings *strings, const char *text, size_t len, uint32_t *ret);
void strings_free(struct strings *strings);
