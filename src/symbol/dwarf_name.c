/* dwarf_name.c: takes a function's DIE, gives its readable name. See dwarf_name.h.
 *
 * Where a compiler gives the linker's name it is demangled, so that a function has one name whether
 * it is inlined or called. Without one (C, functions that no other file can call) it is the name as
 * the source has it, behind the namespaces and types around it. */
#include "symbol/dwarf_name.h"

#include <dwarf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strings.h"
#include "base/table.h"
#include "symbol/demangle.h"

#define NAME_BYTES_MAX 4096u
#define HOPS_MAX       8u     /* an inlined one, its abstract instance, its declaration */
#define REMEMBERED_MAX 65536u /* functions */
#define TEXT_MAX       ((size_t)32 << 20)

/* What is around a DIE costs a walk of its unit. */
#define SEARCHES_MAX 2000u

struct row {
    const void *die;  /* where it lies in memory */
    const char *name; /* behind the key */
};

struct dwarf_names {
    struct table rows;
    struct strings texts;
    size_t searches;
};

int dwarf_names_new(struct dwarf_names **ret)
{
    struct dwarf_names *names = calloc(1, sizeof(*names));
    if (!names)
        return -ENOMEM;
    table_init(&names->rows, sizeof(struct row), offsetof(struct row, name), REMEMBERED_MAX);
    names->texts.max_bytes = TEXT_MAX;
    *ret = names;
    return 0;
}

void dwarf_names_free(struct dwarf_names **names)
{
    if (!*names)
        return;
    table_free(&(*names)->rows);
    strings_free(&(*names)->texts);
    free(*names);
    *names = NULL;
}

static const char *linker_name(Dwarf_Die *die)
{
    Dwarf_Attribute attr;
    const char *name = dwarf_formstring(dwarf_attr(die, DW_AT_linkage_name, &attr));
    if (!name) /* before DWARF 4 */
        name = dwarf_formstring(dwarf_attr(die, DW_AT_MIPS_linkage_name, &attr));
    return name && *name ? name : NULL;
}

/* Of an inlined function, its abstract instance, and the declaration of that: the first that has
 * the linker's name, or else the last. One declaration has several functions (constructors). */
static Dwarf_Die find_named(const Dwarf_Die *function, const char **ret_linker)
{
    Dwarf_Die die = *function;
    *ret_linker = linker_name(&die);
    for (unsigned i = 0; i < HOPS_MAX && !*ret_linker; i++) {
        Dwarf_Attribute attr;
        Dwarf_Die next;
        if ((!dwarf_attr(&die, DW_AT_abstract_origin, &attr) &&
             !dwarf_attr(&die, DW_AT_specification, &attr)) ||
            !dwarf_formref_die(&attr, &next))
            break;
        die = next;
        *ret_linker = linker_name(&die);
    }
    return die;
}

static bool is_around_names(int tag)
{
    return tag == DW_TAG_namespace || tag == DW_TAG_class_type || tag == DW_TAG_structure_type ||
           tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type ||
           tag == DW_TAG_interface_type || tag == DW_TAG_subprogram;
}

/* As GNU's demangler has it where a linker's name says the same. */
static const char *name_of_nameless(int tag, const char *function)
{
    if (tag == DW_TAG_namespace)
        return "(anonymous namespace)";
    return strcmp(function, "operator()") == 0 ? "{lambda}" : "{unnamed type}";
}

/* "a::b::" of what is around a declaration, the outermost first. */
static void append_around(struct dwarf_names *names, Dwarf_Die *declaration, const char *plain,
                          struct buf *to)
{
    _cleanup_free_ Dwarf_Die *scopes = NULL;
    if (names->searches == SEARCHES_MAX)
        return;
    names->searches++;
    int count = dwarf_getscopes_die(declaration, &scopes);
    for (int i = count - 1; i > 0; i--) {
        int tag = dwarf_tag(&scopes[i]);
        const char *name = dwarf_diename(&scopes[i]);
        if (is_around_names(tag))
            buf_printf(to, "%s::", name ? name : name_of_nameless(tag, plain));
    }
}

/* Languages whose functions are in nothing. */
static bool is_flat(Dwarf_Die *function)
{
    Dwarf_Die unit;
    if (!dwarf_diecu(function, &unit, NULL, NULL))
        return true;
    switch (dwarf_srclang(&unit)) {
    case DW_LANG_C:
    case DW_LANG_C89:
    case DW_LANG_C99:
    case DW_LANG_C11:
    case DW_LANG_Mips_Assembler:
    case DW_LANG_Go: /* a name has its package */
        return true;
    default:
        return false;
    }
}

static const char *keep(struct dwarf_names *names, const char *text, size_t len)
{
    uint32_t number;
    if (strings_intern(&names->texts, text, len, &number) < 0)
        return NULL;
    return names->texts.texts[number];
}

static const char *make_name(struct dwarf_names *names, Dwarf_Die *named, const char *linker)
{
    if (linker) {
        char readable[DEMANGLE_OUT_MAX];
        const char *name = demangle_name(linker, readable) ? readable : linker;
        return keep(names, name, strnlen(name, NAME_BYTES_MAX));
    }
    const char *plain = dwarf_diename(named);
    if (!plain || !*plain)
        return NULL;
    _cleanup_(buf_free) struct buf text = {.max = NAME_BYTES_MAX};
    if (!is_flat(named))
        append_around(names, named, plain, &text);
    if (text.len == 0 || buf_puts(&text, plain) < 0)
        return keep(names, plain, strnlen(plain, NAME_BYTES_MAX));
    return keep(names, (const char *)text.data, text.len);
}

const char *dwarf_names_of(struct dwarf_names *names, Dwarf_Die *function)
{
    const char *linker;
    Dwarf_Die named = find_named(function, &linker);
    const void *key = named.addr;
    uint32_t number;
    int r = table_add(&names->rows, &key, &number);
    if (r < 0)
        return NULL;
    struct row *row = table_row(&names->rows, number);
    if (r == 1)
        row->name = make_name(names, &named, linker);
    return row->name;
}
