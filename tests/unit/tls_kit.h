/* tls_kit.h: certificates for tests, made by openssl(1) as a person would make them. */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "base/buf.h"
#include "temp_dir.h"

struct tls_kit {
    char ca_file[PATH_MAX + 64]; /* the certificate itself: it is its own authority */
    struct buf cert, key;        /* PEM */
};

/* A certificate for the DNS name alone, as kubelet makes one for itself. False: openssl(1) is not
 * there or too old. */
bool tls_kit_make(struct tls_kit *kit, const struct temp_dir *dir, const char *name);
void tls_kit_free(struct tls_kit *kit);
