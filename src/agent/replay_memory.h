/* replay_memory.h: pieces of processes' memory that a recording holds, by process and address. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct replay_memory;

/* Keeps a copy; a piece that was there at that address before is gone. `*memory` NULL: the first.
 * Past 256 MiB nothing more is kept. -ENOMEM. */
int replay_memory_put(struct replay_memory **memory, uint64_t pid, uint64_t address,
                      const void *bytes, size_t len);

/* Copies the piece that begins there, and gives how many of `len` bytes; 0 if there is none. */
size_t replay_memory_get(const struct replay_memory *memory, uint64_t pid, uint64_t address,
                         void *to, size_t len);
void replay_memory_free(struct replay_memory **memory);
