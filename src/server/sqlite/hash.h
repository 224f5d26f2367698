/* hash.h: one name for the same thing in every batch, day and node: 128 bits of XXH3 over what it
 * says. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH_SIZE 16

struct batch;
struct err;

struct hash {
    uint64_t high, low;
};

/* The hashes of a batch's rows. A stack's is made of its parent's and its frame's, so that it says
 * the whole way from the root; the root's is zero, no other's high half is. */
struct batch_hashes {
    struct hash *strings, *objects, *frames, *stacks;
};

int batch_hashes_make(const struct batch *batch, struct batch_hashes *ret, struct err *err);
void batch_hashes_free(struct batch_hashes *h);

struct hash hash_bytes(const void *bytes, size_t len);
struct hash hash_text(const char *text);

/* As the dictionary keeps it: high half first, big endian, so that keys sort by store_row's stack.
 */
void hash_put(uint8_t bytes[HASH_SIZE], struct hash hash);
struct hash hash_get(const uint8_t bytes[HASH_SIZE]);
