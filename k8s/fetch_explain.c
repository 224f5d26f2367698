/* fetch_explain.c: takes what became of a transfer, gives words that say what to look at. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "k8s/fetch_internal.h"
#include "k8s/json.h"

#define SHOWN_MAX 240 /* bytes of a body within an error */

/* The beginning on one line, without what would break it. */
static void plain(char *to, size_t size, const char *from, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < size; i++) {
        unsigned char c = (unsigned char)from[i];
        if (isspace(c) && (n == 0 || to[n - 1] == ' '))
            continue;
        to[n++] = isspace(c) ? ' ' : iscntrl(c) ? '?' : (char)c;
    }
    while (n > 0 && to[n - 1] == ' ')
        n--;
    to[n] = 0;
}

/* kubelet's are plain text, the API server's a Status, whose `message` is for people. */
static void server_words(const struct fetch *f, char *to, size_t size)
{
    const char *body = (const char *)f->words.data;
    _cleanup_json_ json_t *json = json_loadb(body ? body : "", f->words.len, 0, NULL);
    const char *message = json_string_value(json_object_get(json, "message"));
    plain(to, size, message ? message : body, message ? strlen(message) : f->words.len);
}

static int explain_status(struct fetch *f, const char *path, struct err *err)
{
    char words[SHOWN_MAX];
    server_words(f, words, sizeof(words));
    f->failure = FETCH_STATUS;
    int code = f->status == 401 || f->status == 403 ? -EACCES : -EPROTO;
    if (f->status >= 300 && f->status < 400)
        return err_set(err, code, "%s%s: HTTP %ld, which leads elsewhere and is not followed",
                       f->where, path, f->status);
    return err_set(err, code, "%s%s: HTTP %ld%s%s", f->where, path, f->status, *words ? ": " : "",
                   words);
}

/* Which of the two is wrong, the name or who vouches for it, libcurl tells in words only: they have
 * "subject name" with each of its TLS libraries. */
static int explain_certificate(struct fetch *f, const char *words, struct err *err)
{
    if (strstr(words, "subject name")) {
        f->failure = FETCH_NAME;
        return err_set(err, -EKEYREJECTED, "%s: the certificate is not for \"%s\" (%s)", f->where,
                       f->server_name, words);
    }
    f->failure = FETCH_AUTHORITY;
    return err_set(err, -EKEYREJECTED, "%s: nobody in %s vouches for the certificate (%s)",
                   f->where, f->ca_file ? f->ca_file : "the system's list of authorities", words);
}

static int explain_code(struct fetch *f, CURLcode code, struct err *err)
{
    long os_errno = 0;
    const char *words = f->curl_error[0] ? f->curl_error : curl_easy_strerror(code);
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        f->failure = FETCH_CONNECT;
        curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &os_errno);
        return err_set(err, os_errno == EACCES ? -EACCES : -ECONNREFUSED, "%s: %s", f->where,
                       os_errno ? strerrordesc_np((int)os_errno) : words);
    case CURLE_OPERATION_TIMEDOUT:
        f->failure = f->connected ? FETCH_TIMEOUT : FETCH_CONNECT;
        return err_set(err, -ETIMEDOUT, "%s: %s", f->where, words);
    case CURLE_PEER_FAILED_VERIFICATION:
#if LIBCURL_VERSION_NUM < 0x073e00 /* 7.62 made one of the two */
    case CURLE_SSL_CACERT:
#endif
        return explain_certificate(f, words, err);
    case CURLE_SSL_CACERT_BADFILE:
        f->failure = FETCH_CA_FILE;
        return err_set(err, -EKEYREJECTED,
                       "%s: the file of certificate authorities %s is missing "
                       "or no PEM",
                       f->where, f->ca_file ? f->ca_file : "of the system");
    case CURLE_OUT_OF_MEMORY:
        return err_errno(err, -ENOMEM, "asking %s", f->where);
    default:
        return err_set(err, -EPROTO, "%s: %s", f->where, words);
    }
}

int fetch_explain(struct fetch *f, CURLcode code, const char *path, struct err *err)
{
    f->failure = FETCH_OTHER;
    if (f->refused == -EFBIG && f->to) {
        f->failure = FETCH_TOO_LARGE;
        return err_set(err, -EFBIG, "%s%s: the answer is larger than allowed", f->where, path);
    }
    if (f->refused < 0)
        return f->to ? err_errno(err, f->refused, "asking %s", f->where) : f->refused;
    if (f->too_slow) {
        f->failure = FETCH_TIMEOUT;
        return err_set(err, -ETIMEDOUT, "%s%s: silent for too long", f->where, path);
    }
    if (code == CURLE_ABORTED_BY_CALLBACK) {
        f->failure = FETCH_STOPPED;
        return err_set(err, -ECANCELED, "%s%s: stopped", f->where, path);
    }
    if (f->status != 0 && f->status != 200)
        return explain_status(f, path, err);
    if (code != CURLE_OK)
        return explain_code(f, code, err);
    if (f->status != 200)
        return err_set(err, -EPROTO, "%s: what answers there speaks no HTTP", f->where);
    f->failure = FETCH_OK;
    return 0;
}
