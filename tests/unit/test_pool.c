/* test_pool.c: jobs are run, each once, and no more wait than may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/cleanup.h"
#include "server/pool.h"

struct counted {
    struct pool_job job;
    atomic_int runs;
    pthread_barrier_t *meet; /* NULL: does not wait */
};

static void count(struct pool_job *job)
{
    struct counted *counted = (struct counted *)job;
    if (counted->meet) {
        pthread_barrier_wait(counted->meet); /* it has begun */
        pthread_barrier_wait(counted->meet); /* it may end */
    }
    atomic_fetch_add(&counted->runs, 1);
}

static void every_job_is_run_once_before_the_pool_is_gone(void **state)
{
    static struct counted jobs[1000];
    struct pool *pool = NULL;
    assert_int_equal(pool_new("test", 4, ARRAY_LEN(jobs), &pool, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        jobs[i].job.run = count;
        assert_int_equal(pool_push(pool, &jobs[i].job), 0);
    }
    pool_free(&pool);
    assert_null(pool);
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
        assert_int_equal(atomic_load(&jobs[i].runs), 1);
}

static void more_than_may_wait_are_refused(void **state)
{
    pthread_barrier_t meet;
    struct counted busy = {.job = {.run = count}, .meet = &meet};
    struct counted waiting[2] = {{.job = {.run = count}}, {.job = {.run = count}}};
    struct counted refused = {.job = {.run = count}};
    struct pool *pool = NULL;
    pthread_barrier_init(&meet, NULL, 2);
    assert_int_equal(pool_new("test", 1, 2, &pool, NULL), 0);
    assert_int_equal(pool_push(pool, &busy.job), 0);
    pthread_barrier_wait(&meet);
    assert_int_equal(pool_push(pool, &waiting[0].job), 0);
    assert_int_equal(pool_push(pool, &waiting[1].job), 0);
    assert_int_equal(pool_push(pool, &refused.job), -EAGAIN);
    pthread_barrier_wait(&meet);
    pool_stop(pool);
    assert_int_equal(pool_push(pool, &refused.job), -EAGAIN);
    pool_free(&pool);
    assert_int_equal(atomic_load(&waiting[1].runs), 1);
    assert_int_equal(atomic_load(&refused.runs), 0);
    pthread_barrier_destroy(&meet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_is_run_once_before_the_pool_is_gone),
        cmocka_unit_test(more_than_may_wait_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
