/* utf8.h: is it UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF)? */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes of `text` before the first that is not part of a whole character; `len` if all is well. */
size_t utf8_valid_prefix(const char *text, size_t len);

/* Puts '?' in place of every byte that is not part of a whole character. The length stays. */
void utf8_repair(char *text, size_t len);

/* The most bytes, at most `max`, that end between two characters. */
size_t utf8_cut(const char *text, size_t len, size_t max);
