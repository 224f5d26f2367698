/* dwarf.c: takes addresses of one file, gives their functions with file and line. See dwarf.h.
 *
 * Only units (compiled files) that have an asked address are read: dwarf_units.c says which,
 * dwarf_walk.c finds the functions in one, dwarf_name.c what they are called. */
#include "symbol/dwarf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <libelf.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "symbol/chains.h"
#include "symbol/dwarf_name.h"
#include "symbol/dwarf_units.h"
#include "symbol/dwarf_walk.h"

#define PIECE          256u               /* addresses of one walk: a hit is 2 KiB */
#define HEAP_MAX       ((size_t)64 << 20) /* at which libdw is begun anew */
#define FILE_BYTES_MAX 4096u              /* of a file's name; of a longer one there is none */

/* One file's debug information. */
struct info {
    Elf *elf;
    Dwarf *dwarf;
};

struct search {
    struct info info, alt;
    struct dwarf_units units;
    struct dwarf_names *names;
    struct dwarf_hit *hits;
    int64_t deadline_ns;
    dwarf_chain_fn add;
    void *ctx;
};

/* The addresses in one unit. */
struct group {
    uint32_t unit;
    uint32_t count;
    uint64_t *addresses;
    Dwarf_Off cost; /* bytes to be read for each of them */
};

static void info_close(struct info *info)
{
    if (info->dwarf)
        dwarf_end(info->dwarf);
    if (info->elf)
        elf_end(info->elf);
    *info = (struct info){0};
}

static int info_open(int fd, struct info *ret)
{
    _cleanup_(info_close) struct info info = {0};
    info.elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    if (!info.elf || elf_kind(info.elf) != ELF_K_ELF)
        return -EBADMSG;
    info.dwarf = dwarf_begin_elf(info.elf, DWARF_C_READ, NULL);
    if (!info.dwarf)
        return -EBADMSG;
    *ret = info;
    info = (struct info){0};
    return 0;
}

/* libdw keeps the lines of all units that were read until its end; names, which are known by where
 * their DIEs lie in the file, stay. */
static int save_memory(struct search *s)
{
    struct mallinfo2 heap = mallinfo2();
    if (heap.uordblks + heap.hblkhd < HEAP_MAX)
        return 0;
    dwarf_end(s->info.dwarf);
    s->info.dwarf = dwarf_begin_elf(s->info.elf, DWARF_C_READ, NULL);
    if (!s->info.dwarf)
        return -EBADMSG;
    if (s->alt.dwarf)
        dwarf_setalt(s->info.dwarf, s->alt.dwarf);
    return 0;
}

static void search_free(struct search *s)
{
    info_close(&s->info);
    info_close(&s->alt);
    dwarf_units_free(&s->units);
    dwarf_names_free(&s->names);
    free(s->hits);
}

static const char *tame_file(const char *name)
{
    return name && strnlen(name, FILE_BYTES_MAX) < FILE_BYTES_MAX ? name : NULL;
}

/* The line whose code is executed at the address. */
static void set_line(Dwarf_Die *unit, uint64_t address, struct symbol_frame *frame)
{
    Dwarf_Line *line = dwarf_getsrc_die(unit, address);
    int number = 0;
    if (!line)
        return;
    frame->file = tame_file(dwarf_linesrc(line, NULL, NULL));
    if (dwarf_lineno(line, &number) == 0 && number > 0)
        frame->line = (uint32_t)number;
}

/* The line from which `inlined` would be called, were it not inlined. */
static void set_call_line(Dwarf_Die *unit, Dwarf_Die *inlined, struct symbol_frame *frame)
{
    Dwarf_Files *files;
    Dwarf_Attribute attr;
    Dwarf_Word file, line;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attr), &line) == 0 &&
        line <= UINT32_MAX)
        frame->line = (uint32_t)line;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attr), &file) == 0 &&
        dwarf_getsrcfiles(unit, &files, NULL) == 0)
        frame->file = tame_file(dwarf_filesrc(files, file, NULL, NULL));
}

static uint64_t first_byte(Dwarf_Die *function)
{
    Dwarf_Addr base, start, end;
    if (dwarf_entrypc(function, &start) == 0)
        return start;
    return dwarf_ranges(function, 0, &base, &start, &end) > 0 ? start : 0;
}

/* An inlined function that has no name ends the chain: what is inlined into it would seem to be
 * called by another. */
static int add_chain(struct search *s, Dwarf_Die *unit, uint64_t address, struct dwarf_hit *hit)
{
    struct symbol_frame frames[CHAIN_FRAMES_MAX] = {0};
    uint32_t count = 0;
    for (; count < hit->count; count++) {
        frames[count].name = dwarf_names_of(s->names, &hit->functions[count]);
        if (count > 0 && !frames[count].name)
            break;
        if (count > 0)
            set_call_line(unit, &hit->functions[count], &frames[count - 1]);
    }
    if (count < hit->count)
        set_call_line(unit, &hit->functions[count], &frames[count - 1]);
    else
        set_line(unit, address, &frames[count ? count - 1 : 0]);
    if (count == 0 && frames[0].line)
        count = 1;
    return s->add(s->ctx, address, hit->count ? first_byte(&hit->functions[0]) : 0, frames, count);
}

static int add_unknown(struct search *s, const struct group *group)
{
    int r = 0;
    for (size_t i = 0; i < group->count && r == 0; i++)
        r = s->add(s->ctx, group->addresses[i], 0, NULL, 0);
    return r;
}

static int search_unit(struct search *s, const struct group *group)
{
    Dwarf_Die unit;
    if (!dwarf_offdie(s->info.dwarf, s->units.units[group->unit].die, &unit))
        return add_unknown(s, group);
    for (size_t done = 0; done < group->count; done += PIECE) {
        size_t n = group->count - done < PIECE ? group->count - done : PIECE;
        int r = dwarf_walk(&unit, group->addresses + done, n, s->deadline_ns, s->hits);
        if (r == -ETIME)
            return r;
        /* What was found before a tree went wrong is still right; lines may be as well. */
        for (size_t i = 0; i < n; i++) {
            r = add_chain(s, &unit, group->addresses[done + i], &s->hits[i]);
            if (r < 0)
                return r;
            if (clock_ns(DWARF_CLOCK) > s->deadline_ns)
                return -ETIME;
        }
    }
    return 0;
}

static int compare_costs(const void *va, const void *vb)
{
    const struct group *a = va, *b = vb;
    return a->cost != b->cost ? (a->cost < b->cost ? -1 : 1)
                              : (a->unit > b->unit) - (a->unit < b->unit);
}

struct asked {
    uint32_t unit;
    uint64_t address;
};

static int compare_asked(const void *va, const void *vb)
{
    const struct asked *a = va, *b = vb;
    if (a->unit != b->unit)
        return a->unit < b->unit ? -1 : 1;
    return (a->address > b->address) - (a->address < b->address);
}

/* Groups of ascending addresses, in `sorted`, by unit. */
static int make_groups(const struct search *s, const uint64_t *addresses, const uint32_t *units,
                       size_t count, uint64_t *sorted, struct group **ret, size_t *ret_count)
{
    _cleanup_free_ struct asked *asked = calloc(count, sizeof(*asked));
    _cleanup_free_ struct group *groups = calloc(count, sizeof(*groups));
    if (!asked || !groups)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        asked[i] = (struct asked){units[i], addresses[i]};
    qsort(asked, count, sizeof(*asked), compare_asked);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        sorted[i] = asked[i].address;
        if (n == 0 || groups[n - 1].unit != asked[i].unit)
            groups[n++] = (struct group){.unit = asked[i].unit, .addresses = &sorted[i]};
        groups[n - 1].count++;
    }
    for (size_t i = 0; i < n; i++)
        if (groups[i].unit != DWARF_NO_UNIT)
            groups[i].cost = s->units.units[groups[i].unit].bytes / groups[i].count;
    qsort(groups, n, sizeof(*groups), compare_costs);
    *ret = TAKE_PTR(groups);
    *ret_count = n;
    return 0;
}

static int search_all(struct search *s, const uint64_t *addresses, size_t count)
{
    _cleanup_free_ uint32_t *units = calloc(count, sizeof(*units));
    _cleanup_free_ uint64_t *sorted = calloc(count, sizeof(*sorted));
    _cleanup_free_ struct group *groups = NULL;
    size_t group_count;
    if (!units || !sorted)
        return -ENOMEM;
    int found = dwarf_units_find(s->info.dwarf, &s->units, addresses, count, s->deadline_ns, units);
    int r = make_groups(s, addresses, units, count, sorted, &groups, &group_count);
    int result = found;
    for (size_t i = 0; i < group_count && r == 0; i++) {
        /* Of these it is not known that no unit has them. */
        if (groups[i].unit == DWARF_NO_UNIT && found < 0)
            continue;
        r = groups[i].unit == DWARF_NO_UNIT ? add_unknown(s, &groups[i])
                                            : search_unit(s, &groups[i]);
        if (r == 0)
            r = save_memory(s);
    }
    return r < 0 ? r : result;
}

int dwarf_find_chains(int fd, int alt_fd, const uint64_t *addresses, size_t count,
                      int64_t deadline_ns, dwarf_chain_fn add, void *ctx, struct err *err)
{
    if (count > DWARF_ADDRESSES_MAX)
        return err_errno(err, -EFBIG, "reading DWARF for %zu addresses", count);
    elf_version(EV_CURRENT);
    _cleanup_(search_free) struct search s = {.deadline_ns = deadline_ns, .add = add, .ctx = ctx};
    int r = info_open(fd, &s.info);
    if (r < 0)
        return err_set(err, r, "reading DWARF: %s", dwarf_errmsg(-1));
    if (alt_fd >= 0 && info_open(alt_fd, &s.alt) == 0)
        dwarf_setalt(s.info.dwarf, s.alt.dwarf);
    s.hits = calloc(PIECE, sizeof(*s.hits));
    r = s.hits ? dwarf_names_new(&s.names) : -ENOMEM;
    if (r == 0)
        r = dwarf_units_list(s.info.dwarf, &s.units);
    if (r == 0 && count)
        r = search_all(&s, addresses, count);
    return r < 0 ? err_errno(err, r, "reading DWARF") : 0;
}
