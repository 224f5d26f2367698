/* http_send.c: takes a reply, gives it to libmicrohttpd with the headers every answer has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "server/http_internal.h"
#include "server/stream.h"

#define BLOCK_BYTES 32768u /* what MHD asks of a stream at once */

struct reader {
    struct stream *stream;
    struct buf piece;
    size_t read; /* of the piece */
    bool at_end;
};

static ssize_t read_stream(void *ctx, uint64_t pos, char *into, size_t max)
{
    struct reader *reader = ctx;
    while (reader->read == reader->piece.len) {
        if (reader->at_end)
            return MHD_CONTENT_READER_END_OF_STREAM;
        reader->piece.len = reader->read = 0;
        int r = reader->stream->next(reader->stream, &reader->piece);
        if (r < 0)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        reader->at_end = r == 0;
    }
    size_t len = reader->piece.len - reader->read;
    if (len > max)
        len = max;
    memcpy(into, reader->piece.data + reader->read, len);
    reader->read += len;
    return (ssize_t)len;
}

static void free_reader(void *ctx)
{
    struct reader *reader = ctx;
    stream_free(&reader->stream);
    buf_free(&reader->piece);
    free(reader);
}

static struct MHD_Response *from_stream(struct reply *reply, enum method method)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return NULL;
    reader->stream = TAKE_PTR(reply->stream);
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, reader, free_reader);
    if (!response) {
        free_reader(reader);
        return NULL;
    }
    /* libmicrohttpd 0.9.75 ends a chunked answer with the empty chunk even to HEAD, where it is
     * taken for the beginning of the next answer. */
    if (method == METHOD_HEAD)
        MHD_set_response_options(response, MHD_RF_HTTP_VERSION_1_0_ONLY, MHD_RO_END);
    return response;
}

static struct MHD_Response *make_response(struct reply *reply, enum method method)
{
    struct MHD_Response *response;
    if (reply->stream)
        return from_stream(reply, method);
    if (reply->fd >= 0) {
        response = MHD_create_response_from_fd64(reply->fd_bytes, reply->fd);
        if (response)
            reply->fd = -1;
        return response;
    }
    if (reply->body.len == 0)
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    response =
        MHD_create_response_from_buffer_with_free_callback(reply->body.len, reply->body.data, free);
    if (response)
        reply->body = (struct buf){0};
    return response;
}

static void add_headers(struct MHD_Response *response, const struct exchange *exchange)
{
    const struct reply *reply = &exchange->reply;
    char retry_after[16];
    snprintf(retry_after, sizeof(retry_after), "%u", reply->retry_after_s);
    /* The page has no script or style but its own files, and what it shows came from strangers'
     * programs. */
    const char *headers[][2] = {
        {"Content-Type", reply->type},
        {"Cache-Control", reply->cache_control ? reply->cache_control : "no-store"},
        {"ETag", reply->etag[0] ? reply->etag : NULL},
        {"Allow", reply->allow},
        {"Retry-After", reply->retry_after_s ? retry_after : NULL},
        {"Connection", atomic_load(&exchange->http->stopping) ? "close" : NULL},
        {"Content-Security-Policy",
         "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Referrer-Policy", "no-referrer"},
    };
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        if (headers[i][1])
            MHD_add_response_header(response, headers[i][0], headers[i][1]);
}

enum MHD_Result http_send(struct exchange *exchange)
{
    struct MHD_Response *response = make_response(&exchange->reply, exchange->request.method);
    exchange->status = exchange->reply.status;
    if (!response) {
        log_err("answer not sent path=\"%s\": out of memory", exchange->request.path);
        return MHD_NO;
    }
    add_headers(response, exchange);
    enum MHD_Result queued = MHD_queue_response(exchange->connection, exchange->status, response);
    MHD_destroy_response(response);
    reply_free(&exchange->reply);
    return queued;
}
