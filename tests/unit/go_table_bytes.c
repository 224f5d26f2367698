/* go_table_bytes.c: takes functions, gives the bytes of .gopclntab. See go_table_bytes.h.
 *
 *   header | names | lists of files | files | programs | inlined calls | functions | their records
 */
#include "go_table_bytes.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"

#define UNUSED 0x77777777u

/* What comes before the list of functions. */
struct parts {
    struct buf names, units, files, programs, calls;
    struct {
        uint32_t name, sp, files, lines, inlined, calls;
    } of[GO_FUNCTIONS_MAX];
    uint64_t header, functions; /* how long the one is, where the other begins */
};

static void add(struct buf *b, uint64_t value, size_t size)
{
    int r = buf_append(b, &value, size);
    assert(r == 0);
}

static void add_buf(struct buf *b, const struct buf *more)
{
    int r = buf_append(b, more->data, more->len);
    assert(r == 0);
}

static uint32_t add_text(struct buf *b, const char *text)
{
    uint32_t at = (uint32_t)b->len;
    int r = buf_append(b, text, strlen(text) + 1);
    assert(r == 0);
    return at;
}

static void add_varint(struct buf *b, uint32_t v)
{
    for (; v >= 0x80; v >>= 7)
        add(b, (v & 0x7f) | 0x80, 1);
    add(b, v, 1);
}

/* Gives its offset; that of none is 0. */
static uint32_t add_program(struct buf *b, const struct go_row *rows)
{
    uint32_t at = (uint32_t)b->len;
    int32_t before = -1;
    if (!rows[0].instructions)
        return 0;
    for (size_t i = 0; i < GO_ROWS_MAX && rows[i].instructions; i++) {
        int32_t change = rows[i].value - before;
        before = rows[i].value;
        add_varint(b, (uint32_t)change << 1 ^ (uint32_t)(change >> 31));
        add_varint(b, rows[i].instructions);
    }
    add(b, 0, 1);
    return at;
}

static uint32_t add_calls(struct parts *p, const struct go_bytes *t,
                          const struct go_bytes_function *f)
{
    uint32_t at = (uint32_t)p->calls.len;
    for (size_t i = 0; i < GO_ROWS_MAX && f->calls[i].name; i++) {
        uint32_t name = add_text(&p->names, f->calls[i].name);
        if (t->version != GO_1_20) {
            add(&p->calls, (uint64_t)f->calls[i].outer, 2);
            add(&p->calls, UNUSED, 2);
            add(&p->calls, (uint64_t)f->calls[i].file, 4);
            add(&p->calls, (uint64_t)f->calls[i].line, 4);
        } else {
            add(&p->calls, 0, 4);
        }
        add(&p->calls, name, 4);
        add(&p->calls, (uint64_t)f->calls[i].caller * t->quantum, 4);
        if (t->version == GO_1_20)
            add(&p->calls, UNUSED, 4); /* the line where it starts */
    }
    return at;
}

static void make_parts(const struct go_bytes *t, struct parts *p)
{
    assert(t->count <= GO_FUNCTIONS_MAX);
    add(&p->programs, 0, 1);
    for (size_t i = 0; i < t->count; i++) {
        const struct go_bytes_function *f = &t->functions[i];
        p->of[i].name = f->name ? add_text(&p->names, f->name) : UNUSED;
        p->of[i].sp = add_program(&p->programs, f->rows);
        p->of[i].files = f->name ? add_program(&p->programs, f->files) : UNUSED;
        p->of[i].lines = f->name ? add_program(&p->programs, f->lines) : UNUSED;
        p->of[i].inlined = add_program(&p->programs, f->inlined);
        p->of[i].calls = add_calls(p, t, f);
    }
    for (size_t i = 0; i < sizeof(t->files) / sizeof(*t->files) && t->files[i]; i++)
        add(&p->units, add_text(&p->files, t->files[i]), 4);
    p->header = t->version == GO_1_16 ? 64 : 72;
    while ((p->header + p->names.len) % 4)
        add(&p->names, 0, 1);
    while ((p->header + p->names.len + p->units.len + p->files.len + p->programs.len) % 8)
        add(&p->programs, 0, 1);
    p->functions = p->header + p->names.len + p->units.len + p->files.len + p->programs.len;
    while ((p->functions + p->calls.len) % 8)
        add(&p->calls, 0, 1);
    p->functions += p->calls.len;
}

/* `at`: where the record begins in the table. */
static void add_record(struct buf *b, const struct go_bytes *t, const struct parts *p, size_t i,
                       uint64_t at)
{
    const struct go_bytes_function *f = &t->functions[i];
    uint64_t begin = b->len, calls = p->functions - p->calls.len + p->of[i].calls;
    bool named = f->name, inlines = f->calls[0].name;
    add(b, (t->version == GO_1_16 ? t->text : 0) + f->start, t->version == GO_1_16 ? 8 : 4);
    add(b, p->of[i].name, 4);
    add(b, UNUSED, 8);
    add(b, p->of[i].sp, 4);
    add(b, p->of[i].files, 4);
    add(b, p->of[i].lines, 4);
    add(b, inlines ? 3 : named ? 0 : UNUSED, 4);
    add(b, named ? 0 : UNUSED, 4);
    if (t->version == GO_1_20)
        add(b, UNUSED, 4);
    add(b, f->id, 1);
    add(b, f->flags, 1);
    add(b, 0, 1);
    add(b, inlines ? 4 : 0, 1);
    if (!inlines)
        return;
    add(b, 0, 8);
    add(b, p->of[i].inlined, 4);
    while (t->version == GO_1_16 && (at + b->len - begin) % 8)
        add(b, 0, 1);
    for (int k = 0; k < 3; k++)
        add(b, t->version == GO_1_16 ? 0 : UINT64_MAX, t->version == GO_1_16 ? 8 : 4);
    if (t->version == GO_1_16)
        add(b, t->address + calls, 8);
    else
        add(b, p->of[i].calls, 4);
}

static void add_header(struct buf *to, const struct go_bytes *t, const struct parts *p)
{
    static const uint32_t magics[] = {0xfffffffa, 0xfffffff0, 0xfffffff1};
    uint64_t at = p->header;
    add(to, magics[t->version], 4);
    add(to, 0, 2);
    add(to, t->quantum, 1);
    add(to, 8, 1);
    add(to, t->count, 8);
    add(to, 1, 8);
    if (t->version != GO_1_16)
        add(to, t->text_in_header, 8);
    add(to, at, 8);
    add(to, at += p->names.len, 8);
    add(to, at += p->units.len, 8);
    add(to, at += p->files.len, 8);
    add(to, p->functions, 8);
}

uint64_t go_table_bytes(const struct go_bytes *t, struct buf *to)
{
    size_t word = t->version == GO_1_16 ? 8 : 4, entries_len = (2 * t->count + 1) * word;
    uint64_t base = t->version == GO_1_16 ? t->text : 0;
    struct parts p = {0};
    struct buf records = {0}, entries = {0};
    make_parts(t, &p);
    for (size_t i = 0; i < t->count; i++) {
        add(&entries, base + t->functions[i].start, word);
        add(&entries, entries_len + records.len, word);
        add_record(&records, t, &p, i, p.functions + entries_len + records.len);
    }
    add(&entries, base + t->end, word);
    add_header(to, t, &p);
    add_buf(to, &p.names);
    add_buf(to, &p.units);
    add_buf(to, &p.files);
    add_buf(to, &p.programs);
    add_buf(to, &p.calls);
    add_buf(to, &entries);
    add_buf(to, &records);
    uint64_t calls = p.functions - p.calls.len;
    buf_free(&p.names);
    buf_free(&p.units);
    buf_free(&p.files);
    buf_free(&p.programs);
    buf_free(&p.calls);
    buf_free(&records);
    buf_free(&entries);
    return calls;
}

size_t go_module_words(const struct go_bytes *t, uint64_t table_len, uint64_t calls,
                       enum go_module layout, uint64_t words[GO_MODULE_WORDS])
{
    static const size_t places[] = {38, 40, 40, 43};
    size_t place = places[layout], parts = place + (layout < GO_MODULE_1_26 ? 1 : 2);
    memset(words, 0, GO_MODULE_WORDS * sizeof(*words));
    words[0] = words[1] = t->address;
    words[2] = words[3] = table_len;
    words[17] = words[18] = t->count + 1;
    words[GO_MODULE_TEXT] = t->text;
    words[place - 1] = t->text; /* rodata */
    words[place] = t->address + calls;
    if (layout >= GO_MODULE_1_26)
        words[place + 1] = t->address + table_len;
    words[parts] = t->address;
    words[parts + 1] = words[parts + 2] = 1;
    return place;
}
