/* known_names.c: takes what was found out of addresses, gives it again. See known_names.h. */
#include "server/known_names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "symbol/chains.h"

struct known_names {
    struct known_object *objects; /* the least recently used first */
    size_t max_bytes;
    size_t bytes; /* of all objects when they were last settled */
};

static size_t object_bytes(const struct known_object *o)
{
    return sizeof(*o) + chains_bytes(o->chains) + (o->passing ? chains_bytes(o->passing) : 0);
}

static void free_object(struct known_object *o)
{
    chains_free(&o->chains);
    chains_free(&o->passing);
    free(o);
}

int known_names_new(size_t max_bytes, struct known_names **ret)
{
    struct known_names *n = calloc(1, sizeof(*n));
    if (!n)
        return -ENOMEM;
    n->max_bytes = max_bytes;
    *ret = n;
    return 0;
}

void known_names_free(struct known_names **names)
{
    struct known_object *o, *next;
    if (!*names)
        return;
    HASH_ITER (hh, (*names)->objects, o, next) {
        HASH_DEL((*names)->objects, o);
        free_object(o);
    }
    free(TAKE_PTR(*names));
}

size_t known_names_bytes(const struct known_names *names)
{
    return names->bytes;
}

/* The table keeps the order in which objects were added: adding again makes one the youngest. */
static bool add_last(struct known_names *n, struct known_object *o)
{
    HASH_ADD(hh, n->objects, key, sizeof(o->key), o);
    return o->hh.tbl != NULL;
}

struct known_object *known_names_find(struct known_names *n, const struct known_key *key)
{
    struct known_object *o = NULL;
    HASH_FIND(hh, n->objects, key, sizeof(*key), o);
    if (!o || !o->hh.next)
        return o;
    HASH_DEL(n->objects, o);
    if (add_last(n, o))
        return o;
    free_object(o);
    return NULL;
}

struct known_object *known_names_add(struct known_names *n, const struct known_key *key)
{
    struct known_object *o = known_names_find(n, key);
    if (o)
        return o;
    o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    o->key = *key;
    if (chains_new(&o->chains) == 0 && add_last(n, o))
        return o;
    free_object(o);
    return NULL;
}

int known_object_clear(struct known_object *o)
{
    struct chains *empty;
    int r = chains_new(&empty);
    if (r < 0)
        return r;
    chains_free(&o->chains);
    chains_free(&o->passing);
    o->chains = empty;
    return 0;
}

void known_names_expire(struct known_names *n)
{
    for (struct known_object *o = n->objects; o; o = o->hh.next)
        o->look_again_ns = 0;
}

void known_names_settle(struct known_names *n, const struct known_object *but)
{
    struct known_object *o, *next;
    n->bytes = 0;
    for (o = n->objects; o; o = o->hh.next)
        n->bytes += object_bytes(o);
    HASH_ITER (hh, n->objects, o, next) {
        if (n->bytes <= n->max_bytes)
            return;
        if (o == but)
            continue;
        n->bytes -= object_bytes(o);
        HASH_DEL(n->objects, o);
        free_object(o);
    }
}
