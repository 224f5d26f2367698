/* dwarf_walk.c: takes a unit's tree of DIEs, gives the functions around addresses. See
 * dwarf_walk.h.
 *
 * The tree is walked once for all addresses. What has a range of code (DWARF 5, 3.3 functions,
 * 3.3.8 inlined ones, 3.5 blocks) is entered only if it covers one of them; of two that cover the
 * same address side by side the first is right, as it is for elfutils. Types and namespaces are
 * entered for the functions in them. */
#include "symbol/dwarf_walk.h"

#include <dwarf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "symbol/dwarf.h"

#define DEPTH_MAX    256u /* of the tree; compilers' have some ten */
#define CLOCK_PERIOD 256u /* DIEs between two looks at the clock */

struct walk {
    const uint64_t *addresses;
    struct dwarf_hit *hits;
    int64_t deadline_ns;
    uint32_t functions; /* numbers given to those that were met */
    uint32_t dies;
};

/* Where in the tree: the function whose code is looked at (0: none yet), how many are around it
 * with itself, and the addresses that may be in it. */
struct place {
    uint32_t function;
    uint32_t depth; /* functions */
    uint32_t level; /* of the tree */
    size_t first, behind;
};

static size_t first_from(const struct walk *w, const struct place *at, uint64_t address)
{
    size_t low = at->first, high = at->behind;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (w->addresses[mid] < address)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Enters the DIE with those addresses that it covers. Code the linker left out keeps a range that
 * starts at 0. */
static bool narrow(struct walk *w, const struct place *at, Dwarf_Die *die, bool is_function,
                   struct place *ret)
{
    Dwarf_Addr base, start, end;
    *ret = *at;
    ret->first = at->behind;
    ret->behind = at->first;
    ret->level++;
    if (is_function) {
        ret->depth++;
        ret->function = ++w->functions;
    }
    for (ptrdiff_t next = 0; (next = dwarf_ranges(die, next, &base, &start, &end)) > 0;) {
        if (start == 0)
            continue;
        for (size_t i = first_from(w, at, start); i < at->behind && w->addresses[i] < end; i++) {
            struct dwarf_hit *hit = &w->hits[i];
            if (hit->innermost != at->function)
                continue; /* another beside this has it */
            if (is_function) {
                hit->innermost = ret->function;
                hit->functions[hit->count++] = *die;
            }
            ret->first = i < ret->first ? i : ret->first;
            ret->behind = i + 1 > ret->behind ? i + 1 : ret->behind;
        }
    }
    return ret->first < ret->behind;
}

enum die_kind { DIE_OTHER, DIE_FUNCTION, DIE_BLOCK, DIE_AROUND };

static enum die_kind kind_of(Dwarf_Die *die, const struct place *at)
{
    switch (dwarf_tag(die)) {
    case DW_TAG_subprogram: /* one inside another has its own code: it is not around */
        return at->depth == 0 ? DIE_FUNCTION : DIE_OTHER;
    case DW_TAG_inlined_subroutine:
        return at->depth > 0 && at->depth < CHAIN_FRAMES_MAX ? DIE_FUNCTION : DIE_OTHER;
    case DW_TAG_lexical_block:
    case DW_TAG_try_block:
    case DW_TAG_catch_block:
    case DW_TAG_with_stmt:
        return at->depth > 0 ? DIE_BLOCK : DIE_OTHER;
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:
        return at->depth == 0 ? DIE_AROUND : DIE_OTHER;
    default:
        return DIE_OTHER;
    }
}

static int walk_children(struct walk *w, Dwarf_Die *parent, const struct place *at);

static int walk_die(struct walk *w, Dwarf_Die *die, const struct place *at)
{
    struct place inside = *at;
    inside.level++;
    enum die_kind kind = kind_of(die, at);
    if (kind == DIE_OTHER || inside.level > DEPTH_MAX)
        return 0;
    if (kind != DIE_AROUND && !narrow(w, at, die, kind == DIE_FUNCTION, &inside))
        return 0;
    return dwarf_haschildren(die) > 0 ? walk_children(w, die, &inside) : 0;
}

static int walk_children(struct walk *w, Dwarf_Die *parent, const struct place *at)
{
    Dwarf_Die die;
    int r = dwarf_child(parent, &die);
    for (; r == 0; r = dwarf_siblingof(&die, &die)) {
        if (++w->dies % CLOCK_PERIOD == 0 && clock_ns(DWARF_CLOCK) > w->deadline_ns)
            return -ETIME;
        int result = walk_die(w, &die, at);
        if (result < 0)
            return result;
    }
    return r < 0 ? -EBADMSG : 0;
}

int dwarf_walk(Dwarf_Die *unit, const uint64_t *addresses, size_t count, int64_t deadline_ns,
               struct dwarf_hit *hits)
{
    struct walk w = {.addresses = addresses, .hits = hits, .deadline_ns = deadline_ns};
    struct place all = {.behind = count};
    for (size_t i = 0; i < count; i++)
        hits[i].count = hits[i].innermost = 0;
    return dwarf_haschildren(unit) > 0 ? walk_children(&w, unit, &all) : 0;
}
