/* api_internal.h: what the files that answer the API's paths share. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "server/query.h"

struct cluster;
struct debuginfod;
struct err;
struct ingest;
struct kube_client;
struct names;
struct reply;
struct request;
struct route;
struct store;
struct symbols;

#define API_ROUTES 14

struct api {
    struct store *store;
    struct ingest *ingest;
    const char *data_dir;
    struct symbols *symbols;       /* NULL: none */
    struct debuginfod *debuginfod; /* NULL: none */
    struct cluster *cluster;       /* NULL, both: no API server is followed */
    struct kube_client *kube;
    atomic_uint_fast64_t answers[API_ROUTES + 1]
                                [6]; /* by route (the last: none) and status / 100 */
};

int64_t api_now_ms(void);
const struct route *api_route(size_t i);

/* On failure the reply says why. */
int api_read_query(const struct request *request, enum query_kind kind, struct query *ret,
                   struct reply *reply);

/* As api_read_query, without filters that tell samples apart but no cgroups. */
int api_read_usage_query(const struct request *request, struct query *ret, struct reply *reply);

/* What series have no name of yet is named in all their labels; as names_for_query. */
int api_name_usage(struct api *api, struct store_query *query, struct names **ret, struct err *err);

/* The body is written, and `r` is what became of that. */
void api_reply_json(struct reply *reply, int r);

/* What failed is logged. -E2BIG: too much is asked for. */
void api_reply_failure(struct reply *reply, const char *what, int r, struct err *err);

void api_get_namespaces(struct api *api, const struct request *request, struct reply *reply);
void api_get_pods(struct api *api, const struct request *request, struct reply *reply);
void api_get_pod(struct api *api, const struct request *request, struct reply *reply);
void api_get_processes(struct api *api, const struct request *request, struct reply *reply);
void api_get_nodes(struct api *api, const struct request *request, struct reply *reply);
void api_get_stacks(struct api *api, const struct request *request, struct reply *reply);
void api_get_usage(struct api *api, const struct request *request, struct reply *reply);
void api_get_usage_processes(struct api *api, const struct request *request, struct reply *reply);
void api_get_status(struct api *api, const struct request *request, struct reply *reply);
void api_get_ready(struct api *api, const struct request *request, struct reply *reply);
void api_get_metrics(struct api *api, const struct request *request, struct reply *reply);
