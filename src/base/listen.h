/* listen.h: an address as people write it becomes a listening socket. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct err;

struct listener {
    int fd;
    bool is_loopback;
    char address[80]; /* as `127.0.0.1:7357` or `[::1]:7357`, with the port that was got */
};

/* `text`: HOST:PORT, [IPV6]:PORT or :PORT for all addresses; port 0 for any that is free. */
int listen_open(const char *text, struct listener *ret, struct err *err);

/* May a page that was loaded from this Host talk to a server on loopback? An address or localhost
 * may; a name may have been made to point here by whoever wrote the page (DNS rebinding), unless
 * it is in `allowed`, names with commas between them, `*` for any; NULL for none. */
bool listen_host_is_trusted(const char *host, const char *allowed);
