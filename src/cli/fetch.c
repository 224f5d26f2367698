/* fetch.c: takes a path of the API, gives the server's answer. */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"

#define FETCH_ERROR_MAX  65536        /* bytes of an answer that is an error */
#define FETCH_ANSWER_MAX (1ull << 30) /* bytes of one that is kept in memory */

struct fetch {
    CURL *easy;
    char *url;
    char error[CURL_ERROR_SIZE];
    FILE *to; /* NULL: the answer goes to `answer` */
    struct buf answer;
    int write_error; /* -errno */
};

static void fetch_clean(struct fetch *f)
{
    curl_easy_cleanup(f->easy);
    buf_free(&f->answer);
    free(f->url);
}

/* Only an answer of 200 goes to the output; of others the words are wanted for the error. */
static size_t take(char *bytes, size_t size, size_t count, void *ctx)
{
    struct fetch *f = ctx;
    size_t len = size * count;
    long status = 0;
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200 && f->to) {
        if (fwrite(bytes, 1, len, f->to) == len)
            return len;
        f->write_error = errno ? -errno : -EIO;
        return 0;
    }
    if (status != 200 && f->answer.len + len > FETCH_ERROR_MAX)
        return len;
    f->write_error = buf_append(&f->answer, bytes, len);
    return f->write_error < 0 ? 0 : len;
}

static int prepare(struct fetch *f, const struct cli_config *c, const char *path, struct err *err)
{
    const char *server = c->server;
    if (strncasecmp(server, "http://", 7) != 0 && strncasecmp(server, "https://", 8) != 0)
        return err_set(err, -EINVAL, "--server %s: write http://HOST:PORT or https://HOST:PORT",
                       server);
    size_t len = strlen(server);
    while (server[len - 1] == '/')
        len--;
    if (asprintf(&f->url, "%.*s%s", (int)len, server, path) < 0) {
        f->url = NULL;
        return err_errno(err, -ENOMEM, "asking the server");
    }
    f->easy = curl_easy_init();
    if (!f->easy)
        return err_errno(err, -ENOMEM, "asking the server");
    curl_easy_setopt(f->easy, CURLOPT_URL, f->url);
    curl_easy_setopt(f->easy, CURLOPT_USERAGENT, "podflame/" PACKAGE_VERSION);
    curl_easy_setopt(f->easy, CURLOPT_ERRORBUFFER, f->error);
    curl_easy_setopt(f->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(f->easy, CURLOPT_TIMEOUT_MS, (long)(c->timeout_ns / NS_PER_MS));
    curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
    /* A proxy for the world outside is of no use for the machine itself. */
    if (!getenv("no_proxy") && !getenv("NO_PROXY"))
        curl_easy_setopt(f->easy, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    if (c->server_ca) {
        curl_easy_setopt(f->easy, CURLOPT_CAINFO, c->server_ca);
        curl_easy_setopt(f->easy, CURLOPT_CAPATH, NULL);
    }
    return 0;
}

static int explain_failure(struct fetch *f, const struct cli_config *c, CURLcode code,
                           struct err *err)
{
    long os_errno = 0;
    if (f->write_error < 0 && f->to)
        return err_errno(err, f->write_error, "writing the answer");
    if (f->write_error < 0)
        return err_set(err, f->write_error, "the answer of %s is too large", f->url);
    const char *words = f->error[0] ? f->error : curl_easy_strerror(code);
    if (code != CURLE_COULDNT_CONNECT)
        return err_set(err, -EIO, "%s: %s", f->url, words);
    curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &os_errno);
    return err_set(err, -ECONNREFUSED,
                   "no server at %s (%s); start podflame-server, or name the right one with "
                   "--server URL or the variable PODFLAME_SERVER",
                   c->server, os_errno ? strerror((int)os_errno) : words);
}

static int explain_status(const struct fetch *f, long status, struct err *err)
{
    const char *body = f->answer.data ? (const char *)f->answer.data : "";
    _cleanup_json_ json_t *json = json_loadb(body, f->answer.len, 0, NULL);
    const char *error = json_string_value(json_object_get(json, "error"));
    if (error)
        return err_set(err, -EBADMSG, "the server says: %s", error);
    return err_set(err, -EBADMSG, "%s: HTTP %ld; is this a podflame-server?", f->url, status);
}

static int perform(struct fetch *f, const struct cli_config *c, struct err *err)
{
    long status = 0;
    f->answer.max = FETCH_ANSWER_MAX;
    CURLcode code = curl_easy_perform(f->easy);
    if (code != CURLE_OK)
        return explain_failure(f, c, code, err);
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    return status == 200 ? 0 : explain_status(f, status, err);
}

int cli_fetch_json(const struct cli_config *c, const char *path, json_t **ret, struct err *err)
{
    _cleanup_(fetch_clean) struct fetch f = {0};
    int r = prepare(&f, c, path, err);
    if (r == 0)
        r = perform(&f, c, err);
    if (r < 0)
        return r;
    json_error_t why;
    json_t *json = json_loadb((const char *)f.answer.data, f.answer.len, 0, &why);
    if (!json)
        return err_set(err, -EBADMSG, "the answer of %s is no JSON: %s; is this a podflame-server?",
                       f.url, why.text);
    *ret = json;
    return 0;
}

int cli_fetch_to(const struct cli_config *c, const char *path, FILE *to, struct err *err)
{
    _cleanup_(fetch_clean) struct fetch f = {.to = to};
    int r = prepare(&f, c, path, err);
    return r < 0 ? r : perform(&f, c, err);
}
