/* lookup.h: a day's dictionary, as a reader sees it. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/sqlite/hashmap.h"

struct err;

/* The texts of one day, each read once and kept until the end. */
struct lookup {
    sqlite3 *db;
    sqlite3_stmt *find, *text;
    struct hashmap known; /* by string number: text row + 1 */
    char **texts;
    uint32_t count, cap;
};

int lookup_init(struct lookup *l, sqlite3 *db, struct err *err);
void lookup_free(struct lookup *l);

/* The number of a text; false when the day does not know it. "" is 0. */
int lookup_number(struct lookup *l, const char *text, bool *ret_known, uint32_t *ret_id,
                  struct err *err);

/* The text of a number, valid as long as `l`. -EUCLEAN when the day has none. */
int lookup_text(struct lookup *l, uint32_t id, const char **ret, struct err *err);

/* Whether a day with this error is left out, and the query goes on with the others: the file is
 * damaged, or the disk fails. */
bool lookup_is_damage(int code);
