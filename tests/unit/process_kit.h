/* process_kit.h: a table of processes for tests, and short words for the records it is told. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/process.h"

#define LINGER 1000u /* ns that a process stays after its end */

struct tables {
    struct objects *objects;
    struct processes *processes;
};

int make_tables(void **state);
int free_tables(void **state); /* asserts that every reference has come back */

#define ON_TABLES(test) cmocka_unit_test_setup_teardown(test, make_tables, free_tables)

void apply(struct tables *t, const struct record *record);
void fork_of(struct tables *t, uint32_t parent, uint32_t pid, uint64_t time);
void thread_of(struct tables *t, uint32_t pid, uint32_t tid);
void exit_of(struct tables *t, uint32_t pid, uint32_t tid, uint64_t time);
void comm(struct tables *t, uint32_t pid, uint32_t tid, const char *name, bool exec);
void map(struct tables *t, uint32_t pid, uint64_t start, uint64_t len, uint64_t offset,
         const char *path);

/* Fails the test if there is none. */
struct process *process(const struct tables *t, uint32_t pid);
bool is_alive(const struct tables *t, uint32_t pid);

/* The path and offset at an address, as text; "" where nothing is mapped. Valid until the next. */
const char *at(const struct tables *t, uint32_t pid, uint64_t address);

/* A running program with a mapping or two. */
void start_program(struct tables *t, uint32_t pid);
