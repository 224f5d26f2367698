/* hotplug.c: takes the kernel's words on CPUs, gives changes. See hotplug.h. */
#include "agent/hotplug.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/cpu.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#define ONLINE_PATH "/sys/devices/system/cpu/online"
#define CHECK_NS    NS_PER_SEC
#define CPUS_MAX    4096

struct hotplug {
    int online_fd, uevent_fd;
    int64_t checked_ns;
};

static int open_uevents(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        log_info("CPUs that come and go are looked for every second: no uevents: %s",
                 strerrordesc_np(errno));
    return fd;
}

int hotplug_open(struct hotplug **ret, struct err *err)
{
    struct hotplug *h = calloc(1, sizeof(*h));
    if (!h)
        return err_errno(err, -ENOMEM, "watching CPUs");
    h->online_fd = open(ONLINE_PATH, O_RDONLY | O_CLOEXEC);
    if (h->online_fd < 0) {
        int r = err_errno(err, -errno, "opening " ONLINE_PATH);
        free(h);
        return r;
    }
    h->uevent_fd = open_uevents();
    *ret = h;
    return 0;
}

void hotplug_close(struct hotplug **hotplug)
{
    if (!*hotplug)
        return;
    close((*hotplug)->online_fd);
    if ((*hotplug)->uevent_fd >= 0)
        close((*hotplug)->uevent_fd);
    free(*hotplug);
    *hotplug = NULL;
}

int hotplug_fd(const struct hotplug *hotplug)
{
    return hotplug->uevent_fd;
}

int hotplug_read(struct hotplug *hotplug, uint8_t *online, size_t max, struct err *err)
{
    char text[4096];
    ssize_t n = pread(hotplug->online_fd, text, sizeof(text) - 1, 0);
    if (n < 0)
        return err_errno(err, -errno, "reading " ONLINE_PATH);
    text[n] = 0;
    if (cpu_parse_list(text, online, max) < 0)
        return err_set(err, -EBADMSG, ONLINE_PATH " says \"%s\"", text);
    return 0;
}

/* "offline@/devices/system/cpu/cpu1": lib/kobject_uevent.c. */
static void take_uevent(const char *text, hotplug_fn fn, void *ctx)
{
    unsigned cpu;
    char end;
    if (sscanf(text, "offline@/devices/system/cpu/cpu%u%c", &cpu, &end) == 1)
        fn(ctx, cpu, false);
    else if (sscanf(text, "online@/devices/system/cpu/cpu%u%c", &cpu, &end) == 1)
        fn(ctx, cpu, true);
}

void hotplug_check(struct hotplug *hotplug, bool news, hotplug_fn fn, void *ctx)
{
    char text[4096];
    ssize_t n;
    while (news && (n = recv(hotplug->uevent_fd, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
        text[n] = 0;
        take_uevent(text, fn, ctx);
    }
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    if (now - hotplug->checked_ns < CHECK_NS)
        return;
    hotplug->checked_ns = now;
    uint8_t online[CPUS_MAX];
    struct err err = {0};
    if (hotplug_read(hotplug, online, sizeof(online), &err) < 0) {
        log_warn("%s", err.text);
        return;
    }
    for (size_t i = 0; i < sizeof(online); i++)
        fn(ctx, i, online[i]);
}
