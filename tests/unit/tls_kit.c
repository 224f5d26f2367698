/* tls_kit.c: see tls_kit.h. */
#include "tls_kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"

bool tls_kit_make(struct tls_kit *kit, const struct temp_dir *dir, const char *name)
{
    char command[PATH_MAX + 1024];
    *kit = (struct tls_kit){0};
    snprintf(command, sizeof(command),
             "cd '%s' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
             "-keyout %s.key -out %s.pem -days 2 -subj /CN=%s -addext subjectAltName=DNS:%s "
             ">openssl.log 2>&1",
             dir->path, name, name, name, name);
    if (system(command) != 0)
        return false;
    char file[256];
    snprintf(kit->ca_file, sizeof(kit->ca_file), "%s/%.48s.pem", dir->path, name);
    snprintf(file, sizeof(file), "%s.key", name);
    return fs_read_at(dir->fd, file, 65536, &kit->key, NULL) == 0 &&
           fs_read_at(AT_FDCWD, kit->ca_file, 65536, &kit->cert, NULL) == 0;
}

void tls_kit_free(struct tls_kit *kit)
{
    buf_free(&kit->cert);
    buf_free(&kit->key);
}
