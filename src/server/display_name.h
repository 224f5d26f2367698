/* display_name.h: how a frame's name is shown where room is dear. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "symbol/short_name.h"
#include "wire/format.h"

/* As short_name(), by the frame's kind. Groups' values and markers are short as they are. */
static inline bool display_name(const char *name, uint8_t kind, char ret[SHORT_NAME_MAX])
{
    switch (kind) {
    case FRAME_USER:
    case FRAME_KERNEL:
        return short_name(name, NAME_OF_CODE, ret);
    case FRAME_JIT:
        return short_name(name, NAME_OF_JIT, ret);
    case FRAME_INLINED:
        return short_name(name, NAME_OF_INLINED, ret);
    default:
        return false;
    }
}
