/* debug_cache.h: a directory of fetched debug files, DIR/BUILD-ID/debuginfo, kept within its size
 * by dropping those that were used least lately. One thread; readers find files by debug_dirs.h. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct debug_cache;
struct err;

/* Makes the directory, and removes what a fetch before left unfinished. */
int debug_cache_open(const char *dir, uint64_t max_bytes, struct debug_cache **ret,
                     struct err *err);
void debug_cache_close(struct debug_cache **cache);

/* The largest file it takes: half of all, so that one does not push out all others. */
uint64_t debug_cache_file_max(const struct debug_cache *cache);

/* A file to be written, for which others are dropped as soon as it is kept. Only one at a time. */
int debug_cache_make_file(struct debug_cache *cache, int *ret_fd, struct err *err);
int debug_cache_keep_file(struct debug_cache *cache, int fd, const uint8_t *build_id, size_t len,
                          struct err *err);

/* Bytes on disk when a file was kept last, or the cache opened. */
uint64_t debug_cache_bytes(const struct debug_cache *cache);
