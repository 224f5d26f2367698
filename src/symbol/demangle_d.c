/* demangle_d.c: takes a name of D's ABI (dlang.org/spec/abi.html, "Name Mangling"), gives the
 * readable one. See demangle_languages.h.
 *
 * libiberty does the work, and gives no way to stop it: names it would be long busy with are found
 * before. Each back reference may repeat all before it; a symbol as template argument, whose length
 * older compilers wrote right before a name that begins with digits, is read once for each way to
 * part the digits. */
#include <ctype.h>
#include <libiberty/demangle.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "symbol/demangle_languages.h"

#define BACK_REFERENCES_MAX  20u /* three of the kind a level is worst: 3^(20/3) = 1,500 times */
#define SYMBOL_ARGUMENTS_MAX 5u  /* at most five ways each */

bool demangle_d(const char *name, char *ret)
{
    size_t back_references = 0, symbols = 0;
    for (const char *p = name; *p; p++) {
        back_references += *p == 'Q';
        symbols += *p == 'S' && isdigit((unsigned char)p[1]);
    }
    if (back_references > BACK_REFERENCES_MAX || symbols > SYMBOL_ARGUMENTS_MAX)
        return false;
    _cleanup_free_ char *readable = dlang_demangle(name, DMGL_PARAMS);
    struct demangle_text text = {.to = ret};
    if (readable)
        demangle_puts(&text, readable);
    return text.len > 0;
}
