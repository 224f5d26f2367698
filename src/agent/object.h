/* object.h: what addresses lie in: ELF files, the vdso, JIT memory. One struct object however many
 * processes map it, known by build-id, or by device, inode and generation, or by name where there
 * is no file. Reference counted, from any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbol/symbol.h"
#include "wire/format.h"

struct debug_files;
struct err;
struct objects;
struct record_mmap;

struct object {
    struct symbol_key key;
    const char *path; /* as the process mapped it, without " (deleted)" */
    uint8_t kind;     /* enum object_kind */
    uint8_t flags;    /* OBJECT_DELETED */
};

int objects_new(struct objects **ret, struct err *err);

/* All references must have been given back. */
void objects_free(struct objects **objects);

/* The object of a mapping, with a reference of the caller's. -ENOMEM. */
int objects_get(struct objects *objects, const struct record_mmap *mmap, struct object **ret);

/* Whether it is known by its build-id, not by a file's place on disk. */
bool object_has_build_id_key(const struct object *object);

/* The running kernel. */
int objects_get_kernel(struct objects *objects, struct object **ret);

struct object *object_ref(struct object *object);
void object_unref(struct objects *objects, struct object **object);

/* Where a file may be found: the mapping's addresses in a process, and its parent, whose files are
 * the same if the process is gone. */
struct object_place {
    pid_t pid, ppid;
    uint64_t start, end;
};

/* True, once a window and object, when somebody should call object_open: the sampling thread asks,
 * another thread opens, since a file system may hang. `window` only grows. */
bool object_wants_open(struct objects *objects, struct object *object, uint32_t window, pid_t pid);

/* Finds the file and makes sure that it is the one that was mapped, and its debug files, in the
 * process's root and in ours. 0 also if it is open already; the error says which ways were tried.
 */
int object_open(struct objects *objects, struct object *object, const struct object_place *place,
                struct err *err);

/* Copies the build-id and gives its length: what the mapping said, or else the file, once it has
 * been open; 0 if none is known. */
uint8_t object_build_id(struct objects *objects, const struct object *object,
                        uint8_t ret[WIRE_MAX_BUILD_ID]);

/* A descriptor of the caller's own, or -ENOENT if the file was never found. */
int object_dup_fd(struct objects *objects, struct object *object);

/* The same of its debug files, as far as there are any. */
void object_dup_debug(struct objects *objects, struct object *object, struct debug_files *ret);

/* Closes the files unless a window later than `window` wants it: an open file would keep its file
 * system from being unmounted. */
void object_close(struct objects *objects, struct object *object, uint32_t window);
