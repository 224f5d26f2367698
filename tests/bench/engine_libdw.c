/* engine_libdw.c: elfutils' unwinder: one Dwfl per process and mapping, registers and memory from
 * the sample. */
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine.h"
#include "unwind/arch.h"

struct libdw {
    const struct samples *samples;
    Dwfl **by_space;
    const struct bench_sample *sample;
    struct chain *chain;
};

/* Separate debug files are not looked for: .eh_frame is in the program. */
static int find_debuginfo(Dwfl_Module *mod, void **user, const char *name, Dwarf_Addr base,
                          const char *file, const char *link, GElf_Word crc, char **ret)
{
    return -1;
}

static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
                                         .find_debuginfo = find_debuginfo,
                                         .section_address = dwfl_offline_section_address};

static pid_t next_thread(Dwfl *dwfl, void *ctx, void **arg)
{
    *arg = ctx;
    return 1;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *ctx, void **arg)
{
    *arg = ctx;
    return true;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *result, void *ctx)
{
    const struct bench_sample *s = ((struct libdw *)ctx)->sample;
    uint64_t at = address - s->stack_base;
    if (s->stack_len < 8 || at > s->stack_len - 8)
        return false;
    __builtin_memcpy(result, s->stack + at, 8);
    return true;
}

static bool set_registers(Dwfl_Thread *thread, void *ctx)
{
    const struct libdw *d = ctx;
    struct arch_state state;
    arch_load(d->samples->regs_mask, d->sample->regs, 2, &state);
    Dwarf_Word regs[17];
    for (unsigned i = 0; i < 16; i++)
        regs[i] = state.reg[i];
    regs[16] = state.pc;
    return dwfl_thread_state_registers(thread, 0, 17, regs);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {.next_thread = next_thread,
                                                       .get_thread = get_thread,
                                                       .memory_read = memory_read,
                                                       .set_initial_registers = set_registers};

static Dwfl *open_space(struct libdw *d, const struct bench_space *space)
{
    Dwfl *dwfl = dwfl_begin(&callbacks);
    if (!dwfl)
        return NULL;
    dwfl_report_begin(dwfl);
    for (uint32_t i = 0; i < space->module_count; i++) {
        const struct bench_module *m = &space->modules[i];
        const struct bench_object *o = &d->samples->objects[m->object];
        if (o->fd >= 0)
            dwfl_report_elf(dwfl, o->path, o->path, dup(o->fd), m->bias, true);
    }
    dwfl_report_end(dwfl, NULL, NULL);
    dwfl_attach_state(dwfl, NULL, (pid_t)space->pid, &thread_callbacks, d);
    return dwfl;
}

static void *open_libdw(const struct samples *samples)
{
    struct libdw *d = calloc(1, sizeof(*d));
    d->samples = samples;
    d->by_space = calloc(samples->space_count, sizeof(*d->by_space));
    for (uint32_t i = 0; i < samples->space_count; i++)
        d->by_space[i] = open_space(d, &samples->spaces[i]);
    return d;
}

static int take_frame(Dwfl_Frame *frame, void *ctx)
{
    struct chain *c = ((struct libdw *)ctx)->chain;
    Dwarf_Addr pc;
    bool activation;
    if (c->count == UNWIND_FRAMES_MAX || !dwfl_frame_pc(frame, &pc, &activation))
        return DWARF_CB_ABORT;
    c->pcs[c->count++] = pc - !activation;
    return DWARF_CB_OK;
}

static void run(void *engine, const struct bench_sample *sample, struct chain *ret)
{
    struct libdw *d = engine;
    d->sample = sample;
    d->chain = ret;
    ret->count = 0;
    ret->bottom = dwfl_getthread_frames(d->by_space[sample->space], 1, take_frame, d) == 0;
}

const struct engine engine_libdw = {"libdw", open_libdw, run, NULL};
