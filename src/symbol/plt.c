/* plt.c: takes a section of stubs, gives where each lies and the symbol it jumps to. See plt.h.
 *
 * A stub jumps to what the dynamic linker wrote into a slot of the GOT, and a relocation says which
 * symbol it wrote there: the stub's code gives the slot, the relocations the symbol. The code's
 * forms are those of the psABIs (x86-64 5.2, aarch64 9.3) and of GNU ld, gold, lld and mold, with
 * and without what CET, MPX, BTI and PAC put in front. */
#include "symbol/plt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

#define SECTION_BYTES_MAX                                                                      \
    (4u << 20)                     /* a quarter million stubs; a browser has some two thousand \
                                    */
#define RELOCATIONS_MAX (4u << 20) /* of one section */
#define PIECE           1024u      /* relocations read at a time */

struct stub {
    struct plt_stub is;
    uint64_t slot;
    bool is_known; /* a relocation tells of the slot */
};

struct stubs {
    const struct elf_file *file;
    struct stub *list;
    size_t count;
};

static uint32_t little32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void add_stub(struct stubs *s, uint64_t start, uint64_t end, uint64_t slot)
{
    s->list[s->count++] = (struct stub){.is = {.start = start, .end = end}, .slot = slot};
}

/* ---- x86-64: entries of one size, with jmp *slot(%rip) behind one of these, or nothing */

static const struct {
    uint8_t len, bytes[4];
} before_jump[] = {
    {0, {0}},
    {1, {0xf2}},                   /* bnd: .plt.got, .plt.bnd of MPX */
    {4, {0xf3, 0x0f, 0x1e, 0xfa}}, /* endbr64: .plt.sec of CET */
};

#define MOVE_R11 0x41, 0xbb /* mold puts the relocation's number into %r11d first */

/* How many bytes of `at` come before the jump; SIZE_MAX if none is there. */
static size_t find_jump(const uint8_t *at, size_t len)
{
    static const uint8_t move[] = {MOVE_R11};
    size_t i = 0;
    for (size_t k = ARRAY_LEN(before_jump); k-- > 0;)
        if (before_jump[k].len <= len &&
            memcmp(at, before_jump[k].bytes, before_jump[k].len) == 0) {
            i = before_jump[k].len;
            break;
        }
    if (len - i > 6 && memcmp(at + i, move, sizeof(move)) == 0)
        i += 6;
    if (i < len && at[i] == 0xf2)
        i++;
    return len - i >= 6 && at[i] == 0xff && at[i + 1] == 0x25 ? i : SIZE_MAX;
}

/* Some linkers do not say. Then an entry of 8 bytes is told by the nop of two behind its jump. */
static size_t entry_bytes_x86_64(const GElf_Shdr *section, const uint8_t *bytes)
{
    static const uint8_t nop[] = {0x66, 0x90};
    if (section->sh_entsize == 8 || section->sh_entsize == 16)
        return (size_t)section->sh_entsize;
    return section->sh_size >= 8 && memcmp(bytes + 6, nop, sizeof(nop)) == 0 ? 8 : 16;
}

static void decode_x86_64(struct stubs *s, const GElf_Shdr *section, const uint8_t *bytes)
{
    size_t entry = entry_bytes_x86_64(section, bytes);
    for (size_t at = 0; section->sh_size - at >= entry; at += entry) {
        size_t jump = find_jump(bytes + at, entry);
        if (jump == SIZE_MAX)
            continue;
        uint64_t start = section->sh_addr + at;
        int32_t displacement = (int32_t)little32(bytes + at + jump + 2);
        add_stub(s, start, start + entry, start + jump + 6 + (uint64_t)(int64_t)displacement);
    }
}

/* ---- aarch64: adrp x16, page; ldr x17, [x16, #offset]; add x16, x16, #offset; br x17, maybe with
 * `bti c` in front and autia1716 before the branch. The first entry stores x16 and x30 before. */

#define A64_BTI_C         0xd503245fu
#define A64_STP_X16_X30   0xa9bf7bf0u /* stp x16, x30, [sp, #-16]! */
#define A64_BR_X17        0xd61f0220u
#define A64_NOP           0xd503201fu
#define A64_STUB_MAX      6u /* instructions */
#define is_adrp_x16(i)    (((i)&0x9f00001fu) == 0x90000010u)
#define is_ldr_x17_x16(i) (((i)&0xffc003ffu) == 0xf9400211u)

static uint64_t slot_aarch64(uint64_t pc, uint32_t adrp, uint32_t ldr)
{
    uint64_t pages = (adrp >> 29 & 3) | (uint64_t)(adrp >> 5 & 0x7ffff) << 2;
    if (pages & (1u << 20))
        pages |= ~(uint64_t)0x1fffff;
    return (pc & ~(uint64_t)0xfff) + (pages << 12) + (uint64_t)(ldr >> 10 & 0xfff) * 8;
}

static void decode_aarch64(struct stubs *s, const GElf_Shdr *section, const uint8_t *bytes)
{
    size_t count = section->sh_size / 4;
    for (size_t i = 0; i + 1 < count; i++) {
        uint32_t adrp = little32(bytes + 4 * i), ldr = little32(bytes + 4 * i + 4);
        uint32_t before = i > 0 ? little32(bytes + 4 * i - 4) : 0;
        if (!is_adrp_x16(adrp) || !is_ldr_x17_x16(ldr) || before == A64_STP_X16_X30)
            continue;
        size_t first = before == A64_BTI_C ? i - 1 : i, end = i + 2;
        while (end < count && end < first + A64_STUB_MAX &&
               little32(bytes + 4 * end - 4) != A64_BR_X17)
            end++;
        if (little32(bytes + 4 * end - 4) != A64_BR_X17)
            continue;
        while (end < count && little32(bytes + 4 * end) == A64_NOP)
            end++;
        uint64_t start = section->sh_addr + 4 * first;
        add_stub(s, start, section->sh_addr + 4 * end,
                 slot_aarch64(section->sh_addr + 4 * i, adrp, ldr));
        i = end - 1;
    }
}

/* ---- by machine */

/* Relocations that write an address into a slot. */
static const struct machine {
    unsigned machine;
    uint32_t jump_slot, glob_dat, irelative;
    size_t stub_bytes_min;
    void (*decode)(struct stubs *s, const GElf_Shdr *section, const uint8_t *bytes);
} machines[] = {
    {EM_X86_64, R_X86_64_JUMP_SLOT, R_X86_64_GLOB_DAT, R_X86_64_IRELATIVE, 8, decode_x86_64},
    {EM_AARCH64, R_AARCH64_JUMP_SLOT, R_AARCH64_GLOB_DAT, R_AARCH64_IRELATIVE, 16, decode_aarch64},
};

static const struct machine *machine_of(const struct elf_file *file)
{
    for (size_t i = 0; i < ARRAY_LEN(machines); i++)
        if (machines[i].machine == file->header.e_machine && file->class == ELFCLASS64 &&
            file->encoding == ELFDATA2LSB)
            return &machines[i];
    return NULL;
}

bool plt_is_section(const struct elf_file *file, size_t section)
{
    static const char *const names[] = {".plt", ".plt.sec", ".plt.got", ".plt.bnd", ".iplt"};
    char name[16];
    size_t table = file->header.e_shstrndx;
    const GElf_Shdr *s = &file->sections[section];
    if (s->sh_type != SHT_PROGBITS || !(s->sh_flags & SHF_EXECINSTR) || !machine_of(file) ||
        table >= file->section_count || s->sh_name >= file->sections[table].sh_size)
        return false;
    uint64_t room = file->sections[table].sh_size - s->sh_name;
    size_t len = room < sizeof(name) ? (size_t)room : sizeof(name);
    if (elf_file_read(file, file->sections[table].sh_offset + s->sh_name, name, len) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strlen(names[i]) < len && strncmp(name, names[i], len) == 0)
            return true;
    return false;
}

/* ---- slots to symbols */

static int compare_slots(const void *va, const void *vb)
{
    const struct stub *a = va, *b = vb;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

static int compare_starts(const void *va, const void *vb)
{
    const struct stub *a = va, *b = vb;
    return a->is.start < b->is.start ? -1 : a->is.start > b->is.start;
}

/* The stubs are in the slots' order. More than one may use a slot (.plt and .plt.sec). */
static struct stub *first_of_slot(const struct stubs *s, uint64_t slot)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->list[mid].slot < slot)
            low = mid + 1;
        else
            high = mid;
    }
    return s->list + low;
}

static int read_symbol_name(const struct elf_file *file, uint32_t table, uint64_t index,
                            struct plt_stub *to)
{
    const GElf_Shdr *symbols = table < file->section_count ? &file->sections[table] : NULL;
    Elf64_Sym sym;
    if (!symbols || symbols->sh_entsize != sizeof(sym) || index == 0 ||
        index >= symbols->sh_size / sizeof(sym))
        return -EBADMSG;
    int r = elf_file_read(file, symbols->sh_offset + index * sizeof(sym), &sym, sizeof(sym));
    if (r == 0)
        r = elf_file_translate(file, ELF_T_SYM, &sym, sizeof(sym));
    if (r < 0)
        return r;
    to->has_symbol = sym.st_name != 0;
    to->strings = symbols->sh_link;
    to->name = sym.st_name;
    return 0;
}

static int take_relocation(struct stubs *s, const struct machine *machine, uint32_t symbols,
                           const Elf64_Rela *rela, size_t *left)
{
    uint32_t type = (uint32_t)ELF64_R_TYPE(rela->r_info);
    bool by_symbol = type == machine->jump_slot || type == machine->glob_dat;
    if (!by_symbol && type != machine->irelative)
        return 0;
    for (struct stub *stub = first_of_slot(s, rela->r_offset);
         stub < s->list + s->count && stub->slot == rela->r_offset; stub++) {
        if (stub->is_known)
            continue;
        stub->is_known = true;
        (*left)--;
        if (!by_symbol)
            stub->is.resolver = (uint64_t)rela->r_addend;
        int r = by_symbol ? read_symbol_name(s->file, symbols, ELF64_R_SYM(rela->r_info), &stub->is)
                          : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_relocations(struct stubs *s, const struct machine *machine,
                            const GElf_Shdr *section, size_t *left)
{
    uint64_t count = section->sh_size / sizeof(Elf64_Rela);
    if (section->sh_entsize != sizeof(Elf64_Rela))
        return -EBADMSG;
    if (count > RELOCATIONS_MAX)
        return -EFBIG;
    _cleanup_free_ Elf64_Rela *piece = calloc(PIECE, sizeof(*piece));
    if (!piece)
        return -ENOMEM;
    for (uint64_t done = 0; done<count && * left> 0;) {
        size_t n = count - done < PIECE ? (size_t)(count - done) : PIECE;
        int r = elf_file_read(s->file, section->sh_offset + done * sizeof(*piece), piece,
                              n * sizeof(*piece));
        if (r == 0)
            r = elf_file_translate(s->file, ELF_T_RELA, piece, n * sizeof(*piece));
        for (size_t i = 0; i < n && r == 0; i++)
            r = take_relocation(s, machine, section->sh_link, &piece[i], left);
        if (r < 0)
            return r;
        done += n;
    }
    return 0;
}

/* From the last section on: .rela.plt, which has most, stands behind .rela.dyn, which has all
 * others. */
static int find_symbols(struct stubs *s, const struct machine *machine)
{
    size_t left = s->count;
    int r = 0;
    qsort(s->list, s->count, sizeof(*s->list), compare_slots);
    for (size_t i = s->file->section_count; i-- > 0 && left > 0 && r == 0;) {
        const GElf_Shdr *section = &s->file->sections[i];
        if (section->sh_type == SHT_RELA && (section->sh_flags & SHF_ALLOC))
            r = read_relocations(s, machine, section, &left);
    }
    qsort(s->list, s->count, sizeof(*s->list), compare_starts);
    return r;
}

int plt_read(const struct elf_file *file, size_t section, struct plt_stub **ret, size_t *ret_count,
             struct err *err)
{
    const struct machine *machine = machine_of(file);
    const GElf_Shdr *header = &file->sections[section];
    if (!machine || header->sh_size > SECTION_BYTES_MAX)
        return err_set(err, -EFBIG, "no stubs, or more than %u bytes of them", SECTION_BYTES_MAX);
    size_t bytes_len = (size_t)header->sh_size, room = bytes_len / machine->stub_bytes_min + 1;
    _cleanup_free_ uint8_t *bytes = malloc(bytes_len + 1);
    _cleanup_free_ struct stub *list = calloc(room, sizeof(*list));
    if (!bytes || !list)
        return err_errno(err, -ENOMEM, "reading stubs");
    struct stubs s = {.file = file, .list = list};
    int r = elf_file_read(file, header->sh_offset, bytes, bytes_len);
    if (r == 0) {
        machine->decode(&s, header, bytes);
        r = find_symbols(&s, machine);
    }
    struct plt_stub *stubs = r == 0 ? calloc(s.count + 1, sizeof(*stubs)) : NULL;
    if (!stubs)
        return err_errno(err, r < 0 ? r : -ENOMEM, "reading stubs");
    size_t named = 0;
    for (size_t i = 0; i < s.count; i++)
        if (list[i].is.has_symbol || list[i].is.resolver)
            stubs[named++] = list[i].is;
    *ret = stubs;
    *ret_count = named;
    return 0;
}
