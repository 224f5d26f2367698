/* demangle.c: takes a linker's name, gives the readable one. See demangle.h.
 *
 * libiberty does the work, within bounds of ours: names come from files that a container may have
 * written, and one of 34 bytes keeps c++filt busy for years. Such names are found before they are
 * read, and left as they are:
 *   - output that grows as 2^n is left by longjmp when it passes DEMANGLE_OUT_MAX;
 *   - a C++ name whose tree, with its shared parts spelled out, is huge, and is walked without
 *     being printed: its tree is measured;
 *   - a C++ conversion operator, of which each template argument list is read twice: counted;
 *   - a Rust v0 name that counts lifetimes of a path that is not printed: see tame_rust(). */
#include "symbol/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "symbol/demangle_languages.h"

#define OPTIONS (DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP)

/* Nodes of a C++ name's tree with shared parts counted each time they are used. An 8 KiB name has
 * some thousands. */
#define TREE_MAX 65536u

/* Reading takes 2^n steps for n of them. */
#define CONVERSION_LISTS_MAX 6u

/* Output may double with each of a Rust name's back references. */
#define BACK_REFERENCES_MAX 10u

struct output {
    char *text;
    size_t len;
    bool holds_memory; /* libiberty may, now: it must come to its own end */
    bool is_full;
    jmp_buf full;
};

/* libiberty gives no way to stop it but this. It holds no memory while it prints a C++ name: its
 * work areas are on the stack. */
static void take_output(const char *text, size_t len, void *ctx)
{
    struct output *out = ctx;
    if (len == 0) /* then the text may be NULL */
        return;
    if (out->is_full || len >= DEMANGLE_OUT_MAX - out->len) {
        out->is_full = true;
        if (!out->holds_memory)
            longjmp(out->full, 1);
        return;
    }
    memcpy(out->text + out->len, text, len);
    out->len += len;
    out->text[out->len] = 0;
}

/* The tree's nodes lie in one block, so that a node's number is its place there. */
struct tree {
    const struct demangle_component *nodes;
    size_t count;
    uint32_t
        *sizes; /* by node: 0 not measured, 1 being measured, else 1 + nodes below and itself */
};

/* The number of a child, or count for what is none: a pointer to somewhere else. */
static size_t tree_child(const struct tree *tree, const struct demangle_component *child)
{
    uintptr_t at = (uintptr_t)child, base = (uintptr_t)tree->nodes;
    size_t offset = at - base;
    if (at < base || offset / sizeof(*child) >= tree->count || offset % sizeof(*child) != 0)
        return tree->count;
    return offset / sizeof(*child);
}

/* Where a node keeps its children; in the other half of its union lies anything. A type that is
 * not listed (a later libiberty's) is taken for a pair: tree_child() keeps what is read in bounds.
 */
static void tree_children(const struct tree *tree, size_t node, size_t ret[2])
{
    const struct demangle_component *c = &tree->nodes[node];
    ret[0] = ret[1] = tree->count;
    switch ((int)c->type) {
    case DEMANGLE_COMPONENT_NAME:
    case DEMANGLE_COMPONENT_OPERATOR:
    case DEMANGLE_COMPONENT_TEMPLATE_PARAM:
    case DEMANGLE_COMPONENT_FUNCTION_PARAM:
    case DEMANGLE_COMPONENT_SUB_STD:
    case DEMANGLE_COMPONENT_BUILTIN_TYPE:
    case DEMANGLE_COMPONENT_NUMBER:
    case DEMANGLE_COMPONENT_CHARACTER:
    case DEMANGLE_COMPONENT_UNNAMED_TYPE:
        break;
    case DEMANGLE_COMPONENT_CTOR:
        ret[0] = tree_child(tree, c->u.s_ctor.name);
        break;
    case DEMANGLE_COMPONENT_DTOR:
        ret[0] = tree_child(tree, c->u.s_dtor.name);
        break;
    case DEMANGLE_COMPONENT_EXTENDED_OPERATOR:
        ret[0] = tree_child(tree, c->u.s_extended_operator.name);
        break;
    case DEMANGLE_COMPONENT_FIXED_TYPE:
        ret[0] = tree_child(tree, c->u.s_fixed.length);
        break;
    case DEMANGLE_COMPONENT_LAMBDA:
    case DEMANGLE_COMPONENT_DEFAULT_ARG:
        ret[0] = tree_child(tree, c->u.s_unary_num.sub);
        break;
    default:
        ret[0] = tree_child(tree, c->u.s_binary.left);
        ret[1] = tree_child(tree, c->u.s_binary.right);
    }
}

/* 1 + how many nodes a walk of the tree below `node` visits; more than TREE_MAX if too many, or if
 * the node is below itself. Recursion is as deep as the tree, which has at most two nodes for a
 * byte of the name. */
static uint32_t tree_size(struct tree *tree, size_t node)
{
    if (node == tree->count)
        return 1;
    if (tree->sizes[node])
        return tree->sizes[node] == 1 ? TREE_MAX + 1 : tree->sizes[node];
    tree->sizes[node] = 1;
    size_t children[2];
    tree_children(tree, node, children);
    uint32_t left = tree_size(tree, children[0]);
    uint32_t right = left > TREE_MAX ? left : tree_size(tree, children[1]);
    uint32_t size = left > TREE_MAX || right > TREE_MAX ? TREE_MAX + 1 : left + right;
    tree->sizes[node] = size;
    return size;
}

static bool is_tame_tree(const struct demangle_component *root, const void *block, size_t name_len)
{
    /* cplus_demangle_init_info() makes the block this large. */
    struct tree tree = {.nodes = block, .count = 2 * name_len};
    _cleanup_free_ uint32_t *sizes = calloc(tree.count, sizeof(*sizes));
    tree.sizes = sizes;
    return sizes && tree_size(&tree, tree_child(&tree, root)) <= TREE_MAX;
}

/* Pack expansions, and sizes of packs: what makes libiberty walk a tree without printing it. */
static bool has_pack(const char *name)
{
    return strstr(name, "Dp") || strstr(name, "sp") || strstr(name, "sZ") || strstr(name, "sP");
}

/* The type of a conversion operator (cv) may be a template parameter with arguments, T_I...E, or a
 * parameter before the operator's own arguments: libiberty reads them as one, then as the other,
 * and so on inside. Templates as template parameters are rare. */
static bool has_deep_conversion(const char *name)
{
    size_t lists = 0;
    if (!strstr(name, "cv"))
        return false;
    for (const char *p = strstr(name, "_I"); p; p = strstr(p + 1, "_I"))
        lists += p > name && (p[-1] == 'T' || (p - name > 1 && p[-2] == 'T'));
    return lists > CONVERSION_LISTS_MAX;
}

static bool demangle_cxx(const char *name, size_t len, char *ret)
{
    if (has_deep_conversion(name))
        return false;
    void *block = NULL; /* not changed after setjmp() */
    struct demangle_component *root = cplus_demangle_v3_components(name, OPTIONS, &block);
    struct output out = {.text = ret};
    volatile bool done = false;
    if (setjmp(out.full) == 0) {
        /* The way to the tree does not know all names ("sr", unresolved ones); the other way has
         * no tree to measure. */
        if (root)
            done = is_tame_tree(root, block, len) &&
                   cplus_demangle_print_callback(OPTIONS, root, take_output, &out);
        else if (!has_pack(name))
            done = cplus_demangle_v3_callback(name, OPTIONS, take_output, &out);
    }
    free(block);
    return done && *ret;
}

static bool is_base62(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool print_rust(const char *name, bool holds_memory, char *ret)
{
    struct output out = {.text = ret, .holds_memory = holds_memory};
    *ret = 0;
    if (setjmp(out.full) != 0)
        return false;
    return rust_demangle_callback(name, OPTIONS, take_output, &out) && !out.is_full && *ret;
}

/* What in a v0 name (RFC 2603) libiberty must not be given: "G" <base-62-number> behind F or D, a
 * count of lifetimes, of three digits or more, since it runs through the count even where it prints
 * nothing; "u" before an identifier's length, which says punycode, for which it holds memory while
 * it prints, so that leaving it would leak. */
static bool is_wild(const char *name, size_t at, bool may_grow)
{
    if (name[at] == 'u')
        return may_grow && name[at + 1] >= '0' && name[at + 1] <= '9';
    if (name[at] != 'G' || at == 0 || (name[at - 1] != 'F' && name[at - 1] != 'D'))
        return false;
    size_t digits = 0;
    while (is_base62(name[at + 1 + digits]))
        digits++;
    return digits > 2 && name[at + 1 + digits] == '_';
}

/* Replaces what is wild in the name; how often. */
static size_t tame_rust(char *name, size_t len, char with, bool may_grow)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        if (!is_wild(name, i, may_grow))
            continue;
        name[i] = with;
        count++;
    }
    return count;
}

/* Mostly it is wild by chance, in a crate's hash, which is not printed: then any other letter there
 * gives the same readable name, and two of them are tried. In its own place neither letter means
 * anything; in an identifier the two names differ. */
static bool demangle_rust_v0(const char *name, size_t len, char *ret)
{
    size_t back_references = 0;
    bool has_punycode = false;
    for (size_t i = 0; i < len; i++) {
        back_references += name[i] == 'B';
        has_punycode |= is_wild(name, i, true) && name[i] == 'u';
    }
    bool may_grow = back_references > BACK_REFERENCES_MAX;
    char tame[DEMANGLE_IN_MAX + 1], other[DEMANGLE_OUT_MAX];
    memcpy(tame, name, len + 1);
    if (tame_rust(tame, len, 'H', may_grow) == 0)
        return print_rust(name, has_punycode, ret);
    if (!print_rust(tame, has_punycode && !may_grow, ret))
        return false;
    memcpy(tame, name, len + 1);
    tame_rust(tame, len, 'J', may_grow);
    return print_rust(tame, has_punycode && !may_grow, other) && strcmp(ret, other) == 0;
}

static bool demangle_v0(const char *name, char *ret)
{
    return demangle_rust_v0(name, strlen(name), ret);
}

/* Rust's legacy names are C++'s, with a hash. */
static bool demangle_itanium(const char *name, char *ret)
{
    return print_rust(name, false, ret) || (*ret = 0, demangle_cxx(name, strlen(name), ret));
}

/* By what their names begin with; Haskell's begin with anything. */
static const struct {
    const char *prefix;
    bool (*demangle)(const char *name, char *ret);
} languages[] = {
    {"_Z", demangle_itanium}, {"_R", demangle_v0},      {"_D", demangle_d},
    {"$s", demangle_swift},   {"_$s", demangle_swift},  {"$S", demangle_swift},
    {"_$S", demangle_swift},  {"caml", demangle_ocaml}, {"", demangle_haskell},
};

bool demangle_name(const char *name, char ret[DEMANGLE_OUT_MAX])
{
    bool done = false;
    *ret = 0;
    if (strnlen(name, DEMANGLE_IN_MAX + 1) > DEMANGLE_IN_MAX)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(languages); i++)
        if (strncmp(name, languages[i].prefix, strlen(languages[i].prefix)) == 0) {
            done = languages[i].demangle(name, ret);
            break;
        }
    if (!done)
        *ret = 0;
    return done;
}
