/* flame.c: `podflame flame`, the stacks of a range as the server gives them. */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/cli.h"

int cli_flame(const struct cli_config *config, char **args, struct err *err)
{
    _cleanup_free_ char *path = NULL, *more = NULL;
    const char *group = config->group ? config->group : "";
    bool is_short;
    int r = cli_short_names(config, false, &is_short, err);
    if (r < 0)
        return r;
    char *escaped = *group ? curl_easy_escape(NULL, group, 0) : NULL;
    int n = asprintf(&more, "&group=%s&format=%s%s%s", escaped ? escaped : "",
                     config->json ? "json" : "folded", is_short ? "&names=short" : "",
                     config->lines ? "&lines=true" : "");
    bool failed = n < 0 || (*group && !escaped);
    curl_free(escaped);
    if (n < 0)
        more = NULL;
    if (failed)
        return err_errno(err, -ENOMEM, "building the request");
    r = cli_query(config, "/api/v1/flame", more, &path, err);
    if (r == 0)
        r = cli_fetch_to(config, path, stdout, err);
    if (r == 0 && fflush(stdout) != 0)
        r = err_errno(err, -errno, "writing to the standard output");
    return r;
}
