/* collector_kit.h: a collector, told things by a test, and the windows that came out of it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/cgroups.h"
#include "agent/collector.h"
#include "agent/counters.h"
#include "agent/object.h"
#include "agent/record.h"
#include "agent/window.h"
#include "base/clock.h"

#define SEC     NS_PER_SEC
#define MONO    (1000 * SEC)       /* the records' clock at the start */
#define WALL    (1700000010 * SEC) /* a multiple of 30 s */
#define K(n)    (0xffffffff81000000 + (n))
#define CODE    0x400000ull
#define WINDOWS 16

struct collector_kit {
    struct objects *objects;
    struct cgroups *cgroups;
    struct counters counters;
    struct collector *collector;
    struct window *windows[WINDOWS];
    size_t window_count, opens;
    void (*open)(void *kit, struct object *object, const struct object_place *place); /* or NULL */
    int64_t to_real_ns;
    bool outsiders; /* as the collector's config has it */
};

/* For cmocka_unit_test_setup_teardown; objects_free asserts that all references came back. */
int collector_kit_make(void **state);
int collector_kit_free(void **state);

/* A collector of a machine whose wall clock is at WALL + `after` seconds when it starts. */
void start(struct collector_kit *k, int64_t after, int proc_fd);

/* Times are in milliseconds after its start. */
uint64_t at(int64_t ms);
void tick(struct collector_kit *k, int64_t ms);
void tell(struct collector_kit *k, const struct record *record);
void tell_program(struct collector_kit *k, uint32_t pid, const char *name);
void tell_stack(struct collector_kit *k, uint32_t pid, int64_t ms, const uint64_t *chain,
                size_t count);
void tell_sample(struct collector_kit *k, uint32_t pid, int64_t ms);

#define TELL_STACK(k, pid, ms, ...)                         \
    tell_stack(k, pid, ms, (const uint64_t[]){__VA_ARGS__}, \
               sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

const struct window_sample *sample_of(const struct window *w, uint32_t row);
const struct window_process *process_of(const struct window *w, uint32_t row);

/* A stack as text, root first: "program+1010", K+10, J:[anon]+500000, [truncated]. */
const char *stack_of(const struct window *w, uint32_t row);

void assert_window(const struct collector_kit *k, size_t i, int64_t from_s, int64_t to_s,
                   uint64_t samples);
#define assert_counter(k, name, expect) \
    assert_int_equal(atomic_load(&(k)->counters.name), (uint64_t)(expect))
