/* facts_kit.c: see facts_kit.h. */
#include "facts_kit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"

static void put(struct buf *text, const char *key, const char *value)
{
    if (value)
        assert_int_equal(buf_printf(text, " %s=%s", key, value), 0);
}

/* Seconds suffice to tell them apart; those the clock of a test made are left to it. */
static void put_time(struct buf *text, int64_t ns)
{
    if (ns)
        assert_int_equal(buf_printf(text, " started=%lld", ns / NS_PER_SEC), 0);
}

/* Runtimes written in Go give maps in any order. */
static int compare_labels(const void *a, const void *b)
{
    return strcmp(((const struct fact_label *)a)->key, ((const struct fact_label *)b)->key);
}

static int take_pod(void *ctx, const struct pod_fact *pod)
{
    struct facts_kit *kit = ctx;
    struct buf *text = &kit->text;
    kit->pods++;
    assert_int_equal(buf_printf(text, "pod %s %s/%s", pod->uid, pod->namespace, pod->name), 0);
    put(text, "node", pod->node);
    put(text, "ip", pod->ip);
    put(text, "phase", pod->phase);
    if (pod->owner)
        assert_int_equal(buf_printf(text, " owner=%s/%s", pod->owner_kind, pod->owner), 0);
    put_time(text, pod->started_ns);
    assert_true(pod->label_count <= FACT_LABELS_MAX);
    struct fact_label labels[FACT_LABELS_MAX];
    if (pod->label_count)
        memcpy(labels, pod->labels, pod->label_count * sizeof(*labels));
    qsort(labels, pod->label_count, sizeof(*labels), compare_labels);
    for (size_t i = 0; i < pod->label_count; i++)
        put(text, labels[i].key, labels[i].value);
    assert_int_equal(buf_printf(text, "\n"), 0);
    return kit->answer;
}

static int take_container(void *ctx, const struct container_fact *c)
{
    static const char *const kinds[] = {"app", "init", "ephemeral", "sandbox"};
    static const char *const states[] = {"unknown", "created", "running", "waiting", "exited"};
    struct facts_kit *kit = ctx;
    struct buf *text = &kit->text;
    kit->containers++;
    assert_int_equal(buf_printf(text, "container %s", c->id), 0);
    put(text, "pod", c->pod_uid);
    put(text, "name", c->name);
    assert_int_equal(
        buf_printf(text, " %s %s restarts=%u", kinds[c->kind], states[c->state], c->restarts), 0);
    put_time(text, c->started_ns);
    put(text, "image", c->image);
    put(text, "reason", c->reason);
    put(text, "runtime", c->runtime);
    assert_int_equal(buf_printf(text, "\n"), 0);
    return kit->answer;
}

static void count_dropped(void *ctx, uint64_t texts)
{
    struct facts_kit *kit = ctx;
    kit->dropped += texts;
}

void facts_kit_init(struct facts_kit *kit)
{
    *kit = (struct facts_kit){
        .sink = {.pod = take_pod, .container = take_container, .dropped = count_dropped}};
    kit->sink.ctx = kit;
    assert_int_equal(buf_printf(&kit->text, "%s", ""), 0);
}

void facts_kit_free(struct facts_kit *kit)
{
    buf_free(&kit->text);
}

void facts_kit_has(const struct facts_kit *kit, const char *line)
{
    const char *text = kit->text.len ? (const char *)kit->text.data : "", *at = text;
    size_t len = strlen(line);
    while ((at = strstr(at, line)) && !((at == text || at[-1] == '\n') && at[len] == '\n'))
        at++;
    if (!at)
        fail_msg("no line\n%s\nin\n%s", line, text);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines in order, each from its own allocation. */
static size_t sort_lines(const struct buf *text, char *lines[], size_t max)
{
    size_t count = 0;
    for (size_t at = 0; at < text->len; count++) {
        const char *line = (const char *)text->data + at;
        size_t len = (size_t)((char *)memchr(line, '\n', text->len - at) - line);
        assert_true(count < max);
        lines[count] = strndup(line, len);
        at += len + 1;
    }
    qsort(lines, count, sizeof(*lines), compare_lines);
    return count;
}

void facts_kit_equals(const struct facts_kit *kit, const char *golden)
{
    struct buf file = {0};
    char *got[256], *wanted[256];
    bool same = true;
    golden_read(golden, &file);
    size_t got_count = sort_lines(&kit->text, got, 256);
    size_t wanted_count = sort_lines(&file, wanted, 256);
    for (size_t i = 0; i < got_count || i < wanted_count; i++) {
        const char *left = i < got_count ? got[i] : "(nothing)";
        const char *right = i < wanted_count ? wanted[i] : "(nothing)";
        same = same && strcmp(left, right) == 0;
        if (strcmp(left, right) != 0)
            print_error("got    %s\n%s %s\n", left, golden, right);
    }
    for (size_t i = 0; i < got_count; i++)
        free(got[i]);
    for (size_t i = 0; i < wanted_count; i++)
        free(wanted[i]);
    buf_free(&file);
    assert_true(same);
}

void golden_read(const char *name, struct buf *buf)
{
    char path[PATH_MAX];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof(path), "%s/tests/golden/k8s/%s", top ? top : ".", name);
    assert_int_equal(fs_read_at(AT_FDCWD, path, 1u << 20, buf, NULL), 0);
}

void assert_words(const struct err *err, const char *words)
{
    if (!strstr(err->text, words))
        fail_msg("no \"%s\" in: %s", words, err->text);
}
