/* test_jit_formats.c: what JITs write is read, torn and hostile files too; their names become
 * readable; JVMs' answers are understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/java_attach.h"
#include "symbol/jit_index.h"
#include "symbol/jit_name.h"
#include "symbol/jitdump.h"
#include "symbol/perf_map.h"

static struct jit_index *index_new(void)
{
    struct jit_index *x = NULL;
    assert_int_equal(jit_index_new(8 << 20, &x, NULL), 0);
    return x;
}

static const char *name_at(const struct jit_index *x, uint64_t address, uint64_t time_ns)
{
    struct jit_code code;
    return jit_index_find(x, address, time_ns, time_ns, &code) ? code.name : "";
}

/* ---- perf maps */

static void each_line_is_read_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r;
        uint64_t start, size;
        const char *name;
    } cases[] = {
        {"7f00 1c LazyCompile:*parse /app/x.js:12:3\n", 1, 0x7f00, 0x1c,
         "LazyCompile:*parse /app/x.js:12:3"},
        {"0x00007F00 0x000000000000001c int A.b(int)\r\n", 1, 0x7f00, 0x1c, "int A.b(int)"},
        {"1 2  two spaces \n", 1, 1, 2, " two spaces"},
        {"ffffffffffffffff 1 top\n", 1, UINT64_MAX, 1, "top"},
        {"1ffffffffffffffff 1 too long\n", -EBADMSG, 0, 0, NULL},
        {"7f00 1c\n", -EBADMSG, 0, 0, NULL},
        {"7f00 1c \n", -EBADMSG, 0, 0, NULL},
        {"7f00  1c name\n", -EBADMSG, 0, 0, NULL},
        {"xyz 1c name\n", -EBADMSG, 0, 0, NULL},
        {"0x 1c name\n", -EBADMSG, 0, 0, NULL},
        {"\n", -EBADMSG, 0, 0, NULL},
        {"7f00 1c torn", 0, 0, 0, NULL},
        {"", 0, 0, 0, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct perf_map_parser parser;
        struct perf_map_line line;
        perf_map_init(&parser, cases[i].text, strlen(cases[i].text));
        assert_int_equal(perf_map_next(&parser, &line), cases[i].r);
        if (cases[i].r != 1)
            continue;
        assert_int_equal(line.start, cases[i].start);
        assert_int_equal(line.size, cases[i].size);
        assert_int_equal(line.name_len, strlen(cases[i].name));
        assert_memory_equal(line.name, cases[i].name, line.name_len);
        assert_int_equal(perf_map_next(&parser, &line), 0);
    }
}

static int file_of(const void *bytes, size_t len)
{
    int fd = memfd_create("jit", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, bytes, len), 0);
    return fd;
}

static uint64_t size_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return (uint64_t)st.st_size;
}

static void read_map(int fd, struct perf_map_cursor *cursor, struct jit_index *x, uint64_t after_ns,
                     uint64_t by_ns)
{
    struct jit_time when = {after_ns, by_ns};
    assert_int_equal(perf_map_read(fd, size_of(fd), cursor, x, &when, NULL), 0);
}

static void a_torn_line_waits_for_the_next_reading(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new();
    static const char first[] = "1000 10 a\n2000 10 bcd", rest[] = "efg\n3000 10 h\n";
    _cleanup_close_ int fd = file_of(first, sizeof(first) - 1);
    struct perf_map_cursor cursor = {0};
    read_map(fd, &cursor, x, 0, 100);
    assert_int_equal(cursor.offset, 10);
    assert_string_equal(name_at(x, 0x1000, 50), "a");
    assert_string_equal(name_at(x, 0x2000, 50), "");
    assert_int_equal(fs_write_all(fd, rest, sizeof(rest) - 1), 0);
    read_map(fd, &cursor, x, 100, 200);
    assert_string_equal(name_at(x, 0x2000, 50), "bcdefg");
    assert_string_equal(name_at(x, 0x3000, 50), "h");
    assert_int_equal(cursor.garbled, 0);
}

static void a_line_without_end_is_passed_over(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new();
    _cleanup_(buf_free) struct buf text = {0};
    assert_int_equal(buf_puts(&text, "1000 10 a\n2000 10 "), 0);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf_puts(&text, "xx"), 0);
    assert_int_equal(buf_puts(&text, "\n3000 10 b\n"), 0);
    _cleanup_close_ int fd = file_of(text.data, text.len);
    struct perf_map_cursor cursor = {0};
    read_map(fd, &cursor, x, 0, 100);
    assert_string_equal(name_at(x, 0x1000, 50), "a");
    assert_string_equal(name_at(x, 0x2000, 50), "");
    assert_string_equal(name_at(x, 0x3000, 50), "b");
    assert_true(cursor.garbled > 0);
    assert_int_equal(cursor.offset, text.len);
}

static void a_map_that_was_made_anew_is_noticed(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new();
    static const char first[] = "1000 10 a\n2000 10 b\n", then[] = "5000 10 long name\n6000 10 c\n";
    _cleanup_close_ int fd = file_of(first, sizeof(first) - 1);
    struct perf_map_cursor cursor = {0};
    read_map(fd, &cursor, x, 0, 100);
    assert_int_equal(ftruncate(fd, 0), 0);
    struct jit_time when = {100, 200};
    assert_int_equal(perf_map_read(fd, 0, &cursor, x, &when, NULL), -ESTALE);
    assert_int_equal(pwrite(fd, then, sizeof(then) - 1, 0), sizeof(then) - 1);
    assert_int_equal(perf_map_read(fd, size_of(fd), &cursor, x, &when, NULL), -ESTALE);
    cursor = (struct perf_map_cursor){0};
    read_map(fd, &cursor, x, 100, 200);
    assert_string_equal(name_at(x, 0x6000, 200), "c");
}

static void a_map_is_read_to_its_cap(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new();
    _cleanup_close_ int fd = memfd_create("jit", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, PERF_MAP_MAX + 4096l), 0); /* one line of NULs */
    struct perf_map_cursor cursor = {0};
    struct err err = {0};
    assert_int_equal(perf_map_read(fd, size_of(fd), &cursor, x, &(struct jit_time){0, 1}, &err),
                     -EFBIG);
    assert_int_equal(jit_index_count(x), 0);
}

/* ---- jitdump */

static void put32(struct buf *b, uint32_t v)
{
    assert_int_equal(buf_append(b, &v, sizeof(v)), 0);
}

static void put64(struct buf *b, uint64_t v)
{
    assert_int_equal(buf_append(b, &v, sizeof(v)), 0);
}

static void put_header(struct buf *b, uint64_t flags)
{
    put32(b, 0x4a695444);
    put32(b, 1);
    put32(b, JITDUMP_HEADER_SIZE);
    put32(b, 62);
    put32(b, 0);
    put32(b, 4711);
    put64(b, 5);
    put64(b, flags);
}

static void put_load(struct buf *b, uint64_t time, uint64_t address, uint64_t size,
                     const char *name)
{
    size_t len = strlen(name) + 1;
    put32(b, 0);
    put32(b, (uint32_t)(JITDUMP_LOAD_SIZE + len + size));
    put64(b, time);
    put64(b, 0);
    put64(b, address);
    put64(b, address);
    put64(b, size);
    put64(b, 1);
    assert_int_equal(buf_append(b, name, len), 0);
    for (uint64_t i = 0; i < size; i++)
        assert_int_equal(buf_append(b, "\xcc", 1), 0);
}

static void put_move(struct buf *b, uint64_t time, uint64_t from, uint64_t to, uint64_t size)
{
    put32(b, 1);
    put32(b, 64);
    put64(b, time);
    put64(b, 0);
    put64(b, to);
    put64(b, from);
    put64(b, to);
    put64(b, size);
    put64(b, 1);
}

static void put_other(struct buf *b, uint32_t id, uint32_t size)
{
    put32(b, id);
    put32(b, size);
    for (uint32_t i = 8; i < size; i++)
        assert_int_equal(buf_append(b, "", 1), 0);
}

static void code_of_a_jitdump_has_its_time(void **state)
{
    (void)state;
    _cleanup_(jit_index_free) struct jit_index *x = index_new();
    _cleanup_(buf_free) struct buf b = {0};
    put_header(&b, 0);
    put_load(&b, 100, 0x1000, 16, "a");
    put_other(&b, 2, 56); /* lines */
    put_other(&b, 4, 40); /* unwind rules */
    put_load(&b, 200, 0x1000, 32, "b");
    put_move(&b, 300, 0x1000, 0x2000, 32);
    _cleanup_close_ int fd = file_of(b.data, b.len - 1);
    struct jitdump_cursor cursor = {0};
    struct jit_time when = {400, 500};
    assert_int_equal(jitdump_read(fd, size_of(fd), &cursor, x, 50, &when, NULL), 0);
    assert_string_equal(name_at(x, 0x1000, 99), "");
    assert_string_equal(name_at(x, 0x1000, 100), "a");
    assert_string_equal(name_at(x, 0x1000, 200), "b");
    assert_string_equal(name_at(x, 0x1000, 400), "b"); /* the last record is torn */
    assert_int_equal(fs_write_all(fd, b.data + b.len - 1, 1), 0);
    assert_int_equal(jitdump_read(fd, size_of(fd), &cursor, x, 50, &when, NULL), 0);
    assert_string_equal(name_at(x, 0x1000, 400), "");
    assert_string_equal(name_at(x, 0x2000, 300), "b");
}

static void a_time_that_cannot_be_is_that_of_the_reading(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 2; flags++) {
        _cleanup_(jit_index_free) struct jit_index *x = index_new();
        _cleanup_(buf_free) struct buf b = {0};
        put_header(&b, flags);
        put_load(&b, flags ? 100 : 0, 0x1000, 16, "a");
        put_load(&b, flags ? 200 : 9999, 0x1000, 16, "b");
        _cleanup_close_ int fd = file_of(b.data, b.len);
        struct jitdump_cursor cursor = {0};
        assert_int_equal(
            jitdump_read(fd, size_of(fd), &cursor, x, 50, &(struct jit_time){400, 500}, NULL), 0);
        assert_string_equal(name_at(x, 0x1000, 450), "");
        assert_string_equal(name_at(x, 0x1000, 500), "b");
    }
}

static void what_is_no_jitdump_is_refused_for_good(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t byte;
    } damage[] = {
        {0, 0x4a},                     /* the other byte order, or no jitdump */
        {4, 2},                        /* a later version */
        {8, 8},                        /* a header shorter than itself */
        {JITDUMP_HEADER_SIZE + 4, 8},  /* a record shorter than itself */
        {JITDUMP_HEADER_SIZE + 4, 56}, /* a LOAD without a name */
    };
    for (size_t i = 0; i < ARRAY_LEN(damage); i++) {
        _cleanup_(jit_index_free) struct jit_index *x = index_new();
        _cleanup_(buf_free) struct buf b = {0};
        put_header(&b, 0);
        put_load(&b, 100, 0x1000, 16, "a");
        b.data[damage[i].at] = damage[i].byte;
        _cleanup_close_ int fd = file_of(b.data, b.len);
        struct jitdump_cursor cursor = {0};
        struct err err = {0};
        struct jit_time when = {400, 500};
        assert_int_equal(jitdump_read(fd, size_of(fd), &cursor, x, 50, &when, &err), -EBADMSG);
        assert_int_equal(jitdump_read(fd, size_of(fd), &cursor, x, 50, &when, &err), 0);
        assert_int_equal(jit_index_count(x), 0);
    }
}

/* ---- names */

static void names_become_readable(void **state)
{
    (void)state;
    static const struct {
        bool java;
        const char *raw, *name, *file;
        uint32_t line;
    } cases[] = {
        {true, "int com.acme.Cart.total(java.util.List)", "com.acme.Cart.total(java.util.List)"},
        {true, "void Deep.main(java.lang.String[])", "Deep.main(java.lang.String[])"},
        {true, "java.lang.Object java.lang.invoke.LambdaForm$MH/0x80.invoke(long, int)",
         "java.lang.invoke.LambdaForm$MH/0x80.invoke(long, int)"},
        {true, "Interpreter", "Interpreter"},
        {true, "StubRoutines (1)", "StubRoutines (1)"},
        {true, "I2C/C2I adapters(0xbb)", "I2C/C2I adapters(0xbb)"},
        {true, "Lcom/acme/Cart;::total", "com.acme.Cart.total"},
        {true, "com.acme.Cart::total", "com.acme.Cart.total"},
        {true, "Lcom/acme/Cart;::total(Ljava/util/List;I[[J)V",
         "com.acme.Cart.total(java.util.List, int, long[][])"},
        {true, "Ljava/lang/String;hashCode()I", "java.lang.String.hashCode()"},
        {true, "L;::", "L;::"},
        {true, "Lx", "Lx"},
        {false, "LazyCompile:*parse /app/x.js:12:3", "parse", "/app/x.js", 12},
        {false, "JS:~parse file:///app/my x.js:12:3", "parse", "file:///app/my x.js", 12},
        {false, "JS:*'get size node:internal/util:9:1", "get size", "node:internal/util", 9},
        {false, "JS:^ /app/x.js:12:3", "(anonymous)", "/app/x.js", 12},
        {false, "Script:~ /app/x.js:1:1", "(script)", "/app/x.js", 1},
        {false, "Function:~parse", "parse"},
        {false, "RegExp:a b", "RegExp:a b"},
        {false, "Builtin:ArrayMap", "Builtin:ArrayMap"},
        {false, "BytecodeHandler:LdaZero", "BytecodeHandler:LdaZero"},
        {false, "py::Cart.total.<locals>.f:/app/cart.py", "Cart.total.<locals>.f", "/app/cart.py"},
        {false, "py::<module>:<string>", "<module>", "<string>"},
        {false, "py::", "py::"},
        {false, "JIT$Shop\\Cart::total", "Shop\\Cart::total"},
        {false, "JIT$/app/cart.php", "{main}", "/app/cart.php"},
        {false, "JIT${closure:Shop\\Cart::total():5}:/app/cart.php:5",
         "{closure:Shop\\Cart::total():5}", "/app/cart.php", 5},
        {false, "JIT$Shop\\Cart::Shop\\{closure}", "Shop\\Cart::Shop\\{closure}"},
        {false, "JIT$$trace_exit", "JIT$$trace_exit"},
        {false, "TRACE-12$Shop\\Cart::price$4", "Shop\\Cart::price"},
        {false, "TRACE-2${closure:Shop\\Cart::total():5}$5", "{closure:Shop\\Cart::total():5}"},
        {false, "TRACE-8$/app/cart.php$7", "{main}", "/app/cart.php"},
        {false, "TRACE-8$", "TRACE-8$"},
        {false, "TRACE-8$$7", "TRACE-8$$7"},
        {false, "TRACE-$a$7", "TRACE-$a$7"},
        {false, "JIT$", "JIT$"},
        {false, "$cart:loop/3", "cart:loop/3"},
        {false, "$lists:map/2-CodeInfoPrologue", "lists:map/2-CodeInfoPrologue"},
        {false, "global::call_light_bif_shared", "global::call_light_bif_shared"},
        {false, "$", "$"},
        {false, "$/1", "$/1"},
        {false, "$a/1", "$a/1"},
        {false, "[JIT] Cart#block in total", "Cart#block in total"},
        {false, "[JIT] ", "[JIT] "},
        {false, "int Foo.bar(int)", "int Foo.bar(int)"},
        {false, "bad\tname\x1b[31m", "bad?name?[31m"},
    };
    static struct jit_name n;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        jit_name_decode(cases[i].raw, cases[i].java, &n);
        assert_int_equal(n.count, 1);
        assert_string_equal(n.frames[0].name, cases[i].name);
        assert_string_equal(n.frames[0].file ? n.frames[0].file : "",
                            cases[i].file ? cases[i].file : "");
        assert_int_equal(n.frames[0].line, cases[i].line);
    }
}

static void inlined_methods_are_unfolded(void **state)
{
    (void)state;
    static struct jit_name n;
    jit_name_decode("Lcom/acme/Cart;::total->Lcom/acme/Item;::price->Lcom/acme/Tax;::of", true, &n);
    assert_int_equal(n.count, 3);
    assert_string_equal(n.frames[0].name, "com.acme.Cart.total");
    assert_string_equal(n.frames[1].name, "com.acme.Item.price");
    assert_string_equal(n.frames[2].name, "com.acme.Tax.of");
    jit_name_decode("Lcom/acme/Cart;::total->", true, &n);
    assert_int_equal(n.count, 1);
}

static void long_names_are_cut(void **state)
{
    (void)state;
    static char raw[3 * JIT_NAME_MAX];
    static struct jit_name n;
    memcpy(raw, "La;::f(", 7);
    memset(raw + 7, '[', sizeof(raw) - 9);
    raw[sizeof(raw) - 2] = 'I';
    jit_name_decode(raw, true, &n);
    assert_int_equal(n.count, 1);
    assert_true(strlen(n.frames[0].name) < sizeof(n.text));
    memset(raw, 'x', sizeof(raw) - 1);
    jit_name_decode(raw, false, &n);
    assert_int_equal(strlen(n.frames[0].name), sizeof(n.text) - 1);
}

/* ---- JVMs */

static void a_jvm_is_understood(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum java_answer answer;
        const char *message;
    } cases[] = {
        {"0\n", JAVA_ANSWER_DONE, ""},
        {"0\nPerf map written\n", JAVA_ANSWER_DONE, "Perf map written"},
        {"-1\njava.lang.IllegalArgumentException: Unknown diagnostic command\nmore",
         JAVA_ANSWER_UNKNOWN_COMMAND,
         "java.lang.IllegalArgumentException: Unknown diagnostic command"},
        {"101\nProtocol error", JAVA_ANSWER_REFUSED, "Protocol error"},
        {"", JAVA_ANSWER_GARBLED, ""},
        {"0", JAVA_ANSWER_GARBLED, ""},
        {"\n", JAVA_ANSWER_GARBLED, ""},
        {"-\n", JAVA_ANSWER_GARBLED, ""},
        {"HTTP/1.1 400\n", JAVA_ANSWER_GARBLED, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *message;
        size_t len;
        assert_int_equal(java_answer_read(cases[i].text, strlen(cases[i].text), &message, &len),
                         cases[i].answer);
        assert_int_equal(len, strlen(cases[i].message));
        assert_memory_equal(message, cases[i].message, len);
    }
}

static void the_request_has_three_arguments(void **state)
{
    (void)state;
    size_t strings = 0;
    for (size_t i = 0; i < java_attach_perfmap_len; i++)
        strings += !java_attach_perfmap[i];
    assert_int_equal(strings, 5);
    assert_string_equal(java_attach_perfmap + 2, "jcmd");
}

static void flags_against_attaching_are_seen(void **state)
{
    (void)state;
    static const char args[] = "java\0-XX:+DisableAttachMechanism\0-jar\0x.jar";
    static const char none[] = "java\0-jar\0x.jar";
    assert_string_equal(java_args_against(args, sizeof(args)), "-XX:+DisableAttachMechanism");
    assert_null(java_args_against(none, sizeof(none)));
    assert_null(java_args_against(none, 0));
}

static void a_release_file_tells_the_version(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned version;
    } cases[] = {
        {"IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"17.0.14\"\n", 17},
        {"JAVA_VERSION=\"25\"\n", 25},
        {"JAVA_VERSION=\"1.8.0_402\"\n", 8},
        {"OTHER_JAVA_VERSION=\"17\"\n", 0},
        {"JAVA_VERSION=\"", 0},
        {"", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(java_release_version(cases[i].text, strlen(cases[i].text)),
                         cases[i].version);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_read_or_refused),
        cmocka_unit_test(a_torn_line_waits_for_the_next_reading),
        cmocka_unit_test(a_line_without_end_is_passed_over),
        cmocka_unit_test(a_map_that_was_made_anew_is_noticed),
        cmocka_unit_test(a_map_is_read_to_its_cap),
        cmocka_unit_test(code_of_a_jitdump_has_its_time),
        cmocka_unit_test(a_time_that_cannot_be_is_that_of_the_reading),
        cmocka_unit_test(what_is_no_jitdump_is_refused_for_good),
        cmocka_unit_test(names_become_readable),
        cmocka_unit_test(inlined_methods_are_unfolded),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(a_jvm_is_understood),
        cmocka_unit_test(the_request_has_three_arguments),
        cmocka_unit_test(flags_against_attaching_are_seen),
        cmocka_unit_test(a_release_file_tells_the_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
