/* replay_memory.c: takes pieces of processes' memory, gives them back. See replay_memory.h. */
#include "agent/replay_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define BYTES_MAX ((size_t)256 << 20)

struct key {
    uint64_t pid, address;
};

struct piece {
    struct key key;
    UT_hash_handle hh;
    size_t len;
    uint8_t bytes[];
};

struct replay_memory {
    struct piece *by_key;
    size_t bytes;
};

static struct piece *find(const struct replay_memory *m, uint64_t pid, uint64_t address)
{
    struct key key = {pid, address};
    struct piece *p = NULL;
    if (m)
        HASH_FIND(hh, m->by_key, &key, sizeof(key), p);
    return p;
}

static void drop(struct replay_memory *m, struct piece *p)
{
    HASH_DEL(m->by_key, p);
    m->bytes -= p->len;
    free(p);
}

int replay_memory_put(struct replay_memory **memory, uint64_t pid, uint64_t address,
                      const void *bytes, size_t len)
{
    if (!*memory && !(*memory = calloc(1, sizeof(**memory))))
        return -ENOMEM;
    struct replay_memory *m = *memory;
    struct piece *p = find(m, pid, address);
    if (p)
        drop(m, p);
    if (len > BYTES_MAX - m->bytes)
        return 0;
    if (!(p = malloc(sizeof(*p) + len)))
        return -ENOMEM;
    p->key = (struct key){pid, address};
    p->len = len;
    memcpy(p->bytes, bytes, len);
    HASH_ADD(hh, m->by_key, key, sizeof(p->key), p);
    m->bytes += len;
    return 0;
}

size_t replay_memory_get(const struct replay_memory *memory, uint64_t pid, uint64_t address,
                         void *to, size_t len)
{
    const struct piece *p = find(memory, pid, address);
    size_t n = p && p->len < len ? p->len : len;
    if (!p)
        return 0;
    memcpy(to, p->bytes, n);
    return n;
}

void replay_memory_free(struct replay_memory **memory)
{
    struct replay_memory *m = *memory;
    if (!m)
        return;
    struct piece *p, *next;
    HASH_ITER (hh, m->by_key, p, next)
        drop(m, p);
    free(m);
    *memory = NULL;
}
