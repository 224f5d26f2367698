/* oracle.c: takes ELF files, compares podflame's unwind table of each with what libdw's own CFI
 * evaluation (dwarf_cfi_addrframe) says, at the start of every row of either and in its middle.
 * Prints a line for each difference, and a summary for each file with --verbose.
 *
 * Code of Go is compared where the program has .debug_frame, which says nothing of the frame
 * pointer, nor of where a stack begins: elsewhere our rules are alone. */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "unwind/table.h"
#include "unwind/table_internal.h"

struct totals {
    uint64_t files, no_cfi, rows, compared, other, refused, bottoms, different;
    double build_s;
    size_t bytes;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The rule in words, from libdw's operations: "sp+16 fp:cfa-16 ra:cfa-8". */
static void say_ops(const Dwarf_Op *ops, size_t n, char *to, size_t size)
{
    size_t used = 0;
    to[0] = 0;
    for (size_t i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(to + used, size - used, " %02x:%" PRIx64 ":%" PRIx64, ops[i].atom,
                                 (uint64_t)ops[i].number, (uint64_t)ops[i].number2);
}

static bool is_breg(const Dwarf_Op *op, int64_t *reg, int64_t *off)
{
    if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31) {
        *reg = op->atom - DW_OP_breg0;
        *off = (int64_t)op->number;
        return true;
    }
    if (op->atom == DW_OP_bregx) {
        *reg = (int64_t)op->number;
        *off = (int64_t)op->number2;
        return true;
    }
    return false;
}

static const struct rule_registers *registers_of(const struct unwind_table *t)
{
    return t->info.machine == UNWIND_X86_64 ? &rule_registers_x86_64 : &rule_registers_aarch64;
}

/* libdw's CFA as a rule, as far as we have one for it. */
static bool cfa_matches(const struct rule_registers *g, const struct unwind_rule *rule,
                        const Dwarf_Op *ops, size_t n)
{
    int64_t reg, off, add = 0;
    if (n < 1 || !is_breg(&ops[0], &reg, &off))
        return false;
    switch (rule->kind) {
    case RULE_SP:
    case RULE_FP:
    case RULE_REG:
        if (n == 2 && ops[1].atom == DW_OP_plus_uconst)
            off += (int64_t)ops[1].number, n = 1;
        return n == 1 && off == rule->cfa_off &&
               reg == (rule->kind == RULE_SP   ? g->sp
                       : rule->kind == RULE_FP ? g->fp
                                               : rule->reg);
    case RULE_DEREF:
        if (n == 3 && ops[2].atom == DW_OP_plus_uconst)
            add = (int64_t)ops[2].number, n = 2;
        return n == 2 && ops[1].atom == DW_OP_deref && reg == rule->reg && off == rule->cfa_off &&
               add == rule->cfa_add;
    case RULE_PLT:
        return n == 9 && reg == g->sp && off == rule->cfa_off && ops[1].atom == DW_OP_breg16 &&
               ops[2].atom == DW_OP_lit0 + rule->reg && ops[3].atom == DW_OP_and &&
               ops[4].atom == DW_OP_lit0 + rule->cfa_add && ops[5].atom == DW_OP_ge;
    default:
        return false;
    }
}

/* dwarf_frame_register: no ops and NULL means the same value, no ops and not NULL undefined; else a
 * location expression whose first op is DW_OP_call_frame_cfa for offsets from the CFA. */
static bool place_matches(const struct rule_registers *g, unsigned place, int32_t offset,
                          const Dwarf_Op *ops, size_t n)
{
    int64_t reg, off;
    if (n == 0)
        return place == (ops ? PLACE_UNDEFINED : PLACE_SAME);
    if (ops[0].atom == DW_OP_call_frame_cfa && n == 2 && ops[1].atom != DW_OP_plus_uconst)
        ops++, n--; /* DW_CFA_expression begins with the CFA on the stack, unused here */
    if (ops[0].atom == DW_OP_call_frame_cfa) {
        off = n == 2 && ops[1].atom == DW_OP_plus_uconst ? (int64_t)ops[1].number : 0;
        return n <= 2 && place == PLACE_CFA && off == offset;
    }
    if (n == 1 && ops[0].atom == DW_OP_regx)
        return place == PLACE_REG && (int64_t)ops[0].number == offset;
    if (n == 1 && ops[0].atom >= DW_OP_reg0 && ops[0].atom <= DW_OP_reg31)
        return place == PLACE_REG && ops[0].atom - DW_OP_reg0 == offset;
    if (n == 1 && is_breg(&ops[0], &reg, &off))
        return off == offset &&
               ((place == PLACE_SP && reg == g->sp) || (place == PLACE_FP && reg == g->fp));
    return false;
}

enum verdict { EQUAL, DIFFERENT, OTHER, REFUSED, BOTTOM, ALONE };

struct peer {
    Elf *elf;
    Dwarf *dwarf;
    Dwarf_CFI *eh_frame, *debug_frame;
    bool go; /* its .debug_frame is Go's */
};

static enum verdict compare(const struct unwind_table *t, const struct unwind_rule *rule,
                            const struct peer *peer, uint64_t address, char *why, size_t size)
{
    const struct rule_registers *g = registers_of(t);
    _cleanup_free_ Dwarf_Frame *frame = NULL;
    bool eh_frame = peer->eh_frame && dwarf_cfi_addrframe(peer->eh_frame, address, &frame) == 0;
    if (!eh_frame &&
        (!peer->debug_frame || dwarf_cfi_addrframe(peer->debug_frame, address, &frame) != 0)) {
        snprintf(why, size, "libdw: %s", dwarf_errmsg(-1));
        if (peer->go && !peer->debug_frame)
            return rule->kind == RULE_NONE ? EQUAL : ALONE;
        /* go_build.c, add_byte_before */
        if (peer->go && rule->kind == RULE_SP &&
            dwarf_cfi_addrframe(peer->debug_frame, address + 1, &frame) == 0)
            return ALONE;
        /* The file's entry has a rule of ours where it has no CFI (runs.c, add_entry). */
        return rule->kind != RULE_NONE && rule->kind != RULE_END;
    }
    bool go = peer->go && !eh_frame;
    if (rule->kind == RULE_OTHER)
        return OTHER;
    if (go && rule->kind == RULE_END)
        return BOTTOM;
    Dwarf_Op mem[3], *ops;
    size_t n;
    if (dwarf_frame_register(frame, g->ra, mem, &ops, &n) != 0)
        return OTHER;
    if (n == 0 && ops) {
        snprintf(why, size, "return address undefined");
        return rule->kind == RULE_END ? EQUAL : DIFFERENT;
    }
    if (rule->kind == RULE_END || rule->kind == RULE_NONE ||
        !place_matches(g, rule->ra_place, rule->ra_off, ops, n)) {
        snprintf(why, size, "return address (place %u off %d), libdw:", rule->ra_place,
                 rule->ra_off);
        say_ops(ops, n, why + strlen(why), size - strlen(why));
        return DIFFERENT;
    }
    if (!go && (dwarf_frame_register(frame, g->fp, mem, &ops, &n) != 0 ||
                !place_matches(g, rule->fp_place, rule->fp_off, ops, n))) {
        snprintf(why, size, "fp (place %u off %d), libdw:", rule->fp_place, rule->fp_off);
        say_ops(ops, n, why + strlen(why), size - strlen(why));
        return DIFFERENT;
    }
    /* DW_CFA_def_cfa_register behind an expression, as libgcrypt's assembly has it: not allowed,
     * and refused by libdw; libgcc takes the offset from before, as do we, and that is right there.
     */
    if (dwarf_frame_cfa(frame, &ops, &n) != 0)
        return REFUSED;
    if (!cfa_matches(g, rule, ops, n)) {
        snprintf(why, size, "CFA (kind %u reg %u off %d add %d), libdw:", rule->kind, rule->reg,
                 rule->cfa_off, rule->cfa_add);
        say_ops(ops, n, why + strlen(why), size - strlen(why));
        return DIFFERENT;
    }
    return EQUAL;
}

static uint64_t to_address(Elf *elf, uint64_t offset)
{
    size_t count = 0;
    elf_getphdrnum(elf, &count);
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr p;
        if (gelf_getphdr(elf, (int)i, &p) && p.p_type == PT_LOAD && (p.p_flags & PF_X) &&
            offset - p.p_offset < p.p_filesz)
            return offset - p.p_offset + p.p_vaddr;
    }
    return UINT64_MAX;
}

static void check_rows(const char *path, const struct peer *peer, const struct unwind_table *t,
                       uint32_t every, struct totals *totals)
{
    for (uint32_t i = 0; i < t->info.rows; i += every) {
        uint64_t start = t->offsets[i];
        uint64_t end = i + 1 < t->info.rows ? t->offsets[i + 1] : start + 1;
        const uint64_t at[] = {start, start + (end - start) / 2, end - 1};
        for (size_t k = 0; k < ARRAY_LEN(at); k++) {
            if (k && at[k] == at[k - 1])
                continue;
            uint64_t address = to_address(peer->elf, at[k]);
            if (address == UINT64_MAX)
                continue;
            char why[512] = "";
            const struct unwind_rule *rule = unwind_table_find(t, at[k]);
            enum verdict v = compare(t, rule, peer, address, why, sizeof(why));
            totals->compared += v != ALONE;
            totals->other += v == OTHER;
            totals->refused += v == REFUSED;
            totals->bottoms += v == BOTTOM;
            if (v != DIFFERENT)
                continue;
            totals->different++;
            printf("%s 0x%" PRIx64 ": %s\n", path, address, why);
        }
    }
}

static bool has_section(Elf *elf, const char *wanted)
{
    size_t names;
    Elf_Scn *scn = NULL;
    if (elf_getshdrstrndx(elf, &names) < 0)
        return false;
    while ((scn = elf_nextscn(elf, scn))) {
        GElf_Shdr header;
        const char *name = gelf_getshdr(scn, &header) ? elf_strptr(elf, names, header.sh_name) : "";
        if (name && strcmp(name, wanted) == 0)
            return true;
    }
    return false;
}

static void check_with_libdw(const char *path, int fd, const struct unwind_table *t, uint32_t every,
                             struct totals *totals)
{
    struct peer peer = {.elf = elf_begin(fd, ELF_C_READ_MMAP, NULL)};
    if (!peer.elf)
        return;
    peer.go = has_section(peer.elf, ".go.buildinfo");
    peer.eh_frame = dwarf_getcfi_elf(peer.elf);
    peer.dwarf = dwarf_begin_elf(peer.elf, DWARF_C_READ, NULL);
    peer.debug_frame = peer.dwarf ? dwarf_getcfi(peer.dwarf) : NULL;
    if (peer.eh_frame || peer.debug_frame)
        check_rows(path, &peer, t, every, totals);
    if (peer.eh_frame)
        dwarf_cfi_end(peer.eh_frame);
    dwarf_end(peer.dwarf);
    elf_end(peer.elf);
}

static int check_file(const char *path, uint32_t every, bool verbose, struct totals *totals)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    struct err err = {0};
    _cleanup_(unwind_table_free) struct unwind_table *t = NULL;
    double start = now_s();
    int r = unwind_table_build(fd, NULL, &t, &err);
    double took = now_s() - start;
    if (r == -ENOEXEC)
        return 0;
    if (r == -ENODATA) {
        totals->no_cfi++;
        return 0;
    }
    if (r < 0) {
        printf("%s: %s\n", path, err.text);
        totals->different++;
        return 0;
    }
    totals->files++;
    totals->rows += t->info.rows;
    totals->bytes += t->info.bytes;
    totals->build_s += took;
    if (verbose)
        printf("%s: %u rows, %u rules, %u FDEs, %u bad, %.2f bytes/row, %.0f ns/row\n", path,
               t->info.rows, t->info.rules, t->info.fdes, t->info.bad_fdes,
               (double)t->info.bytes / t->info.rows, took * 1e9 / t->info.rows);
    if (every)
        check_with_libdw(path, fd, t, every, totals);
    return 0;
}

int main(int argc, char **argv)
{
    struct totals totals = {0};
    uint32_t every = 1;
    bool verbose = false;
    elf_version(EV_CURRENT);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else if (strncmp(argv[i], "--every=", 8) == 0)
            every = (uint32_t)strtoul(argv[i] + 8, NULL, 10);
        else
            check_file(argv[i], every, verbose, &totals);
    }
    printf("%" PRIu64 " files, %" PRIu64 " without CFI, %" PRIu64 " rows, %" PRIu64
           " compared, %" PRIu64 " left to another engine, %" PRIu64 " refused by libdw, %" PRIu64
           " different, %" PRIu64 " bottoms; %.2f bytes/row, %.0f ns/row\n",
           totals.files, totals.no_cfi, totals.rows, totals.compared, totals.other, totals.refused,
           totals.different, totals.bottoms,
           totals.rows ? (double)totals.bytes / (double)totals.rows : 0,
           totals.rows ? totals.build_s * 1e9 / (double)totals.rows : 0);
    return totals.different ? 1 : 0;
}
