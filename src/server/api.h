/* api.h: the paths of openapi.json and what answers them. */
#pragma once

#include <stdint.h>

struct api;
struct cluster;
struct debuginfod;
struct err;
struct ingest;
struct kube_client;
struct reply;
struct request;
struct store;
struct symbols;

/* Where an answer is made: waiting for a disk must not hold those that do not. */
enum api_lane { API_AT_ONCE, API_QUERY, API_INGEST };

struct route {
    const char *path;      /* {word} stands for anything but a slash */
    unsigned methods;      /* of enum method */
    const char *body_type; /* what a POST must declare */
    enum api_lane lane;
    void (*answer)(struct api *api, const struct request *request, struct reply *reply);
};

/* What it answers from, which must outlive it. */
struct api_sources {
    struct store *store;
    struct ingest *ingest;
    const char *data_dir;
    struct symbols *symbols;       /* NULL: no debug files are read */
    struct debuginfod *debuginfod; /* NULL: none are fetched */
    struct cluster *cluster;       /* NULL, both: no API server is followed */
    struct kube_client *kube;
};

int api_new(const struct api_sources *sources, struct api **ret, struct err *err);
void api_free(struct api **api);

/* NULL: not a path of the API. */
const struct route *api_find_route(const char *path);

/* `GET, HEAD`, for people and the Allow header. */
const char *api_methods_text(unsigned methods);

/* Counts an answer for /metrics. `route` is NULL for the page's files and what is not there. */
void api_count_answer(struct api *api, const struct route *route, unsigned status);
