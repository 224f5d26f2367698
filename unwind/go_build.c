/* go_build.c: takes an ELF file's .gopclntab, gives the rows of its functions. See go_build.h.
 *
 * Functions' addresses count from the start of Go's text, of which a file tells in one of several
 * ways, by the version of Go and the kind of linking. */
#include "unwind/go_build.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "unwind/elf_section.h"
#include "unwind/go_header.h"
#include "unwind/go_table.h"
#include "unwind/runs.h"

#define TABLE_ALIGNMENT 8u

/* Of moduledata.text: runtime/symtab.go. Of the fields before it only pcHeader is a pointer that
 * needs no slice, so this has been the same since 1.16. */
#define MODULE_TEXT_OFFSET 176u

/* Of dynamic relocations. Go's own linker calls the section .rela. */
#define RELOCATIONS_BYTES_MAX ((size_t)64 << 20)
#define MODULE_BYTES_MAX      ((size_t)1 << 20)

/* A program that is loaded anywhere has addresses in its relocations alone: the addend of the one
 * for the word at `address`. 0: none. */
static uint64_t find_addend(Elf *elf, const char *section, uint64_t address)
{
    GElf_Shdr header;
    Elf_Data *data;
    if (elf_section_read(elf, section, RELOCATIONS_BYTES_MAX, &header, &data, NULL) < 0)
        return 0;
    Elf64_Rela rela;
    for (size_t at = 0; at + sizeof(rela) <= data->d_size; at += sizeof(rela)) {
        memcpy(&rela, (const uint8_t *)data->d_buf + at, sizeof(rela));
        if (rela.r_offset == address)
            return (uint64_t)rela.r_addend;
    }
    return 0;
}

/* The word as it will be in memory, if that is an address of code; else 0. */
static uint64_t find_code_address(Elf *elf, const struct runs *runs, uint64_t in_file,
                                  uint64_t address)
{
    if (runs_has_code(runs, in_file))
        return in_file;
    uint64_t addend = find_addend(elf, ".rela.dyn", address);
    if (!addend)
        addend = find_addend(elf, ".rela", address);
    return runs_has_code(runs, addend) ? addend : 0;
}

/* From Go 1.26 on the header does not say it, but the runtime's own description of the program
 * does, which has a section to itself since then (cmd/link/internal/ld/data.go). */
static uint64_t find_module_text(Elf *elf, const struct runs *runs)
{
    GElf_Shdr header;
    Elf_Data *data;
    uint64_t text;
    if (elf_section_read(elf, ".go.module", MODULE_BYTES_MAX, &header, &data, NULL) < 0 ||
        data->d_size < MODULE_TEXT_OFFSET + sizeof(text))
        return 0;
    memcpy(&text, (const uint8_t *)data->d_buf + MODULE_TEXT_OFFSET, sizeof(text));
    return find_code_address(elf, runs, text, header.sh_addr + MODULE_TEXT_OFFSET);
}

static uint64_t find_text(Elf *elf, const struct runs *runs, uint64_t in_file, uint64_t address)
{
    GElf_Shdr header;
    uint64_t text = find_code_address(elf, runs, in_file, address);
    if (!text)
        text = find_module_text(elf, runs);
    /* Where C's start-up code is linked in, Go's does not begin with the section. */
    if (!text && !elf_section_find(elf, ".init", &header) &&
        elf_section_find(elf, ".text", &header))
        text = header.sh_addr;
    return text;
}

static int add_bottom(void *runs, uint64_t pc, const struct unwind_rule *rule)
{
    static const struct unwind_rule bottom = {.kind = RULE_END};
    return runs_add_row(runs, pc, &bottom);
}

static int add_function(const struct go_table *t, const struct go_function *f, struct runs *runs)
{
    uint64_t end;
    if (!runs_begin(runs, f->start, f->end))
        return 0;
    int r = go_table_run(t, f, f->bottom ? add_bottom : runs_add_row, runs, &end);
    if (r == -EBADMSG) {
        runs_drop(runs);
        return 0;
    }
    return r < 0 ? r : runs_end(runs, end);
}

/* A return address is looked up at the byte before, which has to have the first row's rule then. */
static int add_byte_before(const struct go_table *t, struct go_function f, struct runs *runs)
{
    f.end = f.start;
    f.start -= t->quantum;
    return add_function(t, &f, runs);
}

static int add_functions(const struct go_table *t, struct runs *runs)
{
    for (uint64_t i = 0; i < t->count; i++) {
        struct go_function f;
        if (go_table_function(t, i, &f) < 0) {
            runs_count_bad(runs, 1);
            continue;
        }
        if (!f.program)
            continue;
        int r = f.returned_to ? add_byte_before(t, f, runs) : 0;
        if (r == 0)
            r = add_function(t, &f, runs);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Where the dynamic linker has something to fill in, GNU's linkers put it among other such data. */
static int find_in_data(Elf *elf, const struct rule_registers *registers, size_t max_bytes,
                        struct go_table *ret, uint64_t *ret_address, struct err *err)
{
    GElf_Shdr header;
    Elf_Data *data;
    if (!elf_section_find(elf, ".go.buildinfo", &header))
        return -ENODATA;
    int r = elf_section_read(elf, ".data.rel.ro", max_bytes, &header, &data, err);
    if (r < 0)
        return r;
    for (size_t at = 0; at < data->d_size; at += TABLE_ALIGNMENT) {
        if (go_table_open((const uint8_t *)data->d_buf + at, data->d_size - at, registers, ret) < 0)
            continue;
        *ret_address = header.sh_addr + at;
        return 0;
    }
    return -ENODATA;
}

static int find_table(Elf *elf, const struct rule_registers *registers, size_t max_bytes,
                      struct go_table *ret, uint64_t *ret_address, struct err *err)
{
    static const char *const names[] = {".gopclntab", ".data.rel.ro.gopclntab"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        GElf_Shdr header;
        Elf_Data *data;
        int r = elf_section_read(elf, names[i], max_bytes, &header, &data, err);
        if (r == -ENODATA)
            continue;
        if (r == 0 && go_table_open(data->d_buf, data->d_size, registers, ret) < 0)
            return -ENODATA;
        *ret_address = header.sh_addr;
        return r;
    }
    return find_in_data(elf, registers, max_bytes, ret, ret_address, err);
}

int go_build_add(Elf *elf, const struct rule_registers *registers, size_t max_bytes,
                 struct runs *runs, struct err *err)
{
    struct go_table t;
    uint64_t address = 0;
    int r = find_table(elf, registers, max_bytes, &t, &address, err);
    if (r < 0)
        return r == -ENODATA ? 0 : r;
    if (t.relative) {
        t.text = find_text(elf, runs, t.text, address + GO_HEADER_TEXT_OFFSET);
        if (!t.text)
            return 0;
    }
    r = add_functions(&t, runs);
    return r < 0 ? err_errno(err, r, "reading the table of Go's functions") : 0;
}
