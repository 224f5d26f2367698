/* golden_file.c: see golden_file.h. */
#include "golden_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>

#include "base/err.h"
#include "base/fs.h"

struct buf golden_file(const char *name)
{
    char path[1024];
    struct buf text = {0};
    struct err err = {0};
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof(path), "%s/tests/golden/%s", top ? top : ".", name);
    if (fs_read_at(AT_FDCWD, path, 1 << 20, &text, &err) < 0)
        fail_msg("%s", err.text);
    return text;
}
