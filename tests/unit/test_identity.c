/* test_identity.c: samples of pods that are not wanted are in no batch, with all that is theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/builder.h"
#include "agent/identity.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "collector_kit.h"
#include "k8s/pods.h"
#include "k8s/selector.h"
#include "k8s/source.h"
#include "k8s/sources.h"
#include "wire/batch.h"

#define WEB     "5b2f8a2e-6c3d-4a0e-9a57-0c1de1f0aa01"
#define DB      "9e1f0c7a-1111-4222-8333-44445555aaaa"
#define NEW     "77777777-8888-4999-aaaa-bbbbbbbbbbbb"
#define MAIN    "17db96a24ae1e9dd57143e62b1cb0d2d35e693c65c774c7470e87b0572e07c1a"
#define LOOSE   "2327a2aec169e25cf05f2a901486b7463fdb513ae097fc0ae6a3ca94381ddc41"
#define BARE_ID "464d948fdbe0d0d77920464adb46d3af61c0a97544e1a16ec603f55880e07cca"

/* A process for each kind of cgroup: its pid is its place, from 1 on; its samples lie in the object
 * /bin/NAME. */
static const struct {
    const char *name, *cgroup;
} programs[] = {
    {"web", "/kubepods/pod" WEB "/" MAIN},
    {"mysql", "/kubepods/pod" DB}, /* its labels are not known */
    {"new", "/kubepods/pod" NEW},  /* nor anything of this one */
    {"nginx", "/system.slice/nginx.service"},
    {"registry", "/docker/" LOOSE}, /* in no pod, whoever knows it */
    {"loose", "/k8s.io/" BARE_ID},  /* may be in a pod */
    {"nowhere", NULL},              /* its cgroup is not known */
    {"kthread", "/"},
};

#define HUGE_WAIT (60 * SEC) /* only a test that fails waits so long */

struct kit {
    struct collector_kit *collector;
    struct pods *pods;
};

static void tell_pods(struct kit *k)
{
    static const struct fact_label labels[] = {{"app", "web"}, {"tier", "front"}};
    struct pods_update *update;
    struct pod_fact web = {.uid = WEB,
                           .namespace = "shop",
                           .name = "web-1",
                           .owner_kind = "StatefulSet",
                           .owner = "web",
                           .labels = labels,
                           .label_count = 2};
    struct pod_fact db = {.uid = DB, .namespace = "data", .name = "db-0"};
    struct container_fact container = {
        .id = MAIN, .pod_uid = WEB, .name = "main", .runtime = "containerd"};
    assert_int_equal(pods_begin(k->pods, PODS_CRI, &update), 0);
    struct facts_sink sink = pods_update_sink(update);
    sink.pod(sink.ctx, &web);
    sink.pod(sink.ctx, &db);
    sink.container(sink.ctx, &container);
    assert_int_equal(pods_commit(&update, 1, NULL), 0);
}

/* As tell_program(), in a file of its own. */
static void tell_own_program(struct kit *k, uint32_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/bin/%s", name);
    tell(k->collector,
         &(struct record){.kind = RECORD_FORK, .time = at(0), .pid = pid, .tid = pid});
    tell(k->collector,
         &(struct record){.kind = RECORD_COMM, .pid = pid, .tid = pid, .comm = {name, true}});
    tell(k->collector, &(struct record){.kind = RECORD_MMAP,
                                        .pid = pid,
                                        .tid = pid,
                                        .mmap = {.start = CODE,
                                                 .len = 0x10000,
                                                 .file_offset = 0x1000,
                                                 .inode = 100 + pid,
                                                 .prot = PROT_EXEC,
                                                 .path = path}});
}

static void tell_cgroup_sample(struct kit *k, uint32_t pid, uint64_t cgroup, int64_t ms)
{
    struct record r = {.kind = RECORD_SAMPLE,
                       .time = at(ms),
                       .pid = pid,
                       .tid = pid,
                       .sample = {.ip = CODE + pid,
                                  .user_mode = true,
                                  .has_cgroup = true,
                                  .cgroup = cgroup,
                                  .chain = (const uint64_t[]){PERF_CONTEXT_USER, CODE + pid},
                                  .chain_count = 2}};
    tell(k->collector, &r);
}

static int make_kit(void **state)
{
    static struct kit k;
    void *collector;
    assert_int_equal(collector_kit_make(&collector), 0);
    k = (struct kit){.collector = collector};
    assert_int_equal(pods_new(NULL, &k.pods, NULL), 0);
    tell_pods(&k);
    start(k.collector, 0, -1);
    for (uint32_t i = 0; i < ARRAY_LEN(programs); i++) {
        uint32_t pid = i + 1;
        uint64_t cgroup = programs[i].cgroup ? (1ull << 60) + pid : 0;
        struct record r = {.kind = RECORD_CGROUP, .cgroup = {cgroup, programs[i].cgroup}};
        if (cgroup)
            tell(k.collector, &r);
        tell_own_program(&k, pid, programs[i].name);
        for (int sample = 0; sample <= (int)i; sample++)
            tell_cgroup_sample(&k, pid, cgroup, 10 + sample);
    }
    collector_flush(k.collector->collector, at(4000));
    assert_int_equal(k.collector->window_count, 1);
    *state = &k;
    return 0;
}

static int free_kit(void **state)
{
    struct kit *k = *state;
    void *collector = k->collector;
    pods_free(&k->pods);
    return collector_kit_free(&collector);
}

static void select_pods(struct kit *k, const char *include, const char *exclude)
{
    struct identity *identity = NULL;
    struct selectors *in = NULL, *out = NULL;
    if (include)
        assert_int_equal(selectors_parse(include, &in, NULL), 0);
    if (exclude)
        assert_int_equal(selectors_parse(exclude, &out, NULL), 0);
    struct identity_config config = {.pods = k->pods, .include = in, .exclude = out};
    assert_int_equal(identity_new(&config, &k->collector->counters, &identity, NULL), 0);
    identity_wait(identity, k->collector->windows[0], HUGE_WAIT);
    assert_int_equal(identity_select(identity, k->collector->windows[0], NULL), 0);
    identity_free(&identity);
    selectors_free(&in);
    selectors_free(&out);
}

/* "web mysql ": of whom the batch has samples; and nothing in it is of others. */
static const char *batch_of(struct kit *k)
{
    static char text[500];
    const struct builder_config config = {
        .node = "a-node", .period_ns = 10 * NS_PER_MS, .symbol_bytes = 16 << 20, .pods = k->pods};
    struct builder *builder;
    struct batch b;
    assert_int_equal(
        builder_new(&config, k->collector->objects, &k->collector->counters, &builder, NULL), 0);
    assert_int_equal(builder_build(builder, k->collector->windows[0], &b, NULL), 0);
    text[0] = 0;
    for (uint32_t i = 0; i < b.process_count; i++) {
        strcat(text, b.strings[b.processes[i].name]);
        strcat(text, " ");
    }
    assert_int_equal(b.sample_count, k->collector->windows[0]->samples.count);
    uint64_t samples = 0;
    for (uint32_t i = 0; i < b.sample_count; i++) {
        const char *name = b.strings[b.processes[b.samples[i].process].name];
        const struct batch_frame *f = &b.frames[b.stacks[b.samples[i].stack].frame];
        const char *path = b.strings[b.objects[f->object].path];
        samples += b.samples[i].count;
        /* Each sample still has its own process and stack. */
        assert_string_equal(strrchr(path, '/') + 1, name);
        assert_string_equal(b.strings[b.samples[i].thread], name);
    }
    assert_int_equal(samples, k->collector->windows[0]->sample_count);
    for (uint32_t i = 0; i < ARRAY_LEN(programs); i++) {
        char word[64];
        snprintf(word, sizeof(word), "%s ", programs[i].name);
        for (uint32_t s = 0; s < b.string_count && !strstr(text, word); s++) {
            assert_null(strstr(b.strings[s], programs[i].name));
            assert_true(!programs[i].cgroup || strlen(programs[i].cgroup) < 2 ||
                        !strstr(b.strings[s], programs[i].cgroup));
        }
    }
    /* Pods are told of as they are sampled. */
    assert_int_equal(b.pod_count, !!strstr(text, "web ") + !!strstr(text, "mysql "));
    assert_int_equal(b.container_count, !!strstr(text, "web "));
    assert_int_equal(b.pod_label_count, strstr(text, "web ") ? 2 : 0);
    for (uint32_t i = 0; i < b.pod_count; i++)
        assert_non_null(
            strstr(text, strcmp(b.strings[b.pods[i].uid], WEB) == 0 ? "web " : "mysql "));
    assert_int_equal(b.frame_count, b.process_count);
    assert_int_equal(b.stack_count, b.process_count + 1);
    assert_int_equal(b.object_count, b.process_count + 1);
    builder_free(&builder);
    return text;
}

static void without_selectors_all_is_kept(void **state)
{
    struct kit *k = *state;
    select_pods(k, NULL, "");
    assert_string_equal(batch_of(k), "web mysql new nginx registry loose nowhere kthread ");
    assert_counter(k->collector, samples_excluded, 0);
    assert_counter(k->collector, samples_unidentified, 0);
}

static void only_what_is_included_is_kept(void **state)
{
    struct kit *k = *state;
    select_pods(k, "namespace=shop,pod=web-*", NULL);
    assert_string_equal(batch_of(k), "web ");
    /* mysql, nginx, registry, kthread are surely not meant */
    assert_counter(k->collector, samples_excluded, 2 + 4 + 5 + 8);
    assert_counter(k->collector, samples_unidentified, 3 + 6 + 7);
}

static void what_is_excluded_is_not_kept_nor_what_may_be(void **state)
{
    struct kit *k = *state;
    select_pods(k, NULL, "namespace=shop;pod=none");
    assert_string_equal(batch_of(k), "mysql nginx registry kthread ");
    assert_counter(k->collector, samples_excluded, 1);
    assert_counter(k->collector, samples_unidentified, 3 + 6 + 7);
}

static void a_label_nobody_told_leaves_its_pod_out(void **state)
{
    struct kit *k = *state;
    select_pods(k, NULL, "label.tier=test");
    assert_string_equal(batch_of(k), "web nginx registry kthread ");
    assert_counter(k->collector, samples_excluded, 0);
    assert_counter(k->collector, samples_unidentified, 2 + 3 + 6 + 7);
}

static void exclusion_goes_before_inclusion(void **state)
{
    struct kit *k = *state;
    select_pods(k, "namespace=*", "label.app=web");
    assert_string_equal(batch_of(k), "");
    assert_counter(k->collector, samples_excluded, 1 + 4 + 5 + 8);
    assert_counter(k->collector, samples_unidentified, 2 + 3 + 6 + 7);
}

static void all_processes_of_a_cgroup_are_kept_or_none(void **state)
{
    struct kit *k = *state;
    struct collector_kit *c = k->collector;
    static const uint32_t cgroups[] = {1, 4, 1, 4, 4, 1}; /* web's, nginx's */
    for (uint32_t i = 0; i < ARRAY_LEN(cgroups); i++) {
        tell_own_program(k, 51 + i, "program");
        tell_cgroup_sample(k, 51 + i, (1ull << 60) + cgroups[i], 5000);
    }
    collector_flush(c->collector, at(8000));
    assert_int_equal(c->window_count, 2);
    struct window *first = c->windows[0];
    c->windows[0] = c->windows[1];
    c->windows[1] = first;
    select_pods(k, NULL, "namespace=shop");
    assert_int_equal(c->windows[0]->processes.count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_string_equal(process_of(c->windows[0], i)->cgroup_path, programs[3].cgroup);
    assert_counter(c, samples_excluded, 3);
}

static const char *label(const struct batch *b, uint32_t process, const char *key)
{
    for (uint32_t i = 0; i < b->label_count; i++)
        if (b->labels[i].process == process && strcmp(b->strings[b->labels[i].key], key) == 0)
            return b->strings[b->labels[i].value];
    return "";
}

static void a_process_has_the_names_of_its_pod_as_labels(void **state)
{
    struct kit *k = *state;
    const struct builder_config config = {
        .node = "a-node", .period_ns = 10 * NS_PER_MS, .symbol_bytes = 16 << 20, .pods = k->pods};
    static const struct {
        uint32_t process;
        const char *key, *value;
    } rows[] = {
        {0, "namespace", "shop"},     {0, "pod", "web-1"},
        {0, "container", "main"},     {0, "workload", "StatefulSet/web"},
        {0, "pod_uid", WEB},          {0, "container_id", MAIN},
        {0, "runtime", "containerd"}, {1, "namespace", "data"},
        {1, "pod", "db-0"},           {1, "container", ""},
        {2, "namespace", ""},         {2, "pod_uid", NEW},
        {3, "namespace", ""},         {3, "unit", "nginx.service"},
        {4, "runtime", "docker"},
    };
    struct builder *builder;
    struct batch b;
    assert_int_equal(
        builder_new(&config, k->collector->objects, &k->collector->counters, &builder, NULL), 0);
    assert_int_equal(builder_build(builder, k->collector->windows[0], &b, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(label(&b, rows[i].process, rows[i].key), rows[i].value);
    builder_free(&builder);
}

/* ---- waiting */

struct late_source {
    pthread_mutex_t lock;
    int asked;
};

/* Tells of the new pod from the second time on that it is asked. */
static int late_refresh(void *self, const struct facts_sink *sink, struct err *err)
{
    struct late_source *s = self;
    struct pod_fact pod = {.uid = NEW, .namespace = "shop", .name = "new-1"};
    pthread_mutex_lock(&s->lock);
    int turn = s->asked++;
    pthread_mutex_unlock(&s->lock);
    return turn ? sink->pod(sink->ctx, &pod) : 0;
}

static int asked_of(struct late_source *s)
{
    pthread_mutex_lock(&s->lock);
    int asked = s->asked;
    pthread_mutex_unlock(&s->lock);
    return asked;
}

static void late_free(void *self)
{
}

static void a_pod_unknown_until_then_is_named_in_the_same_window(void **state)
{
    struct kit *k = *state;
    static const struct source_ops ops = {"late", late_refresh, late_free};
    static const struct sources_config when_woken = {.interval_ns = 3600 * SEC, .wake_gap_ns = 1};
    struct late_source late = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct sources *sources;
    struct identity *identity;
    struct pod_names names;
    assert_int_equal(sources_new(&when_woken, k->pods, &sources, NULL), 0);
    assert_int_equal(sources_add(sources, PODS_KUBELET, (struct source){&ops, &late}, NULL), 0);
    struct identity_config config = {.pods = k->pods, .sources = sources};
    assert_int_equal(identity_new(&config, &k->collector->counters, &identity, NULL), 0);
    while (asked_of(&late) == 0)
        sched_yield();
    identity_wait(identity, k->collector->windows[0], HUGE_WAIT);
    assert_int_equal(pods_find(k->pods, "", NEW, &names), 0);
    assert_string_equal(names.pod, "new-1");
    identity_free(&identity);
    sources_stop(&sources);
}

static void what_stays_unknown_is_waited_for_once(void **state)
{
    struct kit *k = *state;
    static const struct source_ops ops = {"late", late_refresh, late_free};
    static const struct sources_config when_woken = {.interval_ns = 3600 * SEC, .wake_gap_ns = 1};
    struct late_source late = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct sources *sources;
    struct identity *identity;
    assert_int_equal(sources_new(&when_woken, k->pods, &sources, NULL), 0);
    assert_int_equal(sources_add(sources, PODS_KUBELET, (struct source){&ops, &late}, NULL), 0);
    struct identity_config config = {.pods = k->pods, .sources = sources};
    assert_int_equal(identity_new(&config, &k->collector->counters, &identity, NULL), 0);
    while (asked_of(&late) == 0)
        sched_yield();
    /* For "registry" and "loose", of whom nobody tells; then comes the second look, and no more. */
    identity_wait(identity, k->collector->windows[0], HUGE_WAIT);
    assert_true(asked_of(&late) >= 2);
    while (asked_of(&late) < 3)
        sched_yield();
    identity_wait(identity, k->collector->windows[0], HUGE_WAIT);
    assert_int_equal(asked_of(&late), 3);
    identity_free(&identity);
    sources_stop(&sources);
}

#define WITH_KIT(test) cmocka_unit_test_setup_teardown(test, make_kit, free_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KIT(without_selectors_all_is_kept),
        WITH_KIT(only_what_is_included_is_kept),
        WITH_KIT(what_is_excluded_is_not_kept_nor_what_may_be),
        WITH_KIT(a_label_nobody_told_leaves_its_pod_out),
        WITH_KIT(exclusion_goes_before_inclusion),
        WITH_KIT(all_processes_of_a_cgroup_are_kept_or_none),
        WITH_KIT(a_process_has_the_names_of_its_pod_as_labels),
        WITH_KIT(a_pod_unknown_until_then_is_named_in_the_same_window),
        WITH_KIT(what_stays_unknown_is_waited_for_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
