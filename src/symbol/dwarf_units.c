/* dwarf_units.c: takes addresses, gives the unit of debug information that has each. See
 * dwarf_units.h.
 *
 * .debug_aranges (DWARF 5, 6.1.2) tells it at once, but only gcc writes it, and a program may be
 * linked of some units with and some without: those that it does not speak of are asked themselves,
 * each for its own ranges, and only while an address is open. */
#include "symbol/dwarf_units.h"

#include <dwarf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "symbol/dwarf.h"

#define UNITS_MAX 1000000u

int dwarf_units_list(Dwarf *dwarf, struct dwarf_units *ret)
{
    _cleanup_(dwarf_units_free) struct dwarf_units list = {0};
    size_t room = 0, header;
    int r;
    for (Dwarf_Off at = 0, next;
         (r = dwarf_nextcu(dwarf, at, &next, &header, NULL, NULL, NULL)) == 0; at = next) {
        if (next <= at || list.count == UNITS_MAX)
            return next <= at ? -EBADMSG : -EFBIG;
        if (list.count == room) {
            room = room ? room * 2 : 256;
            struct dwarf_unit *units = reallocarray(list.units, room, sizeof(*units));
            if (!units)
                return -ENOMEM;
            list.units = units;
        }
        list.units[list.count++] = (struct dwarf_unit){at + header, next - at, false};
    }
    /* What was read before it went wrong is as good as any. */
    if (r < 0 && list.count == 0)
        return -EBADMSG;
    *ret = list;
    list = (struct dwarf_units){0};
    return 0;
}

void dwarf_units_free(struct dwarf_units *units)
{
    free(units->units);
    *units = (struct dwarf_units){0};
}

static uint32_t unit_at(const struct dwarf_units *units, Dwarf_Off die)
{
    size_t low = 0, high = units->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (units->units[mid].die < die)
            low = mid + 1;
        else
            high = mid;
    }
    return low < units->count && units->units[low].die == die ? (uint32_t)low : DWARF_NO_UNIT;
}

static void ask_aranges(Dwarf *dwarf, struct dwarf_units *units, const uint64_t *addresses,
                        size_t count, uint32_t *ret_units)
{
    Dwarf_Aranges *aranges;
    size_t arange_count;
    Dwarf_Off die;
    if (dwarf_getaranges(dwarf, &aranges, &arange_count) != 0)
        return;
    for (size_t i = 0; i < arange_count; i++) {
        if (dwarf_getarangeinfo(dwarf_onearange(aranges, i), NULL, NULL, &die) != 0)
            continue;
        uint32_t unit = unit_at(units, die);
        if (unit != DWARF_NO_UNIT)
            units->units[unit].has_aranges = true;
    }
    for (size_t i = 0; i < count; i++) {
        Dwarf_Arange *arange = dwarf_getarange_addr(aranges, addresses[i]);
        if (arange && dwarf_getarangeinfo(arange, NULL, NULL, &die) == 0)
            ret_units[i] = unit_at(units, die);
    }
}

/* The open addresses within the unit's ranges become its. Code the linker left out keeps a range
 * that starts at 0, which other addresses may lie in. */
static size_t take_ranges(Dwarf_Die *die, uint32_t unit, const uint64_t *addresses, size_t count,
                          uint32_t *ret_units)
{
    size_t taken = 0;
    Dwarf_Addr base, start, end;
    for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &start, &end)) > 0;) {
        if (start == 0 || start > addresses[count - 1] || end <= addresses[0])
            continue;
        size_t low = 0, high = count;
        while (low < high) {
            size_t mid = low + (high - low) / 2;
            if (addresses[mid] < start)
                low = mid + 1;
            else
                high = mid;
        }
        for (; low < count && addresses[low] < end; low++) {
            if (ret_units[low] != DWARF_NO_UNIT)
                continue;
            ret_units[low] = unit;
            taken++;
        }
    }
    return taken;
}

static int ask_units(Dwarf *dwarf, const struct dwarf_units *units, const uint64_t *addresses,
                     size_t count, int64_t deadline_ns, uint32_t *ret_units)
{
    size_t open = 0;
    for (size_t i = 0; i < count; i++)
        open += ret_units[i] == DWARF_NO_UNIT;
    for (size_t i = 0; i < units->count && open; i++) {
        Dwarf_Die die;
        if (units->units[i].has_aranges || !dwarf_offdie(dwarf, units->units[i].die, &die))
            continue;
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_compile_unit || tag == DW_TAG_skeleton_unit)
            open -= take_ranges(&die, (uint32_t)i, addresses, count, ret_units);
        if (clock_ns(DWARF_CLOCK) > deadline_ns)
            return -ETIME;
    }
    return 0;
}

int dwarf_units_find(Dwarf *dwarf, struct dwarf_units *units, const uint64_t *addresses,
                     size_t count, int64_t deadline_ns, uint32_t *ret_units)
{
    for (size_t i = 0; i < count; i++)
        ret_units[i] = DWARF_NO_UNIT;
    if (count == 0)
        return 0;
    ask_aranges(dwarf, units, addresses, count, ret_units);
    return ask_units(dwarf, units, addresses, count, deadline_ns, ret_units);
}
