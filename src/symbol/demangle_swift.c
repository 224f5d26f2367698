/* demangle_swift.c: takes a name of Swift 5 (docs/ABI/Mangling.rst), gives module, types and
 * function without parameters. See demangle_languages.h.
 *
 *   $s4main3FooV3baryyF        main.Foo.bar
 *   $s4main3FooVACycfC         main.Foo.init
 *   $s4main3FooV5countSivg     main.Foo.count.getter
 *   $s4main3fooyyFyycfU_       closure #1 in main.foo
 *
 * What a name is stands at its end, as operators that come behind their operands. Only names with
 * one of the operators above, and whose path is spelled out, are read: of a thunk, a specialisation
 * or a local function, or one with a word taken from another ("0A"), all would have to be. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "symbol/demangle_languages.h"

struct part {
    const char *text;
    size_t len;
};

/* Types of the standard library with a letter of their own. */
static const struct {
    char letter;
    const char *name;
} known[] = {
    {'a', "Swift.Array"},  {'b', "Swift.Bool"},      {'D', "Swift.Dictionary"},
    {'d', "Swift.Double"}, {'f', "Swift.Float"},     {'h', "Swift.Set"},
    {'i', "Swift.Int"},    {'J', "Swift.Character"}, {'q', "Swift.Optional"},
    {'S', "Swift.String"}, {'s', "Swift.Substring"}, {'u', "Swift.UInt"},
};

/* Operators that end the name of a function. */
static const struct {
    const char *operators, *shown;
    bool is_unnamed; /* what is named before are labels of its parameters */
} endings[] = {
    {"F", "", false},          {"FZ", "", false},         {"fC", ".init", true},
    {"fc", ".init", true},     {"fD", ".deinit", true},   {"fd", ".deinit", true},
    {"vg", ".getter", false},  {"vs", ".setter", false},  {"vM", ".modify", false},
    {"vgZ", ".getter", false}, {"vsZ", ".setter", false}, {"vMZ", ".modify", false},
};

/* An identifier: its length and its bytes. "0" says that it has a word of one before. */
static const char *take_identifier(const char *at, struct part *ret)
{
    size_t len = 0;
    if (*at < '1' || *at > '9')
        return NULL;
    while (isdigit((unsigned char)*at) && len < DEMANGLE_IN_MAX)
        len = len * 10 + (size_t)(*at++ - '0');
    if (len > strnlen(at, len))
        return NULL;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)at[i] <= ' ')
            return NULL;
    *ret = (struct part){at, len};
    return at + len;
}

/* A private name is followed by its file's, and "LL". */
static const char *skip_discriminator(const char *at)
{
    struct part file;
    const char *end = take_identifier(at, &file);
    return end && end[0] == 'L' && end[1] == 'L' ? end + 2 : at;
}

/* The module, or a known type, that the path begins with. */
static const char *take_root(const char *at, struct demangle_text *text)
{
    struct part module;
    if (*at == 's') {
        demangle_puts(text, "Swift");
        return at + 1;
    }
    if (*at == 'S') {
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            if (known[i].letter == at[1]) {
                demangle_puts(text, known[i].name);
                return at + 2;
            }
        return NULL;
    }
    at = take_identifier(at, &module);
    if (at)
        demangle_put(text, module.text, module.len);
    return at;
}

/* Types on the way: each is followed by what it is, a struct, class, enum or protocol. */
static const char *take_types(const char *at, struct demangle_text *text)
{
    for (;;) {
        struct part type;
        const char *end = take_identifier(at, &type);
        if (!end)
            return at;
        end = skip_discriminator(end);
        if (!*end || !strchr("VCOP", *end))
            return at;
        demangle_puts(text, ".");
        demangle_put(text, type.text, type.len);
        at = end + 1;
    }
}

/* Steps over one operand or operator of a signature. NULL if it is unknown whether it is one. */
static const char *skip_token(const char *at)
{
    struct part part;
    if (isdigit((unsigned char)*at))
        return take_identifier(at, &part);
    if (*at == 'A') { /* a substitution, or some in a row: small letters, then a capital or "_" */
        for (at++; islower((unsigned char)*at) || isdigit((unsigned char)*at); at++)
            ;
        return isupper((unsigned char)*at) || *at == '_' ? at + 1 : NULL;
    }
    if (*at == 'S') { /* a known type, or so many of it */
        for (at++; isdigit((unsigned char)*at); at++)
            ;
        return *at == 'c' ? (at[1] ? at + 2 : NULL) : *at ? at + 1 : NULL;
    }
    return at + 1;
}

/* Whether a signature has no operator of another entity before `end`: of a function, a variable, a
 * closure, a thunk, something local. */
static bool is_simple(const char *at, const char *end)
{
    while (at && at < end) {
        if (strchr("FfvULTWZ", *at))
            return false;
        at = skip_token(at);
    }
    return at == end;
}

/* Whether it ends with "fU", the closure's number and "_". */
static bool is_closure(const char *end_of_function, const char *end, unsigned *ret_number)
{
    const char *u = end - 1;
    if (end - end_of_function < 3 || *u != '_')
        return false;
    while (u > end_of_function && isdigit((unsigned char)u[-1]))
        u--;
    if (u - end_of_function < 2 || u[-1] != 'U' || u[-2] != 'f' || end - u > 4)
        return false;
    *ret_number = *u == '_' ? 1 : (unsigned)atoi(u) + 2;
    return is_simple(end_of_function, u - 2);
}

/* For each way the name may end, whether it does and is but that. */
static bool find_ending(const char *signature, const char *end, size_t *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        size_t len = strlen(endings[i].operators);
        if ((size_t)(end - signature) >= len && memcmp(end - len, endings[i].operators, len) == 0 &&
            is_simple(signature, end - len)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool put_closure(const char *signature, const char *end, struct demangle_text *text)
{
    unsigned number;
    char in[32], path[DEMANGLE_OUT_MAX];
    const char *at = signature;
    while (at && at < end && *at != 'F')
        at = skip_token(at);
    if (!at || at >= end || !is_simple(signature, at) || !is_closure(at + 1, end, &number))
        return false;
    memcpy(path, text->to, text->len);
    size_t len = text->len;
    text->len = 0;
    snprintf(in, sizeof(in), "closure #%u in ", number);
    demangle_puts(text, in);
    demangle_put(text, path, len);
    return true;
}

bool demangle_swift(const char *name, char *ret)
{
    struct demangle_text text = {.to = ret};
    struct part function = {0};
    const char *at = name + (*name == '_') + strlen("$s"), *end = at + strlen(at);
    at = take_root(at, &text);
    if (!at)
        return false;
    at = take_types(at, &text);
    const char *signature = take_identifier(at, &function);
    signature = signature ? skip_discriminator(signature) : at;
    size_t ending;
    bool has_ending = find_ending(signature, end, &ending);
    if (has_ending && endings[ending].is_unnamed) {
        demangle_puts(&text, endings[ending].shown);
        return !text.is_full;
    }
    if (!function.len)
        return false;
    demangle_puts(&text, ".");
    demangle_put(&text, function.text, function.len);
    if (!has_ending)
        return put_closure(signature, end, &text) && !text.is_full;
    demangle_puts(&text, endings[ending].shown);
    return !text.is_full;
}
