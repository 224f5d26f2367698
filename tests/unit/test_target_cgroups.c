/* test_target_cgroups.c: events on cgroups that come and go. Needs perf_event_open(2), and a cgroup
 * hierarchy that perf uses and that may be written to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cgroups.h"
#include "agent/cpu.h"
#include "agent/target_cgroups.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

struct kit {
    struct cgroups *cgroups;
    struct target_cgroups *target;
    struct cpu cpu;
    int hierarchy;
    char name[64];
};

static const struct cpu_config config = {.event = {.period_ns = 10 * NS_PER_MS,
                                                   .watermark = 4096,
                                                   .scope = EVENT_CGROUPS,
                                                   .no_cgroup_ids = true},
                                         .ring_bytes = 64 << 10};

static int make_kit(void **state)
{
    static struct kit k;
    struct event_features features;
    struct err err = {0};
    k = (struct kit){0};
    *state = &k;
    log_set_level(LOG_LEVEL_ERR);
    snprintf(k.name, sizeof(k.name), "podflame-unit.%d", (int)getpid());
    if (cgroups_new(&k.cgroups, &err) < 0)
        return -1;
    k.hierarchy = cgroups_hierarchy(k.cgroups, NULL);
    if (k.hierarchy < 0 || event_probe(&config.event, &features, &err) < 0 ||
        mkdirat(k.hierarchy, k.name, 0755) < 0) {
        print_message("no events on cgroups here: %s\n", err.text);
        return 0;
    }
    struct target target = {.kind = TARGET_CGROUP, .name = k.name};
    if (cpu_open(&k.cpu, 0, &config, &features, &err) < 0 ||
        target_cgroups_new(&target, &config.event, &features, k.cgroups, &k.target, &err) < 0) {
        print_message("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int free_kit(void **state)
{
    struct kit *k = *state;
    target_cgroups_free(&k->target);
    if (k->cpu.online)
        cpu_close(&k->cpu);
    if (k->hierarchy >= 0)
        unlinkat(k->hierarchy, k->name, AT_REMOVEDIR);
    cgroups_free(&k->cgroups);
    return 0;
}

/* Between being found and being opened. */
static void a_cgroup_that_vanishes_is_no_error(void **state)
{
    struct kit *k = *state;
    struct err err = {0};
    if (!k->target)
        skip();
    struct cpu none = {.number = 0};
    assert_int_equal(target_cgroups_look(k->target, &none, 1, NS_PER_SEC, &err), 1);
    assert_int_equal(unlinkat(k->hierarchy, k->name, AT_REMOVEDIR), 0);
    if (target_cgroups_look(k->target, &k->cpu, 1, NS_PER_SEC, &err) != 0)
        fail_msg("%s", err.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cgroup_that_vanishes_is_no_error, make_kit, free_kit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
