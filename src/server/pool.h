/* pool.h: threads that do one kind of work, and a queue of bounded length before them. */
#pragma once

#include <stddef.h>

struct err;
struct pool;

/* Lies in what the work is about; the pool does not own it. */
struct pool_job {
    struct pool_job *next;
    void (*run)(struct pool_job *job);
};

/* `name` is the threads' (15 bytes). */
int pool_new(const char *name, unsigned threads, size_t max_waiting, struct pool **ret,
             struct err *err);

/* -EAGAIN: too many wait already, or the pool was stopped. From any thread. */
int pool_push(struct pool *pool, struct pool_job *job);

/* Takes no more jobs, and waits until all that were pushed have been run. */
void pool_stop(struct pool *pool);

/* Stops it first. */
void pool_free(struct pool **pool);
