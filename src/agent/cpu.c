/* cpu.c: takes a CPU's number, gives its open events with mapped rings. See cpu.h. */
#include "agent/cpu.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

#define RING_BYTES_MIN (32u << 10)

/* An unprivileged user may lock little memory: a smaller ring loses samples under load, none at
 * all shows nothing. */
static int map_ring(struct ring *ring, int fd, size_t bytes, int cpu, struct err *err)
{
    int r = ring_map(ring, fd, bytes, err);
    size_t smaller = bytes;
    while ((r == -EPERM || r == -ENOMEM) && smaller > RING_BYTES_MIN) {
        smaller /= 2;
        r = ring_map(ring, fd, smaller, err);
    }
    if (r == 0 && smaller < bytes)
        log_warn("ring is smaller than wanted cpu=%d bytes=%zu wanted=%zu: raise "
                 "kernel.perf_event_mlock_kb or RLIMIT_MEMLOCK, or give CAP_IPC_LOCK",
                 cpu, smaller, bytes);
    return r;
}

/* Of the whole CPU, or what a target's events are led to. */
static bool is_whole(const struct cpu_config *config, const struct event_features *features)
{
    return features->all_cpus && config->event.scope == EVENT_ALL;
}

static int open_sample(struct cpu *cpu, const struct cpu_config *config,
                       const struct event_features *features, struct err *err)
{
    int fd = is_whole(config, features)
                 ? event_open_sample(&config->event, features, -1, cpu->number, err)
                 : event_open_carrier(&config->event, features, false, cpu->number, err);
    if (fd < 0)
        return fd;
    cpu->sample_fd = fd;
    return map_ring(&cpu->sample, fd, config->ring_bytes, cpu->number, err);
}

static int open_both(struct cpu *cpu, const struct cpu_config *config,
                     const struct event_features *features, struct err *err)
{
    int fd = is_whole(config, features)
                 ? event_open_sideband(&config->event, features, -1, cpu->number, err)
                 : event_open_carrier(&config->event, features, true, cpu->number, err);
    if (fd < 0)
        return fd;
    cpu->sideband_fd = fd;
    size_t bytes = features->all_cpus ? config->ring_bytes / 2 : config->ring_bytes;
    int r = map_ring(&cpu->sideband, fd, bytes, cpu->number, err);
    return r < 0 || !features->all_cpus ? r : open_sample(cpu, config, features, err);
}

int cpu_open(struct cpu *cpu, int number, const struct cpu_config *config,
             const struct event_features *features, struct err *err)
{
    *cpu = (struct cpu){.number = number, .sample_fd = -1, .sideband_fd = -1};
    cpu->sample.format = cpu->sideband.format = features->format;
    cpu->sample.id = (uint32_t)number * 2;
    cpu->sideband.id = (uint32_t)number * 2 + 1;
    cpu->sample.samples_only = true;
    int r = open_both(cpu, config, features, err);
    if (r < 0) {
        cpu_close(cpu);
        return err_wrap(err, r, "CPU %d", number);
    }
    cpu->online = true;
    return 0;
}

static void close_event(struct ring *ring, int *fd)
{
    ring_unmap(ring);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void cpu_close(struct cpu *cpu)
{
    close_event(&cpu->sample, &cpu->sample_fd);
    close_event(&cpu->sideband, &cpu->sideband_fd);
    cpu->online = false;
}

/* Closed first: two rings at once could be more than may be locked. */
int cpu_reopen_sample(struct cpu *cpu, const struct cpu_config *config,
                      const struct event_features *features, struct err *err)
{
    close_event(&cpu->sample, &cpu->sample_fd);
    int r = open_sample(cpu, config, features, err);
    if (r < 0) {
        close_event(&cpu->sample, &cpu->sample_fd);
        return err_wrap(err, r, "CPU %d", cpu->number);
    }
    return 0;
}

static int parse_number(const char **text, size_t max, size_t *ret)
{
    if (!isdigit((unsigned char)**text))
        return -EBADMSG;
    size_t v = 0;
    for (; isdigit((unsigned char)**text); (*text)++) {
        v = v * 10 + (size_t)(**text - '0');
        if (v >= max)
            return -EBADMSG;
    }
    *ret = v;
    return 0;
}

int cpu_parse_list(const char *text, uint8_t *online, size_t max)
{
    memset(online, 0, max);
    while (*text && *text != '\n') {
        size_t first, last;
        if (parse_number(&text, max, &first) < 0)
            return -EBADMSG;
        last = first;
        if (*text == '-') {
            text++;
            if (parse_number(&text, max, &last) < 0 || last < first)
                return -EBADMSG;
        }
        memset(online + first, 1, last - first + 1);
        if (*text == ',')
            text++;
        else if (*text && *text != '\n')
            return -EBADMSG;
    }
    return 0;
}
