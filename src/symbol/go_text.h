/* go_text.h: names of Go's functions as Go prints them. For src/symbol only. */
#pragma once

struct buf;

/* Appends the name with type arguments, which may fill pages, as "[...]", and a NUL. -ENOMEM,
 * -EFBIG. */
int go_text_print(const char *name, struct buf *to);
