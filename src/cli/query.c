/* query.c: takes the settings that choose samples, gives the request's path. */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cli/cli.h"

static int add(struct buf *to, const char *key, const char *value, size_t len)
{
    char *escaped = curl_easy_escape(NULL, value, (int)len);
    int r = escaped
                ? buf_printf(to, "%c%s=%s", strchr((char *)to->data, '?') ? '&' : '?', key, escaped)
                : -ENOMEM;
    curl_free(escaped);
    return r;
}

static int add_text(struct buf *to, const char *key, const char *value)
{
    if (!value || !*value) /* curl_easy_escape takes a length of 0 for "measure it" */
        return 0;
    return add(to, key, value, strlen(value));
}

/* "namespace=shop,pod=cart-0": names as the server takes them, values as they are. */
static int add_where(struct buf *to, const char *where, struct err *err)
{
    while (*where) {
        char key[65];
        size_t len = strcspn(where, ","), key_len = strcspn(where, "=,");
        if (where[key_len] != '=' || key_len == 0 || key_len == len - 1 || key_len >= sizeof(key) ||
            strspn(where, "abcdefghijklmnopqrstuvwxyz0123456789_") != key_len)
            return err_set(err, -EINVAL, "--where %.*s: write LABEL=VALUE,LABEL=VALUE",
                           (int)(len < 200 ? len : 200), where);
        memcpy(key, where, key_len);
        key[key_len] = 0;
        int r = add(to, key, where + key_len + 1, len - key_len - 1);
        if (r < 0)
            return err_errno(err, r, "building the request");
        where += len + (where[len] == ',');
    }
    return 0;
}

int cli_query(const struct cli_config *c, const char *path, const char *more, char **ret,
              struct err *err)
{
    _cleanup_(buf_free) struct buf url = {0};
    int r = buf_printf(&url, "%s", path);
    if (r == 0)
        r = add_text(&url, "start", c->start);
    if (r == 0)
        r = add_text(&url, "end", c->end);
    if (r == 0)
        r = add_text(&url, "node", c->node);
    if (r == 0)
        r = add_text(&url, "process", c->process);
    if (r == 0)
        r = add_text(&url, "thread", c->thread);
    if (r < 0)
        return err_errno(err, r, "building the request");
    r = c->where ? add_where(&url, c->where, err) : 0;
    if (r < 0)
        return r;
    r = buf_printf(&url, "%s", more);
    if (r < 0)
        return err_errno(err, r, "building the request");
    *ret = (char *)TAKE_PTR(url.data);
    return 0;
}
