/* test_cli.c: functions are added up over a flamegraph; and what an answer says is never trusted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/hot.h"
#include "cli/table.h"

/*  all 10 ─ a 8 ─┬ b 5 ─ a 3 ─ b 1
 *                └ c 2
 *         ─ c 2 (of another object) */
static const char recursive[] =
    "{\"names\":[\"all\",\"a\",\"b\",\"c\"],\"objects\":[\"\",\"/bin/x\",\"/lib/y\"],"
    "\"nodes\":{\"depth\":[0,1,2,3,4,2,1],\"name\":[0,1,2,1,2,3,3],\"object\":[0,1,1,1,1,1,2],"
    "\"kind\":[0,1,1,1,1,1,1],\"self\":[0,1,2,2,1,2,2],\"total\":[10,8,5,3,1,2,2]}}";

static int count(const char *text, struct hot_function **hot, size_t *n, json_t **json,
                 struct err *err)
{
    *json = json_loads(text, 0, NULL);
    assert_non_null(*json);
    return hot_functions(*json, hot, n, err);
}

static void a_function_that_calls_itself_counts_once_in_total(void **state)
{
    static const struct hot_function want[] = {
        {"a", "/bin/x", 1, 3, 8},
        {"b", "/bin/x", 1, 3, 5},
        {"c", "/bin/x", 1, 2, 2},
        {"c", "/lib/y", 1, 2, 2},
    };
    _cleanup_free_ struct hot_function *hot = NULL;
    _cleanup_json_ json_t *json = NULL;
    size_t n = 0;
    struct err err;
    if (count(recursive, &hot, &n, &json, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(n, ARRAY_LEN(want));
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(hot[i].name, want[i].name);
        assert_string_equal(hot[i].object, want[i].object);
        assert_int_equal(hot[i].self, want[i].self);
        assert_int_equal(hot[i].total, want[i].total);
    }
}

/* Two lines of one function, and the same line in another file. */
static const char lines[] =
    "{\"names\":[\"all\",\"f(int)\"],\"short\":{\"name\":[1],\"text\":[\"f\"]},"
    "\"objects\":[\"\"],\"files\":[\"\",\"a.c\",\"b.c\"],\"nodes\":{\"depth\":[0,1,1,1],"
    "\"name\":[0,1,1,1],\"object\":[0,0,0,0],\"file\":[0,1,1,2],\"line\":[0,7,9,7],"
    "\"kind\":[0,1,1,1],\"self\":[0,4,2,1],\"total\":[7,4,2,1]}}";

static void lines_of_a_function_are_told_apart(void **state)
{
    static const struct hot_function want[] = {{.file = "a.c", .line = 7, .self = 4},
                                               {.file = "a.c", .line = 9, .self = 2},
                                               {.file = "b.c", .line = 7, .self = 1}};
    _cleanup_free_ struct hot_function *hot = NULL;
    _cleanup_json_ json_t *json = NULL;
    size_t n = 0;
    struct err err;
    if (count(lines, &hot, &n, &json, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(n, ARRAY_LEN(want));
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(hot[i].name, "f(int)");
        assert_string_equal(hot[i].short_name, "f");
        assert_string_equal(hot[i].file, want[i].file);
        assert_int_equal(hot[i].line, want[i].line);
        assert_int_equal(hot[i].self, want[i].self);
    }
}

static void an_empty_flamegraph_has_no_functions(void **state)
{
    _cleanup_free_ struct hot_function *hot = NULL;
    _cleanup_json_ json_t *json = NULL;
    size_t n = 7;
    assert_int_equal(count("{\"names\":[\"all\"],\"objects\":[\"\"],\"nodes\":{\"depth\":[0],"
                           "\"name\":[0],\"object\":[0],\"kind\":[0],\"self\":[0],\"total\":[0]}}",
                           &hot, &n, &json, NULL),
                     0);
    assert_int_equal(n, 0);
}

/* The answer with one piece replaced. */
static void assert_malformed_of(const char *answer, const char *piece, const char *by)
{
    char text[sizeof(recursive) + sizeof(lines)];
    const char *at = strstr(answer, piece);
    assert_non_null(at);
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - answer), answer, by, at + strlen(piece));
    _cleanup_free_ struct hot_function *hot = NULL;
    _cleanup_json_ json_t *json = NULL;
    size_t n;
    struct err err = {0};
    assert_int_equal(count(text, &hot, &n, &json, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "the server's answer"));
}

static void assert_malformed(const char *piece, const char *by)
{
    assert_malformed_of(recursive, piece, by);
}

static void a_malformed_answer_is_refused(void **state)
{
    assert_malformed_of(lines, "\"file\":[0,1,1,2]", "\"file\":[0,1,1,3]");
    assert_malformed_of(lines, "\"file\":[0,1,1,2]", "\"file\":[0,1,1]");
    assert_malformed_of(lines, "\"files\"", "\"flies\"");
    assert_malformed_of(lines, "\"line\":[0,7,9,7]", "\"line\":[0,7,9,4294967296]");
    assert_malformed_of(lines, "\"short\":{\"name\":[1]", "\"short\":{\"name\":[2]");
    assert_malformed("\"names\"", "\"name\"");
    assert_malformed("\"self\"", "\"selves\"");
    assert_malformed("[0,1,2,3,4,2,1]", "[0,1,2,3,4,2]");
    assert_malformed("[0,1,2,3,4,2,1]", "[0,1,3,3,4,2,1]");
    assert_malformed("[0,1,2,3,4,2,1]", "[1,1,2,3,4,2,1]");
    assert_malformed("[0,1,2,3,4,2,1]", "[0,1,2,-3,4,2,1]");
    assert_malformed("[0,1,2,1,2,3,3]", "[0,1,2,1,2,3,4]");
    assert_malformed("[0,1,1,1,1,1,2]", "[0,1,1,1,1,1,3]");
    assert_malformed("[0,1,1,1,1,1,1]", "[0,1,1,1,1,1,6]");
    assert_malformed("[10,8,5,3,1,2,2]", "[10,8,5,3,1,2,\"2\"]");
    assert_malformed("\"c\"", "null");
}

static char *print_table(const struct table *table)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    assert_int_equal(table_print(table, to, NULL), 0);
    fclose(to);
    return text;
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    static const char *const heads[] = {">N", "NAME", "KIND", NULL};
    _cleanup_(table_free) struct table *table = NULL;
    assert_int_equal(table_new(heads, &table, NULL), 0);
    assert_int_equal(table_add(table, NULL, "%d", 100), 0);
    assert_int_equal(table_add(table, NULL, "größe"), 0);
    assert_int_equal(table_add(table, NULL, "user"), 0);
    assert_int_equal(table_add(table, NULL, "%d", 7), 0);
    assert_int_equal(table_add(table, NULL, "x"), 0);
    assert_int_equal(table_add(table, NULL, "k"), 0);
    _cleanup_free_ char *text = print_table(table);
    assert_string_equal(text, "  N  NAME   KIND\n"
                              "100  größe  user\n"
                              "  7  x      k\n");
}

/* A container may call its process so as to write on the terminal of whoever looks. */
static void what_a_terminal_would_obey_is_replaced(void **state)
{
    static const char *const heads[] = {"NAME", NULL};
    _cleanup_(table_free) struct table *table = NULL;
    assert_int_equal(table_new(heads, &table, NULL), 0);
    assert_int_equal(table_add(table, NULL, "a\x1b[2J\x7f\xc2\x9b\nb"), 0);
    _cleanup_free_ char *text = print_table(table);
    assert_string_equal(text, "NAME\na?[2J????b\n");
}

static void a_request_says_what_was_asked(void **state)
{
    struct cli_config config = {.start = (char *)"-5m",
                                .end = (char *)"",
                                .process = (char *)"a b&c",
                                .where = (char *)"namespace=s=1,pod=p;2"};
    _cleanup_free_ char *path = NULL;
    assert_int_equal(cli_query(&config, "/x", "&more=1", &path, NULL), 0);
    assert_string_equal(path, "/x?start=-5m&process=a%20b%26c&namespace=s%3D1&pod=p%3B2&more=1");
    static const char *const bad[] = {"pod",     "=x", "pod=",  "Pod=x",
                                      "pod=x,,", ",",  "a b=c", "pod=x,unit"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err;
        char *none = NULL;
        config.where = (char *)(uintptr_t)bad[i];
        assert_int_equal(cli_query(&config, "/x", "", &none, &err), -EINVAL);
        assert_non_null(strstr(err.text, "write LABEL=VALUE"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_that_calls_itself_counts_once_in_total),
        cmocka_unit_test(lines_of_a_function_are_told_apart),
        cmocka_unit_test(an_empty_flamegraph_has_no_functions),
        cmocka_unit_test(a_malformed_answer_is_refused),
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(what_a_terminal_would_obey_is_replaced),
        cmocka_unit_test(a_request_says_what_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
