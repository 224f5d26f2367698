/* kallsyms.c: takes the text of /proc/kallsyms, gives a sorted table of code symbols. See
 * kallsyms.h.
 *
 * The text has no sizes: a symbol reaches to the next one. What is not code (data, absolute and
 * section symbols) is kept only as an end of what lies before it. Several names at one address:
 * the one a reader looks for is kept, see name_rank(). */
#include "symbol/kallsyms.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#define TEXT_MAX    (512u << 20) /* bytes of text; with KALLSYMS_ALL and many modules ~30 MiB */
#define SYMBOLS_MAX (8u << 20)
#define MODULES_MAX 0xffffu
#define NAMES_MAX   (256u << 20)
#define LINE_MAX    1024 /* KSYM_NAME_LEN is 512 since 6.1, a module's name 56 */
#define CHUNK       (64u << 10)

/* A module's text ends at a page's end (CONFIG_STRICT_MODULE_RWX) and vmalloc leaves a page free
 * behind it, so that the rest of its last symbol's page is all that surely belongs to it. The
 * smallest page of any kernel is taken. */
#define PAGE_BYTES 4096u

#define NO_NAME UINT32_MAX /* a row that only ends the one before it */

struct row {
    uint64_t address;
    uint32_t name; /* offset in names */
    uint16_t module;
    uint8_t rank;
};

struct module {
    uint32_t name;
    uint64_t first; /* address of its first code symbol */
};

struct kallsyms {
    uint64_t *addresses; /* ascending */
    uint32_t *names;     /* offset in pool, or NO_NAME */
    uint16_t *modules;
    size_t count;
    struct module *module_table; /* row 0 is the core image */
    size_t module_count;
    struct buf pool;
    uint64_t stext;
};

/* What a load collects before it is sorted. */
struct loader {
    struct row *rows;
    size_t count, cap;
    struct buf pool;
    struct module *modules;
    size_t module_count, module_cap;
    uint64_t stext, text; /* 0: not seen */
    size_t lines;         /* that had the form of a symbol */
    bool addresses_seen;
};

struct line {
    uint64_t address;
    char type;
    const char *name, *module; /* module: without brackets; NULL for the core image */
    size_t name_len, module_len;
};

static bool starts_with(const char *name, size_t len, const char *prefix)
{
    size_t n = strlen(prefix);
    return len >= n && memcmp(name, prefix, n) == 0;
}

static bool ends_with(const char *name, size_t len, const char *suffix)
{
    size_t n = strlen(suffix);
    return len >= n && memcmp(name + len - n, suffix, n) == 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static bool parse_line(const char *p, size_t len, struct line *ret)
{
    const char *end = p + len;
    uint64_t address = 0;
    size_t digits = 0;
    for (; p < end && hex_digit(*p) >= 0; p++, digits++)
        address = address << 4 | (unsigned)hex_digit(*p);
    if (digits == 0 || digits > 16 || end - p < 4 || p[0] != ' ' || p[2] != ' ' ||
        memchr(p, 0, (size_t)(end - p)))
        return false;
    struct line line = {.address = address, .type = p[1], .name = p + 3};
    const char *tab = memchr(line.name, '\t', (size_t)(end - line.name));
    line.name_len = (size_t)((tab ? tab : end) - line.name);
    if (tab && end - tab >= 4 && tab[1] == '[' && end[-1] == ']') {
        line.module = tab + 2;
        line.module_len = (size_t)(end - 1 - line.module);
    }
    *ret = line;
    return line.name_len > 0;
}

/* nm's letters: t/T text, w/W weak and not known to be data. */
static bool is_code(const struct line *line)
{
    return strchr("tTwW", line->type);
}

/* arm's mapping symbols ($x, $d) and assembler locals stand inside functions. Absolute symbols
 * (x86's per-CPU ones) are offsets or constants, not places. */
static bool is_place(const struct line *line)
{
    return line->address && line->type != 'a' && line->type != 'A' && line->name[0] != '$' &&
           !starts_with(line->name, line->name_len, ".L");
}

/* The linker script's marks (include/asm-generic/vmlinux.lds.h) stand where a section starts or
 * ends, often at a function's address. Alone they name nothing but padding or the section's end. */
static bool is_section_mark(const struct line *line)
{
    return ends_with(line->name, line->name_len, "_text_start") ||
           ends_with(line->name, line->name_len, "_text_end") ||
           ends_with(line->name, line->name_len, "inittext") ||
           ends_with(line->name, line->name_len, "_etext") ||
           ends_with(line->name, line->name_len, "_stext") ||
           ends_with(line->name, line->name_len, "__text") ||
           (line->name_len == 5 && memcmp(line->name, "_text", 5) == 0);
}

/* Of names at one address the highest rank wins: any function over an end mark, a global over a
 * weak over a local one, then the fewest leading underscores (memcpy over __memcpy over
 * __pi_memcpy). Equals are settled by prefer_name(). */
static uint8_t name_rank(const struct line *line)
{
    if (!is_code(line) || is_section_mark(line))
        return 0;
    unsigned underscores = 0;
    while (underscores < 7 && underscores < line->name_len && line->name[underscores] == '_')
        underscores++;
    unsigned binding = line->type == 'T' ? 2 : line->type == 'W' ? 1 : 0;
    return (uint8_t)(1 + binding * 8 + (7 - underscores));
}

/* The shorter name, then the first by bytes, so that the choice does not hang on the order. */
static bool prefer_name(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    return a_len != b_len ? a_len < b_len : strcmp(a, b) < 0;
}

static int pool_add(struct buf *pool, const char *text, size_t len, uint32_t *ret)
{
    uint32_t at = (uint32_t)pool->len;
    int r = buf_reserve(pool, len + 1);
    if (r < 0)
        return r;
    memcpy(pool->data + pool->len, text, len);
    pool->data[pool->len + len] = 0;
    pool->len += len + 1;
    *ret = at;
    return 0;
}

/* Half of a kernel's names are those of another half with __pfx_ or __cfi_ in front (the padding
 * before each function), and stand right before them: the tail of the last name is shared. */
static int name_add(struct loader *l, const char *name, size_t len, uint32_t *ret)
{
    if (l->pool.len > len && l->pool.data[l->pool.len - 1] == 0 &&
        memcmp(l->pool.data + l->pool.len - 1 - len, name, len) == 0) {
        *ret = (uint32_t)(l->pool.len - 1 - len);
        return 0;
    }
    return pool_add(&l->pool, name, len, ret);
}

/* Symbols of a module stand together, so the last one is asked first. */
static int module_find(struct loader *l, const struct line *line, uint16_t *ret)
{
    if (!line->module) {
        *ret = 0;
        return 0;
    }
    for (size_t i = l->module_count; i-- > 1;) {
        const char *name = (const char *)l->pool.data + l->modules[i].name;
        if (strlen(name) == line->module_len && memcmp(name, line->module, line->module_len) == 0) {
            *ret = (uint16_t)i;
            return 0;
        }
    }
    if (l->module_count > MODULES_MAX)
        return -EFBIG;
    if (l->module_count == l->module_cap) {
        size_t cap = l->module_cap * 2;
        struct module *modules = reallocarray(l->modules, cap, sizeof(*modules));
        if (!modules)
            return -ENOMEM;
        l->modules = modules;
        l->module_cap = cap;
    }
    struct module *m = &l->modules[l->module_count];
    *m = (struct module){.first = UINT64_MAX};
    int r = pool_add(&l->pool, line->module, line->module_len, &m->name);
    if (r < 0)
        return r;
    *ret = (uint16_t)l->module_count++;
    return 0;
}

static int row_add(struct loader *l, struct row row)
{
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 1u << 16;
        if (l->count >= SYMBOLS_MAX)
            return -EFBIG;
        struct row *rows = reallocarray(l->rows, cap, sizeof(*rows));
        if (!rows)
            return -ENOMEM;
        l->rows = rows;
        l->cap = cap;
    }
    l->rows[l->count++] = row;
    return 0;
}

static int take_line(struct loader *l, const char *text, size_t len)
{
    struct line line;
    if (!parse_line(text, len, &line))
        return 0;
    l->lines++;
    if (line.address)
        l->addresses_seen = true;
    if (!is_place(&line))
        return 0;
    if (!line.module && line.name_len == 6 && memcmp(line.name, "_stext", 6) == 0)
        l->stext = line.address;
    if (!line.module && line.name_len == 5 && memcmp(line.name, "_text", 5) == 0)
        l->text = line.address;

    struct row row = {.address = line.address, .name = NO_NAME, .rank = name_rank(&line)};
    struct row *last = l->count ? &l->rows[l->count - 1] : NULL;
    if (last && last->address == row.address && row.rank < last->rank)
        return 0;
    int r = module_find(l, &line, &row.module);
    if (r < 0)
        return r;
    /* With KALLSYMS_ALL most symbols are data. The core image's come in order: the first of a run
     * ends what lies before it. */
    if (row.rank == 0 && row.module == 0 && last && last->rank == 0 && last->module == 0 &&
        last->address <= row.address)
        return 0;
    if (row.rank)
        r = name_add(l, line.name, line.name_len, &row.name);
    return r < 0 ? r : row_add(l, row);
}

static int read_lines(int fd, struct loader *l, struct err *err)
{
    _cleanup_free_ char *chunk = malloc(CHUNK);
    if (!chunk)
        return err_errno(err, -ENOMEM, "reading kernel symbols");
    size_t held = 0, total = 0;
    bool skipping = false; /* the rest of a line that is too long */
    for (;;) {
        ssize_t n = read(fd, chunk + held, CHUNK - held);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, -errno, "reading kernel symbols");
        if (n == 0 && held == 0)
            return 0;
        if ((total += (size_t)n) > TEXT_MAX)
            return err_set(err, -EFBIG, "kernel symbols: more than %u bytes of text", TEXT_MAX);
        if (n == 0)
            chunk[held++] = '\n'; /* there is room: a full chunk has been cut below */
        size_t len = held + (size_t)n, at = 0;
        const char *end;
        while ((end = memchr(chunk + at, '\n', len - at))) {
            size_t line_len = (size_t)(end - (chunk + at));
            int r = skipping ? 0 : take_line(l, chunk + at, line_len);
            if (r < 0)
                return err_errno(err, r, "keeping %zu kernel symbols", l->count);
            skipping = false;
            at += line_len + 1;
        }
        held = len - at;
        if (held > LINE_MAX) {
            held = 0;
            skipping = true;
        }
        memmove(chunk, chunk + at, held);
    }
}

static int compare_rows(const void *va, const void *vb)
{
    const struct row *a = va, *b = vb;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    return (int)b->rank - (int)a->rank;
}

/* Leaves one row for each address, and of a run of end marks the first. */
static void choose_names(struct loader *l)
{
    const char *pool = (const char *)l->pool.data;
    size_t kept = 0;
    for (size_t i = 0; i < l->count;) {
        struct row best = l->rows[i];
        size_t j = i + 1;
        for (; j < l->count && l->rows[j].address == best.address; j++) {
            if (best.rank && l->rows[j].rank == best.rank &&
                prefer_name(pool + l->rows[j].name, pool + best.name))
                best = l->rows[j];
        }
        i = j;
        bool is_end = best.rank == 0;
        if (is_end && (kept == 0 || l->rows[kept - 1].rank == 0))
            continue;
        if (!is_end && best.address < l->modules[best.module].first)
            l->modules[best.module].first = best.address;
        l->rows[kept++] = best;
    }
    l->count = kept;
}

static int publish(struct loader *l, struct kallsyms **ret)
{
    _cleanup_(kallsyms_free) struct kallsyms *k = calloc(1, sizeof(*k));
    if (!k)
        return -ENOMEM;
    k->addresses = calloc(l->count, sizeof(*k->addresses));
    k->names = calloc(l->count, sizeof(*k->names));
    k->modules = calloc(l->count, sizeof(*k->modules));
    if (!k->addresses || !k->names || !k->modules)
        return -ENOMEM;
    for (size_t i = 0; i < l->count; i++) {
        k->addresses[i] = l->rows[i].address;
        k->names[i] = l->rows[i].name;
        k->modules[i] = l->rows[i].module;
    }
    k->count = l->count;
    k->stext = l->stext ? l->stext : l->text;
    k->module_table = TAKE_PTR(l->modules);
    k->module_count = l->module_count;
    uint8_t *fitted = realloc(l->pool.data, l->pool.len);
    k->pool = l->pool;
    if (fitted) {
        k->pool.data = fitted;
        k->pool.cap = l->pool.len;
    }
    l->pool = (struct buf){0};
    *ret = TAKE_PTR(k);
    return 0;
}

static void loader_free(struct loader *l)
{
    free(l->rows);
    free(l->modules);
    buf_free(&l->pool);
}

int kallsyms_load(int fd, struct kallsyms **ret, struct err *err)
{
    _cleanup_(loader_free) struct loader l = {.pool.max = NAMES_MAX, .module_cap = 64};
    l.modules = calloc(l.module_cap, sizeof(*l.modules));
    if (!l.modules || pool_add(&l.pool, "kernel", 6, &l.modules[0].name) < 0)
        return err_errno(err, -ENOMEM, "reading kernel symbols");
    l.modules[0].first = UINT64_MAX;
    l.module_count = 1;
    int r = read_lines(fd, &l, err);
    if (r < 0)
        return r;
    if (l.lines && !l.addresses_seen)
        return err_set(err, -EACCES,
                       "the kernel hides its symbols' addresses (all are zero): CAP_SYSLOG with "
                       "kernel.kptr_restrict at 0 or 1 shows them");
    if (l.count > 0) /* else rows is NULL, which qsort must not be given */
        qsort(l.rows, l.count, sizeof(*l.rows), compare_rows);
    choose_names(&l);
    if (l.count == 0)
        return err_set(err, -ENODATA, "no kernel symbol among %zu lines", l.lines);
    r = publish(&l, ret);
    return r < 0 ? err_errno(err, r, "keeping %zu kernel symbols", l.count) : 0;
}

void kallsyms_free(struct kallsyms **kp)
{
    struct kallsyms *k = *kp;
    if (!k)
        return;
    free(k->addresses);
    free(k->names);
    free(k->modules);
    free(k->module_table);
    buf_free(&k->pool);
    free(k);
    *kp = NULL;
}

/* The last row at or before the address, or count. */
static size_t find_row(const struct kallsyms *k, uint64_t address)
{
    size_t low = 0, high = k->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (k->addresses[mid] <= address)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? low - 1 : k->count;
}

int kallsyms_find(const struct kallsyms *k, uint64_t address, struct kallsyms_symbol *ret,
                  uint64_t *ret_offset)
{
    *ret_offset = address - k->stext;
    size_t i = find_row(k, address);
    if (i == k->count || k->names[i] == NO_NAME)
        return -ENOENT;
    /* Behind a module's last symbol lies the module's end, and kallsyms does not say where. */
    bool is_last = i + 1 == k->count || k->modules[i + 1] != k->modules[i];
    if (is_last && address - (k->addresses[i] & ~(uint64_t)(PAGE_BYTES - 1)) >= PAGE_BYTES)
        return -ENOENT;
    const struct module *module = &k->module_table[k->modules[i]];
    *ret = (struct kallsyms_symbol){
        .name = (const char *)k->pool.data + k->names[i],
        .module = (const char *)k->pool.data + module->name,
        .start = k->addresses[i] - (k->modules[i] ? module->first : k->stext),
    };
    return 0;
}

size_t kallsyms_bytes(const struct kallsyms *k)
{
    return sizeof(*k) +
           k->count * (sizeof(*k->addresses) + sizeof(*k->names) + sizeof(*k->modules)) +
           k->module_count * sizeof(*k->module_table) + k->pool.cap;
}
