/* source.h: whom to ask of pods and containers: kubelet, the container runtime, log directories ...
 */
#pragma once

struct err;
struct facts_sink;

struct source_ops {
    const char *name; /* kubelet, cri, docker ... */

    /* Asks once, within 5 seconds in all, and gives all facts of the answer to the sink. On failure
     * nothing that was given counts. -ENOENT: nothing was configured and nothing is found in the
     * usual places, which is no fault; the error says where it looked. Not from two threads at
     * once. */
    int (*refresh)(void *self, const struct facts_sink *sink, struct err *err);

    void (*free)(void *self);
};

struct source {
    const struct source_ops *ops; /* NULL: none */
    void *self;
};

/* NULL-safe, as `free` is. */
static inline void source_free(struct source *source)
{
    if (source->ops)
        source->ops->free(source->self);
    *source = (struct source){0};
}
