"""Recursion through C: each level is a function of Python called by max(), which is C; 60 deep."""
import time

end = time.monotonic() + 2


def bottom():
    while time.monotonic() < end:
        sum(range(2000))
    return 0


def down(level):
    return bottom() if level == 0 else max((level - 1,), key=down)


down(60)
