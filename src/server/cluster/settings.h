/* settings.h: which API server is to be followed, by the settings or by the pod the server runs in.
 */
#pragma once

#include <stdbool.h>

struct err;

/* Where Kubernetes puts a pod's service account. */
#define KUBE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

struct kube_settings {
    char server[320]; /* "": none */
    char token_file[4096], ca_file[4096];
};

/* `server`, `token_file` and `ca_file` as they were set; NULL if they were not, and an empty
 * `server` for none. Without one it is that of the environment's KUBERNETES_SERVICE_HOST and
 * KUBERNETES_SERVICE_PORT, with the pod's own token and authority below `account_dir`, if there is
 * a token. -EINVAL, -ENAMETOOLONG. */
int kube_settings_find(const char *server, const char *token_file, const char *ca_file,
                       const char *account_dir, struct kube_settings *ret, struct err *err);
