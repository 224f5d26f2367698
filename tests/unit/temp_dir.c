/* temp_dir.c: directories for tests. */
#include "temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int temp_dir_make(void **state)
{
    struct temp_dir *dir = calloc(1, sizeof(*dir));
    const char *tmp = getenv("TMPDIR");
    if (!dir)
        return -1;
    snprintf(dir->path, sizeof(dir->path), "%s/podflame-test.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir->path))
        return -1;
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = dir;
    return dir->fd < 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    return remove(path);
}

int temp_dir_remove(void **state)
{
    struct temp_dir *dir = *state;
    close(dir->fd);
    int r = nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    free(dir);
    return r;
}
