/* golden_file.h: a file of tests/golden, whole. */
#pragma once

#include "base/buf.h"

/* Fails the test if it is not there. A NUL stands behind the bytes. */
struct buf golden_file(const char *name);
