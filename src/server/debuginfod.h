/* debuginfod.h: a thread that fetches debug files of what is sampled most, one now and then, from
 * servers that speak debuginfod's protocol. Nothing else waits for it. */
#pragma once

#include <stdint.h>

struct debug_dirs;
struct debuginfod;
struct err;
struct hot_objects;

/* name, help: each is a counter of /metrics, and a member of struct debuginfod_status. Every
 * request is one of fetched, not_found, refused and failed. */
#define DEBUGINFOD_COUNTERS(X)                                                            \
    X(debuginfod_requests, "Requests for debug files.")                                   \
    X(debuginfod_fetched, "Debug files fetched.")                                         \
    X(debuginfod_not_found, "Requests that a server answered with having no such file.")  \
    X(debuginfod_refused, "Debug files fetched, or begun, that were too large or wrong.") \
    X(debuginfod_failed, "Requests that were not answered as they should be.")            \
    X(debuginfod_bytes, "Bytes of debug files that came, whole or not.")

struct debuginfod_status {
#define X(name, help) uint64_t name;
    DEBUGINFOD_COUNTERS(X)
#undef X
    uint64_t cache_bytes; /* on disk */
    char error[256];      /* the last request's, if it failed; else "" */
};

struct debuginfod_config {
    const char *urls;                /* with blanks or commas between them; asked in this order */
    const char *dir;                 /* where files are kept */
    uint64_t cache_bytes;            /* on disk */
    int64_t interval_ns;             /* between one object and the next */
    int64_t silence_ns;              /* after which a server is given up */
    struct debug_dirs *dirs;         /* what is found here is not fetched; gets `dir` added */
    struct hot_objects *hot_objects; /* both must outlive it */
};

/* -EINVAL: a URL is none of http or https. */
int debuginfod_start(const struct debuginfod_config *config, struct debuginfod **ret,
                     struct err *err);
void debuginfod_stop(struct debuginfod **debuginfod);

void debuginfod_read_status(struct debuginfod *debuginfod, struct debuginfod_status *ret);
