/* priority.h: the sampling thread runs before all others, and shares locks with threads that do
 * not.
 */
#pragma once

#include <pthread.h>

/* A lock whose owner runs at the priority of the first who waits for it: without that, a thread
 * that is not let run on a busy machine would hold the sampling thread up, and the rings run over.
 */
void priority_init_lock(pthread_mutex_t *lock);

/* Puts the calling thread before ordinary ones, where allowed: what samples wait for must come soon
 * also on a busy machine. */
void priority_raise_helper(void);

/* Puts the calling thread before all others, where allowed; says so in the log where it is not. */
void priority_raise_sampler(void);
