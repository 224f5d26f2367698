/* raw_server.h: whoever else may listen where a server is expected: it sends what the test says,
 * whatever it was asked, or nothing at all. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct raw_server;

/* Serves one connection; returns when it shall be closed. Ends, too, when reads give 0. */
typedef void (*raw_serve)(void *ctx, int fd);

/* On a socket in the file system, or with NULL on a free port of 127.0.0.1. */
struct raw_server *raw_server_new(const char *path, raw_serve serve, void *ctx);
void raw_server_free(struct raw_server **server);
const char *raw_server_url(const struct raw_server *server);

/* Some to serve with. The first takes a struct raw_bytes. */
struct raw_bytes {
    const void *data;
    size_t len;
};
void raw_send_bytes(void *ctx, int fd);
void raw_say_nothing(void *ctx, int fd); /* and waits until the other side goes */

/* A port that answers no attempt to connect: its listener's queue is full. 0: a free one. */
struct raw_deaf {
    int fds[8];
};
uint16_t raw_deaf_open(struct raw_deaf *deaf, const char *ip, uint16_t port);
void raw_deaf_close(struct raw_deaf *deaf);
