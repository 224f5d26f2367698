/* exchange.h: a request and its answer, without the protocol around them: what api.c and static.c
 * take and give. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct err;
struct stream;

enum method { METHOD_GET = 1, METHOD_HEAD = 2, METHOD_POST = 4, METHOD_OTHER = 8 };

struct request {
    enum method method;
    const char *path;          /* decoded, UTF-8, starts with a slash */
    const char *query;         /* as it came, or NULL */
    const char *if_none_match; /* the header's value, or NULL */
    struct buf body;
};

/* One of body, stream and fd is the answer's body. Zeroed (fd -1) it is empty and has no status. */
struct reply {
    unsigned status;
    const char *type;          /* Content-Type */
    const char *allow;         /* of 405 */
    const char *cache_control; /* NULL: no-store */
    char etag[48];             /* with its quotes; "": none */
    unsigned retry_after_s;    /* 0: none */
    struct buf body;
    struct stream *stream;
    int fd;
    uint64_t fd_bytes;
};

#define REPLY_JSON "application/json"
#define REPLY_TEXT "text/plain; charset=utf-8"

void reply_init(struct reply *reply);
void reply_free(struct reply *reply);

/* Each empties the reply first. If memory is out the body is left out. */
void reply_text(struct reply *reply, unsigned status, const char *text);
void reply_error(struct reply *reply, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* An error of the store or of ours: 503 if it may work later, otherwise 500. */
void reply_failure(struct reply *reply, int code, const struct err *err);
