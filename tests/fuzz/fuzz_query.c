/* fuzz_query.c: any query is read within its bounds, or refused with a reason. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/query.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max)
{
    size_t len = strlen(text);
    assert(len <= max && utf8_valid_prefix(text, len) == len);
}

static void check(const struct query *q)
{
    assert(q->store.start_ms < q->store.end_ms);
    assert(q->store.end_ms - q->store.start_ms <= QUERY_MAX_RANGE_MS);
    assert(q->max_nodes >= 1 && q->max_nodes <= QUERY_MAX_NODES);
    assert(q->store.filter_count <= STORE_MAX_FILTERS && q->store.group_count <= STORE_MAX_GROUPS);
    for (size_t i = 0; i < q->store.filter_count; i++) {
        check_text(q->store.filters[i].key, QUERY_MAX_LABEL);
        check_text(q->store.filters[i].value, QUERY_MAX_VALUE);
    }
    for (size_t i = 0; i < q->store.group_count; i++)
        check_text(q->store.groups[i], QUERY_MAX_LABEL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = strndup((const char *)data, size);
    assert(text);
    for (enum query_kind kind = QUERY_NOTHING; kind <= QUERY_FLAME; kind++) {
        struct err err = {0};
        _cleanup_(query_free) struct query query = {0};
        if (query_parse(text, kind, 1795363200123, &query, &err) == 0)
            check(&query);
        else
            assert(err.text[0] && !query.text);
    }
    return 0;
}
