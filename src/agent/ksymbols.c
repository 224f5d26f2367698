/* ksymbols.c: takes the kernel's news of code that comes and goes, gives the name of what is at an
 * address. See ksymbols.h. */
#include "agent/ksymbols.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/record.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/lock.h"

#define SYMBOLS_MAX 4096u

/* Samples are named at the end of their window, by which time the code may be gone. */
#define GONE_KEPT_NS (600 * NS_PER_SEC)

struct symbol {
    uint64_t start, end;
    uint64_t gone; /* when, in records' time; 0: it is there */
    uint16_t type;
    char *name;
};

struct ksymbols {
    pthread_mutex_t lock;
    struct symbol symbols[SYMBOLS_MAX]; /* in the order they came */
    uint32_t count;
};

int ksymbols_new(struct ksymbols **ret, struct err *err)
{
    struct ksymbols *k = calloc(1, sizeof(*k));
    if (!k)
        return err_errno(err, -ENOMEM, "the table of the kernel's own symbols");
    lock_init(&k->lock);
    *ret = k;
    return 0;
}

void ksymbols_free(struct ksymbols **symbols)
{
    struct ksymbols *k = *symbols;
    if (!k)
        return;
    for (uint32_t i = 0; i < k->count; i++)
        free(k->symbols[i].name);
    pthread_mutex_destroy(&k->lock);
    free(k);
    *symbols = NULL;
}

static void drop(struct ksymbols *k, uint32_t i)
{
    free(k->symbols[i].name);
    k->count--;
    memmove(&k->symbols[i], &k->symbols[i + 1], (k->count - i) * sizeof(*k->symbols));
}

static void drop_old(struct ksymbols *k, uint64_t now)
{
    for (uint32_t i = k->count; i-- > 0;)
        if (k->symbols[i].gone && now - k->symbols[i].gone > GONE_KEPT_NS)
            drop(k, i);
    if (k->count == SYMBOLS_MAX)
        drop(k, 0);
}

/* What stood where something new stands now is gone, also if nobody said so. */
static void end_overlapped(struct ksymbols *k, uint64_t start, uint64_t end, uint64_t now)
{
    for (uint32_t i = 0; i < k->count; i++) {
        struct symbol *s = &k->symbols[i];
        if (!s->gone && s->start < end && start < s->end)
            s->gone = now;
    }
}

int ksymbols_apply(struct ksymbols *k, const struct record *record)
{
    uint64_t start = record->ksymbol.address, end = start + record->ksymbol.len;
    if (end <= start)
        return 0;
    int r = 0;
    pthread_mutex_lock(&k->lock);
    drop_old(k, record->time);
    end_overlapped(k, start, end, record->time);
    if (!record->ksymbol.gone) {
        char *name = strndup(record->ksymbol.name, KSYMBOL_NAME_MAX - 1);
        if (name)
            k->symbols[k->count++] = (struct symbol){start, end, 0, record->ksymbol.type, name};
        else
            r = -ENOMEM;
    }
    pthread_mutex_unlock(&k->lock);
    return r;
}

enum ksymbol_result ksymbols_find(struct ksymbols *k, uint64_t address, struct ksymbol *ret)
{
    const struct symbol *found = NULL;
    enum ksymbol_result result = KSYMBOL_NONE;
    pthread_mutex_lock(&k->lock);
    for (uint32_t i = 0; i < k->count; i++) {
        const struct symbol *s = &k->symbols[i];
        if (address < s->start || address >= s->end)
            continue;
        /* A program that is loaded again is mostly the same one, at the same place. */
        result = found && strcmp(found->name, s->name) != 0 ? KSYMBOL_UNSURE : KSYMBOL_FOUND;
        if (result == KSYMBOL_UNSURE)
            break;
        found = s;
    }
    if (result == KSYMBOL_FOUND) {
        strcpy(ret->name, found->name);
        ret->module = found->type == PERF_RECORD_KSYMBOL_TYPE_BPF ? "bpf" : "kernel";
    }
    pthread_mutex_unlock(&k->lock);
    return result;
}
