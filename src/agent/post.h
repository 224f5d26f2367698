/* post.h: one batch to the server, and what became of it; for ship.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;
struct poster;
struct ship_config;

enum post_verdict {
    POST_STORED,    /* the server has it for good */
    POST_DUPLICATE, /* the server had had it before */
    POST_REFUSED,   /* the server says that this batch will never do */
    POST_FAILED,    /* anything else: send it again later */
};

struct post_result {
    enum post_verdict verdict;
    int64_t retry_after_ns; /* what the server asked for; -1: nothing */
    char why[512];          /* of what was refused or failed */
};

/* Asked about once a second and at each of its fd's events: non-zero ends the post. */
struct post_watch {
    int event_fd;
    int (*is_over)(void *ctx, int *ret_left_ms);
    void *ctx;
};

int poster_new(const struct ship_config *config, struct poster **ret, struct err *err);
void poster_free(struct poster **poster);

/* The full URL that batches go to, for log lines. */
const char *poster_url(const struct poster *poster);

/* Keeps the connection for the next post. */
void poster_send(struct poster *poster, const void *bytes, size_t len,
                 const struct post_watch *watch, struct post_result *ret);
