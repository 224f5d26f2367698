/* debug_dirs.h: directories of debug files, which are found in them by build-id. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct debug_dirs;
struct err;

/* `list`: directories with colons between them, in the order to look; NULL: none. They need not
 * exist, and what is put into them later is found. */
int debug_dirs_new(const char *list, struct debug_dirs **ret, struct err *err);
void debug_dirs_free(struct debug_dirs **dirs);

/* One more directory, looked into last. A file that is opened there is marked as used by its access
 * time. Before other threads use `dirs`. */
int debug_dirs_add_cache(struct debug_dirs *dirs, const char *dir, struct err *err);

/* Opens the first file that has this build-id, and symbols or DWARF. -ENOENT: there is none;
 * another error, with its path: the first one that was at its place and is no good. */
int debug_dirs_open(const struct debug_dirs *dirs, const uint8_t *id, size_t id_len,
                    struct err *err);
