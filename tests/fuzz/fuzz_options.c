/* fuzz_options.c: any bytes as an INI file are settings within their limits, or refused with the
 * line that is wrong. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/options_internal.h"

struct probe {
    char *text;
    bool on;
    uint64_t number, size;
    int64_t time_ns;
};

static const struct option_def defs[] = {
    {"text", OPTION_STRING, offsetof(struct probe, text), "T", NULL, 0, 0, NULL, "."},
    {"on", OPTION_BOOL, offsetof(struct probe, on), NULL, NULL, 0, 0, NULL, "."},
    {"number", OPTION_UINT, offsetof(struct probe, number), "N", NULL, 1, 1000, NULL, "."},
    {"size", OPTION_BYTES, offsetof(struct probe, size), "N", NULL, 0, 1u << 20, NULL, "."},
    {"time", OPTION_DURATION, offsetof(struct probe, time_ns), "D", NULL, 0, 0, NULL, "."},
};
static const struct option_set set = {.program = "podflamed",
                                      .summary = "",
                                      .synopsis_tail = "",
                                      .defs = defs,
                                      .count = ARRAY_LEN(defs)};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct probe probe = {.number = 1};
    struct err err = {0};
    int r = options_read_ini(&set, "f", (const char *)data, size, &probe, &err);
    assert(r <= 0);
    if (r < 0)
        assert(err.code == r && strncmp(err.text, "f:", 2) == 0);
    else
        assert(!err.text[0]);
    assert(probe.number >= 1 && probe.number <= 1000);
    assert(probe.size <= 1u << 20);
    assert(probe.time_ns >= 0);
    options_free(&set, &probe, sizeof(probe));
    return 0;
}
