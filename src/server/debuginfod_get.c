/* debuginfod_get.c: takes a build-id, gives the debug file a server has of it. See
 * debuginfod_get.h. */
#include "server/debuginfod_get.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/elf.h"

#define CONNECT_SECONDS 10L
#define TOTAL_SECONDS   900L
#define REDIRECTS_MAX   5L

#define SLOWEST_BYTES 1024L /* a second; below that a server counts as silent */

struct debuginfod_getter {
    const atomic_bool *stop;
    CURL *easy;
    char curl_error[CURL_ERROR_SIZE];
    /* of the transfer */
    int fd;
    int failed; /* 0 or -errno: why we ended it */
    uint64_t bytes, max_bytes;
};

static size_t take_bytes(char *bytes, size_t size, size_t count, void *ctx)
{
    struct debuginfod_getter *g = ctx;
    size_t len = size * count;
    long status = 0;
    curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return len; /* words for people */
    if (len > g->max_bytes - g->bytes)
        g->failed = -EFBIG;
    else
        g->failed = fs_write_all(g->fd, bytes, len);
    if (g->failed < 0)
        return 0;
    g->bytes += len;
    return len;
}

/* The file's size, which Content-Length need not be: the server's own word of it, before any byte
 * comes. */
static size_t take_header(char *bytes, size_t size, size_t count, void *ctx)
{
    static const char name[] = "x-debuginfod-size:";
    struct debuginfod_getter *g = ctx;
    size_t len = size * count;
    char line[128];
    size_t cut = len < sizeof(line) ? len : sizeof(line) - 1;
    memcpy(line, bytes, cut);
    line[cut] = 0;
    if (strncasecmp(line, name, sizeof(name) - 1) != 0)
        return len;
    if (strtoull(line + sizeof(name) - 1, NULL, 10) <= g->max_bytes)
        return len;
    g->failed = -EFBIG;
    return 0;
}

static int watch(void *ctx, curl_off_t all, curl_off_t now, curl_off_t up_all, curl_off_t up_now)
{
    struct debuginfod_getter *g = ctx;
    return atomic_load(g->stop);
}

/* The same by text since 7.85, which then deprecates the numbers. */
static void allow_schemes(CURL *easy, bool only_https)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, only_https ? "https" : "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS,
                     only_https ? (long)CURLPROTO_HTTPS : (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static void set_options(struct debuginfod_getter *g, int64_t silence_ns)
{
    long silence_s = (long)((silence_ns + NS_PER_SEC - 1) / NS_PER_SEC);
    CURL *easy = g->easy;
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "podflame-server/" PACKAGE_VERSION);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, g->curl_error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, TOTAL_SECONDS);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, SLOWEST_BYTES);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, silence_s);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, g);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, g);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, g);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
}

int debuginfod_getter_new(int64_t silence_ns, const atomic_bool *stop,
                          struct debuginfod_getter **ret, struct err *err)
{
    _cleanup_(debuginfod_getter_free) struct debuginfod_getter *g = calloc(1, sizeof(*g));
    if (!g)
        return err_errno(err, -ENOMEM, "preparing to fetch debug files");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return err_set(err, -EIO, "libcurl does not start");
    g->stop = stop;
    g->easy = curl_easy_init();
    if (!g->easy)
        return err_errno(err, -ENOMEM, "preparing to fetch debug files");
    set_options(g, silence_ns);
    *ret = TAKE_PTR(g);
    return 0;
}

void debuginfod_getter_free(struct debuginfod_getter **getter)
{
    if (!*getter)
        return;
    curl_easy_cleanup((*getter)->easy);
    free(TAKE_PTR(*getter));
}

/* Told by server, not by file: a failure that lasts is then the same each time. */
static int judge(const struct debuginfod_getter *g, CURLcode code, const char *url,
                 uint64_t max_bytes, struct err *err)
{
    long status = 0, os_errno = 0;
    curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
    if (g->failed == -EFBIG)
        return err_set(err, -EFBIG, "%s: larger than %" PRIu64 " bytes", url, max_bytes);
    if (g->failed < 0)
        return err_errno(err, g->failed, "writing what came from %s", url);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return err_set(err, -ECANCELED, "%s: stopped", url);
    if (code == CURLE_COULDNT_CONNECT)
        curl_easy_getinfo(g->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (code != CURLE_OK)
        return err_set(err, -EIO, "%s: %s%s%s", url,
                       g->curl_error[0] ? g->curl_error : curl_easy_strerror(code),
                       os_errno ? ": " : "", os_errno ? strerror((int)os_errno) : "");
    if (status == 404)
        return -ENOENT;
    return status == 200 ? 0 : err_set(err, -EIO, "%s: HTTP %ld", url, status);
}

int debuginfod_get(struct debuginfod_getter *g, const char *url, const uint8_t *build_id,
                   size_t len, int fd, uint64_t max_bytes, uint64_t *ret_bytes, struct err *err)
{
    char hex[2 * ELF_BUILD_ID_MAX + 1] = "", limit[64], *full = NULL;
    for (size_t i = 0; i < len && i < ELF_BUILD_ID_MAX; i++)
        snprintf(hex + 2 * i, 3, "%02x", build_id[i]);
    size_t url_len = strlen(url);
    while (url_len && url[url_len - 1] == '/')
        url_len--;
    *ret_bytes = 0;
    if (asprintf(&full, "%.*s/buildid/%s/debuginfo", (int)url_len, url, hex) < 0)
        return err_errno(err, -ENOMEM, "fetching from %s", url);
    snprintf(limit, sizeof(limit), "X-DEBUGINFOD-MAXSIZE: %" PRIu64, max_bytes);
    struct curl_slist *headers = curl_slist_append(NULL, limit);
    g->fd = fd;
    g->failed = 0;
    g->bytes = 0;
    g->max_bytes = max_bytes;
    g->curl_error[0] = 0;
    curl_easy_setopt(g->easy, CURLOPT_URL, full);
    curl_easy_setopt(g->easy, CURLOPT_HTTPHEADER, headers);
    allow_schemes(g->easy, strncasecmp(url, "https:", 6) == 0);
    int r = judge(g, curl_easy_perform(g->easy), url, max_bytes, err);
    curl_easy_setopt(g->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    free(full);
    *ret_bytes = g->bytes;
    return r;
}
