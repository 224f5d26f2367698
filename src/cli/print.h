/* print.h: how commands print times, shares and JSON. */
#pragma once

#include <jansson.h>
#include <stdint.h>

struct err;
struct table;

/* A member of an answer; 0 or "" where it is missing or of another type. */
uint64_t print_get_uint(const json_t *object, const char *key);
const char *print_get_text(const json_t *object, const char *key);

/* Into a new cell: "2026-11-22 16:00:00Z", "12.3%". */
int print_add_time(struct table *table, uint64_t ms, struct err *err);
int print_add_share(struct table *table, uint64_t part, uint64_t whole, struct err *err);

/* "2026-11-22 16:00:00Z to 2026-11-22 16:05:00Z: ", from an answer's start_ms and end_ms. */
void print_range(const json_t *answer);

/* What to do about an empty answer, on stderr. */
void print_nothing_there(void);

/* A line that says what an answer covers, from its start_ms, end_ms, samples and cpu_ms. */
int print_summary(const json_t *answer, struct err *err);
int print_json(const json_t *json, struct err *err);
