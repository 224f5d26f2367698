/* main.c: podflame-server. Opens the store, serves HTTP, waits for signals. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/listen.h"
#include "base/log.h"
#include "k8s/fetch.h"
#include "server/api.h"
#include "server/cluster/client.h"
#include "server/cluster/cluster.h"
#include "server/cluster/settings.h"
#include "server/config.h"
#include "server/debug_dirs.h"
#include "server/debuginfod.h"
#include "server/hot_objects.h"
#include "server/http.h"
#include "server/ingest.h"
#include "server/retention.h"
#include "server/store.h"
#include "server/symbols.h"
#include "symbol/worker.h"

struct server {
    struct config config;
    struct store *store;
    struct hot_objects *hot_objects;
    struct ingest *ingest;
    struct debug_dirs *debug_dirs;
    struct debuginfod *debuginfod;
    struct symbols *symbols;
    struct retention *retention;
    struct cluster *cluster;
    struct kube_client *kube;
    struct api *api;
    struct http *http;
};

/* In the reverse of the order they were started in: each needs those before it. */
static void stop(struct server *server)
{
    http_stop(&server->http);
    api_free(&server->api);
    kube_client_stop(&server->kube);
    cluster_free(&server->cluster);
    symbols_free(&server->symbols);
    debuginfod_stop(&server->debuginfod);
    debug_dirs_free(&server->debug_dirs);
    retention_stop(&server->retention);
    ingest_free(&server->ingest);
    hot_objects_free(&server->hot_objects);
    if (server->store)
        server->store->ops->close(server->store);
    server->store = NULL;
    options_free(&config_options, &server->config, sizeof(server->config));
}

static int start_retention(struct server *server, struct err *err)
{
    const struct retention_config config = {
        .retention_ns = server->config.retention_ns,
        .max_bytes = server->config.max_bytes,
    };
    return retention_start(server->store, &config, &server->retention, err);
}

static int open_store(struct server *server, struct err *err)
{
    int r = fs_mkdir_p(server->config.data_dir, 0750, err);
    if (r == 0)
        r = store_sqlite_open(server->config.data_dir, &server->store, err);
    if (r < 0)
        return err_wrap(err, r, "--data-dir %s", server->config.data_dir);
    r = ingest_new(server->store, &server->ingest, err);
    return r < 0 ? r : start_retention(server, err);
}

static int start_debuginfod(struct server *server, struct err *err)
{
    const struct config *config = &server->config;
    char dir[PATH_MAX];
    int len = snprintf(dir, sizeof(dir), "%s/debuginfod", config->data_dir);
    int r = len < (int)sizeof(dir) ? 0 : err_errno(err, -ENAMETOOLONG, "%s", config->data_dir);
    if (r == 0)
        r = hot_objects_new(&server->hot_objects, err);
    if (r < 0)
        return r;
    ingest_count_objects(server->ingest, server->hot_objects);
    const struct debuginfod_config debuginfod = {
        .urls = config->debuginfod,
        .dir = dir,
        .cache_bytes = config->debuginfod_bytes,
        .interval_ns = config->debuginfod_interval_ns,
        .silence_ns = config->debuginfod_timeout_ns,
        .dirs = server->debug_dirs,
        .hot_objects = server->hot_objects,
    };
    r = debuginfod_start(&debuginfod, &server->debuginfod, err);
    return r < 0 ? err_wrap(err, r, "--debuginfod") : 0;
}

static int start_naming(struct server *server, struct err *err)
{
    const struct config *config = &server->config;
    int r = debug_dirs_new(config->debug_dirs, &server->debug_dirs, err);
    if (r == 0 && config->debuginfod && *config->debuginfod)
        r = start_debuginfod(server, err);
    const struct symbols_config symbols = {
        .dirs = server->debug_dirs,
        .worker = "/proc/self/exe",
        .max_bytes = config->symbol_bytes,
        .within_ns = config->symbol_ns,
    };
    if (r == 0 && config->symbol_ns > 0)
        r = symbols_new(&symbols, &server->symbols, err);
    return r;
}

static int start_cluster(struct server *server, struct err *err)
{
    const struct config *config = &server->config;
    struct kube_settings found;
    int r = kube_settings_find(config->api_server, config->api_token, config->api_ca,
                               KUBE_ACCOUNT_DIR, &found, err);
    if (r < 0 || !*found.server)
        return r;
    const struct kube_client_config client = {
        .server = found.server,
        .token_file = *found.token_file ? found.token_file : NULL,
        .ca_file = *found.ca_file ? found.ca_file : NULL,
        .insecure = config->api_insecure,
    };
    log_info("following the API server url=%s", found.server);
    r = cluster_new(&server->cluster, err);
    if (r == 0)
        r = kube_client_start(&client, server->cluster, &server->kube, err);
    return r < 0 ? err_wrap(err, r, "--api-server") : 0;
}

static int serve(struct server *server, struct listener *listener, struct err *err)
{
    const struct config *config = &server->config;
    const struct api_sources sources = {
        .store = server->store,
        .ingest = server->ingest,
        .data_dir = config->data_dir,
        .symbols = server->symbols,
        .debuginfod = server->debuginfod,
        .cluster = server->cluster,
        .kube = server->kube,
    };
    int r = api_new(&sources, &server->api, err);
    if (r < 0) {
        close(listener->fd);
        return r;
    }
    const struct http_config http = {
        .listen_fd = listener->fd,
        .is_loopback = listener->is_loopback,
        .allow_hosts = config->allow_hosts,
        .ui_dir = config->ui_dir,
        .max_body = config->max_body,
        .api = server->api,
    };
    return http_start(&http, &server->http, err);
}

/* The port first: a server that cannot have it should not have opened, or even made, a store. */
static int start(struct server *server, struct err *err)
{
    struct listener listener;
    int r = listen_open(server->config.listen, &listener, err);
    if (r < 0)
        return err_wrap(err, r, "--listen");
    r = open_store(server, err);
    if (r == 0)
        r = start_naming(server, err);
    if (r == 0)
        r = start_cluster(server, err);
    if (r < 0) {
        close(listener.fd);
        return r;
    }
    if (!listener.is_loopback)
        log_warn("anyone who reaches %s sees all profiles and may post batches; there is no "
                 "authentication",
                 listener.address);
    r = serve(server, &listener, err);
    if (r == 0)
        log_info("listening address=%s data_dir=\"%s\"", listener.address, server->config.data_dir);
    return r;
}

/* Applies what may change while the server runs; of the rest the old values stay. */
static int reload(struct server *server, int argc, char **argv, struct err *err)
{
    struct config config = {0};
    enum options_action action;
    enum log_level level;
    int rest;
    int r = options_load(&config_options, argc, argv, &config, &action, &rest, err);
    if (r == 0)
        r = log_parse_level(config.log_level, &level, err);
    if (r == 0) {
        log_set_level(level);
        server->config.retention_ns = config.retention_ns;
        server->config.max_bytes = config.max_bytes;
        retention_stop(&server->retention);
        r = start_retention(server, err);
        if (server->symbols)
            symbols_look_again(server->symbols);
    }
    options_free(&config_options, &config, sizeof(config));
    return r;
}

static void wait_for_end(struct server *server, const sigset_t *signals, int argc, char **argv)
{
    for (;;) {
        int number = 0;
        if (sigwait(signals, &number) != 0)
            continue;
        if (number != SIGHUP) {
            log_info("stopping signal=%s", sigabbrev_np(number));
            return;
        }
        struct err err = {0};
        if (reload(server, argc, argv, &err) < 0)
            log_err("settings not read again: %s", err.text);
        else
            log_info("settings read again");
    }
}

/* Before the first thread, so that all have them blocked and sigwait() gets them. */
static void block_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGHUP);
    pthread_sigmask(SIG_BLOCK, ret, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int load(struct server *server, int argc, char **argv, enum options_action *ret_action,
                struct err *err)
{
    enum log_level level;
    int rest = argc;
    int r = options_load(&config_options, argc, argv, &server->config, ret_action, &rest, err);
    if (r < 0 || *ret_action == OPTIONS_DONE)
        return r;
    if (rest < argc)
        return err_set(err, -EINVAL, "'%s' is not expected; see --help", argv[rest]);
    r = log_parse_level(server->config.log_level, &level, err);
    if (r == 0)
        log_set_level(level);
    return r;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], WORKER_ARGUMENT) == 0)
        return worker_main();
    _cleanup_(stop) struct server server = {0};
    enum options_action action;
    struct err err = {0};
    sigset_t signals;
    log_open("podflame-server", LOG_LEVEL_INFO);
    if (load(&server, argc, argv, &action, &err) < 0) {
        log_err("%s", err.text);
        return 2;
    }
    if (action == OPTIONS_DONE)
        return 0;
    umask(0027); /* what processes run, and how, is not everyone's to read */
    block_signals(&signals);
    if (fetch_init(&err) < 0 || start(&server, &err) < 0) {
        log_err("%s", err.text);
        return 1;
    }
    wait_for_end(&server, &signals, argc, argv);
    stop(&server);
    log_info("stopped");
    return 0;
}
