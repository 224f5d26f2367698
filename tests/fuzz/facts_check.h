/* facts_check.h: a sink that holds every fact against the bounds of k8s/facts.h. */
#pragma once

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "k8s/facts.h"

static inline void check_text(const char *text, size_t max, int may_be_empty)
{
    if (!text)
        return;
    size_t len = strlen(text);
    assert(len <= max && (len > 0 || may_be_empty));
    for (size_t i = 0; i < len; i++)
        assert(isprint((unsigned char)text[i]));
}

static inline int check_pod(void *ctx, const struct pod_fact *pod)
{
    assert(pod->uid && pod->namespace && pod->name && !pod->owner == !pod->owner_kind);
    check_text(pod->uid, FACT_NAME_MAX, 0);
    check_text(pod->namespace, FACT_NAME_MAX, 0);
    check_text(pod->name, FACT_NAME_MAX, 0);
    check_text(pod->node, FACT_NAME_MAX, 0);
    check_text(pod->ip, FACT_NAME_MAX, 0);
    check_text(pod->phase, FACT_NAME_MAX, 0);
    check_text(pod->owner, FACT_NAME_MAX, 0);
    check_text(pod->owner_kind, FACT_NAME_MAX, 0);
    assert(!strchr(pod->namespace, '/') && !strchr(pod->name, '/'));
    assert(pod->label_count <= FACT_LABELS_MAX);
    for (size_t i = 0; i < pod->label_count; i++) {
        assert(pod->labels[i].key && pod->labels[i].value);
        check_text(pod->labels[i].key, FACT_NAME_MAX + 64, 0);
        check_text(pod->labels[i].value, FACT_NAME_MAX, 1);
    }
    return 0;
}

static inline int check_container(void *ctx, const struct container_fact *c)
{
    assert(c->id && c->kind <= CONTAINER_SANDBOX && c->state <= CONTAINER_EXITED);
    check_text(c->id, FACT_NAME_MAX, 0);
    check_text(c->pod_uid, FACT_NAME_MAX, 0);
    check_text(c->name, FACT_NAME_MAX, 0);
    check_text(c->image, FACT_TEXT_MAX, 0);
    check_text(c->reason, FACT_TEXT_MAX, 0);
    check_text(c->runtime, FACT_NAME_MAX, 0);
    return 0;
}

static const struct facts_sink check_sink = {.pod = check_pod, .container = check_container};
