/* cfi_image.h: a copy of an ELF object's .eh_frame with its sorted index, .eh_frame_hdr (LSB core,
 * "Exception Frames"), for libunwind to read: a file that is cut while it is mapped would kill its
 * reader. Untrusted bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cfi_image;
struct err;

/* Of the ELF file at `fd`, which stays the caller's. -ENODATA: it has no index; -EFBIG: larger than
 * `max_bytes`; -EBADMSG. */
int cfi_image_read(int fd, size_t max_bytes, struct cfi_image **ret, struct err *err);
void cfi_image_free(struct cfi_image **image);

/* Of memory. */
size_t cfi_image_bytes(const struct cfi_image *image);

/* The index's pairs of pc and FDE, both counted from the address of the index's header. */
struct cfi_index {
    uint64_t header, pairs; /* ELF virtual addresses */
    uint32_t count;
    uint64_t low, high; /* of all that the object loads */
};
struct cfi_index cfi_image_index(const struct cfi_image *image);

/* The ELF virtual address of an offset in the file; false if that is not loaded. */
bool cfi_image_address(const struct cfi_image *image, uint64_t file_offset, uint64_t *ret);

/* Eight bytes at an ELF virtual address. What the object loads beside its CFI reads as zero. */
bool cfi_image_word(const struct cfi_image *image, uint64_t address, uint64_t *ret);
