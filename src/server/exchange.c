/* exchange.c: takes words and errors, gives replies. See exchange.h. */
#include "server/exchange.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "server/json.h"
#include "server/stream.h"
#include "wire/utf8.h"

#define RETRY_AFTER_S 5u

void reply_init(struct reply *reply)
{
    *reply = (struct reply){.fd = -1};
}

void reply_free(struct reply *reply)
{
    buf_free(&reply->body);
    stream_free(&reply->stream);
    if (reply->fd >= 0)
        close(reply->fd);
    reply_init(reply);
}

void reply_text(struct reply *reply, unsigned status, const char *text)
{
    reply_free(reply);
    reply->status = status;
    reply->type = REPLY_TEXT;
    if (buf_puts(&reply->body, text) < 0)
        buf_free(&reply->body);
}

static void put_error(struct reply *reply, unsigned status, char *text)
{
    reply_free(reply);
    reply->status = status;
    reply->type = REPLY_JSON;
    /* The words may quote what came in, or be cut in the middle of a character. */
    utf8_repair(text, strlen(text));
    if (json_key_string(&reply->body, "{", "error", text) < 0 || buf_puts(&reply->body, "}\n") < 0)
        buf_free(&reply->body);
}

void reply_error(struct reply *reply, unsigned status, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    put_error(reply, status, text);
}

void reply_failure(struct reply *reply, int code, const struct err *err)
{
    bool may_pass = code == -ENOMEM || code == -EBUSY || code == -EAGAIN || code == -ENOSPC ||
                    code == -EDQUOT || code == -ETIMEDOUT;
    char text[ERR_TEXT_MAX];
    snprintf(text, sizeof(text), "%s", err->text);
    put_error(reply, may_pass ? 503 : 500, text);
    if (may_pass)
        reply->retry_after_s = RETRY_AFTER_S;
}
