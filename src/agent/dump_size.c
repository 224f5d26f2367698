/* dump_size.c: takes what the stacks of a window needed, gives the size of the copies to come. See
 * dump_size.h. */
#include "agent/dump_size.h"

/* Below this, one odd process would decide. */
#define STACKS_MIN 200u

/* More than one stack in a hundred is cut: grow. Fewer than one in a thousand needs more than half,
 * through ten minutes of windows: shrink. */
#define CUT_MAX_PER_MILLE  10u
#define DEEP_MAX_PER_MILLE 1u
#define CALM_WINDOWS       20u

/* PERF_SAMPLE_STACK_USER's size has 16 bits, and a record with the rest of a sample too
 * (perf_sample_ustack_size() in kernel/events/core.c). */
#define BYTES_MAX 65528u

void dump_size_init(struct dump_size *size, uint32_t min, uint32_t max, uint64_t ring_bytes)
{
    uint64_t room = ring_bytes / DUMP_RING_SAMPLES;
    if (max > room)
        max = (uint32_t)room;
    *size = (struct dump_size){.bytes = min, .min = min, .max = max < min ? min : max};
}

static bool set(struct dump_size *size, uint32_t bytes)
{
    bytes = bytes > BYTES_MAX ? BYTES_MAX : bytes & ~7u;
    if (bytes > size->max)
        bytes = size->max;
    if (bytes < size->min)
        bytes = size->min;
    bool changed = bytes != size->bytes;
    size->bytes = bytes;
    return changed;
}

bool dump_size_judge(struct dump_size *size, const struct stacker_dumps *window)
{
    struct stacker_dumps *seen = &size->seen;
    seen->stacks += window->stacks;
    seen->cut += window->cut;
    seen->deep += window->deep;
    if (seen->stacks < STACKS_MIN)
        return false;
    struct stacker_dumps all = *seen;
    *seen = (struct stacker_dumps){0};
    if (all.cut * 1000 > all.stacks * CUT_MAX_PER_MILLE) {
        size->calm = 0;
        return set(size, size->bytes * 2);
    }
    size->calm = (all.cut + all.deep) * 1000 < all.stacks * DEEP_MAX_PER_MILLE ? size->calm + 1 : 0;
    if (size->calm < CALM_WINDOWS)
        return false;
    size->calm = 0;
    return set(size, size->bytes / 2);
}
