/* pool.c: takes jobs, runs each on one of its threads, first come first served. See pool.h. */
#include "server/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/err.h"

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct pool_job *first, **last;
    size_t waiting, max_waiting;
    bool closing;
    unsigned thread_count;
    pthread_t threads[];
};

static struct pool_job *take_job(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->first && !pool->closing)
        pthread_cond_wait(&pool->wake, &pool->lock);
    struct pool_job *job = pool->first;
    if (job) {
        pool->first = job->next;
        if (!pool->first)
            pool->last = &pool->first;
        pool->waiting--;
    }
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void *run_jobs(void *arg)
{
    struct pool_job *job;
    while ((job = take_job(arg)))
        job->run(job);
    return NULL;
}

int pool_push(struct pool *pool, struct pool_job *job)
{
    int r = 0;
    pthread_mutex_lock(&pool->lock);
    if (pool->closing || pool->waiting >= pool->max_waiting) {
        r = -EAGAIN;
    } else {
        job->next = NULL;
        *pool->last = job;
        pool->last = &job->next;
        pool->waiting++;
        pthread_cond_signal(&pool->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    return r;
}

void pool_stop(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (; pool->thread_count > 0; pool->thread_count--)
        pthread_join(pool->threads[pool->thread_count - 1], NULL);
}

void pool_free(struct pool **pool)
{
    struct pool *p = TAKE_PTR(*pool);
    if (!p)
        return;
    pool_stop(p);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

int pool_new(const char *name, unsigned threads, size_t max_waiting, struct pool **ret,
             struct err *err)
{
    struct pool *pool = calloc(1, sizeof(*pool) + threads * sizeof(pool->threads[0]));
    if (!pool)
        return err_errno(err, -ENOMEM, "starting the threads for %s", name);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->last = &pool->first;
    pool->max_waiting = max_waiting;
    for (; pool->thread_count < threads; pool->thread_count++) {
        int r = pthread_create(&pool->threads[pool->thread_count], NULL, run_jobs, pool);
        if (r != 0) {
            pool_free(&pool);
            return err_errno(err, -r, "starting a thread for %s", name);
        }
        pthread_setname_np(pool->threads[pool->thread_count], name);
    }
    *ret = pool;
    return 0;
}
