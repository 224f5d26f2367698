/* below.h: opens a process's files as the process would: its links lead below its root, never out
 * of it. Whoever owns the process may have made what lies there. */
#pragma once

/* `path` counts from the directory `root`, whose ".." and absolute links stay below it. Neither a
 * link as the last component nor a magic link of /proc is followed, and no open of a FIFO waits.
 * A descriptor, or -errno. Before Linux 5.6, which has no openat2(2), no link at all is followed.
 */
int below_open(int root, const char *path, int flags);
