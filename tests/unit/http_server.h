/* http_server.h: a real HTTP server (libmicrohttpd) within a test, that answers as the test says
 * and keeps what it was sent. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;

/* What to do with one request. Zero-initialised: 200 {"stored":true}. */
struct http_answer {
    unsigned status;
    const char *body;
    size_t body_len; /* 0: up to its NUL */
    const char *retry_after;
    const char *header, *value; /* one more */
    const char *token;          /* NULL: any; else who has another gets kubelet's 401 */
    bool cut_upload;            /* close the connection before the body is read */
    bool cut_answer;            /* take the body, then close within the answer */
    bool hold;                  /* do not answer before http_server_release */
};

struct http_request {
    char method[8], path[64], type[64], agent[64], authorization[64];
    uint8_t *body;
    size_t len;
    unsigned connection; /* counted from 1 */
};

/* Takes a free port of 127.0.0.1, on which connections are refused until http_server_listen. With
 * a PEM certificate and key it speaks TLS. */
struct http_server *http_server_new(const char *cert, const char *key);
/* As above, on a socket in the file system. */
struct http_server *http_server_new_unix(const char *path);
const char *http_server_url(const struct http_server *s);
void http_server_listen(struct http_server *s);
void http_server_free(struct http_server **s);

/* The answers to come, in order; the last one also serves all later requests. */
void http_server_script(struct http_server *s, const struct http_answer *answers, size_t count);
void http_server_release(struct http_server *s);

/* Requests whose body came whole, and one of them. */
size_t http_server_count(struct http_server *s);
const struct http_request *http_server_request(struct http_server *s, size_t i);
/* Requests that began. */
size_t http_server_started(struct http_server *s);
