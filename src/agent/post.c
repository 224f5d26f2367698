/* post.c: takes a batch's bytes, gives the server's verdict on them. */
#include "agent/post.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/ship.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "wire/format.h"

#define POST_PATH            "/api/v1/batches"
#define POST_CONNECT_SECONDS 10
#define POST_SLOWEST         256 /* bytes a second; below it a peer counts as silent */
#define POST_TOTAL_SECONDS   600
#define POST_ANSWER_MAX      4096 /* bytes of an answer that are looked at */

struct poster {
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers;
    char *url;
    char curl_error[CURL_ERROR_SIZE];
    struct buf answer;
    int64_t retry_after_ns;
};

static size_t take_answer(char *bytes, size_t size, size_t count, void *ctx)
{
    struct poster *p = ctx;
    size_t len = size * count, room = POST_ANSWER_MAX - p->answer.len;
    if (buf_append(&p->answer, bytes, len < room ? len : room) < 0)
        return 0;
    return len;
}

/* RFC 9110, 10.2.3: seconds, or a date. libcurl can tell it only since 7.66. */
static int64_t parse_retry_after(const char *value)
{
    while (*value == ' ' || *value == '\t')
        value++;
    char *end;
    long long seconds = strtoll(value, &end, 10);
    if (end == value || (*end && !strchr(" \r\n", *end))) {
        time_t at = curl_getdate(value, NULL);
        seconds = at < 0 ? -1 : (long long)(at - time(NULL));
        if (at >= 0 && seconds < 0)
            seconds = 0;
    }
    if (seconds < 0)
        return -1;
    return seconds > 1000000 ? 1000000 * NS_PER_SEC : seconds * NS_PER_SEC;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *ctx)
{
    static const char name[] = "retry-after:";
    struct poster *p = ctx;
    char line[128];
    size_t len = size * count, cut = len < sizeof(line) ? len : sizeof(line) - 1;
    memcpy(line, bytes, cut);
    line[cut] = 0;
    if (strncasecmp(line, name, sizeof(name) - 1) == 0)
        p->retry_after_ns = parse_retry_after(line + sizeof(name) - 1);
    return len;
}

static int make_url(struct poster *p, const char *server, struct err *err)
{
    const char *host = strncasecmp(server, "http://", 7) == 0    ? server + 7
                       : strncasecmp(server, "https://", 8) == 0 ? server + 8
                                                                 : "";
    if (!*host || *host == '/' || strpbrk(host, " @?#\"\t\r\n"))
        return err_set(err, -EINVAL,
                       "\"%s\" is no server: write http://HOST:PORT or https://HOST:PORT", server);
    size_t len = strlen(server);
    while (server[len - 1] == '/')
        len--;
    if (asprintf(&p->url, "%.*s%s", (int)len, server, POST_PATH) < 0) {
        p->url = NULL;
        return err_errno(err, -ENOMEM, "preparing to ship");
    }
    return 0;
}

static void set_options(struct poster *p, const struct ship_config *c)
{
    int64_t silence_ns = c->silence_ns ? c->silence_ns : 30 * NS_PER_SEC;
    long silence_s = (long)((silence_ns + NS_PER_SEC - 1) / NS_PER_SEC);
    curl_easy_setopt(p->easy, CURLOPT_URL, p->url);
    curl_easy_setopt(p->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(p->easy, CURLOPT_HTTPHEADER, p->headers);
    curl_easy_setopt(p->easy, CURLOPT_USERAGENT, c->user_agent);
    curl_easy_setopt(p->easy, CURLOPT_ERRORBUFFER, p->curl_error);
    curl_easy_setopt(p->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(p->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(p->easy, CURLOPT_CONNECTTIMEOUT, (long)POST_CONNECT_SECONDS);
    curl_easy_setopt(p->easy, CURLOPT_TIMEOUT, (long)POST_TOTAL_SECONDS);
    curl_easy_setopt(p->easy, CURLOPT_LOW_SPEED_LIMIT, (long)POST_SLOWEST);
    curl_easy_setopt(p->easy, CURLOPT_LOW_SPEED_TIME, silence_s);
    curl_easy_setopt(p->easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(p->easy, CURLOPT_WRITEDATA, p);
    curl_easy_setopt(p->easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(p->easy, CURLOPT_HEADERDATA, p);
    if (c->ca_file) {
        curl_easy_setopt(p->easy, CURLOPT_CAINFO, c->ca_file);
        curl_easy_setopt(p->easy, CURLOPT_CAPATH, NULL); /* this authority, not any */
    }
}

int poster_new(const struct ship_config *config, struct poster **ret, struct err *err)
{
    _cleanup_(poster_free) struct poster *p = calloc(1, sizeof(*p));
    if (!p)
        return err_errno(err, -ENOMEM, "preparing to ship");
    int r = make_url(p, config->server, err);
    if (r < 0)
        return r;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return err_set(err, -EIO, "libcurl does not start");
    p->easy = curl_easy_init();
    p->multi = curl_multi_init();
    p->headers = curl_slist_append(NULL, "Content-Type: " WIRE_CONTENT_TYPE);
    if (!p->easy || !p->multi || !p->headers)
        return err_errno(err, -ENOMEM, "preparing to ship");
    set_options(p, config);
    *ret = TAKE_PTR(p);
    return 0;
}

void poster_free(struct poster **poster)
{
    struct poster *p = *poster;
    if (!p)
        return;
    curl_easy_cleanup(p->easy);
    curl_multi_cleanup(p->multi);
    curl_slist_free_all(p->headers);
    buf_free(&p->answer);
    free(p->url);
    free(p);
    *poster = NULL;
}

const char *poster_url(const struct poster *p)
{
    return p->url;
}

/* Until the transfer is done (its result), or the watch ends it (CURLE_ABORTED_BY_CALLBACK). Not
 * curl_easy_perform, which cannot be woken. */
static CURLcode transfer(struct poster *p, const struct post_watch *watch)
{
    for (;;) {
        int running = 0, left_ms = 1000, queued;
        CURLMcode m = curl_multi_perform(p->multi, &running);
        for (CURLMsg *msg; (msg = curl_multi_info_read(p->multi, &queued));)
            if (msg->msg == CURLMSG_DONE)
                return msg->data.result;
        if (watch->is_over(watch->ctx, &left_ms))
            return CURLE_ABORTED_BY_CALLBACK;
        struct curl_waitfd event = {.fd = watch->event_fd, .events = CURL_WAIT_POLLIN};
        if (m == CURLM_OK)
            m = curl_multi_wait(p->multi, &event, 1, left_ms, NULL);
        if (m != CURLM_OK) {
            snprintf(p->curl_error, sizeof(p->curl_error), "%s", curl_multi_strerror(m));
            return CURLE_FAILED_INIT;
        }
    }
}

/* The server's own words, or the first line of whoever answered in its place. */
static void describe(const struct poster *p, const json_t *json, long status,
                     struct post_result *ret)
{
    const char *error = json_string_value(json_object_get(json, "error"));
    const char *text = p->answer.data ? (const char *)p->answer.data : "";
    size_t len = error ? strlen(error) : strcspn(text, "\r\n");
    snprintf(ret->why, sizeof(ret->why), "HTTP %ld%s%.*s", status, len ? ": " : "",
             len < 400 ? (int)len : 400, error ? error : text);
}

/* Only an answer that podflame-server gives decides over a batch: a proxy's or a portal's page with
 * 200 or 400 says nothing about it. A body too large for a proxy on the way stays too large. */
static void judge(const struct poster *p, long status, struct post_result *ret)
{
    json_t *json = json_loadb((const char *)p->answer.data, p->answer.len - 1, 0, NULL);
    const json_t *stored = json_object_get(json, "stored");
    bool ours = json_is_string(json_object_get(json, "error"));
    describe(p, json, status, ret);
    if (status == 200 && json_is_boolean(stored))
        ret->verdict = json_is_true(stored) ? POST_STORED : POST_DUPLICATE;
    else if (status == 413 || (ours && (status == 400 || status == 415 || status == 422)))
        ret->verdict = POST_REFUSED;
    else if (status == 200)
        snprintf(ret->why, sizeof(ret->why), "HTTP 200, but not from a podflame-server");
    json_decref(json);
}

/* libcurl's words leave out what the kernel said, which tells "no server" from "no network". */
static void describe_failure(const struct poster *p, CURLcode code, struct post_result *ret)
{
    long os_errno = 0;
    if (code == CURLE_COULDNT_CONNECT)
        curl_easy_getinfo(p->easy, CURLINFO_OS_ERRNO, &os_errno);
    snprintf(ret->why, sizeof(ret->why), "%s%s%s",
             p->curl_error[0] ? p->curl_error : curl_easy_strerror(code), os_errno ? ": " : "",
             os_errno ? strerror((int)os_errno) : "");
}

void poster_send(struct poster *p, const void *bytes, size_t len, const struct post_watch *watch,
                 struct post_result *ret)
{
    *ret = (struct post_result){.verdict = POST_FAILED, .retry_after_ns = -1};
    p->curl_error[0] = 0;
    p->answer.len = 0;
    p->retry_after_ns = -1;
    curl_easy_setopt(p->easy, CURLOPT_POSTFIELDS, bytes);
    curl_easy_setopt(p->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    curl_multi_add_handle(p->multi, p->easy);
    CURLcode code = transfer(p, watch);
    long status = 0;
    curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(p->multi, p->easy);
    curl_easy_setopt(p->easy, CURLOPT_POSTFIELDS, NULL);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        snprintf(ret->why, sizeof(ret->why), "no answer came before the end");
    else if (code != CURLE_OK)
        describe_failure(p, code, ret);
    else if (buf_append(&p->answer, "", 1) == 0)
        judge(p, status, ret);
    ret->retry_after_ns = p->retry_after_ns;
}
