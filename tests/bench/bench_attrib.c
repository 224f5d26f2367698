/* bench_attrib.c: what it costs to tell whose samples are: of each sample its cgroup, of each
 * process of a window its pod's names, and every half minute kubelet's whole answer; beside reading
 * /proc/PID/cgroup for it, and beside jq on the same answer.
 *   bench_attrib KUBELET_PODS.json   a kubelet's answer, of which a pod is copied PODS times */
#include <fcntl.h>
#include <jansson.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroups.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "k8s/cgroup.h"
#include "k8s/kubelet.h"
#include "k8s/pods.h"

#define PODS       250u
#define CONTAINERS 4u /* of each */
#define ROUNDS     9u
#define SAMPLES    6000000u /* looked up a round */
#define PROCESSES  200000u  /* named a round */
#define READS      20000u   /* of /proc a round */

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "bench_attrib: %s: %s\n", what, err ? err->text : "failed");
    exit(1);
}

static int compare(const void *va, const void *vb)
{
    const double *a = va, *b = vb;
    return *a < *b ? -1 : *a > *b;
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof(*values), compare);
    return values[ROUNDS / 2];
}

/* ---- kubelet's answer */

static void name_uid(uint32_t pod, char ret[40])
{
    snprintf(ret, 40, "%08x-1111-4222-8333-44445555aaaa", pod);
}

static void name_container(uint32_t pod, uint32_t container, char ret[65])
{
    snprintf(ret, 65, "%032x%032x", pod + 1, container + 1);
}

/* As many container statuses as asked for, made of those that are there. */
static void multiply_containers(json_t *pod, uint32_t number)
{
    json_t *status = json_object_get(pod, "status");
    json_t *from = json_object_get(status, "containerStatuses"), *to = json_array();
    for (uint32_t i = 0; i < CONTAINERS; i++) {
        char id[65], text[80], name[32];
        json_t *c = json_deep_copy(json_array_get(from, i % json_array_size(from)));
        name_container(number, i, id);
        snprintf(text, sizeof(text), "containerd://%s", id);
        snprintf(name, sizeof(name), "container-%u", i);
        json_object_set_new(c, "containerID", json_string(text));
        json_object_set_new(c, "name", json_string(name));
        json_array_append_new(to, c);
    }
    json_object_set_new(status, "containerStatuses", to);
    json_object_del(status, "initContainerStatuses");
}

/* The largest pod has most of what pods have. */
static json_t *pick_pod(json_t *list)
{
    json_t *pod, *best = NULL;
    size_t i, most = 0;
    json_array_foreach(json_object_get(list, "items"), i, pod)
    {
        size_t size = json_dumpb(pod, NULL, 0, JSON_COMPACT);
        if (size > most) {
            most = size;
            best = pod;
        }
    }
    return best;
}

static char *make_answer(const char *file)
{
    json_error_t error;
    json_t *list = json_load_file(file, 0, &error), *items = json_array();
    json_t *pod = list ? pick_pod(list) : NULL;
    if (!pod)
        die(file, NULL);
    for (uint32_t i = 0; i < PODS; i++) {
        char uid[40], name[64];
        json_t *copy = json_deep_copy(pod), *meta = json_object_get(copy, "metadata");
        name_uid(i, uid);
        snprintf(name, sizeof(name), "web-6f9968b487-%05x", i);
        json_object_set_new(meta, "uid", json_string(uid));
        json_object_set_new(meta, "name", json_string(name));
        multiply_containers(copy, i);
        json_array_append_new(items, copy);
    }
    json_object_set_new(list, "items", items);
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

/* ---- a refresh */

static void refresh(struct pods *pods, const char *answer, size_t len)
{
    struct err err = {0};
    struct pods_update *update;
    struct pods_counts counts;
    if (pods_begin(pods, PODS_KUBELET, &update) < 0)
        die("an update", NULL);
    struct facts_sink sink = pods_update_sink(update);
    if (kubelet_parse_pods(answer, len, &sink, &err) < 0)
        die("the answer", &err);
    if (pods_commit(&update, clock_ns(CLOCK_MONOTONIC), &counts) < 0 || counts.pods != PODS ||
        counts.containers != PODS * CONTAINERS)
        die("the table lacks pods", NULL);
}

static size_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* VmRSS, VmHWM ... */
static size_t status_kib(const char *key)
{
    char line[256];
    size_t kib = 0, len = strlen(key);
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, key, len) == 0 && line[len] == ':')
            kib = strtoul(line + len + 1, NULL, 10);
    if (f)
        fclose(f);
    return kib;
}

/* The peak counts from here on (proc(5), clear_refs). */
static void reset_peak(void)
{
    _cleanup_close_ int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "5", 1) != 1)
        die("/proc/self/clear_refs", NULL);
}

static double bench_refresh(struct pods *pods, const char *answer)
{
    double ms[ROUNDS];
    size_t len = strlen(answer), before = heap_bytes();
    malloc_trim(0);
    size_t rss = status_kib("VmRSS");
    reset_peak();
    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        refresh(pods, answer, len);
        ms[i] = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / 1e6;
    }
    double m = median(ms);
    printf(
        "refresh: %u pods with %u containers each, %zu KiB of JSON: %.1f ms of CPU, %.3f %% of one "
        "CPU at 30 s; the table holds %zu KiB, all refreshes took %zu KiB at their peak\n",
        PODS, CONTAINERS, len >> 10, m, m / 300, (heap_bytes() - before) >> 10,
        status_kib("VmHWM") - rss);
    return m;
}

/* CPU time of jq that picks the same fields; 0 without jq. */
static double bench_jq(const char *answer)
{
    char name[] = "/tmp/bench_attrib.XXXXXX";
    _cleanup_close_ int fd = mkstemp(name);
    double ms[ROUNDS];
    if (fd < 0 || write(fd, answer, strlen(answer)) != (ssize_t)strlen(answer))
        die(name, NULL);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct rusage usage;
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
            dup2(null, STDOUT_FILENO);
            execlp("jq", "jq", "-c",
                   ".items[] | [.metadata.uid, .metadata.namespace, .metadata.name, "
                   ".metadata.labels, .metadata.ownerReferences[0].name, .status.phase, "
                   ".status.podIP, [.status.containerStatuses[] | [.containerID, .name, .image, "
                   ".restartCount]]]",
                   name, (char *)NULL);
            _exit(127);
        }
        if (wait4(pid, &status, 0, &usage) != pid || status != 0)
            return unlink(name), 0;
        ms[i] = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
                (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
    }
    unlink(name);
    return median(ms);
}

/* ---- samples and processes */

static void make_path(uint32_t container, char ret[CGROUP_PATH_MAX])
{
    char uid[40], id[65];
    name_uid(container / CONTAINERS, uid);
    name_container(container / CONTAINERS, container % CONTAINERS, id);
    for (char *c = uid; *c; c++)
        *c = *c == '-' ? '_' : *c;
    snprintf(ret, CGROUP_PATH_MAX,
             "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod%s.slice/"
             "cri-containerd-%s.scope",
             uid, id);
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Of each sample: the id that the kernel stamped on it, to the path. */
static double bench_samples(struct cgroups *cgroups)
{
    double ns[ROUNDS];
    uint64_t state = 1;
    size_t sum = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        for (uint32_t k = 0; k < SAMPLES; k++)
            sum += (size_t)cgroups_path(cgroups,
                                        1000000 + next_random(&state) % (PODS * CONTAINERS), 0)[1];
        ns[i] = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / SAMPLES;
    }
    if (sum == 0)
        die("no cgroup was found", NULL);
    return median(ns);
}

/* Of each process of a window: from its path to its names. */
static double bench_processes(struct pods *pods)
{
    double ns[ROUNDS];
    uint64_t state = 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        for (uint32_t k = 0; k < PROCESSES; k++) {
            char path[CGROUP_PATH_MAX];
            struct cgroup_id id;
            struct pod_names names;
            make_path(next_random(&state) % (PODS * CONTAINERS), path);
            cgroup_parse_path(path, strlen(path), &id);
            if (pods_find(pods, id.container_id, id.pod_uid, &names) < 0 || !names.container[0] ||
                strcmp(names.workload, "Deployment/web") != 0)
                die("a container has no names", NULL);
        }
        ns[i] = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / PROCESSES;
    }
    return median(ns);
}

/* What it would be without the kernel's stamp, if each sample asked. */
static double bench_proc(struct cgroups *cgroups)
{
    double ns[ROUNDS];
    _cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        for (uint32_t k = 0; k < READS; k++)
            cgroups_of_process(cgroups, proc, getpid());
        ns[i] = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / READS;
    }
    return median(ns);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct pods *pods = NULL;
    struct cgroups *cgroups = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: bench_attrib KUBELET_PODS.json\n");
        return 2;
    }
    char *answer = make_answer(argv[1]);
    if (pods_new(NULL, &pods, &err) < 0 || cgroups_new(&cgroups, &err) < 0)
        die("starting", &err);
    for (uint32_t i = 0; i < PODS * CONTAINERS; i++) {
        char path[CGROUP_PATH_MAX];
        make_path(i, path);
        if (cgroups_add(cgroups, 1000000 + i, path) < 0)
            die("a cgroup", NULL);
    }
    double ours = bench_refresh(pods, answer), jq = bench_jq(answer);
    if (jq > 0)
        printf("refresh: jq takes %.1f ms for the same fields, %.1f times as much\n", jq,
               jq / ours);
    else
        printf("refresh: jq is not installed\n");
    double sample = bench_samples(cgroups), process = bench_processes(pods);
    double proc = bench_proc(cgroups);
    printf("sample: %.0f ns for its cgroup among %u; reading /proc/PID/cgroup instead %.0f ns, "
           "%.0f times as much\n",
           sample, PODS * CONTAINERS, proc, proc / sample);
    printf("process: %.0f ns from its cgroup to its names, once a window; of 6,000 samples of 200 "
           "processes that is %.0f ns a sample, all in %.0f ns\n",
           process, process * 200 / 6000, sample + process * 200 / 6000);
    pods_free(&pods);
    cgroups_free(&cgroups);
    free(answer);
    return 0;
}
