/* kallsyms.h: kernel addresses to names. Format: one line "address type name[\t[module]]" per
 * symbol, addresses zero where kptr_restrict or a missing CAP_SYSLOG hides them
 * (kernel/kallsyms.c, s_show). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;
struct kallsyms;

struct kallsyms_symbol {
    const char *name;   /* valid as long as the table */
    const char *module; /* "kernel" for the core image */
    uint64_t start;     /* offset from _stext (module: from the module's first symbol): what may
                           leave the node */
};

/* Reads the whole text from `fd` (of /proc/kallsyms or a file like it). -EACCES when all addresses
 * are hidden; the error says what to set. */
int kallsyms_load(int fd, struct kallsyms **ret, struct err *err);
void kallsyms_free(struct kallsyms **k);

/* 0, or -ENOENT when no symbol covers the address; *ret_offset is set in both cases, to the
 * address's offset from _stext. */
int kallsyms_find(const struct kallsyms *k, uint64_t address, struct kallsyms_symbol *ret,
                  uint64_t *ret_offset);
size_t kallsyms_bytes(const struct kallsyms *k);
