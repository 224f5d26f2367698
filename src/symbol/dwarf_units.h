/* dwarf_units.h: which unit of debug information has the code at an address. For dwarf.c only. */
#pragma once

#include <elfutils/libdw.h>
#include <stddef.h>
#include <stdint.h>

#define DWARF_NO_UNIT UINT32_MAX

struct dwarf_unit {
    Dwarf_Off die;   /* of the unit itself, in .debug_info */
    Dwarf_Off bytes; /* what its DIEs take */
    bool has_aranges;
};

struct dwarf_units {
    struct dwarf_unit *units; /* as they lie in .debug_info */
    size_t count;
};

/* -EBADMSG, -EFBIG, -ENOMEM. */
int dwarf_units_list(Dwarf *dwarf, struct dwarf_units *ret);
void dwarf_units_free(struct dwarf_units *units);

/* Sets, for ascending addresses, the number of the unit that has each, or DWARF_NO_UNIT. -ETIME:
 * some may lie in a unit that was not looked at; they are set to DWARF_NO_UNIT. */
int dwarf_units_find(Dwarf *dwarf, struct dwarf_units *units, const uint64_t *addresses,
                     size_t count, int64_t deadline_ns, uint32_t *ret_units);
