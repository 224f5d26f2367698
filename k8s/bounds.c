/* bounds.c: takes facts as a source has them, gives those that are within bounds. See bounds.h. */
#include "k8s/bounds.h"

#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"

#define UID_MAX       64u
#define ID_MAX        128u
#define LABEL_KEY_MAX 317u /* a DNS name of 253, a slash, a name of 63 */

/* No text at all is fine: the source does not say. */
static const char *text(struct bounds *b, const char *from, size_t max)
{
    if (!from || !*from)
        return NULL;
    size_t len = strnlen(from, max + 1);
    for (size_t i = 0; i < len && len <= max; i++)
        if (from[i] < ' ' || from[i] > '~')
            len = max + 1;
    if (len <= max)
        return from;
    b->dropped++;
    return NULL;
}

/* As `text`, but a word: what stands in paths and between slashes. */
static const char *word(struct bounds *b, const char *from, size_t max, const char *also)
{
    const char *kept = text(b, from, max);
    for (const char *p = kept; p && *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr(also, *p)) {
            b->dropped++;
            return NULL;
        }
    return kept;
}

int bounds_give_pod(struct bounds *b, const struct pod_fact *pod)
{
    struct fact_label labels[FACT_LABELS_MAX];
    struct pod_fact kept = *pod;
    kept.uid = word(b, pod->uid, UID_MAX, "-");
    kept.namespace = word(b, pod->namespace, FACT_NAME_MAX, "-._");
    kept.name = word(b, pod->name, FACT_NAME_MAX, "-._");
    if (!kept.uid || !kept.namespace || !kept.name) {
        b->dropped++;
        return 0;
    }
    kept.node = text(b, pod->node, FACT_NAME_MAX);
    kept.ip = text(b, pod->ip, FACT_NAME_MAX);
    kept.phase = text(b, pod->phase, FACT_NAME_MAX);
    kept.owner_kind = text(b, pod->owner_kind, FACT_NAME_MAX);
    kept.owner = text(b, pod->owner, FACT_NAME_MAX);
    if (!kept.owner_kind || !kept.owner)
        kept.owner_kind = kept.owner = NULL;
    kept.labels = labels;
    kept.label_count = 0;
    for (size_t i = 0; i < pod->label_count; i++) {
        struct fact_label label = {.key = text(b, pod->labels[i].key, LABEL_KEY_MAX)};
        const char *value = pod->labels[i].value;
        label.value = value && !*value ? "" : text(b, value, FACT_NAME_MAX);
        if (label.key && label.value && kept.label_count < FACT_LABELS_MAX)
            labels[kept.label_count++] = label;
        else if (label.key && label.value)
            b->dropped++;
    }
    return b->to->pod(b->to->ctx, &kept);
}

int bounds_give_container(struct bounds *b, const struct container_fact *container)
{
    struct container_fact kept = *container;
    kept.id = word(b, container->id, ID_MAX, "-._");
    if (!kept.id) {
        b->dropped++;
        return 0;
    }
    kept.pod_uid = word(b, container->pod_uid, UID_MAX, "-");
    kept.name = text(b, container->name, FACT_NAME_MAX);
    kept.image = text(b, container->image, FACT_TEXT_MAX);
    kept.reason = text(b, container->reason, FACT_TEXT_MAX);
    kept.runtime = text(b, container->runtime, FACT_NAME_MAX);
    return b->to->container(b->to->ctx, &kept);
}

void bounds_end(struct bounds *b)
{
    if (b->dropped && b->to->dropped)
        b->to->dropped(b->to->ctx, b->dropped);
    b->dropped = 0;
}

const char *bounds_split_id(const char *id, char runtime[16])
{
    const char *scheme_end = strstr(id, "://");
    runtime[0] = 0;
    if (!scheme_end)
        return NULL;
    size_t len = (size_t)(scheme_end - id);
    if (len == 5 && memcmp(id, "cri-o", 5) == 0)
        strcpy(runtime, "crio");
    else if (len < 16) {
        memcpy(runtime, id, len);
        runtime[len] = 0;
    }
    return scheme_end + 3;
}
