/* go_text.c: takes the name of a function as the linker has it, gives it as Go's runtime prints it.
 * See go_text.h.
 *
 * Up to Go 1.20 the linker leaves out type arguments, since then the runtime does when it prints:
 * main.F[go.shape.int] is main.F[...] (runtime/traceback.go, funcNamePiecesForPrint). A generic
 * method of a generic type, from 1.27, has two such lists. */
#include "symbol/go_text.h"

#include <stddef.h>
#include <string.h>

#include "base/buf.h"

/* The bracket that closes the one at `open`; NULL: there is none before `end`. */
static const char *find_close(const char *open, const char *end)
{
    size_t depth = 0;
    for (const char *p = open; p < end; p++) {
        depth += *p == '[';
        depth -= *p == ']';
        if (depth == 0)
            return p;
    }
    return NULL;
}

static int append(struct buf *to, const char *from, const char *end)
{
    return buf_append(to, from, (size_t)(end - from));
}

int go_text_print(const char *name, struct buf *to)
{
    const char *open = strchr(name, '['), *last = strrchr(name, ']'), *second = NULL;
    const char *close = open && last ? find_close(open, last + 1) : NULL;
    if (close && close < last) {
        /* Text, and a second list; all else is no name of Go's. */
        second = strpbrk(close + 1, "[]");
        if (*second != '[')
            close = NULL;
    }
    if (!close)
        return buf_append(to, name, strlen(name) + 1);
    int r = append(to, name, open);
    if (r == 0)
        r = buf_puts(to, "[...]");
    if (r == 0 && second)
        r = append(to, close + 1, second);
    if (r == 0 && second)
        r = buf_puts(to, "[...]");
    return r < 0 ? r : buf_append(to, last + 1, strlen(last + 1) + 1);
}
