/* test_query.c: what may stand behind the question mark. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/query.h"

#define NOW_MS 1795363200123LL

static void parse(const char *text, enum query_kind kind, struct query *ret)
{
    struct err err = {0};
    if (query_parse(text, kind, NOW_MS, ret, &err) != 0)
        fail_msg("%s: %s", text, err.text);
}

static void assert_refused(const char *text, enum query_kind kind, const char *because)
{
    struct err err = {0};
    struct query query = {.max_nodes = 77};
    if (query_parse(text, kind, NOW_MS, &query, &err) != -EINVAL)
        fail_msg("\"%s\" was taken", text);
    if (!strstr(err.text, because))
        fail_msg("\"%s\" gave \"%s\", which does not say \"%s\"", text, err.text, because);
    assert_int_equal(query.max_nodes, 77);
}

static void without_parameters_it_is_the_last_five_minutes_by_process(void **state)
{
    static const char *const nothing[] = {NULL, "", "&", "&&"};
    for (size_t i = 0; i < ARRAY_LEN(nothing); i++) {
        _cleanup_(query_free) struct query q = {0};
        parse(nothing[i], QUERY_FLAME, &q);
        assert_int_equal(q.store.start_ms, NOW_MS - 300000);
        assert_int_equal(q.store.end_ms, NOW_MS);
        assert_int_equal(q.store.filter_count, 0);
        assert_int_equal(q.store.group_count, 1);
        assert_string_equal(q.store.groups[0], "process");
        assert_int_equal(q.format, QUERY_JSON);
        assert_int_equal(q.max_nodes, QUERY_DEFAULT_NODES);
        assert_false(q.by_line || q.short_names);
    }
}

static void every_parameter_is_read(void **state)
{
    _cleanup_(query_free) struct query q = {0};
    parse("start=-1h&end=now-30m&node=n1&process=a+b%26c&process=%C3%BC&pid=7&cpu=0&"
          "app.kubernetes.io/name=cart&group=node,process,app-x&format=folded&max_nodes=4000000&"
          "lines=true&names=short",
          QUERY_FLAME, &q);
    static const struct store_label filters[] = {
        {"node", "n1"}, {"process", "a b&c"}, {"process", "ü"},
        {"pid", "7"},   {"cpu", "0"},         {"app.kubernetes.io/name", "cart"},
    };
    static const char *const groups[] = {"node", "process", "app-x"};
    assert_int_equal(q.store.start_ms, NOW_MS - 3600000);
    assert_int_equal(q.store.end_ms, NOW_MS - 1800000);
    assert_int_equal(q.store.filter_count, ARRAY_LEN(filters));
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        assert_string_equal(q.store.filters[i].key, filters[i].key);
        assert_string_equal(q.store.filters[i].value, filters[i].value);
    }
    assert_int_equal(q.store.group_count, ARRAY_LEN(groups));
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        assert_string_equal(q.store.groups[i], groups[i]);
    assert_int_equal(q.format, QUERY_FOLDED);
    assert_int_equal(q.max_nodes, 4000000);
    assert_true(q.by_line && q.short_names);
}

static void an_empty_filter_does_not_filter_and_an_empty_group_groups_by_nothing(void **state)
{
    _cleanup_(query_free) struct query q = {0};
    parse("node=&process&pid=&namespace=&group=", QUERY_FLAME, &q);
    assert_int_equal(q.store.filter_count, 0);
    assert_int_equal(q.store.group_count, 0);
}

static void short_labels_near_a_parameter_are_labels(void **state)
{
    _cleanup_(query_free) struct query q = {0};
    parse("pod=a&uid=b&gpu=c&mode=d&name=e&line=f", QUERY_SAMPLES, &q);
    assert_int_equal(q.store.filter_count, 6);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text;
        const char *because;
    } cases[] = {
        {"start=yesterday", "parameter start: 'yesterday' is no time; write now"},
        {"end=", "parameter end: '' is no time"},
        {"start=now", "not before end"},
        {"start=-401d", "400 days"},
        {"start=-5m&start=-6m", "parameter start: it is there twice"},
        {"group=a&group=b", "parameter group: it is there twice"},
        {"format=xml", "'xml' is no format; json and folded are"},
        {"lines=yes", "'yes' is neither true nor false"},
        {"names=long", "'long' is neither full nor short"},
        {"max_nodes=0", "from 1 to 4000000"},
        {"max_nodes=4000001", "from 1 to 4000000"},
        {"max_nodes=-1", "'-1' is not a number"},
        {"max_nodes=18446744073709551617", "is not a number"},
        {"pid=x", "parameter pid: 'x' is not a number"},
        {"cpu=4294967296", "parameter cpu: '4294967296' is not a number"},
        {"proces=x", "is process meant?"},
        {"prcoess=x", "is process meant?"},
        {"threads=x", "is thread meant?"},
        {"xtart=x", "is start meant?"},
        {"namespaces=x", "is namespace meant?"},
        {"group=cgruop", "is cgroup meant?"},
        {"Node=x", "'Node' is no label"},
        {"9a=x", "is no label"},
        {"=x", "'' is no label"},
        {"a%20b=x", "is no label"},
        {"group=a,,b", "'' is no label"},
        {"group=a,", "'' is no label"},
        {"group=a,b,a", "'a' is there twice"},
        {"group=a,b,c,d,e,f,g,h,i", "more than 8"},
        {"node=%", "broken % escape"},
        {"node=%4", "broken % escape"},
        {"node=%zz", "broken % escape"},
        {"node=a%00b", "a NUL byte"},
        {"node=%ff", "not UTF-8"},
        {"%c3%28=1", "not UTF-8"},
        {"a=1&a=2&a=3&a=4&a=5&a=6&a=7&a=8&a=9&a=1&a=2&a=3&a=4&a=5&a=6&a=7&a=8", "more than 16"},
        {"a234567890123456789012345678901234567890123456789012345678901234x=1", "64 bytes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i].text, QUERY_FLAME, cases[i].because);
}

static void long_values_and_long_queries_are_refused(void **state)
{
    char text[QUERY_MAX_TEXT + 2];
    memset(text, 'x', sizeof(text));
    memcpy(text, "node=", 5);
    text[5 + QUERY_MAX_VALUE] = 0;
    _cleanup_(query_free) struct query q = {0};
    parse(text, QUERY_FLAME, &q);
    text[5 + QUERY_MAX_VALUE] = 'x';
    text[5 + QUERY_MAX_VALUE + 1] = 0;
    assert_refused(text, QUERY_FLAME, "1024 bytes");
    memset(text, '&', sizeof(text));
    text[QUERY_MAX_TEXT + 1] = 0;
    assert_refused(text, QUERY_FLAME, "32768 bytes");
}

static void a_path_takes_its_own_parameters_only(void **state)
{
    assert_refused("group=process", QUERY_SAMPLES, "this path does not take it");
    assert_refused("format=json", QUERY_SAMPLES, "this path does not take it");
    assert_refused("start=-5m", QUERY_NOTHING, "takes no parameters");
    assert_refused("process=a", QUERY_NODES, "this path does not take it");
    assert_refused("namespace=a", QUERY_NODES, "this path does not take it");
    assert_refused("pod=a", QUERY_PODS, "this path does not take it");
    assert_refused("process=a", QUERY_PODS, "this path does not take it");
    _cleanup_(query_free) struct query q = {0};
    parse("start=-5m&node=a", QUERY_SAMPLES, &q);
    assert_int_equal(q.store.group_count, 0);
    query_free(&q);
    parse("namespace=a&namespace=b&node=c", QUERY_PODS, &q);
    assert_int_equal(q.store.filter_count, 3);
}

static void a_node_is_asked_for_by_name_or_when_none_is(void **state)
{
    static const struct {
        const char *text;
        bool a, b, c;
    } cases[] = {
        {"", true, true, true},
        {"node=a", true, false, false},
        {"node=a&node=c", true, false, true},
        {"process=a", true, true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(query_free) struct query q = {0};
        parse(cases[i].text, QUERY_SAMPLES, &q);
        assert_int_equal(query_takes_node(&q.store, "a"), cases[i].a);
        assert_int_equal(query_takes_node(&q.store, "b"), cases[i].b);
        assert_int_equal(query_takes_node(&q.store, "c"), cases[i].c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_parameters_it_is_the_last_five_minutes_by_process),
        cmocka_unit_test(every_parameter_is_read),
        cmocka_unit_test(an_empty_filter_does_not_filter_and_an_empty_group_groups_by_nothing),
        cmocka_unit_test(short_labels_near_a_parameter_are_labels),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(long_values_and_long_queries_are_refused),
        cmocka_unit_test(a_path_takes_its_own_parameters_only),
        cmocka_unit_test(a_node_is_asked_for_by_name_or_when_none_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
