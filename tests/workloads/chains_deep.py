"""Recursion through C: each level is a function of Python called by max(), which is C; 60 deep."""
import time

end = time.process_time() + 2  # of the CPU: also on a busy machine


def bottom():
    while time.process_time() < end:
        sum(range(2000))
    return 0


def down(level):
    return bottom() if level == 0 else max((level - 1,), key=down)


down(60)
