/* go_symtab.c: takes addresses and offsets, gives what .gopclntab has there. See go_symtab.h. */
#include "symbol/go_symtab.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "symbol/elf_file.h"
#include "symbol/go_image.h"
#include "symbol/pages.h"
#include "unwind/leb.h"

#define RUNS_MAX                                                                              \
    (1u << 18)          /* of one function; the longest that Kubernetes has is of some 30,000 \
                         */
#define TEXT_MAX 16384u /* names of generic functions spell out their types */

/* internal/abi/symtab.go, the same since 1.16 */
#define PCDATA_INL_TREE_INDEX 2u
#define FUNCDATA_INL_TREE     3u
#define NO_FUNCDATA           UINT32_MAX

/* Where the fields of a record are, behind its address: the head of go_symtab.h. */
enum { NAME = 0, FILES = 16, LINES = 20, PROGRAMS = 24, UNIT = 28, COMMON_BYTES = 32 };
#define RECORD_BYTES_MAX 44u

static size_t record_bytes(const struct go_header *h)
{
    return h->version == GO_1_18 ? 40 : 44;
}

/* Bytes of the table. */
static int read_table(const struct go_image *image, uint64_t offset, void *to, size_t len)
{
    if (offset > image->table_len || len > image->table_len - offset)
        return -EBADMSG;
    return pages_read(image->pages, image->table + offset, to, len);
}

/* What looking for a text and for the segment of an address takes beside reading bytes. */
#define TEXT_COST    512u
#define SEGMENT_COST 16u

static int spend(uint64_t *left, uint64_t cost)
{
    if (cost > *left)
        return -E2BIG;
    *left -= cost;
    return 0;
}

/* ---- functions */

/* A word of the list: 2i is the start of function i, or the end of the last; 2i + 1 its record. */
static int read_entry(const struct go_image *image, uint64_t i, uint64_t *ret)
{
    uint64_t word = 0;
    int r = read_table(image, image->header.functions + i * image->header.word, &word,
                       image->header.word);
    if (r == 0)
        *ret = word;
    return r;
}

/* The last function that starts at or before the place; the first if none does. */
static int find_entry(const struct go_image *image, uint64_t place, uint64_t *ret)
{
    uint64_t low = 0, high = image->header.count, start = 0;
    while (low + 1 < high) {
        uint64_t mid = low + (high - low) / 2;
        int r = read_entry(image, 2 * mid, &start);
        if (r < 0)
            return r;
        if (start <= place)
            low = mid;
        else
            high = mid;
    }
    *ret = low;
    return 0;
}

static uint32_t field(const uint8_t *bytes, size_t at)
{
    uint32_t v;
    memcpy(&v, bytes + at, sizeof(v));
    return v;
}

/* `at`: where in the table the arrays behind a record begin. */
static int read_tree(const struct go_image *image, uint64_t at, uint32_t programs,
                     uint8_t addresses, uint64_t *ret)
{
    uint64_t offset = 0;
    if (addresses <= FUNCDATA_INL_TREE)
        return 0;
    at += (uint64_t)programs * 4;
    if (image->header.relative) {
        int r = read_table(image, at + FUNCDATA_INL_TREE * 4, &offset, 4);
        if (r == 0 && offset != NO_FUNCDATA && image->trees)
            *ret = image->trees + offset;
        return r;
    }
    uint64_t address = (image->table_address + at + 7) & ~UINT64_C(7);
    *ret = go_image_pointer(image, address + FUNCDATA_INL_TREE * sizeof(uint64_t));
    return 0;
}

static int read_record(const struct go_image *image, uint64_t offset, uint64_t start,
                       struct go_record *ret)
{
    uint8_t bytes[RECORD_BYTES_MAX];
    const struct go_header *h = &image->header;
    size_t len = record_bytes(h);
    uint64_t at = h->functions + offset, address = 0;
    if (offset > image->table_len || read_table(image, at, bytes, len) < 0)
        return -EBADMSG;
    memcpy(&address, bytes, h->word);
    if (address != start)
        return -EBADMSG;
    const uint8_t *common = bytes + h->word;
    uint32_t programs = field(common, PROGRAMS);
    ret->name = field(common, NAME);
    ret->unit = field(common, UNIT);
    ret->files = field(common, FILES);
    ret->lines = field(common, LINES);
    if (programs > PCDATA_INL_TREE_INDEX) {
        int r = read_table(image, at + len + PCDATA_INL_TREE_INDEX * 4, &ret->inlined, 4);
        if (r < 0)
            return r;
    }
    return read_tree(image, at + len, programs, bytes[len - 1], &ret->tree);
}

int go_symtab_find(const struct go_image *image, uint64_t address, struct go_record *ret)
{
    uint64_t place = address - image->text, i = 0, start = 0, end = 0, offset = 0;
    if (address < image->text || image->header.count == 0)
        return -ENOENT;
    int r = find_entry(image, place, &i);
    if (r == 0)
        r = read_entry(image, 2 * i, &start);
    if (r == 0)
        r = read_entry(image, 2 * i + 1, &offset);
    if (r == 0)
        r = read_entry(image, 2 * i + 2, &end);
    if (r < 0)
        return r;
    if (place < start || place >= end)
        return -ENOENT;
    struct go_record record = {.start = image->text + start, .end = image->text + end};
    r = read_record(image, offset, start, &record);
    if (r < 0)
        return r;
    if (!record.files && !record.lines)
        return -ENOENT;
    *ret = record;
    return 0;
}

/* ---- programs */

struct go_run {
    uint32_t end; /* bytes from the function's start */
    int32_t value;
};

#define PIECE_BYTES    256u
#define PAIR_BYTES_MAX 20u

static int add_run(struct go_values *values, uint64_t end, int64_t value)
{
    if (values->count == RUNS_MAX || end > UINT32_MAX || value < INT32_MIN || value > INT32_MAX)
        return -EBADMSG;
    if (values->count == values->room) {
        size_t room = values->room ? values->room * 2 : 64;
        struct go_run *runs = reallocarray(values->runs, room, sizeof(*runs));
        if (!runs)
            return -ENOMEM;
        values->runs = runs;
        values->room = room;
    }
    values->runs[values->count++] = (struct go_run){(uint32_t)end, (int32_t)value};
    return 0;
}

struct program {
    uint64_t at; /* in the table */
    uint64_t end, len;
    int64_t value;
    bool first, ended;
};

/* The pairs that lie whole in a piece of the table. */
static int read_piece(const struct go_image *image, struct program *program,
                      struct go_values *values)
{
    uint8_t piece[PIECE_BYTES];
    uint64_t room = image->header.functions - program->at;
    size_t len = room < sizeof(piece) ? (size_t)room : sizeof(piece);
    int r = read_table(image, program->at, piece, len);
    if (r < 0)
        return r;
    struct leb p = {piece, piece + len, false};
    while (!program->ended && (len == room || p.end - p.at >= PAIR_BYTES_MAX)) {
        uint64_t instructions;
        if (!go_program_step(&p, program->first, &program->value, &instructions)) {
            program->ended = true;
            break;
        }
        program->first = false;
        program->end += instructions * image->header.quantum;
        if (program->end >= program->len) {
            program->end = program->len;
            program->ended = true;
        }
        r = add_run(values, program->end, program->value);
        if (r < 0)
            return r;
    }
    program->at += (uint64_t)(p.at - piece);
    return p.bad ? -EBADMSG : 0;
}

int go_values_read(const struct go_image *image, const struct go_record *record, uint32_t program,
                   uint64_t *left, struct go_values *values)
{
    const struct go_header *h = &image->header;
    values->count = 0;
    if (program == 0)
        return 0;
    if (program >= h->functions - h->programs)
        return -EBADMSG;
    struct program p = {.at = h->programs + program,
                        .len = record->end - record->start,
                        .value = GO_NONE,
                        .first = true};
    int r = 0;
    while (r == 0 && !p.ended) {
        r = spend(left, PIECE_BYTES);
        if (r == 0)
            r = read_piece(image, &p, values);
    }
    if (r < 0)
        values->count = 0;
    return r;
}

uint64_t go_values_end(const struct go_values *values)
{
    return values->count ? values->runs[values->count - 1].end : 0;
}

int32_t go_values_at(const struct go_values *values, uint64_t offset)
{
    size_t low = 0, high = values->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (values->runs[mid].end <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low < values->count ? values->runs[low].value : GO_NONE;
}

void go_values_free(struct go_values *values)
{
    free(values->runs);
    *values = (struct go_values){0};
}

/* ---- inlined calls */

#define CALL_BYTES_MAX 20u

int go_symtab_call(const struct go_image *image, const struct go_record *record, int32_t number,
                   uint64_t *left, struct go_call *ret)
{
    bool has_caller = image->header.version == GO_1_20;
    uint8_t bytes[CALL_BYTES_MAX];
    size_t len = has_caller ? 16 : 20;
    uint64_t at;
    int r = spend(left, SEGMENT_COST * image->file->segment_count);
    if (r < 0)
        return r;
    if (number < 0 || !record->tree ||
        __builtin_add_overflow(record->tree, (uint64_t)number * len, &at) ||
        go_image_read(image, at, bytes, len) < 0)
        return -EBADMSG;
    struct go_call call = {.has_caller = has_caller};
    if (has_caller) {
        call.name = field(bytes, 4);
        call.caller = field(bytes, 8);
    } else {
        call.name = field(bytes, 12);
        call.outer = (int16_t)field(bytes, 0);
        call.file = (int32_t)field(bytes, 4);
        call.line = (int32_t)field(bytes, 8);
    }
    if (call.caller >= record->end - record->start || call.outer < GO_NONE)
        return -EBADMSG;
    *ret = call;
    return 0;
}

/* ---- texts */

/* A text lies in [from, to) of the table, and nothing refers to the middle of one. */
static int read_text(const struct go_image *image, uint64_t from, uint64_t to, uint32_t offset,
                     uint64_t *left, struct buf *ret)
{
    uint8_t before = 0;
    int r = spend(left, TEXT_COST);
    if (r < 0)
        return r;
    if (offset >= to - from ||
        (offset > 0 && read_table(image, from + offset - 1, &before, 1) < 0) || before != 0)
        return -EBADMSG;
    for (uint64_t at = from + offset, done = 0; at < to && done < TEXT_MAX;) {
        const uint8_t *bytes;
        size_t len;
        r = pages_view(image->pages, image->table + at, &bytes, &len);
        if (r < 0)
            return r;
        if (len > to - at)
            len = (size_t)(to - at);
        const uint8_t *nul = memchr(bytes, 0, len);
        if (nul)
            len = (size_t)(nul - bytes) + 1;
        r = spend(left, len);
        if (r == 0)
            r = buf_append(ret, bytes, len);
        if (r < 0 || nul)
            return r;
        at += len;
        done += len;
    }
    return -EBADMSG;
}

/* Go's runtime takes a name at 0 for none. The linker puts the first function's there. */
int go_symtab_name(const struct go_image *image, uint32_t name, uint64_t *left, struct buf *to)
{
    const struct go_header *h = &image->header;
    return read_text(image, h->names, h->units, name, left, to);
}

int go_symtab_file(const struct go_image *image, const struct go_record *record, int32_t number,
                   uint64_t *left, struct buf *to)
{
    const struct go_header *h = &image->header;
    uint32_t offset;
    uint64_t at = ((uint64_t)record->unit + (uint32_t)number) * sizeof(offset);
    if (number < 0 || at + sizeof(offset) > h->files - h->units)
        return -EBADMSG;
    int r = read_table(image, h->units + at, &offset, sizeof(offset));
    return r < 0 ? r : read_text(image, h->files, h->programs, offset, left, to);
}
