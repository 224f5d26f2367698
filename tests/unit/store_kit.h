/* store_kit.h: what the store's tests have in common: a store in a directory of its own, questions
 * asked in one line, and random batches with their sums counted in another way. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/store.h"
#include "wire/batch.h"

struct temp_dir;

struct kit {
    struct temp_dir *temp;
    const char *dir;
    struct store *store;
};

/* For cmocka: setup and teardown of a test with a fresh store. */
int kit_setup(void **state);
int kit_teardown(void **state);

void kit_open(struct kit *kit);
void kit_close(struct kit *kit);
void kit_reopen(struct kit *kit);

/* Asserts that it works; gives whether it was stored before. */
bool kit_ingest(struct kit *kit, const struct batch *batch);

/* A query over all time; filters and groups are added by the caller. */
struct store_query kit_query(void);
void kit_filter(struct store_query *query, const char *key, const char *value);
void kit_group(struct store_query *query, const char *key);

/* Sums over all rows of a query. */
struct kit_sum {
    uint64_t rows, samples, cpu_ns;
};
struct kit_sum kit_sum(struct kit *kit, const struct store_query *query);
uint64_t kit_samples(struct kit *kit);

/* The rows as text, sorted, one a line: the groups and the stack's frames joined by ';', a blank,
 * the samples. Frames without a name are object+0xaddress. The caller frees. */
char *kit_folded(struct kit *kit, const struct store_query *query);

/* The same from lines made otherwise; frees them. */
struct kit_lines {
    struct kit_line {
        char *text;
        uint64_t samples;
    } * all;
    size_t count, cap;
};
void kit_lines_add(struct kit_lines *lines, const char *text, uint64_t samples);
char *kit_lines_join(struct kit_lines *lines);

/* xorshift64: a number below `sides`. The state is not 0. */
uint32_t kit_dice(uint64_t *state, uint32_t sides);

/* A random batch: some processes, threads, labels, stacks and slots, with start_ns and seq given.
 */
struct batch *kit_random_batch(uint64_t seed, uint64_t seq, int64_t start_ns);
void kit_batch_free(struct batch **batch);
uint64_t kit_batch_samples(const struct batch *batch);
