/* callchain.c: takes the kernel's callchain of a sample, gives its frames. The user part comes from
 * frame pointers (perf_callchain_user() in arch/x86/events/core.c): it is right where programs keep
 * them. See unwind.h. */
#include <linux/perf_event.h>

#include "unwind/unwind.h"

/* Markers are the last 4095 values of u64 (PERF_CONTEXT_MAX). */
static bool is_marker(uint64_t entry)
{
    return entry >= PERF_CONTEXT_MAX;
}

void unwind_sample(const struct unwind_input *input, struct unwind_stack *ret)
{
    ret->count = 0;
    ret->end = UNWIND_BOTTOM;
    bool kernel = false, skip = false;
    bool leaf = true; /* of its context: what was interrupted, or where it entered the kernel */
    size_t entries = 0;
    for (size_t i = 0; i < input->chain_count; i++) {
        uint64_t entry = input->chain[i];
        if (is_marker(entry)) {
            kernel = entry == PERF_CONTEXT_KERNEL;
            /* A hypervisor's or guest's addresses mean nothing in this machine's tables. */
            skip = entry != PERF_CONTEXT_KERNEL && entry != PERF_CONTEXT_USER;
            leaf = true;
            continue;
        }
        entries++;
        if (skip || !entry)
            continue;
        if (ret->count == UNWIND_FRAMES_MAX) {
            ret->end = UNWIND_TRUNCATED;
            return;
        }
        ret->frames[ret->count++] =
            (struct unwind_frame){.pc = entry, .kernel = kernel, .caller = !leaf};
        leaf = false;
    }
    if (input->chain_max && entries >= input->chain_max)
        ret->end = UNWIND_TRUNCATED;
    if (!ret->count && input->ip)
        ret->frames[ret->count++] = (struct unwind_frame){.pc = input->ip};
}
