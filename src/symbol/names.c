/* names.c: takes the addresses asked of one object, gives for each the symbol that covers it. See
 * names.h.
 *
 * A symbol table is read once, in pieces, in the order it has: each symbol finds the queries it
 * covers by binary search, and nothing of the table is kept. A symbol covers an address by its
 * size, and not past its section's end. For assembly whose author gave no sizes see
 * covers_unsized(). */
#include "symbol/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "symbol/fdes.h"
#include "symbol/name_files.h"
#include "symbol/plt.h"

#define SYMBOLS_MAX (8u << 20) /* of one table; a browser with all its symbols has ~2 million */
#define PIECE       4096u      /* symbols read at a time */

/* Symbols overlap little. A table made so that each covers every query would cost their product. */
#define COVERS_PER_QUERY 64u
#define COVERS_MIN       1000000u
#define TIES_MAX         100000u

#define PLT_SECTIONS_MAX 16u

struct symbol {
    uint64_t start, end; /* an unsized one's end is its section's */
    uint32_t name;
    uint8_t rank;
    bool is_sized, is_label; /* a label: has no type, and no other file may use it */
    bool is_stub;
};

/* The last unsized symbol at or before a query. */
struct unsized {
    bool found;
    uint64_t start;
    uint32_t name;
    uint8_t rank;
};

struct search {
    struct name_files *files;
    enum name_file which; /* of them has the names */
    const struct elf_file *file;
    struct name_query *queries;
    size_t count;
    uint8_t source;
    uint32_t strings; /* section */
    size_t covers_left, ties_left;
    struct unsized *unsized; /* by query */
    bool has_unsized, has_files;
};

/* What speaks for a symbol among those that start at one address. A function, be it an IFUNC (whose
 * address is that of the code which chooses among others), comes before what has no type, and what
 * other files may use before a local. Only behind what the names themselves say comes global before
 * weak: write is weak in libc and __write global, but bcmp is weak and memcmp global. */
enum { RANK_FUNCTION = 4, RANK_EXTERNAL = 2, RANK_GLOBAL = 1 };

struct candidate {
    uint32_t name;
    uint8_t rank;
};

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

/* False for what names no code. Labels without a size are such: the mapping symbols $x and $d of
 * Arm (ELF for the Arm 64-bit architecture, 5.5.4) and RISC-V, the compiler's .L, annobin's. */
static bool read_symbol(const struct elf_file *file, const GElf_Sym *sym, struct symbol *ret)
{
    unsigned type = GELF_ST_TYPE(sym->st_info), binding = GELF_ST_BIND(sym->st_info);
    bool is_label = type == STT_NOTYPE && binding == STB_LOCAL;
    if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
        return false;
    if ((sym->st_size == 0 && is_label) || sym->st_name == 0 || sym->st_shndx == SHN_UNDEF ||
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
        .end = sym->st_size && sym->st_size < room ? start + sym->st_size : section_end,
        .name = sym->st_name,
        .rank = (uint8_t)((type == STT_NOTYPE ? 0 : RANK_FUNCTION) +
                          (binding == STB_LOCAL ? 0 : RANK_EXTERNAL) +
                          (binding == STB_GLOBAL ? RANK_GLOBAL : 0)),
        .is_sized = sym->st_size != 0,
        .is_label = is_label,
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

/* The fewer underscores in front (write, not __write), then global before weak, then the shorter,
 * then the first by bytes: so the choice does not hang on the table's order. */
static bool is_better_name(const struct search *s, struct candidate is, struct candidate than)
{
    char a[NAMES_TEXT_MAX], b[NAMES_TEXT_MAX];
    if (read_name(s->file, s->strings, is.name, a) < 0)
        return false;
    if (read_name(s->file, s->strings, than.name, b) < 0)
        return true;
    size_t a_under = strspn(a, "_"), b_under = strspn(b, "_");
    if (a_under != b_under)
        return a_under < b_under;
    if (is.rank != than.rank)
        return is.rank > than.rank;
    size_t a_len = strlen(a), b_len = strlen(b);
    return a_len != b_len ? a_len < b_len : strcmp(a, b) < 0;
}

/* Of two symbols that start at one address. Ties are counted, since names must be read for them. */
static bool is_better(struct search *s, struct candidate is, struct candidate than)
{
    uint8_t is_rank = is.rank & (uint8_t)~RANK_GLOBAL,
            than_rank = than.rank & (uint8_t)~RANK_GLOBAL;
    if (is_rank != than_rank)
        return is_rank > than_rank;
    if (s->ties_left == 0)
        return false;
    s->ties_left--;
    return is_better_name(s, is, than);
}

/* Of symbols that cover one address the innermost is right: the one that starts last. */
static void consider(struct search *s, struct name_query *q, const struct symbol *symbol)
{
    struct candidate is = {symbol->name, symbol->rank}, than = {q->name, q->rank};
    if (q->found && (q->source != s->source || symbol->start < q->start))
        return;
    if (q->found && symbol->start == q->start && !is_better(s, is, than))
        return;
    q->found = true;
    q->source = s->source;
    q->start = symbol->start;
    q->rank = symbol->rank;
    q->file = (uint8_t)s->which;
    q->strings = s->strings;
    q->name = symbol->name;
    q->is_stub = symbol->is_stub;
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

/* Annobin's labels have sizes at times, and cover the functions of a whole file. */
static bool is_no_function(struct search *s, const struct symbol *symbol)
{
    char name[NAMES_TEXT_MAX];
    if (!symbol->is_label)
        return false;
    if (s->ties_left == 0)
        return true;
    s->ties_left--;
    return read_name(s->file, s->strings, symbol->name, name) < 0 || *name == '.' || *name == '$';
}

/* Kept with the next query only: spread in name_unsized(). */
static void note_unsized(struct search *s, struct unsized *u, const struct symbol *symbol)
{
    struct candidate is = {symbol->name, symbol->rank}, than = {u->name, u->rank};
    if (u->found && symbol->start < u->start)
        return;
    if (u->found && symbol->start == u->start && !is_better(s, is, than))
        return;
    *u = (struct unsized){true, symbol->start, symbol->name, symbol->rank};
    s->has_unsized = true;
}

static int take_symbol(struct search *s, const struct symbol *symbol)
{
    size_t first = note_edge(s, symbol->start), behind = note_edge(s, symbol->end);
    if (!symbol->is_sized) {
        if (first < behind)
            note_unsized(s, &s->unsized[first], symbol);
        return 0;
    }
    if (first == behind || is_no_function(s, symbol))
        return 0;
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

/* Whether an unsized symbol, the last before the query's address, covers it, without a chance that
 * nameless code behind it gets its name. Unwind information says where the function around the
 * address begins and ends: it may begin at the symbol, or else before it with a second entry there
 * (which then has a type; glibc's __restore_rt). Where there is none, as for musl's assembly, the
 * symbol table must be whole, with local symbols: then what lies behind has a symbol of its own, or
 * is the same function. */
static int covers_unsized(const struct search *s, const struct fdes *fdes, uint64_t address,
                          const struct unsized *u, bool *ret)
{
    uint64_t start = 0, end = 0;
    bool is_function = u->rank >= RANK_FUNCTION;
    int r = fdes_find(fdes, address, &start, &end);
    if (r < 0)
        return r;
    if (end <= u->start)
        *ret = is_function && s->has_files;
    else
        *ret = address < end && (start == u->start || (start < u->start && is_function));
    return 0;
}

/* Between the symbol and the address must be no edge of another: then its range begins there. */
static int name_unsized(struct search *s)
{
    struct fdes fdes;
    const struct unsized *last = NULL;
    if (!s->has_unsized)
        return 0;
    fdes_open(s->files->main, &fdes); /* a debug file has none */
    narrow_ranges(s->queries, s->count);
    for (size_t i = 0; i < s->count; i++) {
        struct name_query *q = &s->queries[i];
        bool covers;
        if (s->unsized[i].found)
            last = &s->unsized[i];
        if (q->found || !last || q->low != last->start)
            continue;
        int r = covers_unsized(s, &fdes, q->address, last, &covers);
        if (r < 0)
            return r;
        struct symbol symbol = {.start = last->start, .name = last->name, .rank = last->rank};
        q->is_single = true;
        if (covers)
            consider(s, q, &symbol);
    }
    return 0;
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
    _cleanup_free_ struct unsized *unsized = calloc(s->count, sizeof(*unsized));
    s->unsized = unsized;
    int r = piece && unsized ? 0 : -ENOMEM;
    for (uint64_t done = 0; done < count && r == 0;) {
        size_t n = count - done < PIECE ? (size_t)(count - done) : PIECE;
        r = elf_file_read(s->file, table->sh_offset + done * entry, piece, n * entry);
        if (r == 0)
            r = elf_file_translate(s->file, ELF_T_SYM, piece, n * entry);
        for (size_t i = 0; i < n && r == 0; i++) {
            GElf_Sym sym = elf_file_symbol(s->file, piece, i);
            struct symbol symbol;
            s->has_files = s->has_files || GELF_ST_TYPE(sym.st_info) == STT_FILE;
            if (read_symbol(s->file, &sym, &symbol))
                r = take_symbol(s, &symbol);
        }
        done += n;
    }
    if (r == 0)
        r = name_unsized(s);
    s->unsized = NULL;
    return r < 0 ? err_errno(err, r, "reading symbols") : 0;
}

static int find_in_section(struct search *s, uint32_t type, struct err *err)
{
    for (size_t i = 0; i < s->file->section_count; i++)
        if (s->file->sections[i].sh_type == type)
            return read_table(s, &s->file->sections[i], err);
    return 0;
}

static int ask(struct name_files *files, struct name_query *queries, size_t count, bool for_stubs,
               struct err *err);

static int compare_addresses(const void *va, const void *vb)
{
    const struct name_query *a = va, *b = vb;
    return a->address < b->address ? -1 : a->address > b->address;
}

/* Where a stub's slot is filled by the answer of a function, the stub is called as that is. */
static int name_by_resolvers(struct name_files *files, struct plt_stub *stubs, size_t count)
{
    _cleanup_free_ struct name_query *queries = calloc(count + 1, sizeof(*queries));
    size_t n = 0, kept = 0;
    if (!queries)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (!stubs[i].has_symbol)
            queries[n++] = (struct name_query){.address = stubs[i].resolver, .high = UINT64_MAX};
    qsort(queries, n, sizeof(*queries), compare_addresses);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || queries[kept - 1].address != queries[i].address)
            queries[kept++] = queries[i];
    int r = ask(files, queries, kept, true, NULL);
    for (size_t i = 0; i < count && r == 0; i++) {
        struct name_query key = {.address = stubs[i].resolver};
        const struct name_query *q =
            stubs[i].has_symbol ? NULL
                                : bsearch(&key, queries, kept, sizeof(key), compare_addresses);
        if (!q || !q->found || q->start != q->address)
            continue;
        stubs[i].has_symbol = true;
        stubs[i].file = (enum name_file)q->file;
        stubs[i].strings = q->strings;
        stubs[i].name = q->name;
    }
    return r;
}

/* The section's own name (".plt") is that of what in it calls the dynamic linker, as perf has it.
 */
static int read_plt(struct search *s, size_t section, struct err *err)
{
    const GElf_Shdr *header = &s->file->sections[section];
    struct symbol symbol = {.start = header->sh_addr, .is_sized = true, .name = header->sh_name};
    if (__builtin_add_overflow(symbol.start, header->sh_size, &symbol.end))
        return 0;
    size_t first = note_edge(s, symbol.start), behind = note_edge(s, symbol.end);
    while (first < behind && s->queries[first].found)
        first++;
    if (first == behind)
        return 0;
    _cleanup_free_ struct plt_stub *stubs = NULL;
    size_t count = 0;
    int r = plt_read(s->file, section, &stubs, &count, err);
    if (r < 0)
        return r;
    r = name_by_resolvers(s->files, stubs, count);
    s->which = NAME_FILE_MAIN;
    s->strings = s->file->header.e_shstrndx;
    if (r == 0)
        r = take_symbol(s, &symbol);
    for (size_t i = 0; i < count && r == 0; i++) {
        if (!stubs[i].has_symbol)
            continue;
        s->which = stubs[i].file;
        s->strings = stubs[i].strings;
        symbol = (struct symbol){
            .start = stubs[i].start,
            .end = stubs[i].end,
            .name = stubs[i].name,
            .rank = RANK_FUNCTION,
            .is_sized = true,
            .is_stub = true,
        };
        r = take_symbol(s, &symbol);
    }
    return r < 0 ? err_errno(err, r, "reading stubs") : 0;
}

static int find_in_plt(struct search *s, struct err *err)
{
    size_t seen = 0;
    int r = 0;
    for (size_t i = 0; i < s->file->section_count && seen < PLT_SECTIONS_MAX && r == 0; i++) {
        if (!plt_is_section(s->file, i))
            continue;
        seen++;
        r = read_plt(s, i, err);
    }
    return r;
}

/* Each answers what the ones before it left open. .gnu_debugdata has what .dynsym has not, and
 * .dynsym has names as other programs link to them. */
static const struct {
    const char *name;
    enum name_file file;
    uint32_t section_type; /* 0: stubs, which ask the others for names */
} sources[] = {
    {".symtab", NAME_FILE_MAIN, SHT_SYMTAB},
    {"the debug file's .symtab", NAME_FILE_DEBUG, SHT_SYMTAB},
    {".gnu_debugdata", NAME_FILE_MINI, SHT_SYMTAB},
    {".dynsym", NAME_FILE_MAIN, SHT_DYNSYM},
    {".plt", NAME_FILE_MAIN, 0},
};

static int ask(struct name_files *files, struct name_query *queries, size_t count, bool for_stubs,
               struct err *err)
{
    int result = 0;
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        size_t open = 0;
        for (size_t q = 0; q < count; q++)
            open += !queries[q].found;
        bool is_asked = open && (sources[i].section_type || !for_stubs);
        const struct elf_file *file = is_asked ? name_files_get(files, sources[i].file) : NULL;
        if (!file)
            continue;
        struct search s = {
            .files = files,
            .which = sources[i].file,
            .file = file,
            .queries = queries,
            .count = count,
            .source = (uint8_t)i,
            .covers_left = COVERS_MIN + count * COVERS_PER_QUERY,
            .ties_left = TIES_MAX,
        };
        struct err why = {0};
        int r = sources[i].section_type ? find_in_section(&s, sources[i].section_type, &why)
                                        : find_in_plt(&s, &why);
        if (r < 0 && result == 0)
            result = err_set(err, r, "%s: %s", sources[i].name, why.text);
    }
    narrow_ranges(queries, count);
    for (size_t i = 0; i < count; i++) {
        if (!queries[i].is_single)
            continue;
        queries[i].low = queries[i].address;
        queries[i].high = queries[i].address + 1;
    }
    return result;
}

int names_find(struct name_files *files, struct name_query *queries, size_t count, struct err *err)
{
    return ask(files, queries, count, false, err);
}

int names_read(struct name_files *files, const struct name_query *query, char ret[NAMES_TEXT_MAX])
{
    return read_name(name_files_get(files, query->file), query->strings, query->name, ret);
}
