/* names.c: takes the addresses asked of one object, gives for each the symbol that covers it. See
 * names.h.
 *
 * A symbol table is read once, in pieces, in the order it has: each symbol finds the queries it
 * covers by binary search, and nothing of the table is kept. A symbol covers an address only by its
 * size, and not past its section's end. */
#include "symbol/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "symbol/name_files.h"

#define SYMBOLS_MAX (8u << 20) /* of one table; a browser with all its symbols has ~2 million */
#define PIECE       4096u      /* symbols read at a time */

/* Symbols overlap little. A table made so that each covers every query would cost their product. */
#define COVERS_PER_QUERY 64u
#define COVERS_MIN       1000000u
#define TIES_MAX         100000u

struct search {
    const struct elf_file *file;
    struct name_query *queries;
    size_t count;
    uint8_t source;
    uint32_t strings; /* section */
    size_t covers_left, ties_left;
};

struct symbol {
    uint64_t start, end;
    uint32_t name;
    uint8_t rank;
};

/* What speaks for a symbol among those that start at one address, the strongest first. What the
 * names themselves say comes after it, in is_better_name(). */
enum { RANK_FUNCTION = 2, RANK_EXTERNAL = 1 };

/* The first query at or behind the address. */
static size_t first_from(const struct search *s, uint64_t address)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->queries[mid].address < address)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* False for what names no code, or has no size to say which. */
static bool read_symbol(const struct elf_file *file, const GElf_Sym *sym, struct symbol *ret)
{
    unsigned type = GELF_ST_TYPE(sym->st_info), binding = GELF_ST_BIND(sym->st_info);
    if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
        return false;
    if (sym->st_size == 0 || sym->st_name == 0 || sym->st_shndx == SHN_UNDEF ||
        sym->st_shndx >= file->section_count)
        return false;
    const GElf_Shdr *section = &file->sections[sym->st_shndx];
    uint64_t start = sym->st_value, section_end;
    /* The lowest bit of a function's address says Thumb (ELF for the Arm architecture, 5.5.3). */
    if (file->header.e_machine == EM_ARM && type != STT_NOTYPE)
        start &= ~(uint64_t)1;
    if (!(section->sh_flags & SHF_EXECINSTR) || start < section->sh_addr ||
        __builtin_add_overflow(section->sh_addr, section->sh_size, &section_end) ||
        start >= section_end)
        return false;
    uint64_t room = section_end - start;
    *ret = (struct symbol){
        .start = start,
        .end = start + (sym->st_size < room ? sym->st_size : room),
        .name = sym->st_name,
        .rank = (uint8_t)((type == STT_NOTYPE ? 0 : RANK_FUNCTION) +
                          (binding == STB_LOCAL ? 0 : RANK_EXTERNAL)),
    };
    return true;
}

static int read_name(const struct elf_file *file, uint32_t strings, uint32_t name,
                     char ret[NAMES_TEXT_MAX])
{
    if (strings >= file->section_count || file->sections[strings].sh_type != SHT_STRTAB)
        return -EBADMSG;
    const GElf_Shdr *section = &file->sections[strings];
    if (name >= section->sh_size)
        return -EBADMSG;
    uint64_t room = section->sh_size - name;
    /* Most names are short; a longer one is asked for again. */
    static const size_t tries[] = {128, 1024, NAMES_TEXT_MAX};
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        size_t len = room < tries[i] ? (size_t)room : tries[i];
        int r = elf_file_read(file, section->sh_offset + name, ret, len);
        if (r < 0)
            return r;
        char *end = memchr(ret, 0, len);
        if (!end)
            continue;
        char *version = memchr(ret, '@', len);
        if (version && version < end)
            *version = 0;
        return *ret ? 0 : -ENOENT;
    }
    return -ENOENT;
}

/* The fewer underscores in front (write, not __write), then the shorter, then the first by bytes:
 * so the choice does not hang on the table's order. */
static bool is_better_name(const struct search *s, uint32_t name, uint32_t than)
{
    char a[NAMES_TEXT_MAX], b[NAMES_TEXT_MAX];
    if (read_name(s->file, s->strings, name, a) < 0)
        return false;
    if (read_name(s->file, s->strings, than, b) < 0)
        return true;
    size_t a_under = strspn(a, "_"), b_under = strspn(b, "_");
    if (a_under != b_under)
        return a_under < b_under;
    size_t a_len = strlen(a), b_len = strlen(b);
    return a_len != b_len ? a_len < b_len : strcmp(a, b) < 0;
}

/* Of symbols that cover one address the innermost is right: the one that starts last. */
static void consider(struct search *s, struct name_query *q, const struct symbol *symbol)
{
    if (q->found) {
        if (q->source != s->source || symbol->start < q->start)
            return;
        if (symbol->start == q->start && symbol->rank != q->rank && symbol->rank < q->rank)
            return;
        if (symbol->start == q->start && symbol->rank == q->rank) {
            if (s->ties_left == 0)
                return;
            s->ties_left--;
            if (!is_better_name(s, symbol->name, q->name))
                return;
        }
    }
    q->found = true;
    q->source = s->source;
    q->start = symbol->start;
    q->rank = symbol->rank;
    q->strings = s->strings;
    q->name = symbol->name;
}

/* Between two queries' answers changes nothing but at the edges of symbols: the nearest edges on
 * either side are kept with the queries next to them, and spread in narrow_ranges(). */
static size_t note_edge(struct search *s, uint64_t edge)
{
    size_t i = first_from(s, edge);
    if (i < s->count && s->queries[i].low < edge)
        s->queries[i].low = edge;
    if (i > 0 && s->queries[i - 1].high > edge)
        s->queries[i - 1].high = edge;
    return i;
}

static int take_symbol(struct search *s, const struct symbol *symbol)
{
    size_t first = note_edge(s, symbol->start), behind = note_edge(s, symbol->end);
    if (behind - first > s->covers_left)
        return -E2BIG;
    s->covers_left -= behind - first;
    for (size_t i = first; i < behind; i++)
        consider(s, &s->queries[i], symbol);
    return 0;
}

static void narrow_ranges(struct name_query *queries, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (queries[i].low < queries[i - 1].low)
            queries[i].low = queries[i - 1].low;
    for (size_t i = count; i-- > 1;)
        if (queries[i - 1].high > queries[i].high)
            queries[i - 1].high = queries[i].high;
}

static int read_table(struct search *s, const GElf_Shdr *table, struct err *err)
{
    size_t entry = elf_file_symbol_bytes(s->file);
    uint64_t count = table->sh_size / entry;
    if (table->sh_entsize != entry || table->sh_link >= s->file->section_count)
        return err_set(err, -EBADMSG, "malformed symbol table");
    if (count > SYMBOLS_MAX)
        return err_set(err, -EFBIG, "more than %u symbols", SYMBOLS_MAX);
    s->strings = table->sh_link;
    _cleanup_free_ void *piece = malloc(PIECE * entry);
    if (!piece)
        return err_errno(err, -ENOMEM, "reading symbols");
    for (uint64_t done = 0; done < count;) {
        size_t n = count - done < PIECE ? (size_t)(count - done) : PIECE;
        int r = elf_file_read(s->file, table->sh_offset + done * entry, piece, n * entry);
        if (r == 0)
            r = elf_file_translate(s->file, ELF_T_SYM, piece, n * entry);
        for (size_t i = 0; i < n && r == 0; i++) {
            GElf_Sym sym = elf_file_symbol(s->file, piece, i);
            struct symbol symbol;
            if (read_symbol(s->file, &sym, &symbol))
                r = take_symbol(s, &symbol);
        }
        if (r < 0)
            return err_errno(err, r, "reading symbols");
        done += n;
    }
    return 0;
}

static int find_in_section(struct search *s, uint32_t type, struct err *err)
{
    for (size_t i = 0; i < s->file->section_count; i++)
        if (s->file->sections[i].sh_type == type)
            return read_table(s, &s->file->sections[i], err);
    return 0;
}

/* Each answers what the ones before it left open. .gnu_debugdata has what .dynsym has not, and
 * .dynsym has names as other programs link to them. */
static const struct {
    const char *name;
    enum name_file file;
    uint32_t section_type;
} sources[] = {
    {".symtab", NAME_FILE_MAIN, SHT_SYMTAB},
    {"the debug file's .symtab", NAME_FILE_DEBUG, SHT_SYMTAB},
    {".gnu_debugdata", NAME_FILE_MINI, SHT_SYMTAB},
    {".dynsym", NAME_FILE_MAIN, SHT_DYNSYM},
};

int names_find(struct name_files *files, struct name_query *queries, size_t count, struct err *err)
{
    int result = 0;
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        size_t open = 0;
        for (size_t q = 0; q < count; q++)
            open += !queries[q].found;
        const struct elf_file *file = open ? name_files_get(files, sources[i].file) : NULL;
        if (!file)
            continue;
        struct search s = {
            .file = file,
            .queries = queries,
            .count = count,
            .source = (uint8_t)i,
            .covers_left = COVERS_MIN + count * COVERS_PER_QUERY,
            .ties_left = TIES_MAX,
        };
        struct err why = {0};
        int r = find_in_section(&s, sources[i].section_type, &why);
        if (r < 0 && result == 0)
            result = err_set(err, r, "%s: %s", sources[i].name, why.text);
    }
    narrow_ranges(queries, count);
    return result;
}

int names_read(struct name_files *files, const struct name_query *query, char ret[NAMES_TEXT_MAX])
{
    return read_name(name_files_get(files, sources[query->source].file), query->strings,
                     query->name, ret);
}
