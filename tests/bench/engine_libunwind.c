/* engine_libunwind.c: libunwind, remote: one address space per process and mapping, its global
 * cache, CFI by binary search of .eh_frame_hdr in the mapped file, as perf script does it. */
#include <libunwind.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "unwind/arch.h"

/* Of libunwind, exported but in none of its headers. */
extern int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip,
                                              unw_dyn_info_t *di, unw_proc_info_t *pi,
                                              int need_unwind_info, void *arg);

struct libunwind {
    const struct samples *samples;
    unw_addr_space_t *by_space;
    const struct bench_sample *sample;
    struct arch_state state;
};

/* CFI and its tables, from the file. */
static int read_file(const struct libunwind *l, unw_word_t address, unw_word_t *ret)
{
    const struct bench_space *space = &l->samples->spaces[l->sample->space];
    const struct bench_module *m = samples_find_module(space, address);
    if (!m)
        return -UNW_EINVAL;
    const struct bench_object *o = &l->samples->objects[m->object];
    for (uint32_t i = 0; i < o->load_count; i++) {
        const Elf64_Phdr *p = &o->loads[i];
        uint64_t at = address - m->bias - p->p_vaddr;
        if (at >= p->p_filesz || p->p_filesz - at < 8)
            continue;
        memcpy(ret, o->bytes + p->p_offset + at, 8);
        return 0;
    }
    return -UNW_EINVAL;
}

static int access_mem(unw_addr_space_t as, unw_word_t address, unw_word_t *value, int write,
                      void *ctx)
{
    const struct libunwind *l = ctx;
    uint64_t at = address - l->sample->stack_base;
    if (write)
        return -UNW_EINVAL;
    if (l->sample->stack_len < 8 || at > l->sample->stack_len - 8)
        return read_file(l, address, value);
    memcpy(value, l->sample->stack + at, 8);
    return 0;
}

/* libunwind's numbers are DWARF's on x86-64. */
static int access_reg(unw_addr_space_t as, unw_regnum_t number, unw_word_t *value, int write,
                      void *ctx)
{
    const struct libunwind *l = ctx;
    if (write || number < 0 || number > UNW_TDEP_IP)
        return -UNW_EBADREG;
    *value = number == UNW_TDEP_IP ? l->state.pc : l->state.reg[number];
    return 0;
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t number, unw_fpreg_t *value, int write,
                        void *ctx)
{
    return -UNW_EBADREG;
}

/* LSB core, "Exception Frames": a table of (pc, FDE), both relative to the header. */
static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *info, int need,
                          void *ctx)
{
    const struct libunwind *l = ctx;
    const struct bench_space *space = &l->samples->spaces[l->sample->space];
    const struct bench_module *m = samples_find_module(space, ip);
    if (!m)
        return -UNW_ENOINFO;
    const struct bench_object *o = &l->samples->objects[m->object];
    const Elf64_Phdr *p = &o->eh_frame_hdr;
    if (!p->p_memsz || p->p_offset + 12 > o->len)
        return -UNW_ENOINFO;
    const uint8_t *header = o->bytes + p->p_offset;
    uint32_t count;
    memcpy(&count, header + 8, 4);
    if (header[0] != 1 || header[1] != 0x1b || header[2] != 0x03 || header[3] != 0x3b)
        return -UNW_ENOINFO;
    unw_dyn_info_t di = {.format = UNW_INFO_FORMAT_REMOTE_TABLE,
                         .start_ip = m->low,
                         .end_ip = m->high,
                         .u.rti = {.segbase = m->bias + p->p_vaddr,
                                   .table_data = m->bias + p->p_vaddr + 12,
                                   .table_len = (uint64_t)count * 8 / sizeof(unw_word_t)}};
    return UNW_OBJ(dwarf_search_unwind_table)(as, ip, &di, info, need, ctx);
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *info, void *ctx)
{
}

static int get_dyn_info_list_addr(unw_addr_space_t as, unw_word_t *address, void *ctx)
{
    return -UNW_ENOINFO;
}

static int resume(unw_addr_space_t as, unw_cursor_t *cursor, void *ctx)
{
    return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t as, unw_word_t address, char *name, size_t len,
                         unw_word_t *offset, void *ctx)
{
    return -UNW_EINVAL;
}

static unw_accessors_t accessors = {.find_proc_info = find_proc_info,
                                    .put_unwind_info = put_unwind_info,
                                    .get_dyn_info_list_addr = get_dyn_info_list_addr,
                                    .access_mem = access_mem,
                                    .access_reg = access_reg,
                                    .access_fpreg = access_fpreg,
                                    .resume = resume,
                                    .get_proc_name = get_proc_name};

static void *open_libunwind(const struct samples *samples)
{
    struct libunwind *l = calloc(1, sizeof(*l));
    l->samples = samples;
    l->by_space = calloc(samples->space_count, sizeof(*l->by_space));
    for (uint32_t i = 0; i < samples->space_count; i++) {
        l->by_space[i] = unw_create_addr_space(&accessors, 0);
        unw_set_caching_policy(l->by_space[i], UNW_CACHE_GLOBAL);
    }
    return l;
}

static void run(void *engine, const struct bench_sample *sample, struct chain *ret)
{
    struct libunwind *l = engine;
    l->sample = sample;
    ret->count = 0;
    ret->bottom = false;
    arch_load(l->samples->regs_mask, sample->regs, 2, &l->state);
    unw_cursor_t cursor;
    if (unw_init_remote(&cursor, l->by_space[sample->space], l) < 0)
        return;
    int r = 0;
    do {
        unw_word_t ip;
        if (ret->count == UNWIND_FRAMES_MAX || unw_get_reg(&cursor, UNW_REG_IP, &ip) < 0)
            return;
        if (!ip)
            break;
        ret->pcs[ret->count++] = ip;
        r = unw_step(&cursor);
    } while (r > 0);
    ret->bottom = r >= 0;
}

const struct engine engine_libunwind = {"libunwind", open_libunwind, run, NULL};
