/* debuginfod_get.h: one debug file from one server that speaks debuginfod's protocol: GET
 * URL/buildid/HEX/debuginfo, as debuginfod(8) describes it. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct debuginfod_getter;
struct err;

/* `silence_ns`: after which a server is given up. `*stop` may become true at any time: a transfer
 * then ends within about a second. */
int debuginfod_getter_new(int64_t silence_ns, const atomic_bool *stop,
                          struct debuginfod_getter **ret, struct err *err);
void debuginfod_getter_free(struct debuginfod_getter **getter);

/* Writes the file into `fd`. `url`: the server's, http or https; it is followed elsewhere only by
 * these, and from https only to https. -ENOENT: the server has no such file; -EFBIG: it is larger
 * than `max_bytes`; -ECANCELED: stopped; anything else: the server could not be asked, or did not
 * answer as it should. *ret_bytes is set in any case. */
int debuginfod_get(struct debuginfod_getter *getter, const char *url, const uint8_t *build_id,
                   size_t len, int fd, uint64_t max_bytes, uint64_t *ret_bytes, struct err *err);
