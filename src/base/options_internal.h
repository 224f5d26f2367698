/* options_internal.h: what the parts of options.h share, and what its tests and fuzz target call.
 */
#pragma once

#include <stddef.h>

#include "base/options.h"

struct buf;

/* `--config` and its variable and file are no rows of a program's table. */
#define OPTIONS_CONFIG_FLAG "config"

/* A file of settings may be this long. */
#define OPTIONS_FILE_MAX (1u << 20)

/* Puts the value that `text` says into def's member of `config`, over what was there. The error
 * says what is wrong with the text and what is allowed; the caller puts in front where it stood.
 * On failure the member is as it was. */
int option_assign(const struct option_def *def, const char *text, void *config, struct err *err);

/* Frees and zeroes def's member. */
void option_clear(const struct option_def *def, void *config);

/* Appends "1s to 5m", "at least 1", ... ; nothing if the setting has no limits. */
int option_describe_limits(const struct option_def *def, struct buf *out);

/* Appends the environment variable's name: "podflame-server", "data-dir" is
 * PODFLAME_SERVER_DATA_DIR. */
int option_variable_name(const char *program, const char *name, struct buf *out);

/* The row called `name` (of `len` bytes), or NULL. */
const struct option_def *option_find(const struct option_set *set, const char *name, size_t len);

/* Reads an INI file's bytes into `config`. Settings stand below [PROGRAM]; sections of other
 * podflame programs are passed over, so that one file can serve all. `path` is for errors, which
 * begin with PATH:LINE. */
int options_read_ini(const struct option_set *set, const char *path, const char *bytes, size_t len,
                     void *config, struct err *err);
