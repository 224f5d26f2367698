/* demangle_ocaml.c: takes a name of ocamlopt (asmcomp/compilenv.ml, make_symbol), gives the path of
 * the function. See demangle_languages.h.
 *
 *   camlStdlib__List__map_123    4.x: "caml", the unit, "__", the function, "_" and its stamp
 *   camlStdlib__List.map_123     5.x: a dot before the function
 *
 * In a unit's name "__" stands for the dot of a module inside a library. What is no letter, digit
 * or underscore is $ and two hex digits. */
#include <ctype.h>

#include "symbol/demangle_languages.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Copies the function's name. False for what is no escape, or one of what no name has. */
static bool put_function(struct demangle_text *text, const char *from, const char *end)
{
    while (from < end) {
        char c = *from++;
        if (c == '$') {
            int high = end - from >= 2 ? hex_digit(from[0]) : -1;
            int low = high >= 0 ? hex_digit(from[1]) : -1;
            c = (char)(high * 16 + low);
            if (low < 0 || !isprint((unsigned char)c))
                return false;
            from += 2;
        } else if (!isalnum((unsigned char)c) && c != '_' && c != '\'') {
            return false;
        }
        demangle_put(text, &c, 1);
    }
    return true;
}

static bool put_unit(struct demangle_text *text, const char *from, const char *end)
{
    while (from < end) {
        const char *sep = memmem(from, (size_t)(end - from), "__", 2);
        const char *stop = sep ? sep : end;
        for (const char *p = from; p < stop; p++)
            if (!isalnum((unsigned char)*p) && *p != '_')
                return false;
        if (stop == from)
            return false;
        demangle_put(text, from, (size_t)(stop - from));
        demangle_puts(text, ".");
        from = sep ? sep + 2 : end;
    }
    return true;
}

/* Where the function's name begins: behind the dot, or the last "__" that is not its end. */
static const char *find_function(const char *unit, const char *end, const char **ret_unit_end)
{
    const char *dot = memchr(unit, '.', (size_t)(end - unit));
    if (dot) {
        *ret_unit_end = dot;
        return dot + 1;
    }
    for (const char *p = end - 3; p > unit; p--)
        if (p[0] == '_' && p[1] == '_' && p[2] != '_' && p[-1] != '_') {
            *ret_unit_end = p;
            return p + 2;
        }
    return NULL;
}

bool demangle_ocaml(const char *name, char *ret)
{
    struct demangle_text text = {.to = ret};
    const char *unit = name + strlen("caml"), *end = unit + strlen(unit), *unit_end, *stamp = end;
    if (!isupper((unsigned char)*unit))
        return false;
    const char *function = find_function(unit, end, &unit_end);
    if (!function || function >= end)
        return false;
    while (stamp > function && isdigit((unsigned char)stamp[-1]))
        stamp--;
    bool has_stamp = stamp < end && stamp > function + 1 && stamp[-1] == '_';
    if (!has_stamp && strcmp(function, "entry") != 0)
        return false;
    /* Functions without a name are many in a unit: only the stamp tells them apart. */
    bool is_anonymous = has_stamp && stamp - 1 - function == 3 && memcmp(function, "fun", 3) == 0;
    const char *function_end = has_stamp && !is_anonymous ? stamp - 1 : end;
    return put_unit(&text, unit, unit_end) && put_function(&text, function, function_end) &&
           !text.is_full;
}
