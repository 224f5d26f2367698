/* go_table_bytes.c: takes functions, gives the bytes of .gopclntab. See go_table_bytes.h.
 *
 *   header | sp tables | functions | their records */
#include "go_table_bytes.h"

#include <assert.h>

#include "base/buf.h"

static void add(struct buf *b, uint64_t value, size_t size)
{
    int r = buf_append(b, &value, size);
    assert(r == 0);
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
        int32_t change = rows[i].delta - before;
        before = rows[i].delta;
        add_varint(b, (uint32_t)change << 1 ^ (uint32_t)(change >> 31));
        add_varint(b, rows[i].instructions);
    }
    add(b, 0, 1);
    return at;
}

static void add_record(struct buf *b, const struct go_bytes *t, const struct go_bytes_function *f,
                       uint64_t start, uint32_t program)
{
    add(b, start, t->version == GO_1_16 ? 8 : 4);
    for (int i = 0; i < 3; i++)
        add(b, 0x77777777, 4);
    add(b, program, 4);
    for (int i = 0; i < (t->version == GO_1_20 ? 5 : 4); i++)
        add(b, 0x77777777, 4);
    add(b, f->id, 1);
    add(b, f->flags, 1);
    add(b, 0, 2);
}

void go_table_bytes(const struct go_bytes *t, struct buf *to)
{
    static const uint32_t magics[] = {0xfffffffa, 0xfffffff0, 0xfffffff1};
    size_t word = t->version == GO_1_16 ? 8 : 4, header = t->version == GO_1_16 ? 64 : 72;
    uint64_t base = t->version == GO_1_16 ? t->text : 0;
    struct buf programs = {0}, records = {0}, entries = {0};
    add(&programs, 0, 1);
    size_t entries_len = (2 * t->count + 1) * word;
    for (size_t i = 0; i < t->count; i++) {
        add(&entries, base + t->functions[i].start, word);
        add(&entries, entries_len + records.len, word);
        add_record(&records, t, &t->functions[i], base + t->functions[i].start,
                   add_program(&programs, t->functions[i].rows));
    }
    add(&entries, base + t->end, word);
    add(to, magics[t->version], 4);
    add(to, 0, 2);
    add(to, t->quantum, 1);
    add(to, 8, 1);
    add(to, t->count, 8);
    add(to, 1, 8);
    if (t->version != GO_1_16)
        add(to, t->text_in_header, 8);
    for (int i = 0; i < 3; i++)
        add(to, header, 8);
    add(to, header, 8);
    add(to, header + programs.len, 8);
    int r = buf_append(to, programs.data, programs.len);
    assert(r == 0);
    r = buf_append(to, entries.data, entries.len);
    assert(r == 0);
    r = buf_append(to, records.data, records.len);
    assert(r == 0);
    buf_free(&programs);
    buf_free(&entries);
    buf_free(&records);
}
