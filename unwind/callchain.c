/* callchain.c: takes the kernel's callchain of a sample, gives its frames. Its user part comes from
 * frame pointers (perf_callchain_user() in arch/x86/events/core.c) and is used only where the
 * sample holds no copy of the stack. */
#include "unwind/callchain.h"

#include <linux/perf_event.h>

/* Markers are the last 4095 values of u64 (PERF_CONTEXT_MAX). */
static bool is_marker(uint64_t entry)
{
    return entry >= PERF_CONTEXT_MAX;
}

bool callchain_add(const struct unwind_sample *sample, bool kernel, struct unwind_stack *to)
{
    bool wanted = !kernel; /* before any marker: the user's */
    bool leaf = true; /* of its context: what was interrupted, or where it entered the kernel */
    size_t entries = 0;
    for (size_t i = 0; i < sample->chain_count; i++) {
        uint64_t entry = sample->chain[i];
        if (is_marker(entry)) {
            /* A hypervisor's or guest's addresses mean nothing in this machine's tables. */
            wanted = entry == (kernel ? PERF_CONTEXT_KERNEL : PERF_CONTEXT_USER);
            leaf = true;
            continue;
        }
        entries++;
        if (!wanted || !entry)
            continue;
        if (to->count == UNWIND_FRAMES_MAX)
            return false;
        to->frames[to->count++] =
            (struct unwind_frame){.pc = entry - (leaf ? 0 : 1), .kernel = kernel};
        leaf = false;
    }
    return !sample->chain_max || entries < sample->chain_max;
}
