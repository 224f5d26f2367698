/* test_sources.c: sources are asked in time, and one that hangs or fails holds nobody up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "k8s/pods.h"
#include "k8s/source.h"
#include "k8s/sources.h"

#define HOUR    (3600 * NS_PER_SEC)
#define PATIENT (60 * NS_PER_SEC) /* only a test that fails waits so long */

/* A source that does as the test says. */
struct puppet {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int result;
    const char *uid; /* of the one pod it tells */
    bool hang;       /* until it is false */
    int asked, freed;
};

static int puppet_refresh(void *self, const struct facts_sink *sink, struct err *err)
{
    struct puppet *p = self;
    pthread_mutex_lock(&p->lock);
    p->asked++;
    pthread_cond_broadcast(&p->changed);
    while (p->hang)
        pthread_cond_wait(&p->changed, &p->lock);
    struct pod_fact pod = {.uid = p->uid, .namespace = "shop", .name = p->uid};
    int r = sink->pod(sink->ctx, &pod);
    if (p->result < 0)
        r = err_set(err, p->result, "the puppet was told to fail");
    pthread_mutex_unlock(&p->lock);
    return r;
}

static void puppet_free(void *self)
{
    struct puppet *p = self;
    pthread_mutex_lock(&p->lock);
    p->freed++;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static const struct source_ops puppet_ops = {"puppet", puppet_refresh, puppet_free};

/* Waits until *count is at least `least`. */
static void await(struct puppet *p, const int *count, int least)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENT / NS_PER_SEC;
    int r = 0;
    pthread_mutex_lock(&p->lock);
    while (*count < least && r == 0)
        r = pthread_cond_timedwait(&p->changed, &p->lock, &deadline);
    pthread_mutex_unlock(&p->lock);
    assert_int_equal(r, 0);
}

static void set_result(struct puppet *p, int result, const char *uid)
{
    pthread_mutex_lock(&p->lock);
    p->result = result;
    p->uid = uid;
    pthread_mutex_unlock(&p->lock);
}

static void let_go(struct puppet *p)
{
    pthread_mutex_lock(&p->lock);
    p->hang = false;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

struct kit {
    struct pods *pods;
    struct sources *sources;
    struct puppet one, two;
};

static const struct sources_config only_when_woken = {
    .interval_ns = HOUR, .retry_ns = HOUR, .retry_max_ns = HOUR, .wake_gap_ns = 1};

static void init_puppet(struct puppet *p, const char *uid)
{
    *p = (struct puppet){.uid = uid};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
}

static int make_kit_of(void **state, const struct sources_config *config)
{
    static struct kit k;
    k = (struct kit){0};
    init_puppet(&k.one, "one");
    init_puppet(&k.two, "two");
    *state = &k;
    assert_int_equal(pods_new(NULL, &k.pods, NULL), 0);
    return sources_new(config, k.pods, &k.sources, NULL);
}

static int make_kit(void **state)
{
    return make_kit_of(state, &only_when_woken);
}

static int make_slow_kit(void **state)
{
    return make_kit_of(state, &(struct sources_config){.interval_ns = HOUR, .wake_gap_ns = HOUR});
}

static int make_busy_kit(void **state)
{
    return make_kit_of(state, &(struct sources_config){.interval_ns = 1000, .retry_ns = 1000});
}

static int free_kit(void **state)
{
    struct kit *k = *state;
    sources_stop(&k->sources);
    sources_stop(&k->sources);
    pods_free(&k->pods);
    return 0;
}

static void add(struct kit *k, enum pods_rank rank, struct puppet *p)
{
    struct source source = {&puppet_ops, p};
    assert_int_equal(sources_add(k->sources, rank, source, NULL), 0);
}

static bool never(void *ctx)
{
    return false;
}

static bool two_is_known(void *ctx)
{
    return !pods_lacks(((struct kit *)ctx)->pods, "", "two");
}

static void a_source_is_asked_at_once_and_its_facts_are_known(void **state)
{
    struct kit *k = *state;
    struct source_status status;
    struct pod_names names;
    assert_false(sources_status(k->sources, PODS_CRI, &status));
    add(k, PODS_CRI, &k->one);
    sources_wait(k->sources, PATIENT, never, NULL);
    assert_int_equal(pods_find(k->pods, "", "one", &names), 0);
    assert_string_equal(names.namespace, "shop");
    assert_true(sources_status(k->sources, PODS_CRI, &status));
    assert_string_equal(status.name, "puppet");
    assert_int_equal(status.state, SOURCE_OK);
    assert_string_equal(source_state_word(status.state), "ok");
    assert_int_equal(status.counts.pods, 1);
    assert_string_equal(status.error, "");
    assert_true(status.age_ns >= 0);
    assert_true(status.answers >= 1);
    sources_stop(&k->sources);
    assert_int_equal(k->one.freed, 1);
}

static void a_wait_is_for_an_answer_to_a_question_asked_since(void **state)
{
    struct kit *k = *state;
    add(k, PODS_CRI, &k->one);
    sources_wait(k->sources, PATIENT, never, NULL);
    set_result(&k->one, 0, "late");
    sources_wait(k->sources, PATIENT, never, NULL);
    assert_false(pods_lacks(k->pods, "", "late"));
}

static void a_source_that_hangs_holds_up_no_other_and_no_wait(void **state)
{
    struct kit *k = *state;
    struct source_status status;
    k->one.hang = true;
    add(k, PODS_KUBELET, &k->one);
    await(&k->one, &k->one.asked, 1);
    add(k, PODS_CRI, &k->two);
    sources_wait(k->sources, PATIENT, two_is_known, k);
    assert_false(pods_lacks(k->pods, "", "two"));
    sources_wait(k->sources, NS_PER_MS, never, NULL); /* comes back */
    assert_true(sources_status(k->sources, PODS_KUBELET, &status));
    assert_int_equal(status.state, SOURCE_STARTING);
    assert_int_equal(status.age_ns, -1);
    let_go(&k->one);
}

static void a_source_that_hangs_does_not_hold_up_the_end(void **state)
{
    struct kit *k = *state;
    k->one.hang = true;
    add(k, PODS_KUBELET, &k->one);
    add(k, PODS_CRI, &k->two);
    await(&k->one, &k->one.asked, 1);
    sources_stop(&k->sources);         /* while it still hangs */
    assert_int_equal(k->two.freed, 0); /* freed with the last of them */
    pods_free(&k->pods);
    let_go(&k->one);
    await(&k->one, &k->one.freed, 1);
    await(&k->two, &k->two.freed, 1);
}

static void a_source_that_fails_keeps_its_facts_and_says_why(void **state)
{
    struct kit *k = *state;
    struct source_status status;
    add(k, PODS_CRI, &k->one);
    sources_wait(k->sources, PATIENT, never, NULL);
    set_result(&k->one, -EACCES, "half-told");
    sources_wait(k->sources, PATIENT, never, NULL);
    assert_true(sources_status(k->sources, PODS_CRI, &status));
    assert_int_equal(status.state, SOURCE_FAILING);
    assert_string_equal(status.error, "the puppet was told to fail");
    assert_int_equal(status.failures, 1);
    assert_int_equal(status.counts.pods, 1);
    assert_false(pods_lacks(k->pods, "", "one"));
    assert_true(pods_lacks(k->pods, "", "half-told"));
}

static void a_source_that_fails_is_neither_waited_for_nor_woken(void **state)
{
    struct kit *k = *state;
    k->one.result = -EIO;
    add(k, PODS_KUBELET, &k->one);
    add(k, PODS_CRI, &k->two);
    sources_wait(k->sources, PATIENT, never, NULL); /* the first failure ends waiting for it */
    for (int i = 0; i < 3; i++)
        sources_wait(k->sources, PATIENT, never, NULL);
    assert_true(k->two.asked >= 4);
    sources_stop(&k->sources);
    assert_int_equal(k->one.asked, 1);
}

static void a_source_that_is_nowhere_has_not_failed(void **state)
{
    struct kit *k = *state;
    struct source_status status;
    k->one.result = -ENOENT;
    add(k, PODS_DOCKER, &k->one);
    sources_wait(k->sources, PATIENT, never, NULL);
    assert_true(sources_status(k->sources, PODS_DOCKER, &status));
    assert_int_equal(status.state, SOURCE_NOT_FOUND);
    assert_int_equal(status.failures, 0);
    assert_int_equal(status.answers, 0);
}

static void a_source_is_asked_again_and_again_by_itself(void **state)
{
    struct kit *k = *state;
    k->two.result = -EIO;
    add(k, PODS_CRI, &k->one);
    add(k, PODS_DOCKER, &k->two);
    await(&k->one, &k->one.asked, 5);
    await(&k->two, &k->two.asked, 5);
}

static void a_source_that_is_woken_has_a_second_look(void **state)
{
    struct kit *k = *state;
    add(k, PODS_CRI, &k->one);
    await(&k->one, &k->one.asked, 1);
    sources_wake(k->sources);
    await(&k->one, &k->one.asked, 3);
}

static bool note_wait(void *ctx)
{
    *(bool *)ctx = true;
    return true;
}

static void a_source_that_may_not_be_asked_in_time_is_not_waited_for(void **state)
{
    struct kit *k = *state;
    bool waited = false;
    add(k, PODS_CRI, &k->one);
    sources_wait(k->sources, PATIENT, never, NULL);
    sources_wait(k->sources, PATIENT, note_wait, &waited);
    assert_false(waited);
    assert_int_equal(k->one.asked, 1);
    sources_wait(k->sources, 2 * HOUR, note_wait, &waited);
    assert_true(waited);
}

static void a_wait_ends_when_it_is_enough(void **state)
{
    struct kit *k = *state;
    add(k, PODS_CRI, &k->two);
    sources_wait(k->sources, PATIENT, never, NULL);
    k->one.hang = true;
    add(k, PODS_KUBELET, &k->one);
    sources_wait(k->sources, PATIENT, two_is_known, k);
    let_go(&k->one);
}

static void without_sources_nobody_waits(void **state)
{
    struct kit *k = *state;
    sources_wake(k->sources);
    sources_wait(k->sources, HOUR, never, NULL);
}

#define WITH_KIT(test)      cmocka_unit_test_setup_teardown(test, make_kit, free_kit)
#define WITH_SLOW_KIT(test) cmocka_unit_test_setup_teardown(test, make_slow_kit, free_kit)
#define WITH_BUSY_KIT(test) cmocka_unit_test_setup_teardown(test, make_busy_kit, free_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KIT(a_source_is_asked_at_once_and_its_facts_are_known),
        WITH_KIT(a_wait_is_for_an_answer_to_a_question_asked_since),
        WITH_KIT(a_source_that_hangs_holds_up_no_other_and_no_wait),
        WITH_KIT(a_source_that_hangs_does_not_hold_up_the_end),
        WITH_KIT(a_source_that_fails_keeps_its_facts_and_says_why),
        WITH_KIT(a_source_that_fails_is_neither_waited_for_nor_woken),
        WITH_KIT(a_source_that_is_nowhere_has_not_failed),
        WITH_BUSY_KIT(a_source_is_asked_again_and_again_by_itself),
        WITH_KIT(a_source_that_is_woken_has_a_second_look),
        WITH_SLOW_KIT(a_source_that_may_not_be_asked_in_time_is_not_waited_for),
        WITH_KIT(a_wait_ends_when_it_is_enough),
        WITH_KIT(without_sources_nobody_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
