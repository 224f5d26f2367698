/* jit_name.c: takes a name out of a perf map or a jitdump, gives functions. See jit_name.h. */
#include "symbol/jit_name.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* ---- writing */

static void put(struct jit_name *n, const char *text, size_t len)
{
    for (size_t i = 0; i < len && n->used < sizeof(n->text) - 1; i++)
        n->text[n->used++] = iscntrl((unsigned char)text[i]) ? '?' : text[i];
}

static void put_text(struct jit_name *n, const char *text)
{
    put(n, text, strlen(text));
}

/* The string that was put from `from` on. */
static const char *end_string(struct jit_name *n, size_t from)
{
    if (n->used < sizeof(n->text) - 1)
        n->text[n->used++] = 0;
    else
        n->text[sizeof(n->text) - 1] = 0;
    return n->text + from;
}

static const char *put_string(struct jit_name *n, const char *text, size_t len)
{
    size_t from = n->used;
    put(n, text, len);
    return end_string(n, from);
}

static void add(struct jit_name *n, const char *name, const char *file, uint32_t line)
{
    if (n->count < JIT_NAME_FRAMES && *name)
        n->frames[n->count++] = (struct symbol_frame){name, file, line};
}

/* ---- Java */

static const char *put_dotted(struct jit_name *n, const char *at, const char *end)
{
    const char *from = at;
    for (; at < end && *at != ';'; at++) {
        char c = *at == '/' ? '.' : *at;
        put(n, &c, 1);
    }
    return at == from || at == end ? at : at + 1;
}

/* One type of a descriptor (JVM specification, 4.3.2), as Java writes it. */
static const char *put_type(struct jit_name *n, const char *at, const char *end)
{
    static const char *const words[] = {
        ['B'] = "byte", ['C'] = "char",  ['D'] = "double",  ['F'] = "float", ['I'] = "int",
        ['J'] = "long", ['S'] = "short", ['Z'] = "boolean", ['V'] = "void"};
    unsigned dimensions = 0;
    for (; at < end && *at == '['; at++)
        dimensions++;
    if (at == end)
        return at;
    unsigned char c = (unsigned char)*at++;
    if (c == 'L')
        at = put_dotted(n, at, end);
    else
        put_text(n, c < ARRAY_LEN(words) && words[c] ? words[c] : "?");
    for (; dimensions && n->used < sizeof(n->text) - 1; dimensions--)
        put_text(n, "[]");
    return at;
}

static const char *put_parameters(struct jit_name *n, const char *at, const char *end)
{
    put_text(n, "(");
    for (const char *from = at; at < end && *at != ')';) {
        if (at > from)
            put_text(n, ", ");
        at = put_type(n, at, end);
    }
    put_text(n, ")");
    return at;
}

/* perf-map-agent writes Lcom/acme/Cart;::total, and with its options com.acme.Cart::total and the
 * method's descriptor behind it; perf's own agent (linux tools/perf/jvmti) has no "::". */
static void decode_agent_method(struct jit_name *n, const char *at, const char *end)
{
    size_t from = n->used;
    if (*at == 'L' && memchr(at, ';', (size_t)(end - at))) {
        at = put_dotted(n, at + 1, end);
        at += end - at > 2 && at[0] == ':' && at[1] == ':' ? 2 : 0;
    } else {
        for (; end - at > 2 && (at[0] != ':' || at[1] != ':'); at++)
            put(n, at, 1);
        at += end - at > 2 ? 2 : 0;
    }
    put_text(n, ".");
    const char *parameters = memchr(at, '(', (size_t)(end - at));
    put(n, at, (size_t)((parameters ? parameters : end) - at));
    if (parameters)
        put_parameters(n, parameters + 1, end);
    add(n, end_string(n, from), NULL, 0);
}

static bool is_agent_method(const char *at, const char *end)
{
    const char *semicolon = memchr(at, ';', (size_t)(end - at));
    if (*at == 'L' && semicolon && semicolon > at + 1 && semicolon + 1 < end)
        return !memchr(at, ' ', (size_t)(semicolon - at));
    const char *colons = memmem(at, (size_t)(end - at), "::", 2);
    return colons && colons > at && colons + 2 < end && !memchr(at, ' ', (size_t)(end - at));
}

/* Of "a->b->c", b is inlined into a. */
static bool decode_agent(struct jit_name *n, const char *raw)
{
    const char *end = raw + strlen(raw);
    for (const char *at = raw, *next; at < end; at = next) {
        const char *arrow = strstr(at, "->");
        const char *stop = arrow ? arrow : end;
        next = arrow ? arrow + 2 : end;
        if (stop == at || !is_agent_method(at, stop))
            return false;
        decode_agent_method(n, at, stop);
    }
    return n->count > 0;
}

/* HotSpot writes Method::external_name(): "int com.acme.Cart.total(java.util.List)". What is no
 * method ("StubRoutines (1)", "I2C/C2I adapters(0xbb)") stays. */
static bool decode_hotspot(struct jit_name *n, const char *raw)
{
    size_t len = strlen(raw), name = strcspn(raw, "(");
    size_t from = name;
    while (from > 0 && raw[from - 1] != ' ')
        from--;
    if (name == len || raw[len - 1] != ')' || from == 0 || from == name ||
        !memchr(raw + from, '.', name - from))
        return false;
    add(n, put_string(n, raw + from, len - from), NULL, 0);
    return true;
}

/* ---- JavaScript */

/* What stands behind the kind of code: how it was compiled, and an apostrophe if for one closure
 * (V8's CodeKindToMarker()). */
#define V8_MARKERS "~^+*"

static const char *v8_rest(const char *raw, const char **ret_unnamed)
{
    static const struct {
        const char *prefix, *unnamed;
    } kinds[] = {{"LazyCompile:", "(anonymous)"},
                 {"Function:", "(anonymous)"},
                 {"JS:", "(anonymous)"},
                 {"Script:", "(script)"},
                 {"Eval:", "(eval)"}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t len = strlen(kinds[i].prefix);
        if (strncmp(raw, kinds[i].prefix, len) != 0)
            continue;
        *ret_unnamed = kinds[i].unnamed;
        const char *at = raw + len;
        if (*at && strchr(V8_MARKERS, *at))
            at += at[1] == '\'' ? 2 : 1;
        return at;
    }
    return NULL;
}

/* Takes ":LINE:COLUMN" or ":LINE" off the end. */
static const char *take_position(const char *text, const char *end, uint32_t *ret_line)
{
    uint32_t line = 0;
    const char *file_end = end;
    for (int i = 0; i < 2; i++) {
        const char *digits = file_end;
        while (digits > text && isdigit((unsigned char)digits[-1]))
            digits--;
        if (digits == file_end || file_end - digits > 9 || digits == text || digits[-1] != ':')
            break;
        line = (uint32_t)strtoul(digits, NULL, 10);
        file_end = digits - 1;
    }
    *ret_line = line;
    return file_end;
}

/* Where "NAME FILE" has its file; both may hold spaces. */
static const char *find_file(const char *text, const char *end)
{
    static const char *const starts[] = {" /", " file:", " node:", " http:", " https:"};
    const char *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        const char *at = memmem(text, (size_t)(end - text), starts[i], strlen(starts[i]));
        if (at && (!found || at < found))
            found = at;
    }
    return found ? found : memrchr(text, ' ', (size_t)(end - text));
}

static bool decode_v8(struct jit_name *n, const char *raw)
{
    const char *unnamed;
    const char *text = v8_rest(raw, &unnamed);
    if (!text)
        return false;
    uint32_t line;
    const char *end = text + strlen(text);
    const char *file_end = take_position(text, end, &line);
    const char *space = find_file(text, file_end);
    const char *file = NULL;
    if (space && space + 1 < file_end)
        file = put_string(n, space + 1, (size_t)(file_end - space - 1));
    else
        line = 0;
    size_t len = (size_t)((space ? space : line ? file_end : end) - text);
    add(n, len ? put_string(n, text, len) : put_string(n, unnamed, strlen(unnamed)), file, line);
    return true;
}

/* ---- Python */

/* "py::" qualified name ":" file (CPython Python/perf_trampoline.c). */
static bool decode_python(struct jit_name *n, const char *raw)
{
    static const char prefix[] = "py::";
    if (strncmp(raw, prefix, sizeof(prefix) - 1) != 0)
        return false;
    const char *name = raw + sizeof(prefix) - 1;
    const char *colon = strchr(name, ':');
    if (!colon || colon == name)
        return false;
    const char *file = colon[1] ? put_string(n, colon + 1, strlen(colon + 1)) : NULL;
    add(n, put_string(n, name, (size_t)(colon - name)), file, 0);
    return true;
}

/* ---- PHP */

/* "JIT$" and a function; "JIT$$" and a stub's name, which stays; "TRACE-", the trace's number, "$",
 * the function that it begins in, "$" and the line there, of which nobody knows the file. Code
 * outside functions is called after its file. zend_jit.c, zend_jit_trace.c in PHP's ext/opcache. */
static const char *php_function(const char *raw, const char **ret_end)
{
    const char *end = raw + strlen(raw);
    *ret_end = end;
    if (strncmp(raw, "JIT$", 4) == 0)
        return raw[4] == '$' ? NULL : raw + 4;
    if (strncmp(raw, "TRACE-", 6) != 0)
        return NULL;
    const char *at = raw + 6 + strspn(raw + 6, "0123456789"), *line = strrchr(raw, '$');
    if (at == raw + 6 || *at != '$' || line == at)
        return NULL;
    *ret_end = line;
    return at + 1;
}

static bool decode_php(struct jit_name *n, const char *raw)
{
    const char *end, *name = php_function(raw, &end);
    if (!name || name == end)
        return false;
    if (*name == '/') {
        const char *file = put_string(n, name, (size_t)(end - name));
        add(n, "{main}", file, 0);
        return true;
    }
    /* "{closure:Shop\Cart::total():5}:/app/cart.php:5" */
    const char *closed = memmem(name, (size_t)(end - name), "}:/", 3), *file = NULL;
    uint32_t line = 0;
    if (closed) {
        const char *file_end = take_position(closed + 2, end, &line);
        file = put_string(n, closed + 2, (size_t)(file_end - closed - 2));
        end = closed + 1;
    }
    add(n, put_string(n, name, (size_t)(end - name)), file, line);
    return true;
}

/* ---- Erlang */

/* "$" module ":" function "/" arity (erts/emulator/beam/jit); "global::" fragments stay. */
static bool decode_erlang(struct jit_name *n, const char *raw)
{
    const char *slash = strrchr(raw, '/');
    if (*raw != '$' || !slash || !isdigit((unsigned char)slash[1]) ||
        !memchr(raw + 2, ':', (size_t)(slash - raw > 2 ? slash - raw - 2 : 0)))
        return false;
    add(n, put_string(n, raw + 1, strlen(raw + 1)), NULL, 0);
    return true;
}

/* ---- Ruby */

/* "[JIT] Cart#total" (yjit/src/codegen.rs); that it is made code is told by the frame's kind. */
static bool decode_ruby(struct jit_name *n, const char *raw)
{
    static const char prefix[] = "[JIT] ";
    if (strncmp(raw, prefix, sizeof(prefix) - 1) != 0)
        return false;
    const char *name = raw + sizeof(prefix) - 1;
    add(n, put_string(n, name, strlen(name)), NULL, 0);
    return true;
}

void jit_name_decode(const char *raw, bool java, struct jit_name *ret)
{
    ret->count = ret->used = 0;
    bool known = java ? decode_agent(ret, raw) || decode_hotspot(ret, raw)
                      : decode_v8(ret, raw) || decode_python(ret, raw) || decode_php(ret, raw) ||
                            decode_erlang(ret, raw) || decode_ruby(ret, raw);
    if (known && ret->count)
        return;
    ret->count = ret->used = 0;
    add(ret, put_string(ret, raw, strlen(raw)), NULL, 0);
}
