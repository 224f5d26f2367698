/* raw_server.c: see raw_server.h. */
#include "raw_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"

struct raw_server {
    int socket;
    atomic_int connection; /* being served, or -1 */
    atomic_bool ends;
    raw_serve serve;
    void *ctx;
    char url[64];
    pthread_t thread;
};

static void *run(void *ctx)
{
    struct raw_server *s = ctx;
    while (!atomic_load(&s->ends)) {
        int fd = accept4(s->socket, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        atomic_store(&s->connection, fd);
        if (!atomic_load(&s->ends))
            s->serve(s->ctx, fd);
        atomic_store(&s->connection, -1);
        close(fd);
    }
    return NULL;
}

struct raw_server *raw_server_new(const char *path, raw_serve serve, void *ctx)
{
    struct raw_server *s = calloc(1, sizeof(*s));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr *at = path ? (struct sockaddr *)&un : (struct sockaddr *)&in;
    socklen_t len = path ? sizeof(un) : sizeof(in);
    assert(s && (!path || strlen(path) < sizeof(un.sun_path)));
    if (path)
        strcpy(un.sun_path, path);
    signal(SIGPIPE, SIG_IGN);
    *s = (struct raw_server){.connection = -1, .serve = serve, .ctx = ctx};
    s->socket = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(s->socket >= 0 && bind(s->socket, at, len) == 0 && listen(s->socket, 8) == 0);
    assert(getsockname(s->socket, at, &len) == 0);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", ntohs(in.sin_port));
    assert(pthread_create(&s->thread, NULL, run, s) == 0);
    return s;
}

void raw_server_free(struct raw_server **server)
{
    struct raw_server *s = *server;
    if (!s)
        return;
    atomic_store(&s->ends, true);
    shutdown(s->socket, SHUT_RDWR);
    int fd = atomic_load(&s->connection);
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->socket);
    free(s);
    *server = NULL;
}

const char *raw_server_url(const struct raw_server *s)
{
    return s->url;
}

void raw_say_nothing(void *ctx, int fd)
{
    char bytes[512];
    while (read(fd, bytes, sizeof(bytes)) > 0)
        ;
}

void raw_send_bytes(void *ctx, int fd)
{
    const struct raw_bytes *bytes = ctx;
    char asked[512];
    if (read(fd, asked, sizeof(asked)) > 0 && fs_write_all(fd, bytes->data, bytes->len) == 0)
        shutdown(fd, SHUT_WR);
    raw_say_nothing(NULL, fd);
}

uint16_t raw_deaf_open(struct raw_deaf *deaf, const char *ip, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof(at);
    assert(inet_pton(AF_INET, ip, &at.sin_addr) == 1);
    for (size_t i = 0; i < ARRAY_LEN(deaf->fds); i++)
        deaf->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert(bind(deaf->fds[0], (struct sockaddr *)&at, len) == 0);
    assert(listen(deaf->fds[0], 0) == 0);
    assert(getsockname(deaf->fds[0], (struct sockaddr *)&at, &len) == 0);
    for (size_t i = 1; i < ARRAY_LEN(deaf->fds); i++)
        assert(connect(deaf->fds[i], (struct sockaddr *)&at, len) == 0 || errno == EINPROGRESS);
    return ntohs(at.sin_port);
}

void raw_deaf_close(struct raw_deaf *deaf)
{
    for (size_t i = 0; i < ARRAY_LEN(deaf->fds); i++)
        close(deaf->fds[i]);
}
