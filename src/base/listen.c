/* listen.c: takes HOST:PORT, gives a listening socket; takes a Host header, tells whether it is
 * trusted. See listen.h. */
#include "base/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"

#define BACKLOG  256
#define HOST_MAX 256

/* Splits at the last colon; takes the brackets off an IPv6 address. */
static int split(const char *text, char *host, size_t size, const char **ret_port)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (!colon || len >= size)
        return -EINVAL;
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (memchr(text, ':', len)) {
        return -EINVAL;
    }
    memcpy(host, text, len);
    host[len] = 0;
    *ret_port = colon + 1;
    return 0;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static int describe(struct listener *listener)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getsockname(listener->fd, (struct sockaddr *)&address, &len) < 0)
        return -errno;
    if (getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return -EAFNOSUPPORT;
    bool is_ipv6 = strchr(host, ':') != NULL;
    snprintf(listener->address, sizeof(listener->address), "%s%.60s%s:%.8s", is_ipv6 ? "[" : "",
             host, is_ipv6 ? "]" : "", port);
    listener->is_loopback = is_loopback((struct sockaddr *)&address);
    return 0;
}

static int open_one(const struct addrinfo *info)
{
    int on = 1;
    _cleanup_close_ int fd = socket(
        info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, info->ai_protocol);
    if (fd < 0)
        return -errno;
    /* A server that is started again at once finds its old connections in TIME_WAIT. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int listen_open(const char *text, struct listener *ret, struct err *err)
{
    char host[HOST_MAX];
    const char *port;
    uint64_t number;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (split(text, host, sizeof(host), &port) < 0 || parse_u64(port, &number, NULL) < 0 ||
        number > UINT16_MAX)
        return err_set(err, -EINVAL, "'%s' is no address; write HOST:PORT, [IPV6]:PORT or :PORT",
                       text);
    int r = getaddrinfo(*host ? host : NULL, port, &hints, &found);
    if (r != 0)
        return err_set(err, -EADDRNOTAVAIL, "%s: %s", text, gai_strerror(r));
    struct listener listener = {.fd = -EADDRNOTAVAIL};
    for (const struct addrinfo *info = found; info && listener.fd < 0; info = info->ai_next)
        listener.fd = open_one(info);
    freeaddrinfo(found);
    if (listener.fd == -EADDRINUSE)
        return err_set(err, -EADDRINUSE,
                       "listening on %s: the port is in use by another program; stop it or choose "
                       "another port",
                       text);
    if (listener.fd < 0)
        return err_errno(err, listener.fd, "listening on %s", text);
    r = describe(&listener);
    if (r < 0) {
        close(listener.fd);
        return err_errno(err, r, "listening on %s", text);
    }
    *ret = listener;
    return 0;
}

static bool is_in_list(const char *host, const char *list)
{
    size_t host_len = strlen(host);
    while (list && *list) {
        size_t len = strcspn(list, ", ");
        if ((len == 1 && *list == '*') || (len == host_len && strncasecmp(list, host, len) == 0))
            return true;
        list += len + strspn(list + len, ", ");
    }
    return false;
}

bool listen_host_is_trusted(const char *host, const char *allowed)
{
    char name[HOST_MAX];
    unsigned char address[sizeof(struct in6_addr)];
    const char *end = *host == '[' ? strchr(host, ']') : strchr(host, ':');
    size_t len = end ? (size_t)(end - host) : strlen(host);
    if (len >= sizeof(name))
        return false;
    memcpy(name, host, len);
    name[len] = 0;
    if (*name == '[')
        return end && inet_pton(AF_INET6, name + 1, address) == 1;
    size_t local = strlen("localhost");
    return inet_pton(AF_INET, name, address) == 1 || strcasecmp(name, "localhost") == 0 ||
           (len > local + 1 && strcasecmp(name + len - local - 1, ".localhost") == 0) ||
           is_in_list(name, allowed);
}
