/* recorded_api.h: an API server that answers as a real one did: tests/golden/k8s/api over HTTPS or
 * HTTP, by pages and with watches. Its pods are those of pods-before.json; a watch of them leads by
 * pods-watch.jsonl to those of pods.json. Other watches are silent. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct recorded_api;

struct recorded_api_config {
    const char *dir;        /* tests/golden/k8s/api */
    const char *token;      /* wanted of everyone */
    const char *cert, *key; /* PEM; NULL: plain HTTP */
    unsigned page;          /* objects a page at most; 0: as many as are asked for */
};

/* On a free port of 127.0.0.1. Ends the program if that fails. */
struct recorded_api *recorded_api_start(const struct recorded_api_config *config);
void recorded_api_stop(struct recorded_api **api);

unsigned recorded_api_port(const struct recorded_api *api);

/* The account may no longer list or watch this resource; NULL: it may all. */
void recorded_api_forbid(struct recorded_api *api, const char *resource);

/* Forgets the past: the pods are those of pods.json, watches from before get the ERROR event 410,
 * and those under way end. */
void recorded_api_forget(struct recorded_api *api);

/* Requests answered with this status, but watches; and watches that were begun. */
unsigned recorded_api_count(struct recorded_api *api, unsigned status);
unsigned recorded_api_watches(struct recorded_api *api);
