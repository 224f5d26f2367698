/* dwarf_name.h: a function's readable name from its debug information. For src/symbol only. */
#pragma once

#include <elfutils/libdw.h>

struct dwarf_names;

int dwarf_names_new(struct dwarf_names **ret);
void dwarf_names_free(struct dwarf_names **names);

/* The name of a DW_TAG_subprogram or DW_TAG_inlined_subroutine, demangled, or with the namespaces
 * and types around it. NULL: it has none, or memory ran out. Lives as long as `names`. */
const char *dwarf_names_of(struct dwarf_names *names, Dwarf_Die *function);
