/* kube_api.c: an API server that answers as a real one did (tests/unit/recorded_api.h), for tests
 * of whole programs.
 *
 *     kube_api DIR TOKEN [CERT KEY]
 *
 * Prints its port, then does what is said on stdin, a line each, until that ends:
 *     forbid RESOURCE    the account may not list or watch these
 *     allow              it may all again
 *     forget             watches from before are too old */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/recorded_api.h"

static char *read_pem(const char *path)
{
    char *text = calloc(1, 65536);
    FILE *f = fopen(path, "re");
    if (!text || !f || fread(text, 1, 65535, f) == 0) {
        perror(path);
        exit(1);
    }
    fclose(f);
    return text;
}

int main(int argc, char **argv)
{
    char line[128];
    if (argc != 3 && argc != 5) {
        fputs("usage: kube_api DIR TOKEN [CERT KEY]\n", stderr);
        return 2;
    }
    char *cert = argc == 5 ? read_pem(argv[3]) : NULL, *key = argc == 5 ? read_pem(argv[4]) : NULL;
    const struct recorded_api_config config = {
        .dir = argv[1],
        .token = argv[2],
        .cert = cert,
        .key = key,
        .page = 3,
    };
    struct recorded_api *api = recorded_api_start(&config);
    printf("%u\n", recorded_api_port(api));
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "forbid ", 7) == 0)
            recorded_api_forbid(api, line + 7);
        else if (strcmp(line, "allow") == 0)
            recorded_api_forbid(api, NULL);
        else if (strcmp(line, "forget") == 0)
            recorded_api_forget(api);
    }
    recorded_api_stop(&api);
    free(cert);
    free(key);
    return 0;
}
