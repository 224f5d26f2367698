/* http_internal.h: what the files around libmicrohttpd share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <microhttpd.h>

#include "server/exchange.h"
#include "server/http.h"
#include "server/pool.h"

struct route;

/* Bodies that have arrived and are not answered yet, of all connections together. */
#define HTTP_MAX_BODIES ((uint64_t)256 << 20)

/* A body that is refused is still read up to here, so that its sender gets to read why: a socket
 * that is closed with bytes unread is reset, and the answer lost with it. */
#define HTTP_MAX_DISCARD ((uint64_t)64 << 20)

struct http {
    struct http_config config;
    struct MHD_Daemon *daemon;
    struct pool *queries, *ingests;
    atomic_uint_fast64_t body_bytes;
    atomic_bool stopping;
    pthread_mutex_t lock; /* of under_way */
    pthread_cond_t idle;
    unsigned under_way; /* exchanges */
};

enum exchange_state {
    EXCHANGE_HEAD,    /* the request line is read, the headers are not looked at */
    EXCHANGE_BODY,    /* the body arrives, and is kept or, if there is a reply, dropped */
    EXCHANGE_WORKING, /* one of the pools has it; its connection sleeps */
    EXCHANGE_DONE,    /* the reply is there */
};

struct exchange {
    struct pool_job job; /* first: a job is its exchange */
    struct http *http;
    struct MHD_Connection *connection;
    const struct route *route;
    enum exchange_state state;
    struct request request;
    struct reply reply;
    unsigned status;     /* of the reply, which is gone once it is queued */
    uint64_t body_bytes; /* that have arrived */
    uint64_t held_bytes; /* of http->body_bytes */
    int64_t start_ns;
    char *uri;    /* as it came, for the access line */
    char *target; /* the bytes of request.path and .query */
};

/* MHD's callbacks. */
void *exchange_begin(void *http, const char *uri, struct MHD_Connection *connection);
enum MHD_Result exchange_continue(void *http, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **exchange);
void exchange_end(void *http, struct MHD_Connection *connection, void **exchange,
                  enum MHD_RequestTerminationCode code);

/* Hands the reply to MHD and leaves it empty. */
enum MHD_Result http_send(struct exchange *exchange);
