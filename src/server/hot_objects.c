/* hot_objects.c: takes batches, gives the object whose debug file would tell most. See
 * hot_objects.h. */
#include "server/hot_objects.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "wire/batch.h"

#define HALF_LIFE_NS (3600 * NS_PER_SEC)

struct entry {
    struct hot_object object; /* as of `at_ns` */
    int64_t at_ns;
    int64_t put_off_ns;
};

struct hot_objects {
    pthread_mutex_t lock;
    struct entry entries[HOT_OBJECTS_MAX];
    size_t count;
};

int hot_objects_new(struct hot_objects **ret, struct err *err)
{
    struct hot_objects *h = calloc(1, sizeof(*h));
    if (!h)
        return err_errno(err, -ENOMEM, "counting objects");
    pthread_mutex_init(&h->lock, NULL);
    *ret = h;
    return 0;
}

void hot_objects_free(struct hot_objects **objects)
{
    if (!*objects)
        return;
    pthread_mutex_destroy(&(*objects)->lock);
    free(TAKE_PTR(*objects));
}

/* Halved each hour, in a straight line in between. */
static double heat(const struct entry *e, int64_t now_ns)
{
    int64_t age_ns = now_ns > e->at_ns ? now_ns - e->at_ns : 0;
    double samples = e->object.samples;
    for (; age_ns >= HALF_LIFE_NS && samples > 0.001; age_ns -= HALF_LIFE_NS)
        samples /= 2;
    if (age_ns >= HALF_LIFE_NS)
        return 0;
    return samples * (1 - (double)age_ns / (2.0 * (double)HALF_LIFE_NS));
}

static struct entry *find(struct hot_objects *h, const uint8_t *id, size_t len)
{
    for (size_t i = 0; i < h->count; i++) {
        struct hot_object *o = &h->entries[i].object;
        if (o->build_id_len == len && memcmp(o->build_id, id, len) == 0)
            return &h->entries[i];
    }
    return NULL;
}

/* A place for another one: the coldest one's if there is no more. */
static struct entry *make_room(struct hot_objects *h, int64_t now_ns)
{
    if (h->count < HOT_OBJECTS_MAX)
        return &h->entries[h->count++];
    struct entry *coldest = &h->entries[0];
    for (size_t i = 1; i < h->count; i++)
        if (heat(&h->entries[i], now_ns) < heat(coldest, now_ns))
            coldest = &h->entries[i];
    return coldest;
}

void hot_objects_add(struct hot_objects *h, const uint8_t *id, size_t len, double samples,
                     int64_t now_ns)
{
    if (len == 0 || len > ELF_BUILD_ID_MAX)
        return;
    pthread_mutex_lock(&h->lock);
    struct entry *e = find(h, id, len);
    if (e) {
        e->object.samples = heat(e, now_ns) + samples;
        e->at_ns = now_ns;
    } else {
        e = make_room(h, now_ns);
        *e = (struct entry){.object = {.build_id_len = (uint8_t)len, .samples = samples},
                            .at_ns = now_ns};
        memcpy(e->object.build_id, id, len);
    }
    pthread_mutex_unlock(&h->lock);
}

/* The same frames as symbols_may_tell(), before they are stored. */
static bool may_tell_more(const struct batch *b, const struct batch_frame *f)
{
    const struct batch_object *o = &b->objects[f->object];
    bool is_known = f->name && (!(o->flags & OBJECT_EXACT) || f->file);
    return f->kind == FRAME_USER && o->kind == OBJECT_ELF && o->build_id_len &&
           !(o->flags & OBJECT_FILE_OFFSETS) && !is_known;
}

/* Samples at each node of the tree of stacks and above it: parents' rows come before their
 * children's. */
static void add_up(const struct batch *b, uint64_t *samples)
{
    for (uint32_t i = 0; i < b->sample_count; i++)
        samples[b->samples[i].stack] += b->samples[i].count;
    for (uint32_t i = b->stack_count; i-- > 1;)
        samples[b->stacks[i].parent] += samples[i];
}

void hot_objects_add_batch(struct hot_objects *h, const struct batch *b, int64_t now_ns)
{
    _cleanup_free_ uint64_t *samples = calloc(b->stack_count + 1, sizeof(*samples));
    _cleanup_free_ uint64_t *of_object = calloc(b->object_count + 1, sizeof(*of_object));
    if (!samples || !of_object)
        return; /* a hint less */
    add_up(b, samples);
    for (uint32_t i = 1; i < b->stack_count; i++) {
        const struct batch_frame *f = &b->frames[b->stacks[i].frame];
        if (may_tell_more(b, f))
            of_object[f->object] += samples[i];
    }
    for (uint32_t i = 0; i < b->object_count; i++)
        if (of_object[i])
            hot_objects_add(h, b->objects[i].build_id, b->objects[i].build_id_len,
                            (double)of_object[i], now_ns);
}

bool hot_objects_find(struct hot_objects *h, int64_t now_ns, struct hot_object *ret)
{
    const struct entry *hottest = NULL;
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < h->count; i++) {
        const struct entry *e = &h->entries[i];
        if (e->put_off_ns <= now_ns && (!hottest || heat(e, now_ns) > heat(hottest, now_ns)))
            hottest = e;
    }
    if (hottest) {
        *ret = hottest->object;
        ret->samples = heat(hottest, now_ns);
    }
    pthread_mutex_unlock(&h->lock);
    return hottest;
}

void hot_objects_put_off(struct hot_objects *h, const struct hot_object *object, int64_t until_ns)
{
    pthread_mutex_lock(&h->lock);
    struct entry *e = find(h, object->build_id, object->build_id_len);
    if (e)
        e->put_off_ns = until_ns;
    pthread_mutex_unlock(&h->lock);
}
