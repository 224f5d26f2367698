/* demangle_haskell.c: takes a name of GHC (compiler/GHC/Utils/Encoding.hs, "Z-encoding"), gives
 * package, module and name. See demangle_languages.h.
 *
 *   base_GHCziBase_map_info             base:GHC.Base.map
 *   containerszm0zi6zi7_DataziMap_zdwgo_info    containers-0.6.7:Data.Map.$wgo
 *   DataziOwn_go_info                   Data.Own.go, of the program itself
 *
 * An underscore parts them, and within them is "zu". C has names of three words and an _info, too:
 * only one whose package or module has an escape is taken for Haskell's. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "symbol/demangle_languages.h"

/* What code's names end with; data (_closure) runs not. */
static const char *const endings[] = {"_con_info", "_con_entry", "_static_info", "_info",
                                      "_entry",    "_ret",       "_slow",        "_fast"};

/* By the letter behind z or Z. */
static const struct {
    char z, letter;
    const char *means;
} escapes[] = {
    {'z', 'a', "&"}, {'z', 'b', "|"}, {'z', 'c', "^"}, {'z', 'd', "$"},  {'z', 'e', "="},
    {'z', 'g', ">"}, {'z', 'h', "#"}, {'z', 'i', "."}, {'z', 'l', "<"},  {'z', 'm', "-"},
    {'z', 'n', "!"}, {'z', 'p', "+"}, {'z', 'q', "'"}, {'z', 'r', "\\"}, {'z', 's', "/"},
    {'z', 't', "*"}, {'z', 'u', "_"}, {'z', 'v', "%"}, {'z', 'z', "z"},  {'Z', 'L', "("},
    {'Z', 'R', ")"}, {'Z', 'M', "["}, {'Z', 'N', "]"}, {'Z', 'C', ":"},  {'Z', 'Z', "Z"},
};

static const char *find_escape(const char *at)
{
    for (size_t i = 0; i < ARRAY_LEN(escapes); i++)
        if (escapes[i].z == at[0] && escapes[i].letter == at[1])
            return escapes[i].means;
    return NULL;
}

/* Z<n>T is a tuple of n, Z<n>H an unboxed one. */
static const char *put_tuple(struct demangle_text *text, const char *at)
{
    char *end;
    if (at[0] != 'Z' || !isdigit((unsigned char)at[1]))
        return NULL;
    unsigned long n = strtoul(at + 1, &end, 10);
    if (n > 64 || (*end != 'T' && *end != 'H'))
        return NULL;
    demangle_puts(text, *end == 'T' ? "(" : "(#");
    for (unsigned long i = 1; i < n; i++)
        demangle_puts(text, ",");
    demangle_puts(text, *end == 'T' ? ")" : "#)");
    return end + 1;
}

/* One part, up to `end`. *ret_escaped is set if any of it was escaped. */
static bool put_part(struct demangle_text *text, const char *at, const char *end, bool *ret_escaped)
{
    if (at == end)
        return false;
    while (at < end) {
        if (!isalnum((unsigned char)*at))
            return false;
        if (*at != 'z' && *at != 'Z') {
            demangle_put(text, at++, 1);
            continue;
        }
        const char *means = find_escape(at), *next = means ? at + 2 : put_tuple(text, at);
        if (!next || next > end)
            return false;
        if (means)
            demangle_puts(text, means);
        *ret_escaped = true;
        at = next;
    }
    return true;
}

/* Cabal tells packages of one version apart by a hash of 20 to 22 letters and digits, in base 62.
 */
static void drop_hash(struct demangle_text *text)
{
    size_t hash = 0;
    while (hash < text->len && isalnum((unsigned char)text->to[text->len - 1 - hash]))
        hash++;
    if (hash >= 20 && hash <= 22 && hash < text->len && text->to[text->len - 1 - hash] == '-')
        text->len -= hash + 1;
}

static const char *find_end(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        size_t ending = strlen(endings[i]);
        if (len > ending && strcmp(name + len - ending, endings[i]) == 0)
            return name + len - ending;
    }
    return NULL;
}

bool demangle_haskell(const char *name, char *ret)
{
    struct demangle_text text = {.to = ret};
    const char *end = find_end(name), *part = name;
    bool is_escaped = false, is_name_escaped = false;
    if (!end)
        return false;
    const char *first = memchr(part, '_', (size_t)(end - part));
    const char *second = first ? memchr(first + 1, '_', (size_t)(end - first - 1)) : NULL;
    if (second) {
        if (!put_part(&text, part, first, &is_escaped))
            return false;
        drop_hash(&text);
        demangle_puts(&text, ":");
        part = first + 1;
        first = second;
    }
    if (!first || !isupper((unsigned char)*part))
        return false;
    return put_part(&text, part, first, &is_escaped) && is_escaped &&
           (demangle_puts(&text, "."), put_part(&text, first + 1, end, &is_name_escaped)) &&
           !text.is_full;
}
