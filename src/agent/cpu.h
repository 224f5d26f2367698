/* cpu.h: the events and rings of one CPU, and which CPUs there are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/event.h"
#include "agent/ring.h"

struct err;

/* Of the whole machine both events are the CPU's own; of a target they sample nothing and have the
 * rings that the target's events write into. Sample rings hold stacks of 16 KiB each or more,
 * sideband rings only text: half as large. Both and their two header pages stay below a mebibyte.
 */
struct cpu {
    int number;
    bool online;
    int sample_fd, sideband_fd;
    struct ring sample, sideband; /* without all-cpus: only `sideband`, which all events share */
};

struct cpu_config {
    struct event_config event;
    size_t ring_bytes; /* of the sample ring, a power of two; halved while the memory lock limit is
                          in the way */
};

/* -ENODEV if the CPU went offline meanwhile. */
int cpu_open(struct cpu *cpu, int number, const struct cpu_config *config,
             const struct event_features *features, struct err *err);
void cpu_close(struct cpu *cpu);

/* Opens the sampling event anew, as `config` wants it by now; what its ring holds is lost. On an
 * error there is none any more. */
int cpu_reopen_sample(struct cpu *cpu, const struct cpu_config *config,
                      const struct event_features *features, struct err *err);

/* Reads a list like "0-3,5" of /sys/devices/system/cpu/online into `online`, one byte per CPU.
 * -EBADMSG. */
int cpu_parse_list(const char *text, uint8_t *online, size_t max);
