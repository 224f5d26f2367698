/* docker.c: asks dockerd, if it is there. See docker.h. */
#include "k8s/docker.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "k8s/fetch.h"

#define PLACE    "/var/run/docker.sock"
#define TOTAL_NS (4500 * NS_PER_MS)

struct docker {
    char *path;
    bool looks; /* no socket was given */
    struct fetch *fetch;
};

static void docker_free(struct docker **docker)
{
    struct docker *d = *docker;
    if (!d)
        return;
    fetch_free(&d->fetch);
    free(d->path);
    free(d);
    *docker = NULL;
}

static void free_self(void *self)
{
    struct docker *d = self;
    docker_free(&d);
}

/* Ended ones, too: some of them have samples in the window at hand. */
static int ask(struct docker *d, struct buf *answer, struct err *err)
{
    static const struct fetch_request request = {.path = "/containers/json?all=1",
                                                 .max_bytes = DOCKER_ANSWER_MAX};
    struct fetch_config config = {.server = "http://localhost",
                                  .unix_socket = d->path,
                                  .user_agent = "podflamed/" PACKAGE_VERSION,
                                  .total_ns = TOTAL_NS};
    int r = d->fetch ? 0 : fetch_new(&config, &d->fetch, err);
    return r < 0 ? r : fetch_get(d->fetch, &request, answer, err);
}

static int refresh(void *self, const struct facts_sink *sink, struct err *err)
{
    struct docker *d = self;
    _cleanup_(buf_free) struct buf answer = {0};
    struct stat st;
    if (d->looks && (stat(d->path, &st) < 0 || !S_ISSOCK(st.st_mode)))
        return err_set(err, -ENOENT, "no docker: no socket at %s", d->path);
    int r = ask(d, &answer, err);
    /* What dockerd left behind when it went. */
    if (r == -ECONNREFUSED && d->looks)
        r = err_wrap(err, -ENOENT, "no docker");
    if (r < 0) {
        fetch_free(&d->fetch);
        return r;
    }
    r = docker_parse_containers((const char *)answer.data, answer.len, sink, err);
    return r < 0 ? err_wrap(err, r, "%s", d->path) : 0;
}

static const struct source_ops docker_ops = {
    .name = "docker", .refresh = refresh, .free = free_self};

int docker_source_new(const struct docker_config *config, struct source *ret, struct err *err)
{
    _cleanup_(docker_free) struct docker *d = calloc(1, sizeof(*d));
    const char *socket = config->socket ? config->socket : PLACE;
    const char *root = !config->socket && config->root ? config->root : "";
    if (!d)
        return err_errno(err, -ENOMEM, "preparing to ask docker");
    if (strncmp(socket, "unix://", 7) == 0)
        socket += 7;
    if (socket[0] != '/')
        return err_set(err, -EINVAL, "docker-socket is \"%s\"; it must be a socket's path, as %s",
                       config->socket, PLACE);
    d->looks = !config->socket;
    if (asprintf(&d->path, "%s%s", root, socket) < 0) {
        d->path = NULL;
        return err_errno(err, -ENOMEM, "preparing to ask docker");
    }
    *ret = (struct source){&docker_ops, TAKE_PTR(d)};
    return 0;
}
