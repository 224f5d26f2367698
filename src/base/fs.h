/* fs.h: small files, read whole and published whole; and files below a root that is another's. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct buf;
struct err;

/* Appends the file's bytes to `buf`. `path` is relative to `dirfd` (or AT_FDCWD). A file of more
 * than `max` bytes is -EFBIG; its st_size is not trusted, so that /proc files can be read. On
 * failure buf is as it was. A NUL stands behind the bytes and is not counted. */
int fs_read_at(int dirfd, const char *path, size_t max, struct buf *buf, struct err *err);

/* Makes the directory and those above it that are missing, each with `mode`. */
int fs_mkdir_p(const char *path, mode_t mode, struct err *err);

/* Publishes `name` in the directory: after a crash at any time it has either its old bytes (or is
 * missing) or all the new ones. Writes `.NAME.tmp`, fsyncs it, renames it, fsyncs the directory;
 * on failure the temporary file is gone. One writer a name. */
int fs_publish_at(int dirfd, const char *name, const void *bytes, size_t len, mode_t mode,
                  struct err *err);

/* write(2) until all is written or it fails. */
int fs_write_all(int fd, const void *bytes, size_t len);

/* Opens a file of a process's own root: an absolute path, and absolute links on it, count from
 * `root` (a directory's descriptor), and nothing leads out of it. `flags` as for open(2): O_RDONLY
 * or O_PATH, and with O_NOFOLLOW no link is followed at the end. Never waits for a FIFO or a
 * terminal; what was opened may be no regular file. Before Linux 5.6 only paths without any link
 * are found. The descriptor, or -errno. */
int fs_open_in_root(int root, const char *path, int flags);
