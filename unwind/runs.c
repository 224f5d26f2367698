/* runs.c: takes rows of (address, rule), function by function; gives a table's rows in the order of
 * the file. See runs.h. */
#include "unwind/runs.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/table.h"
#include "unwind/table_internal.h"

#define RULES_MAX    65535u
#define SEGMENTS_MAX 64
#define ENTRY_BYTES  64u

struct row {
    uint32_t offset;
    uint16_t rule;
};

struct run {
    uint32_t start, end; /* offsets in the file */
    uint32_t first, count;
};

struct segment {
    uint64_t address, size, offset;
};

struct runs {
    struct segment segments[SEGMENTS_MAX];
    size_t segment_count;
    struct table rules; /* struct unwind_rule, nothing behind; row 0 is RULE_NONE */
    struct row *rows;
    uint32_t row_count, row_room, max_rows;
    struct run *runs;
    uint32_t count, room;
    uint32_t bad;
    const struct segment *segment; /* of the function at hand */
    uint64_t start;                /* likewise */
    uint32_t first;                /* likewise: its first row */
};

int runs_new(uint32_t max_rows, struct runs **ret)
{
    _cleanup_(runs_free) struct runs *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->max_rows = max_rows;
    table_init(&s->rules, sizeof(struct unwind_rule), sizeof(struct unwind_rule), RULES_MAX);
    static const struct unwind_rule none = {.kind = RULE_NONE}, other = {.kind = RULE_OTHER};
    uint32_t row;
    if (table_add(&s->rules, &none, &row) < 0 || table_add(&s->rules, &other, &row) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(s);
    return 0;
}

void runs_free(struct runs **runs)
{
    if (!*runs)
        return;
    table_free(&(*runs)->rules);
    free((*runs)->rows);
    free((*runs)->runs);
    free(*runs);
    *runs = NULL;
}

bool runs_add_segment(struct runs *s, uint64_t address, uint64_t size, uint64_t offset)
{
    if (s->segment_count == SEGMENTS_MAX || offset > UINT32_MAX || size > UINT32_MAX - offset ||
        address + size < address)
        return false;
    s->segments[s->segment_count++] = (struct segment){address, size, offset};
    return true;
}

static const struct segment *find_segment(const struct runs *s, uint64_t address)
{
    for (size_t i = 0; i < s->segment_count; i++) {
        if (address - s->segments[i].address < s->segments[i].size)
            return &s->segments[i];
    }
    return NULL;
}

bool runs_has_code(const struct runs *s, uint64_t address)
{
    return find_segment(s, address);
}

bool runs_begin(struct runs *s, uint64_t start, uint64_t end)
{
    s->segment = find_segment(s, start);
    s->start = start;
    s->first = s->row_count;
    if (s->segment && end > start && end - s->segment->address <= s->segment->size)
        return true;
    s->bad++;
    return false;
}

static uint32_t to_offset(const struct runs *s, uint64_t address)
{
    return (uint32_t)(address - s->segment->address + s->segment->offset);
}

int runs_add_row(void *runs, uint64_t pc, const struct unwind_rule *rule)
{
    struct runs *s = runs;
    if (s->row_count == s->max_rows)
        return -EFBIG;
    if (s->row_count == s->row_room) {
        uint32_t room = s->row_room + s->row_room / 2 + 1024;
        struct row *rows = realloc(s->rows, room * sizeof(*rows));
        if (!rows)
            return -ENOMEM;
        s->rows = rows;
        s->row_room = room;
    }
    uint32_t index;
    int r = table_add(&s->rules, rule, &index);
    if (r == -ENOSPC) {
        static const struct unwind_rule other = {.kind = RULE_OTHER};
        r = table_add(&s->rules, &other, &index);
    }
    if (r < 0)
        return r == -ENOSPC ? -EFBIG : r;
    s->rows[s->row_count++] = (struct row){to_offset(s, pc), (uint16_t)index};
    return 0;
}

int runs_end(struct runs *s, uint64_t end)
{
    assert(s->row_count > s->first);
    if (s->count == s->room) {
        uint32_t room = s->room + s->room / 2 + 256;
        struct run *runs = realloc(s->runs, room * sizeof(*runs));
        if (!runs)
            return -ENOMEM;
        s->runs = runs;
        s->room = room;
    }
    s->runs[s->count++] =
        (struct run){to_offset(s, s->start), to_offset(s, end), s->first, s->row_count - s->first};
    return 0;
}

void runs_drop(struct runs *s)
{
    s->row_count = s->first;
    s->bad++;
}

void runs_count_bad(struct runs *s, uint32_t bad)
{
    s->bad += bad;
}

uint32_t runs_count(const struct runs *s)
{
    return s->count;
}

/* ---- in order */

static int by_start(const void *a, const void *b)
{
    const struct run *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static void put(struct unwind_table *t, uint32_t offset, uint16_t rule)
{
    uint32_t n = t->info.rows;
    if (n && t->rule_of_row[n - 1] == rule)
        return;
    t->offsets[n] = offset;
    t->rule_of_row[n] = rule;
    t->info.rows++;
}

static void put_all(const struct runs *s, struct unwind_table *t)
{
    uint32_t covered = 0; /* offset up to which rows stand */
    for (uint32_t i = 0; i < s->count; i++) {
        const struct run *run = &s->runs[i];
        if (run->end <= covered)
            continue;
        if (run->start > covered)
            put(t, covered, 0);
        for (uint32_t k = 0; k < run->count; k++) {
            const struct row *row = &s->rows[run->first + k];
            uint32_t end = k + 1 < run->count ? row[1].offset : run->end;
            uint32_t start = row->offset < covered ? covered : row->offset;
            if (start < end)
                put(t, start, row->rule);
        }
        covered = run->end;
    }
    put(t, covered, 0);
}

static void *shrink(void *p, size_t size)
{
    void *smaller = realloc(p, size ? size : 1);
    return smaller ? smaller : p;
}

/* What a file starts at has no caller. Programs' _start says so in CFI; the dynamic linker's, where
 * every dynamic program begins, has none. */
static int add_entry(struct runs *s, uint64_t entry)
{
    const struct segment *segment = find_segment(s, entry);
    if (!entry || !segment)
        return 0;
    uint64_t base = segment->offset - segment->address;
    uint64_t left = segment->address + segment->size - entry;
    uint64_t end = entry + (left < ENTRY_BYTES ? left : ENTRY_BYTES);
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t start = s->runs[i].start - base;
        if (start <= entry && entry < s->runs[i].end - base)
            return 0;
        if (start > entry && start < end)
            end = start;
    }
    static const struct unwind_rule bottom = {.kind = RULE_END};
    runs_begin(s, entry, end);
    int r = runs_add_row(s, entry, &bottom);
    return r < 0 ? r : runs_end(s, end);
}

int runs_lay_out(struct runs *s, uint64_t entry, struct unwind_table *t)
{
    assert(!t->info.rows && !t->offsets);
    int r = add_entry(s, entry);
    if (r < 0)
        return r;
    qsort(s->runs, s->count, sizeof(*s->runs), by_start);
    /* Between two runs there may be a gap. */
    size_t room = (size_t)s->row_count + s->count + 2;
    t->offsets = malloc(room * sizeof(*t->offsets));
    t->rule_of_row = malloc(room * sizeof(*t->rule_of_row));
    t->rules = malloc(s->rules.count * sizeof(*t->rules));
    if (!t->offsets || !t->rule_of_row || !t->rules)
        return -ENOMEM;
    memcpy(t->rules, s->rules.rows, s->rules.count * sizeof(*t->rules));
    t->info.rules = s->rules.count;
    t->info.fdes = s->count;
    t->info.bad_fdes = s->bad;
    put_all(s, t);
    t->offsets = shrink(t->offsets, t->info.rows * sizeof(*t->offsets));
    t->rule_of_row = shrink(t->rule_of_row, t->info.rows * sizeof(*t->rule_of_row));
    return unwind_table_index(t);
}
