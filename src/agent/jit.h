/* jit.h: a thread that looks after processes whose code is made at run time, and knows what that
 * code is called: by what their JITs write, or by asking their JVM. The sampling thread tells it of
 * such a process once a window; names are asked for when the window is done. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counters;
struct err;
struct jit;
struct process;

int jit_start(struct counters *counters, struct jit **ret, struct err *err);
void jit_stop(struct jit **jit);

/* The process runs such code in that window; may be said again. Never waits. True: code comes to be
 * where other code was, so that samples are to be told apart by time. */
bool jit_ask(struct jit *jit, const struct process *process, uint32_t window);

/* Waits until all that was written up to now by the processes of `window` has been read,
 * `within_ns` at most. */
void jit_wait(struct jit *jit, uint32_t window, int64_t within_ns);

struct jit_span {
    uint64_t address;
    uint64_t first_ns, last_ns; /* its first and last sample, of their clock */
};

/* Calls `found` for each span of which it is certain which code it was, with the name that the JIT
 * gave it; `java`: the process is a JVM. The name is valid during the call. */
void jit_find(struct jit *jit, uint32_t serial, const struct jit_span *spans, size_t count,
              void (*found)(void *ctx, size_t span, const char *name, bool java), void *ctx);

/* The window's names have been found, and none before `before_ns` will be asked for. */
void jit_turn(struct jit *jit, uint32_t window, uint64_t before_ns);

/* Bytes of memory; from any thread. */
size_t jit_bytes(struct jit *jit);
