/* short_name.c: takes a readable name and its kind of code, gives its short form. See
 * short_name.h.
 *
 * The language is judged by the name's shape. Most are read by one walk over C++'s grammar, with
 * what Rust and D have besides; Go's and Java's paths are cut before, C's clones after. */
#include "symbol/short_name.h"

#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"

#define DEPTH_MAX 32u /* of Rust's <<T as A>::B as C> */
#define FOLDED    "…"

/* What is read, and what is written of it. */
struct walk {
    const char *start, *at, *end;
    char *to;
    size_t len;
    bool is_bad; /* the name is not as it should be, or too long */
};

static void put(struct walk *w, const char *text, size_t len)
{
    if (len >= SHORT_NAME_MAX - w->len) {
        w->is_bad = true;
        return;
    }
    memcpy(w->to + w->len, text, len);
    w->len += len;
}

static void put_text(struct walk *w, const char *text)
{
    put(w, text, strlen(text));
}

static void copy(struct walk *w, size_t len)
{
    put(w, w->at, len);
    w->at += len;
}

static bool starts_with(const char *at, const char *end, const char *text)
{
    size_t len = strlen(text);
    return (size_t)(end - at) >= len && memcmp(at, text, len) == 0;
}

static bool next_is(const struct walk *w, const char *text)
{
    return starts_with(w->at, w->end, text);
}

/* Bytes of UTF-8 are letters: Rust and others have such names. */
static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '~' ||
           (unsigned char)c >= 0x80;
}

static bool is_word_before(const struct walk *w)
{
    return w->at > w->start && is_word(w->at[-1]);
}

/* ---- what is passed over whole */

/* Behind the bracket that closes the one at `at`; NULL if none does. Angles count for nothing here:
 * they may be operators. */
static const char *skip_group(const char *at, const char *end)
{
    char open[64];
    size_t depth = 0;
    for (; at < end; at++) {
        if (*at == '(' || *at == '[' || *at == '{') {
            if (depth == sizeof(open))
                return NULL;
            open[depth++] = *at == '(' ? ')' : *at == '[' ? ']' : '}';
        } else if (*at == ')' || *at == ']' || *at == '}') {
            if (depth == 0 || open[--depth] != *at)
                return NULL;
            if (depth == 0)
                return at + 1;
        }
    }
    return NULL;
}

/* How many bytes the symbol of an operator has that follows the word; 0 for `operator bool` and
 * others that go on as a type. */
static size_t operator_bytes(const char *at, const char *end)
{
    static const char *const symbols[] = {
        "<=>", "<<=", ">>=", "->*", "()", "[]", "->", "<<", ">>", "<=", ">=", "==", "!=",
        "&&",  "||",  "++",  "--",  "+=", "-=", "*=", "/=", "%=", "^=", "&=", "|=", "<",
        ">",   "+",   "-",   "*",   "/",  "%",  "^",  "&",  "|",  "~",  "!",  "=",  ",",
    };
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++)
        if (starts_with(at, end, symbols[i]))
            return strlen(symbols[i]);
    return 0;
}

static bool is_operator(const char *start, const char *at, const char *end)
{
    static const char word[] = "operator";
    size_t len = sizeof(word) - 1;
    return starts_with(at, end, word) && (at == start || !is_word(at[-1])) &&
           (at + len == end || !is_word(at[len]));
}

/* Behind the '>' that closes the '<' at `at`. */
static const char *skip_list(const char *at, const char *end)
{
    const char *start = at;
    size_t depth = 0;
    while (at && at < end) {
        if (is_operator(start, at, end)) {
            at += strlen("operator");
            at += operator_bytes(at, end);
        } else if (strchr("([{", *at)) {
            at = skip_group(at, end);
        } else if (at[0] == '-' && at + 1 < end && at[1] == '>') {
            at += 2;
        } else if (*at == '<' && at > start && at[-1] == ')') { /* (1)<<(2) */
            at += at + 1 < end && at[1] == '<' ? 2 : 1;
        } else {
            depth += *at == '<';
            depth -= *at == '>';
            at++;
            if (depth == 0)
                return at;
        }
    }
    return NULL;
}

/* ---- C++, Rust and D */

static void walk_list(struct walk *w, size_t depth);

/* <…>. Rust's v0 names have "::" before it, where legacy ones have nothing. */
static void fold_list(struct walk *w)
{
    const char *behind = skip_list(w->at, w->end);
    if (!behind) {
        w->is_bad = true;
        return;
    }
    if (w->len >= 2 && w->to[w->len - 1] == ':' && w->to[w->len - 2] == ':')
        w->len -= 2;
    put_text(w, behind - w->at == 2 ? "<>" : "<" FOLDED ">");
    w->at = behind;
}

/* GCC's debug information has <lambda(int)> for a function, and <unnamed struct> for a type. */
static bool put_gcc_word(struct walk *w)
{
    if (!next_is(w, "<lambda(") && !next_is(w, "<unnamed ") && !next_is(w, "<anonymous"))
        return false;
    const char *behind = skip_list(w->at, w->end);
    if (!behind)
        w->is_bad = true;
    else if (next_is(w, "<lambda("))
        put_text(w, "<lambda>");
    else
        put(w, w->at, (size_t)(behind - w->at));
    w->at = behind ? behind : w->end;
    return true;
}

/* One type of Rust's <Type as Trait>, up to where it ends: of a path its last name. */
static void walk_type(struct walk *w, size_t depth)
{
    size_t path = w->len; /* where the path begins that is being written */
    while (!w->is_bad && w->at < w->end && *w->at != '>' && !next_is(w, " as ")) {
        if (next_is(w, "::") && w->at + 2 < w->end && (is_word(w->at[2]) || w->at[2] == '<')) {
            w->at += 2;
            if (*w->at == '<')
                fold_list(w);
            else
                w->len = path;
        } else if (next_is(w, "::")) {
            copy(w, 2);
        } else if (next_is(w, "->")) {
            copy(w, 2);
            path = w->len;
        } else if (*w->at == '<' && is_word_before(w)) {
            fold_list(w);
        } else if (*w->at == '<') {
            walk_list(w, depth + 1);
        } else {
            bool is_part = is_word(*w->at) || *w->at == '{' || *w->at == '}' || *w->at == '#';
            copy(w, 1);
            if (!is_part)
                path = w->len;
        }
    }
}

/* Whether <Type> is but a path with its arguments. */
static bool is_plain_type(const char *at, const char *end)
{
    while (at < end &&
           (is_word(*at) || (at[0] == ':' && at[1] == ':') || (*at == ':' && at[-1] == ':')))
        at++;
    if (at < end && *at == '<')
        at = skip_list(at, end);
    return at == end;
}

/* <Type as Trait>; or <Type>, for which legacy names have the type's path alone. */
static void walk_list(struct walk *w, size_t depth)
{
    const char *behind = skip_list(w->at, w->end);
    if (!behind || depth > DEPTH_MAX) {
        w->is_bad = true;
        return;
    }
    struct walk inner = *w;
    inner.end = behind - 1;
    if (depth == 0 && is_plain_type(w->at + 1, inner.end)) {
        inner.at++;
        copy(&inner, strcspn(inner.at, "<>"));
        if (inner.at < inner.end)
            fold_list(&inner);
    } else {
        copy(&inner, 1);
        walk_type(&inner, depth);
        if (next_is(&inner, " as ")) {
            copy(&inner, strlen(" as "));
            walk_type(&inner, depth);
        }
        put_text(&inner, ">");
    }
    w->is_bad = inner.is_bad || inner.at != inner.end;
    w->len = inner.len;
    w->at = behind;
}

/* {lambda(int)#1}, of which the parameters go; others as they are. */
static void walk_braces(struct walk *w)
{
    const char *behind = skip_group(w->at, w->end);
    const char *parameters = behind ? memchr(w->at, '(', (size_t)(behind - w->at)) : NULL;
    const char *last = parameters ? skip_group(parameters, behind) : NULL;
    if (!behind) {
        w->is_bad = true;
    } else if (last && next_is(w, "{lambda(")) {
        put(w, w->at, (size_t)(parameters - w->at));
        put(w, last, (size_t)(behind - last));
    } else {
        put(w, w->at, (size_t)(behind - w->at));
    }
    w->at = behind ? behind : w->end;
}

/* Words that follow parameters: C++'s and D's. */
static void skip_qualifiers(struct walk *w)
{
    static const char *const words[] = {" const", " volatile",  " restrict", " noexcept", " shared",
                                        " inout", " immutable", " return",   " scope",    " &&",
                                        " &",     "&&",         "&"};
    for (size_t i = 0; i < ARRAY_LEN(words);) {
        const char *behind = w->at + strlen(words[i]);
        if (next_is(w, words[i]) &&
            (behind == w->end || !is_word(*behind) || !is_word(behind[-1]))) {
            w->at = behind;
            i = 0;
        } else {
            i++;
        }
    }
}

/* Parameters go, with what qualifies the function. Behind them stands a name inside of it, a clone
 * or nothing: else they are none. */
static void drop_parameters(struct walk *w)
{
    const char *behind = skip_group(w->at, w->end);
    if (!behind || w->at == w->start || strchr(" (", w->at[-1])) {
        w->is_bad = true;
        return;
    }
    w->at = behind;
    skip_qualifiers(w);
    if (w->at < w->end && !next_is(w, "::") && !next_is(w, ".") && !next_is(w, " [clone ") &&
        !next_is(w, "[abi:") && !next_is(w, "@plt"))
        w->is_bad = true;
}

/* The word and its symbol. A conversion goes on as a type. */
static void walk_operator(struct walk *w)
{
    copy(w, strlen("operator"));
    bool is_angle = next_is(w, "<");
    copy(w, operator_bytes(w->at, w->end));
    if (next_is(w, " new[]") || next_is(w, "\"\" "))
        copy(w, next_is(w, "\"\" ") ? 3 : strlen(" new[]"));
    else if (next_is(w, " delete[]"))
        copy(w, strlen(" delete[]"));
    if (next_is(w, " <") && is_angle) /* operator< <int> */
        copy(w, 1);
    if (w->at < w->end && *w->at == '<')
        fold_list(w);
}

/* Tells of cold parts, that are apart from their function; passes over other clones. */
static void walk_bracket(struct walk *w)
{
    const char *behind = skip_group(w->at, w->end);
    if (!behind) {
        w->is_bad = true;
        return;
    }
    if (next_is(w, "[clone .cold"))
        put_text(w, "[cold]");
    else if (next_is(w, "[clone "))
        w->len -= w->len && w->to[w->len - 1] == ' ';
    else if (!next_is(w, "[abi:"))
        put(w, w->at, (size_t)(behind - w->at));
    w->at = behind;
}

static void walk_paren(struct walk *w)
{
    static const char anonymous[] = "(anonymous namespace)";
    if (next_is(w, anonymous)) {
        put_text(w, "(anon)");
        w->at += sizeof(anonymous) - 1;
        return;
    }
    if (w->at > w->start && w->at[-1] == '!') { /* D's template arguments */
        const char *behind = skip_group(w->at, w->end);
        put_text(w, "(" FOLDED ")");
        w->is_bad = w->is_bad || !behind;
        w->at = behind ? behind : w->end;
        return;
    }
    drop_parameters(w);
}

static void walk_one(struct walk *w)
{
    static const char *const inline_namespaces[] = {"__cxx11::", "__1::"};
    if (is_operator(w->start, w->at, w->end)) {
        walk_operator(w);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(inline_namespaces); i++)
        if (next_is(w, inline_namespaces[i]) && !is_word_before(w)) {
            w->at += strlen(inline_namespaces[i]);
            return;
        }
    switch (*w->at) {
    case '<':
        if (put_gcc_word(w))
            break;
        if (w->at == w->start || w->at[-1] == ' ')
            walk_list(w, 0);
        else
            fold_list(w);
        break;
    case '(':
        walk_paren(w);
        break;
    case '{':
        walk_braces(w);
        break;
    case '[':
        walk_bracket(w);
        break;
    case '>':
    case ')':
    case ']':
    case '}':
        w->is_bad = true;
        break;
    default:
        copy(w, 1);
    }
}

static bool shorten_path(struct walk *w)
{
    while (w->at < w->end && !w->is_bad)
        walk_one(w);
    return !w->is_bad && w->len > 0;
}

/* ---- Go and Java: the path before the package, or the class, goes */

/* Up to what may be a receiver or type arguments, which have paths of their own. */
static size_t go_path_bytes(const char *name)
{
    size_t len = strcspn(name, "[(");
    for (; len > 0; len--)
        if (name[len - 1] == '/')
            return len;
    return 0;
}

static bool is_go(const char *name)
{
    size_t path = go_path_bytes(name);
    return strstr(name, ".(*") || (path && strchr(name + path, '.') && !strstr(name, "::") &&
                                   *name != '/' && !strpbrk(name, " <"));
}

/* In the last part of a path Go writes %2e for a dot. */
static bool shorten_go(struct walk *w)
{
    w->at += go_path_bytes(w->at);
    for (const char *dot; (dot = memmem(w->at, (size_t)(w->end - w->at), "%2e", 3)); w->at += 3) {
        copy(w, (size_t)(dot - w->at));
        put_text(w, ".");
    }
    copy(w, (size_t)(w->end - w->at));
    return !w->is_bad;
}

/* Bytes of a name's package, as Java's custom has it: parts that begin with a small letter, before
 * a class that does not, and its method. 0 if it is not so. */
static size_t java_package_bytes(const char *name, size_t len, size_t parts_min)
{
    size_t at = 0, parts = 0;
    while (at < len && islower((unsigned char)name[at])) {
        while (at < len && is_word(name[at]))
            at++;
        if (at == len || name[at] != '.')
            return 0;
        at++;
        parts++;
    }
    const char *dot = memchr(name + at, '.', len - at);
    bool is_class = at < len && isupper((unsigned char)name[at]) && dot && dot + 1 < name + len;
    return parts >= parts_min && is_class ? at : 0;
}

/* Go's functions may be inlined, too: of those no path is left that has two parts. JITs of others
 * give no parameters. */
static bool is_java(const char *name, enum name_of kind)
{
    size_t len = strcspn(name, "(");
    if (kind == NAME_OF_INLINED)
        return java_package_bytes(name, len, 2) > 0;
    if (kind != NAME_OF_JIT || len == 0)
        return false;
    bool has_parameters = name[len] && skip_group(name + len, strchr(name, 0)) == strchr(name, 0);
    for (size_t i = 0; i < len && has_parameters; i++)
        has_parameters = is_word(name[i]) || strchr("./<>", name[i]);
    return java_package_bytes(name, len, 1) > 0 || has_parameters;
}

static bool shorten_java(struct walk *w)
{
    size_t len = strcspn(w->at, "(");
    w->at += java_package_bytes(w->at, len, 1);
    copy(w, (size_t)(w->start + len - w->at));
    return !w->is_bad && (w->at == w->end || skip_group(w->at, w->end) == w->end);
}

/* ---- C: what compilers put behind a name with a dot */

/* Where the clones begin; `end` if there are none. */
static const char *find_clones(const char *name, const char *end, bool *ret_cold)
{
    static const char *const clones[] = {".cold",     ".part",       ".isra", ".constprop",
                                         ".lto_priv", ".localalias", ".llvm", ".warm"};
    const char *first = end;
    *ret_cold = false;
    for (const char *p = name; (p = memchr(p, '.', (size_t)(end - p))); p++) {
        for (size_t i = 0; i < ARRAY_LEN(clones); i++) {
            const char *behind = p + strlen(clones[i]);
            if (!starts_with(p, end, clones[i]) || (behind < end && *behind != '.') || p == name)
                continue;
            first = p < first ? p : first;
            *ret_cold = *ret_cold || i == 0;
        }
    }
    return first;
}

static bool is_c_clone(const char *name, const char *end)
{
    bool is_cold;
    const char *clones = find_clones(name, end, &is_cold);
    for (const char *p = name; p < clones; p++)
        if (!is_word(*p))
            return false;
    return clones > name && clones < end;
}

static bool shorten_c(struct walk *w)
{
    bool is_cold;
    const char *clones = find_clones(w->at, w->end, &is_cold);
    copy(w, (size_t)(clones - w->at));
    put_text(w, is_cold ? " [cold]" : "");
    return !w->is_bad;
}

/* What JITs call their code, and text with blanks, is of too many kinds. */
static bool is_path(const char *name, enum name_of kind)
{
    if (kind == NAME_OF_JIT || !(is_word(*name) || *name == '<' || *name == '(' || *name == '{'))
        return false;
    return strpbrk(name, "<(") || strstr(name, "::") || strchr(name, '[');
}

bool short_name(const char *name, enum name_of kind, char ret[SHORT_NAME_MAX])
{
    size_t len = strnlen(name, SHORT_NAME_MAX);
    struct walk w = {.start = name, .at = name, .end = name + len, .to = ret};
    bool done;
    if (len == SHORT_NAME_MAX)
        return false;
    if (is_java(name, kind))
        done = shorten_java(&w);
    else if (kind != NAME_OF_JIT && is_go(name))
        done = shorten_go(&w);
    else if (is_c_clone(name, w.end))
        done = shorten_c(&w);
    else
        done = is_path(name, kind) && shorten_path(&w);
    if (!done || (w.len == len && memcmp(ret, name, len) == 0))
        return false;
    ret[w.len] = 0;
    return true;
}
