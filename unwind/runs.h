/* runs.h: the rows of an object's functions, collected in any order, become its table.
 *
 * A run is one function's rows. Functions mostly come in the order of their code, but not always, a
 * linker leaves the CFI of some it dropped, and sections describe the same function: so runs are
 * sorted at the end. Where two claim the same bytes the one that starts first has them, and of
 * those that start at the same the one that was added first. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "unwind/rule.h"

struct runs;
struct unwind_table;

/* -ENOMEM. */
int runs_new(uint32_t max_rows, struct runs **ret);
void runs_free(struct runs **runs);

/* Executable bytes of the file and where they are loaded. Offsets are kept in 32 bits: code behind
 * 4 GiB of a file has no rules. False if it was not taken. */
bool runs_add_segment(struct runs *runs, uint64_t address, uint64_t size, uint64_t offset);

/* Whether code is there, by its address as it was linked. */
bool runs_has_code(const struct runs *runs, uint64_t address);

/* The function whose rows come now. False if it lies in no segment, as one that the linker dropped:
 * it is counted and passed over. */
bool runs_begin(struct runs *runs, uint64_t start, uint64_t end);

/* A cfa_row_fn (cfa.h), `runs` a struct runs. -ENOMEM, -EFBIG. */
int runs_add_row(void *runs, uint64_t pc, const struct unwind_rule *rule);

/* The function's rows are complete, up to `end`, which is not behind that of runs_begin. -ENOMEM.
 */
int runs_end(struct runs *runs, uint64_t end);

/* They make no sense: it is counted and has none. */
void runs_drop(struct runs *runs);

/* Entries that were passed over elsewhere. */
void runs_count_bad(struct runs *runs, uint32_t bad);

uint32_t runs_count(const struct runs *runs);

/* Rows, rules and counts of an empty table, which stays the caller's. `entry`: the address the file
 * starts at, 0 for none. -ENOMEM, -EFBIG. */
int runs_lay_out(struct runs *runs, uint64_t entry, struct unwind_table *table);
