/* debugdata.h: the ELF file within an ELF file: .gnu_debugdata, xz-compressed ("MiniDebugInfo" in
 * GDB's manual). Untrusted bytes. */
#pragma once

#include <stddef.h>

struct buf;
struct err;

/* The file's bytes from the section's, appended to an empty buffer whose `max` bounds them. -EFBIG,
 * -ENOMEM, -EBADMSG. */
int debugdata_unpack(const void *bytes, size_t len, struct buf *out, struct err *err);
