/* test_selector.c: which pods a selector means, and when that cannot be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "k8s/facts.h"
#include "k8s/selector.h"

static const struct fact_label labels[] = {
    {"app", "web"}, {"app.kubernetes.io/name", "shop"}, {"empty", ""}};
static const struct pod_fact web = {
    .namespace = "shop", .name = "web-7d9c8b6f5-x2x4k", .labels = labels, .label_count = 3};
static const struct pod_fact bare = {
    .namespace = "shop", .name = "bare", .labels = labels, .label_count = 0};
/* As log directories tell it. */
static const struct pod_fact unlabelled = {.namespace = "shop", .name = "web-7d9c8b6f5-x2x4k"};
static const struct pod_fact nameless = {.labels = labels, .label_count = 3};

static enum selectors_match match(const char *text, const struct pod_fact *pod)
{
    _cleanup_(selectors_free) struct selectors *s = NULL;
    struct err err = {0};
    if (selectors_parse(text, &s, &err) < 0)
        fail_msg("%s", err.text);
    return selectors_match(s, pod);
}

static void a_pod_is_meant_if_all_terms_of_one_selector_hold(void **state)
{
    static const struct {
        const char *text;
        const struct pod_fact *pod;
        enum selectors_match match;
    } rows[] = {
        {"namespace=shop", &web, SELECTORS_YES},
        {"namespace=sho", &web, SELECTORS_NO},
        {"namespace=shop2", &web, SELECTORS_NO},
        {"namespace=shop,pod=web-*", &web, SELECTORS_YES},
        {"namespace=data,pod=web-*", &web, SELECTORS_NO},
        {"namespace=shop,pod=db-*", &web, SELECTORS_NO},
        {"namespace=data;pod=web-*", &web, SELECTORS_YES},
        {"namespace=data;pod=db-*", &web, SELECTORS_NO},
        {" namespace = shop , pod = web-* ; ", &web, SELECTORS_YES},
        {"label.app=web", &web, SELECTORS_YES},
        {"label.app=w?b", &web, SELECTORS_YES},
        {"label.app=db", &web, SELECTORS_NO},
        {"label.app.kubernetes.io/name=shop", &web, SELECTORS_YES},
        {"label.tier=*", &web, SELECTORS_NO},
        {"label.empty=", &web, SELECTORS_YES},
        {"label.empty=*", &web, SELECTORS_YES},
        {"label.app=", &web, SELECTORS_NO},
        {"label.app=*", &bare, SELECTORS_NO},
        {"", &web, SELECTORS_NO},
        {";;", &web, SELECTORS_NO},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (match(rows[i].text, rows[i].pod) != rows[i].match)
            fail_msg("\"%s\"", rows[i].text);
}

static void what_is_not_known_leaves_it_open_unless_it_does_not_matter(void **state)
{
    static const struct {
        const char *text;
        const struct pod_fact *pod; /* NULL: nothing is known of it */
        enum selectors_match match;
    } rows[] = {
        {"namespace=shop", NULL, SELECTORS_UNKNOWN},
        {"label.app=web", NULL, SELECTORS_UNKNOWN},
        {"", NULL, SELECTORS_NO},
        {"label.app=web", &unlabelled, SELECTORS_UNKNOWN},
        {"label.app=*", &unlabelled, SELECTORS_UNKNOWN},
        {"namespace=data,label.app=web", &unlabelled, SELECTORS_NO},
        {"label.app=web,namespace=data", &unlabelled, SELECTORS_NO},
        {"namespace=shop,label.app=web", &unlabelled, SELECTORS_UNKNOWN},
        {"label.app=web,namespace=shop", &unlabelled, SELECTORS_UNKNOWN},
        {"label.app=web;namespace=shop", &unlabelled, SELECTORS_YES},
        {"label.app=web;namespace=data", &unlabelled, SELECTORS_UNKNOWN},
        {"namespace=data;label.app=web;pod=db", &unlabelled, SELECTORS_UNKNOWN},
        {"namespace=shop", &nameless, SELECTORS_UNKNOWN},
        {"pod=web,label.app=db", &nameless, SELECTORS_NO},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (match(rows[i].text, rows[i].pod) != rows[i].match)
            fail_msg("\"%s\"", rows[i].text);
}

static void globs_match_the_whole_text(void **state)
{
    static const struct {
        const char *glob, *text;
        int matches;
    } rows[] = {
        {"*", "", 1},
        {"*", "abc", 1},
        {"a*", "abc", 1},
        {"*c", "abc", 1},
        {"a*c", "abc", 1},
        {"a*c", "ac", 1},
        {"a*c", "abcd", 0},
        {"?", "", 0},
        {"??", "a", 0},
        {"a?c", "abc", 1},
        {"***", "x", 1},
        {"a**b", "ab", 1},
        {"*ab", "aab", 1},
        {"*ab*cd", "abxabcd", 1},
        {"*ab*cd", "abxcdx", 0},
        {"web", "web-1", 0},
        {"web-?", "web-1", 1},
        {"[a]", "a", 0},
        {"\\*", "x", 0},
        {"*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[100] = "label.x=";
        struct fact_label label = {"x", rows[i].text};
        struct pod_fact pod = {.labels = &label, .label_count = 1};
        strcat(text, rows[i].glob);
        if (match(text, &pod) != (rows[i].matches ? SELECTORS_YES : SELECTORS_NO))
            fail_msg("%s on \"%s\"", rows[i].glob, rows[i].text);
    }
}

static void a_text_that_is_no_selector_is_refused_with_the_term(void **state)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"shop", "\"shop\" has no '='"},
        {"namespace=a,shop", "\"shop\" has no '='"},
        {"ns=shop", "\"ns=shop\""},
        {"namespace=", "\"namespace=\""},
        {"pod= ;namespace=a", "\"pod=\""},
        {"label.=x", "\"label.=x\""},
        {"label=x", "\"label=x\""},
        {"namespace=a,", "\"\" has no '='"},
        {"namespace=a,,pod=b", "\"\" has no"},
        {"=x", "\"=x\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct selectors *untouched = NULL;
        struct err err = {0};
        assert_int_equal(selectors_parse(rows[i].text, &untouched, &err), -EINVAL);
        assert_null(untouched);
        if (!strstr(err.text, rows[i].shown))
            fail_msg("\"%s\" gives: %s", rows[i].text, err.text);
    }
}

static void selectors_without_any_are_empty(void **state)
{
    static const struct {
        const char *text;
        bool empty;
    } rows[] = {{"", true}, {" ; ", true}, {"pod=x", false}};
    assert_true(selectors_are_empty(NULL));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(selectors_free) struct selectors *s = NULL;
        assert_int_equal(selectors_parse(rows[i].text, &s, NULL), 0);
        assert_int_equal(selectors_are_empty(s), rows[i].empty);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_is_meant_if_all_terms_of_one_selector_hold),
        cmocka_unit_test(what_is_not_known_leaves_it_open_unless_it_does_not_matter),
        cmocka_unit_test(globs_match_the_whole_text),
        cmocka_unit_test(a_text_that_is_no_selector_is_refused_with_the_term),
        cmocka_unit_test(selectors_without_any_are_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
