/* settings.c: takes settings and the environment, gives an API server's address. See settings.h. */
#include "server/cluster/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/err.h"

static int copy(char *to, size_t size, const char *text, struct err *err)
{
    int len = snprintf(to, size, "%s", text ? text : "");
    return len < (int)size ? 0 : err_errno(err, -ENAMETOOLONG, "%s", text);
}

/* The address that every pod is told; an IPv6 address without brackets. */
static void find_in_pod(struct kube_settings *s)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    if (!host || !*host || !port || !*port)
        return;
    bool is_ipv6 = strchr(host, ':') != NULL;
    int len = snprintf(s->server, sizeof(s->server), "https://%s%s%s:%s", is_ipv6 ? "[" : "", host,
                       is_ipv6 ? "]" : "", port);
    if (len >= (int)sizeof(s->server))
        s->server[0] = 0;
}

int kube_settings_find(const char *server, const char *token_file, const char *ca_file,
                       const char *account_dir, struct kube_settings *ret, struct err *err)
{
    struct kube_settings s = {0};
    int r = copy(s.server, sizeof(s.server), server, err);
    if (r == 0)
        r = copy(s.token_file, sizeof(s.token_file), token_file, err);
    if (r == 0)
        r = copy(s.ca_file, sizeof(s.ca_file), ca_file, err);
    if (r < 0)
        return r;
    if (!server) {
        find_in_pod(&s);
        if (!*s.ca_file)
            snprintf(s.ca_file, sizeof(s.ca_file), "%s/ca.crt", account_dir);
        if (!*s.token_file) {
            snprintf(s.token_file, sizeof(s.token_file), "%s/token", account_dir);
            if (access(s.token_file, R_OK) < 0) /* an account that is not to be used */
                s.server[0] = 0;
        }
    }
    if (token_file && strncasecmp(s.server, "http://", 7) == 0)
        return err_set(err, -EINVAL, "--api-token is sent over https only, not to %s", s.server);
    *ret = s;
    return 0;
}
