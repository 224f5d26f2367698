/* hold.c: takes samples, gives them back later. See hold.h. */
#include "agent/hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/process.h"
#include "agent/record.h"
#include "base/buf.h"
#include "base/err.h"

/* In the buffer: this, the callchain, the registers, the stack filled up to 8 bytes. */
struct held {
    struct record record; /* its pointers are set again on release */
    size_t registers;
    struct process *process; /* kept */
    char thread[PROCESS_COMM_MAX];
};

struct hold {
    struct processes *processes;
    struct buf bytes;
    size_t max_bytes;
};

int hold_new(size_t max_bytes, struct processes *processes, struct hold **ret, struct err *err)
{
    struct hold *h = calloc(1, sizeof(*h));
    if (!h)
        return err_errno(err, -ENOMEM, "room for samples that wait");
    h->max_bytes = max_bytes;
    h->processes = processes;
    *ret = h;
    return 0;
}

static void forget(void *ctx, const struct record *record, struct process *process,
                   const char *thread)
{
}

void hold_free(struct hold **hold)
{
    if (!*hold)
        return;
    hold_release(*hold, forget, NULL);
    buf_free(&(*hold)->bytes);
    free(*hold);
    *hold = NULL;
}

static size_t padded(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

int hold_put(struct hold *hold, const struct record *record, size_t registers,
             const struct process *process, const char *thread)
{
    const struct record_sample *s = &record->sample;
    struct held held = {.record = *record, .registers = s->regs ? registers : 0};
    size_t size = sizeof(held) + (s->chain_count + held.registers) * 8 + padded(s->stack_len);
    if (hold->bytes.len + size > hold->max_bytes)
        return -ENOSPC;
    int r = buf_reserve(&hold->bytes, size);
    if (r < 0)
        return r;
    held.process = processes_keep(hold->processes, process);
    if (!held.process)
        return -ENOMEM;
    memcpy(held.thread, thread, strnlen(thread, sizeof(held.thread) - 1));
    static const uint8_t zeros[8];
    buf_append(&hold->bytes, &held, sizeof(held));
    if (s->chain_count)
        buf_append(&hold->bytes, s->chain, s->chain_count * 8);
    if (held.registers)
        buf_append(&hold->bytes, s->regs, held.registers * 8);
    if (s->stack_len)
        buf_append(&hold->bytes, s->stack, s->stack_len);
    buf_append(&hold->bytes, zeros, padded(s->stack_len) - s->stack_len);
    return 0;
}

uint64_t hold_oldest(const struct hold *hold)
{
    return hold->bytes.len ? ((const struct held *)hold->bytes.data)->record.time : 0;
}

void hold_release(struct hold *hold,
                  void (*fn)(void *ctx, const struct record *record, struct process *process,
                             const char *thread),
                  void *ctx)
{
    /* What is put again meanwhile waits for the next release. */
    struct buf bytes = hold->bytes;
    hold->bytes = (struct buf){0};
    uint8_t *at = bytes.data;
    while (bytes.len && at < bytes.data + bytes.len) {
        struct held *held = (struct held *)at;
        struct record record = held->record;
        struct record_sample *s = &record.sample;
        at += sizeof(*held);
        s->chain = (const uint64_t *)at;
        at += s->chain_count * 8;
        s->regs = held->registers ? (const uint64_t *)at : NULL;
        at += held->registers * 8;
        s->stack = s->stack_len ? at : NULL;
        at += padded(s->stack_len);
        fn(ctx, &record, held->process, held->thread);
        processes_let_go(hold->processes, &held->process);
    }
    buf_free(&bytes);
}
