/* lock.h: locks that threads of different priorities share: in podflamed the sampling thread runs
 * before all others. */
#pragma once

#include <pthread.h>

/* A lock whose owner runs at the priority of the first who waits for it: without that, a thread
 * that is not let run on a busy machine would hold the sampling thread up, and the rings run over.
 */
static inline void lock_init(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
}
