/* demangle_languages.h: the readers of names for demangle.c, one a language. Each takes a name of
 * at most DEMANGLE_IN_MAX bytes and writes what it reads into `ret` of DEMANGLE_OUT_MAX; false,
 * with anything in `ret`, for what is not certainly its language's. For demangle*.c only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "symbol/demangle.h"

bool demangle_d(const char *name, char *ret);
bool demangle_swift(const char *name, char *ret);
bool demangle_ocaml(const char *name, char *ret);
bool demangle_haskell(const char *name, char *ret);

/* A readable name while it is written. */
struct demangle_text {
    char *to;
    size_t len;
    bool is_full;
};

static inline void demangle_put(struct demangle_text *t, const char *text, size_t len)
{
    if (t->is_full || len >= DEMANGLE_OUT_MAX - t->len) {
        t->is_full = true;
        return;
    }
    memcpy(t->to + t->len, text, len);
    t->len += len;
    t->to[t->len] = 0;
}

static inline void demangle_puts(struct demangle_text *t, const char *text)
{
    demangle_put(t, text, strlen(text));
}
