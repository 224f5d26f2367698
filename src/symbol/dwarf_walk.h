/* dwarf_walk.h: the functions of one unit of debug information that have the code at some
 * addresses. For dwarf.c only. */
#pragma once

#include <elfutils/libdw.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/chains.h"

/* Of one address: the functions around it, the outermost first. */
struct dwarf_hit {
    uint32_t count;
    uint32_t innermost; /* for the walk: which function of the unit the last one is */
    Dwarf_Die functions[CHAIN_FRAMES_MAX];
};

/* Fills `hits`, one for each of the ascending addresses, from the DIEs below the unit's. -ETIME:
 * the walk did not come to its end, and no hit is to be believed; -EBADMSG. */
int dwarf_walk(Dwarf_Die *unit, const uint64_t *addresses, size_t count, int64_t deadline_ns,
               struct dwarf_hit *hits);
