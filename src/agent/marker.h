/* marker.h: what of a stack could not be told, as a frame of its own. Declared once; what a person
 * can do about each is told by src/web/markers.ts. */
#pragma once

/* id, the frame's name, what it says. Those of the unwinder's ends (unwind.h) have their ids, and
 * stand at the root end: what called the frames above it is not known. */
#define MARKERS(X)                                                                       \
    X(other, "[other]", "Rare stacks, counted together since the window was full.")      \
    X(unknown, "[unknown]", "No frame at all, or one in memory that nobody told of.")    \
    X(truncated, "[truncated]", "There was more than was copied, or may be in a stack.") \
    X(no_rule, "[no unwind info]", "Nothing tells who called this code.")                \
    X(unmapped, "[caller is no code]", "What should have been a caller is no code.")     \
    X(stuck, "[inconsistent stack]", "The stack's memory contradicts the unwind rules.")

enum marker {
#define X(id, name, help) MARKER_##id,
    MARKERS(X)
#undef X
        MARKER_COUNT
};
