/* http.h: the server's side of HTTP: connections, limits and threads. Requests for the API go to
 * api.h, others to static.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct api;
struct err;
struct http;

struct http_config {
    int listen_fd;           /* taken over, also on failure */
    bool is_loopback;        /* then the Host header is looked at */
    const char *allow_hosts; /* see listen_host_is_trusted() */
    const char *ui_dir;
    uint64_t max_body; /* bytes of one batch */
    struct api *api;
};

/* What the texts of `config` point to, and the api, must outlive it. */
int http_start(const struct http_config *config, struct http **ret, struct err *err);

/* Takes no new connection, lets requests that are under way end (for 10 s at most), then closes
 * all. */
void http_stop(struct http **http);
