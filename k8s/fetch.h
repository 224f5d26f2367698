/* fetch.h: one HTTP server, asked by libcurl: kubelet, the API server, a runtime's socket.
 *
 * Never: redirects, a proxy from the environment, a token over plain HTTP, a body beyond its limit.
 * The connection is kept for the next call, except with http2. One thread at a time; other threads
 * have their own. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct fetch;

struct fetch_config {
    const char *server;      /* https://10.0.0.1:10250, http://localhost; no path */
    const char *unix_socket; /* connect to this instead; NULL: to `server` */
    const char *server_name; /* that the certificate must have; NULL: the host of `server` */
    const char *ca_file;     /* PEM, these authorities and no others; NULL: the system's */
    const char *token_file;  /* bearer token, read anew for each request; NULL: none. Only https */
    const char *user_agent;
    bool insecure;      /* any certificate will do */
    bool http2;         /* HTTP/2 from the first byte without TLS, as gRPC on a socket */
    int64_t connect_ns; /* 0: 2 s */
    int64_t total_ns;   /* of fetch_get; 0: 5 s */
    int64_t silence_ns; /* of fetch_stream: so long without a byte; 0: 60 s */
};

struct fetch_request {
    const char *path;           /* "/pods"; as it goes on the line: quoted, with its query */
    const char *const *headers; /* "Accept: application/json", ends with NULL; may be NULL */
    const void *body;           /* NULL: GET, else POST */
    size_t body_len;
    size_t max_bytes; /* of the answer's body; ignored by fetch_stream */
};

/* Why the last call failed, for what to advise. */
enum fetch_failure {
    FETCH_OK,
    FETCH_TOKEN,     /* the token file is missing, empty or no token; nothing was sent */
    FETCH_CONNECT,   /* nobody listens there, no route, or no answer to the attempt */
    FETCH_TIMEOUT,   /* connected, but too slow, or silent */
    FETCH_AUTHORITY, /* TLS: nobody we trust vouches for the certificate */
    FETCH_NAME,      /* TLS: the certificate is another's */
    FETCH_CA_FILE,   /* TLS: the file of authorities is missing or no PEM */
    FETCH_STATUS,    /* an answer that is not 200; see fetch_status */
    FETCH_TOO_LARGE,
    FETCH_STOPPED,
    FETCH_OTHER, /* broken off, not HTTP, no memory ... */
};

/* Once, before there are other threads: libcurl starts safely beside them only from 7.84 on. */
int fetch_init(struct err *err);

/* Copies what it is given. -EINVAL: `server` is no URL. */
int fetch_new(const struct fetch_config *config, struct fetch **ret, struct err *err);
void fetch_free(struct fetch **fetch);

/* Appends the body of an answer of status 200. On failure `buf` is as it was, and the error has the
 * server's own words: the `message` of a Kubernetes Status, else the beginning of the body. Never
 * -ENOENT, which means something else in a source. */
int fetch_get(struct fetch *fetch, const struct fetch_request *request, struct buf *buf,
              struct err *err);

/* Changes how long fetch_get may take from now on, for who shares a time among several. */
void fetch_set_total(struct fetch *fetch, int64_t total_ns);

/* Bytes as they come, of an answer of status 200; non-zero, a negative errno, ends the call, which
 * gives it. */
typedef int (*fetch_take)(void *ctx, const char *bytes, size_t len);

/* Until the server ends its answer (0), `take` refuses, it was silent for too long (-ETIMEDOUT) or
 * `stop` is set, which is seen within a second (-ECANCELED). `stop` may be NULL. */
int fetch_stream(struct fetch *fetch, const struct fetch_request *request, fetch_take take,
                 void *ctx, const atomic_bool *stop, struct err *err);

/* Of the last call. */
enum fetch_failure fetch_failure(const struct fetch *fetch);
long fetch_status(const struct fetch *fetch); /* HTTP's; 0: no answer came */

/* Of the last answer, in its headers or trailers: -1: it had none. The message may be empty. */
int fetch_grpc_status(const struct fetch *fetch);
const char *fetch_grpc_message(const struct fetch *fetch);
