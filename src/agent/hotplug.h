/* hotplug.h: CPUs that come and go, from /sys/devices/system/cpu/online and the kernel's uevents
 * (a CPU that leaves and is back within a moment has lost its events all the same). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct hotplug;

typedef void (*hotplug_fn)(void *ctx, size_t cpu, bool online);

int hotplug_open(struct hotplug **ret, struct err *err);
void hotplug_close(struct hotplug **hotplug);

/* Readable when there is news; -1 where uevents cannot be had. */
int hotplug_fd(const struct hotplug *hotplug);

/* One byte per CPU. */
int hotplug_read(struct hotplug *hotplug, uint8_t *online, size_t max, struct err *err);

/* Calls `fn` for each change told of if there is `news` on the fd, and every second for each CPU as
 * it is now: a change that is none is the caller's to see. */
void hotplug_check(struct hotplug *hotplug, bool news, hotplug_fn fn, void *ctx);
