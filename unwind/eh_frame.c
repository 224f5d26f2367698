/* eh_frame.c: takes a CFI section, gives its FDEs with their CIE. libdw finds the entries'
 * boundaries; what is inside is read here. See eh_frame.h. */
#include "unwind/eh_frame.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "unwind/leb.h"

/* A linked object has one CIE for each object file that went into it, at most some ten thousand. */
#define CIES_MAX 1000000u

struct cie_row {
    uint64_t offset;
    /* behind the key */
    struct cfa_cie cie;
    uint8_t encoding; /* DW_EH_PE_* of the FDEs' pointers */
    bool sized;       /* FDEs hold augmentation data with its length in front */
    bool bad;
};

struct walk {
    const struct cfi_section *section;
    struct table cies;
    uint64_t cie_bytes; /* read as CIEs */
    uint32_t bad;
};

/* The letters: LSB core 10.6.1.1.1; 'B' and 'G' are aarch64's. */
static void read_augmentation(const Dwarf_CIE *cie, struct cie_row *row)
{
    const char *a = cie->augmentation;
    row->encoding = DW_EH_PE_absptr;
    if (!a || !*a)
        return;
    if (*a != 'z') {
        row->cie.unknown = true;
        return;
    }
    row->sized = true;
    struct leb p = {cie->augmentation_data, cie->augmentation_data + cie->augmentation_data_size,
                    false};
    for (a++; *a; a++) {
        uint8_t encoding;
        switch (*a) {
        case 'R':
            row->encoding = leb_u8(&p);
            break;
        case 'L':
            leb_u8(&p);
            break;
        case 'P':
            /* A pointer whose size only its encoding tells; nothing behind it is of use but 'R'. */
            encoding = leb_u8(&p);
            leb_bytes(&p, (encoding & 7) == DW_EH_PE_udata2   ? 2
                          : (encoding & 7) == DW_EH_PE_udata4 ? 4
                                                              : 8);
            break;
        case 'S':
            row->cie.signal_frame = true;
            break;
        case 'B':
        case 'G':
            break;
        default:
            row->cie.unknown = true;
            return;
        }
    }
    row->cie.unknown = row->cie.unknown || p.bad;
}

static void read_cie(const struct walk *w, const Dwarf_CIE *cie, struct cie_row *row)
{
    bool is_64 = w->section->ident[EI_CLASS] == ELFCLASS64;
    row->cie = (struct cfa_cie){
        .initial = cie->initial_instructions,
        .initial_end = cie->initial_instructions_end,
        .code_align = cie->code_alignment_factor,
        .data_align = cie->data_alignment_factor,
        .return_register = cie->return_address_register > UINT32_MAX
                               ? UINT32_MAX
                               : (uint32_t)cie->return_address_register,
        .pointer_size = is_64 ? 8 : 4,
    };
    read_augmentation(cie, row);
}

/* *ret_size is set for fixed-size formats. */
static bool read_number(struct leb *p, uint8_t format, bool is_64, uint64_t *ret)
{
    switch (format) {
    case DW_EH_PE_absptr:
        *ret = is_64 ? leb_u64(p) : leb_u32(p);
        break;
    case DW_EH_PE_uleb128:
        *ret = leb_unsigned(p);
        break;
    case DW_EH_PE_udata2:
        *ret = leb_u16(p);
        break;
    case DW_EH_PE_udata4:
        *ret = leb_u32(p);
        break;
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        *ret = leb_u64(p);
        break;
    case DW_EH_PE_sleb128:
        *ret = (uint64_t)leb_signed(p);
        break;
    case DW_EH_PE_sdata2:
        *ret = (uint64_t)(int64_t)(int16_t)leb_u16(p);
        break;
    case DW_EH_PE_sdata4:
        *ret = (uint64_t)(int64_t)(int32_t)leb_u32(p);
        break;
    default:
        return false;
    }
    return !p->bad;
}

static bool read_range(const struct walk *w, const struct cie_row *row, struct leb *p,
                       struct cfi_fde *fde)
{
    bool is_64 = w->section->ident[EI_CLASS] == ELFCLASS64;
    uint64_t at =
        w->section->address + (uint64_t)(p->at - (const uint8_t *)w->section->data->d_buf);
    uint64_t length;
    if (!read_number(p, row->encoding & 0x0f, is_64, &fde->start))
        return false;
    switch (row->encoding & 0x70) {
    case 0:
        break;
    case DW_EH_PE_pcrel:
        fde->start += at;
        break;
    default:
        return false; /* textrel, datarel, funcrel: not in ELF objects of these machines */
    }
    /* The length is of the same format, but never relative nor signed. */
    if (!read_number(p, row->encoding & 0x0f & ~8u, is_64, &length))
        return false;
    if (!is_64)
        fde->start &= UINT32_MAX;
    fde->end = fde->start + length;
    return length > 0 && fde->end > fde->start;
}

static bool read_fde(const struct walk *w, const Dwarf_FDE *entry, const struct cie_row *row,
                     struct cfi_fde *fde)
{
    struct leb p = {entry->start, entry->end, false};
    if (row->bad || !read_range(w, row, &p, fde))
        return false;
    if (row->sized && !leb_bytes(&p, leb_unsigned(&p)))
        return false;
    fde->cie = &row->cie;
    fde->program = p.at;
    fde->program_end = p.end;
    return !p.bad;
}

/* A CIE mostly comes right before its FDEs, but may be anywhere in the section. */
static int find_cie(struct walk *w, uint64_t offset, struct cie_row **ret)
{
    uint32_t row;
    int r = table_add(&w->cies, &offset, &row);
    if (r < 0)
        return r;
    *ret = table_row(&w->cies, row);
    if (r == 0)
        return 0;
    Dwarf_CFI_Entry entry;
    Dwarf_Off next = 0;
    /* CIEs that overlap, as only hostile files have, could have all of it read for each FDE. */
    if (offset >= w->section->data->d_size || w->cie_bytes > 2 * w->section->data->d_size ||
        dwarf_next_cfi(w->section->ident, w->section->data, w->section->eh_frame, offset, &next,
                       &entry) != 0 ||
        !dwarf_cfi_cie_p(&entry))
        (*ret)->bad = true;
    else
        read_cie(w, &entry.cie, *ret);
    w->cie_bytes += next > offset && next <= w->section->data->d_size ? next - offset : 0;
    return 0;
}

static int walk(struct walk *w, cfi_fde_fn fn, void *ctx)
{
    Dwarf_Off offset = 0, next;
    while (offset < w->section->data->d_size) {
        Dwarf_CFI_Entry entry;
        next = (Dwarf_Off)-1;
        int found = dwarf_next_cfi(w->section->ident, w->section->data, w->section->eh_frame,
                                   offset, &next, &entry);
        if (found == 1 || next == (Dwarf_Off)-1 || next <= offset) {
            w->bad += found < 0;
            return 0;
        }
        offset = next;
        if (found < 0) {
            w->bad++;
            continue;
        }
        if (dwarf_cfi_cie_p(&entry))
            continue;
        struct cie_row *row;
        struct cfi_fde fde;
        int r = find_cie(w, entry.fde.CIE_pointer, &row);
        if (r < 0)
            return r == -ENOSPC ? 0 : r;
        if (!read_fde(w, &entry.fde, row, &fde))
            w->bad++;
        else if ((r = fn(ctx, &fde)) != 0)
            return r;
    }
    return 0;
}

int cfi_walk(const struct cfi_section *section, cfi_fde_fn fn, void *ctx, uint32_t *ret_bad)
{
    struct walk w = {.section = section};
    table_init(&w.cies, sizeof(struct cie_row), sizeof(uint64_t), CIES_MAX);
    int r = walk(&w, fn, ctx);
    *ret_bad = w.bad;
    table_free(&w.cies);
    return r;
}
