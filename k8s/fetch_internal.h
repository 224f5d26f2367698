/* fetch_internal.h: what fetch.c and fetch_explain.c share. */
#pragma once

#include <curl/curl.h>

#include "base/buf.h"
#include "k8s/fetch.h"

#define FETCH_WORDS_MAX 16384u /* of an answer that is an error: a Kubernetes Status fits */

struct fetch {
    CURL *easy;
    struct curl_slist *connect_to;
    char *where;  /* for people: the server, or the socket's path */
    char *prefix; /* of a URL, as the server shall be called */
    char *server_name;
    char *ca_file;
    char *token_file;
    bool https;
    int64_t total_ns, silence_ns;

    /* of the call at hand, and what it left */
    enum fetch_failure failure;
    long status;
    int grpc_status;
    char grpc_message[256];
    char curl_error[CURL_ERROR_SIZE];
    struct buf words; /* the body of an answer other than 200 */

    struct buf *to; /* or, if NULL: */
    fetch_take take;
    void *ctx;
    size_t left; /* bytes that `to` may still get */
    int refused; /* by `take`, or -EFBIG, -ENOMEM */
    const atomic_bool *stop;
    int64_t began_ns, heard_ns; /* CLOCK_MONOTONIC */
    bool too_slow;
    bool connected; /* the connection that was given up had come about */
};

/* The words for what became of the transfer of `path`; 0 if all is well. Sets f->failure. */
int fetch_explain(struct fetch *f, CURLcode code, const char *path, struct err *err);
