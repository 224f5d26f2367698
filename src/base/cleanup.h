/* cleanup.h: one owner per object, freed where it goes out of scope. */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Runs `fn(&variable)` when the variable leaves its scope, on every way out. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Hands an owned pointer on: gives its value and leaves NULL behind. */
#define TAKE_PTR(p)               \
    ({                            \
        __typeof__(p) *_p = &(p); \
        __typeof__(p) _v = *_p;   \
        *_p = NULL;               \
        _v;                       \
    })

/* Hands an owned file descriptor on: gives its value and leaves -1 behind. */
#define TAKE_FD(fd)      \
    ({                   \
        int *_p = &(fd); \
        int _v = *_p;    \
        *_p = -1;        \
        _v;              \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
    if (*d)
        closedir(*d);
}

#define _cleanup_free_     _cleanup_(cleanup_free)
#define _cleanup_close_    _cleanup_(cleanup_close)
#define _cleanup_fclose_   _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)
