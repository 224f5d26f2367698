/* fuzz_replay.c: any file is replayed through the whole collector; each window that comes out is
 * built into a batch, encoded and decoded again. Nothing of the machine's processes is looked at.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/builder.h"
#include "agent/cgroups.h"
#include "agent/collector.h"
#include "agent/counters.h"
#include "agent/object.h"
#include "agent/recording.h"
#include "agent/window.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "wire/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Kept from input to input: reading the kernel's symbols and the cgroup hierarchy takes long. */
static struct objects *objects;
static struct builder *builder;
static struct cgroups *cgroups;
static struct counters counters;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    log_open("fuzz_replay", LOG_LEVEL_ERR);
    struct builder_config config = {
        .node = "node", .period_ns = 10 * NS_PER_MS, .symbol_bytes = 1 << 20};
    assert(objects_new(&objects, NULL) == 0);
    assert(builder_new(&config, objects, &counters, &builder, NULL) == 0);
    assert(cgroups_new(&cgroups, NULL) == 0);
    return 0;
}

static void take_window(void *ctx, struct window *window)
{
    struct batch batch, *again = NULL;
    struct err err = {0};
    _cleanup_(buf_free) struct buf bytes = {0};
    uint64_t count = 0;
    if (builder_build(builder, window, &batch, &err) < 0 ||
        batch_encode(&batch, &bytes, &err) < 0 ||
        batch_decode(bytes.data, bytes.len, &again, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    for (uint32_t i = 0; i < again->sample_count; i++)
        count += again->samples[i].count;
    assert(count == window->sample_count);
    batch_free(&again);
    window_free(&window);
}

static void take_open(void *ctx, struct object *object, const struct object_place *place)
{
}

static void replay(const char *path)
{
    _cleanup_(replay_free) struct replay *r = NULL;
    _cleanup_(collector_free) struct collector *collector = NULL;
    struct recording_info info;
    struct err err = {0};
    if (replay_open(path, &r, &info, &err) < 0) {
        assert(err.text[0]);
        return;
    }
    struct collector_config config = {
        .window_ns = NS_PER_SEC,
        .first_window_ns = NS_PER_SEC / 2,
        .limits = {.max_stacks = 1000, .max_samples = 300}, /* small, so that they are met */
        .chain_max = info.chain_max,
        .regs_mask = info.format.regs_user,
        .proc_fd = -1,
    };
    struct collector_sinks sinks = {.window = take_window, .open = take_open};
    assert(collector_new(&config, &sinks, objects, cgroups, &counters, info.start, info.to_real_ns,
                         &collector, &err) == 0);
    uint64_t until = info.start;
    int code;
    while ((code = replay_turn(r, collector_take, collector, &until, &err)) == 1)
        collector_tick(collector, until, info.to_real_ns);
    assert(code == 0 || err.text[0]);
    collector_flush(collector, until);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("recording", MFD_CLOEXEC);
    assert(fd >= 0);
    assert(write(fd, data, size) == (ssize_t)size);
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    replay(path);
    return 0;
}
