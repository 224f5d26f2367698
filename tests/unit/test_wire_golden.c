/* test_wire_golden.c: the batches in tests/golden/batch, as bytes that lie in spools and stores out
 * there. They are never written again: a reader that no longer takes them is wrong, a new version
 * of the format, or a new column, gets files of its own. `test_wire_golden DIR` writes those that
 * are not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "bad_batch.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "sample_batch.h"
#include "wire/batch.h"
#include "wire/body.h"
#include "wire/print.h"

static int golden_fd = -1;

static void read_golden(const char *name, const char *suffix, struct buf *buf)
{
    char file[128];
    struct err err;
    snprintf(file, sizeof(file), "%s%s", name, suffix);
    if (fs_read_at(golden_fd, file, 1 << 20, buf, &err) < 0)
        fail_msg("%s", err.text);
}

static char *print_batch(const struct batch *batch)
{
    char *text = NULL;
    size_t len;
    struct err err;
    FILE *to = open_memstream(&text, &len);
    assert_non_null(to);
    if (batch_print_json(batch, to, &err) < 0)
        fail_msg("%s", err.text);
    fclose(to);
    return text;
}

static void assert_decodes(const char *name)
{
    _cleanup_(buf_free) struct buf bytes = {0}, json = {0};
    _cleanup_(batch_free) struct batch *batch = NULL;
    struct err err;
    read_golden(name, ".batch", &bytes);
    read_golden(name, ".json", &json);
    if (batch_decode(bytes.data, bytes.len, &batch, &err) < 0)
        fail_msg("%s", err.text);
    _cleanup_free_ char *text = print_batch(batch);
    assert_string_equal(text, (char *)json.data);
}

static void the_golden_batch_decodes_to_its_json(void **state)
{
    assert_decodes("sample-pods");
}

static void a_batch_of_an_agent_that_told_no_pods_still_decodes(void **state)
{
    assert_decodes("sample-usage");
}

static void a_batch_of_an_agent_that_told_no_usage_still_decodes(void **state)
{
    assert_decodes("sample-methods");
}

static void a_batch_of_an_agent_that_told_no_methods_still_decodes(void **state)
{
    assert_decodes("sample");
}

static void assert_encodes(const struct batch *batch, const char *name)
{
    _cleanup_(buf_free) struct buf bytes = {0}, body = {0};
    uint8_t golden[65536];
    read_golden(name, ".batch", &bytes);
    size_t len = ZSTD_decompress(golden, sizeof(golden), bytes.data + WIRE_HEADER_SIZE,
                                 bytes.len - WIRE_HEADER_SIZE);
    assert_false(ZSTD_isError(len));
    assert_int_equal(body_encode(batch, &body, NULL), 0);
    assert_int_equal(body.len, len);
    assert_memory_equal(body.data, golden, len);
}

static void encoding_gives_the_golden_body(void **state)
{
    assert_encodes(&sample_pods_batch, "sample-pods");
}

static void a_batch_without_pods_is_as_it_was_before_there_were_any(void **state)
{
    assert_encodes(&sample_usage_batch, "sample-usage");
}

static void a_batch_without_usage_is_as_it_was_before_there_was_any(void **state)
{
    assert_encodes(&sample_batch, "sample-methods");
}

/* bad.tsv: a line per file, its name, a tab, the reason to refuse it. */
static void each_bad_golden_batch_is_refused_with_its_reason(void **state)
{
    _cleanup_(buf_free) struct buf tsv = {0};
    bool all = true;
    size_t lines = 0;
    read_golden("bad", ".tsv", &tsv);
    char *save, *line = strtok_r((char *)tsv.data, "\n", &save);
    for (; line; line = strtok_r(NULL, "\n", &save), lines++) {
        _cleanup_(buf_free) struct buf bytes = {0};
        struct batch *batch = NULL;
        struct err err = {0};
        char *tab = strchr(line, '\t');
        assert_non_null(tab);
        *tab = 0;
        read_golden(line, ".batch", &bytes);
        if (batch_decode(bytes.data, bytes.len, &batch, &err) < 0 && strcmp(err.text, tab + 1) == 0)
            continue;
        all = false;
        print_message("# %s: \"%s\", not \"%s\"\n", line, err.text, tab + 1);
        batch_free(&batch);
    }
    assert_true(all);
    assert_true(lines >= 60);
}

static void json_of_odd_names_is_still_json(void **state)
{
    const char *strings[16];
    memcpy(strings, sample_batch.strings, sizeof(strings));
    strings[3] = "a\"b\\c\n\x7f\xff\xe2\x82\xac";
    struct batch batch = sample_batch;
    batch.strings = strings;
    _cleanup_free_ char *text = print_batch(&batch);
    assert_non_null(strstr(text, "\"a\\\"b\\\\c\\u000a\\u007f\\ufffd\xe2\x82\xac\""));
}

static void a_full_disk_is_told(void **state)
{
    FILE *to = fopen("/dev/full", "w");
    if (!to)
        skip();
    struct err err;
    assert_int_equal(batch_print_json(&sample_batch, to, &err), -ENOSPC);
    assert_string_equal(err.text, "writing the batch's JSON: No space left on device");
    fclose(to);
}

static void write_golden(const char *name, const char *suffix, const void *bytes, size_t len)
{
    char file[128];
    struct err err;
    snprintf(file, sizeof(file), "%s%s", name, suffix);
    if (faccessat(golden_fd, file, F_OK, 0) < 0 &&
        fs_publish_at(golden_fd, file, bytes, len, 0644, &err) < 0)
        fprintf(stderr, "%s\n", err.text);
}

static int write_sample(const struct batch *batch, const char *name)
{
    _cleanup_(buf_free) struct buf bytes = {0};
    if (batch_encode(batch, &bytes, NULL) < 0)
        return 1;
    _cleanup_free_ char *text = print_batch(batch);
    write_golden(name, ".batch", bytes.data, bytes.len);
    write_golden(name, ".json", text, strlen(text));
    return 0;
}

static int write_all(void)
{
    if (write_sample(&sample_batch, "sample-methods") ||
        write_sample(&sample_usage_batch, "sample-usage") ||
        write_sample(&sample_pods_batch, "sample-pods"))
        return 1;
    _cleanup_(buf_free) struct buf tsv = {0};
    for (size_t i = 0; i < bad_batch_count; i++) {
        _cleanup_(buf_free) struct buf body = {0}, wrapped = {0};
        make_body(bad_batches[i].path, bad_batches[i].value, &body);
        wrap_body(&body, &wrapped);
        write_golden(bad_batches[i].name, ".batch", wrapped.data, wrapped.len);
        buf_printf(&tsv, "%s\t%s\n", bad_batches[i].name, bad_batches[i].reason);
    }
    write_golden("bad", ".tsv", tsv.data, tsv.len);
    return 0;
}

int main(int argc, char **argv)
{
    const char *top = getenv("top_srcdir");
    char dir[4096];
    snprintf(dir, sizeof(dir), "%s/tests/golden/batch", top ? top : ".");
    golden_fd = open(argc == 2 ? argv[1] : dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (golden_fd < 0) {
        perror(dir);
        return 1;
    }
    if (argc == 2)
        return write_all();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_batch_decodes_to_its_json),
        cmocka_unit_test(a_batch_of_an_agent_that_told_no_methods_still_decodes),
        cmocka_unit_test(a_batch_of_an_agent_that_told_no_usage_still_decodes),
        cmocka_unit_test(a_batch_of_an_agent_that_told_no_pods_still_decodes),
        cmocka_unit_test(encoding_gives_the_golden_body),
        cmocka_unit_test(a_batch_without_pods_is_as_it_was_before_there_were_any),
        cmocka_unit_test(a_batch_without_usage_is_as_it_was_before_there_was_any),
        cmocka_unit_test(each_bad_golden_batch_is_refused_with_its_reason),
        cmocka_unit_test(json_of_odd_names_is_still_json),
        cmocka_unit_test(a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
