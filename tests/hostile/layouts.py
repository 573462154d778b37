"""Expositions that change between two scrapes. The function keeps the layout of a page, and reads lines that did not change from it."""

from __future__ import annotations

from collections.abc import Callable

from collisions import colliding_label_values
from inputs import INLINE, add
from wire import numbered

# Lines of a page. The largest page with a layout has 2 MiB.
SIZES = (5_000, 10_000, 20_000)

# Returns the page of a task in a run.
Page = Callable[[int, int, int], bytes]


def layout(case: str, sizes: tuple[int, ...] = SIZES, **options: object) -> Callable[[Page], None]:
    return lambda make: add(f"layout: {case}", "scrape_runs", sizes=sizes, settings=INLINE, options=options)(make)


@layout("names that are new in each run")
def _(size: int, run: int, task: int) -> bytes:
    return numbered(b"run_%d_0000000 1\n" % run, size)


@layout("values of a label that are new in each run")
def _(size: int, run: int, task: int) -> bytes:
    return numbered(b'm{a="0000000_%d"} 1\n' % run, size)


@layout("lines in reverse order in each second run")
def _(size: int, run: int, task: int) -> bytes:
    lines = numbered(b'm{a="0000000"} 1\n', size).splitlines(keepends=True)
    return b"".join(reversed(lines) if run % 2 else lines)


@layout("lines that are moved by more than the function looks ahead")
def _(size: int, run: int, task: int) -> bytes:
    lines = numbered(b'm{a="0000000%s"} 1\n' % (b"x" * 60), size).splitlines(keepends=True)
    return b"".join(lines[start + number] for start in range(0, size, 100) for number in ((at + 67 * run) % 100 for at in range(100)))


@layout("every second line missing in each second run")
def _(size: int, run: int, task: int) -> bytes:
    return b"".join(numbered(b'm{a="0000000"} 1\n', size).splitlines(keepends=True)[:: 1 + run % 2])


@layout("lines that begin with the line before", sizes=(500, 1_000, 1_900))
def _(size: int, run: int, task: int) -> bytes:
    lines = [b"m" * length + b" 1\n" for length in range(1, size)]
    return b"".join(reversed(lines) if run % 2 else lines)


@layout("spaces after a name", sizes=(200_000, 400_000, 800_000))
def _(size: int, run: int, task: int) -> bytes:
    return b"m" + b" " * size + b"1\n" + b"n" + b" " * (size + run) + b'{a="b"} 1\n'


@layout("lines with the same hash", sizes=(2_500, 5_000, 10_000))
def _(size: int, run: int, task: int) -> bytes:
    values = colliding_label_values(b"lbla", 2 * size)
    return b"".join(b'm{lbla="%s"} 1\n' % value for value in values[run % 2 :: 2])


@layout("lines with a timestamp", sizes=SIZES)
def _(size: int, run: int, task: int) -> bytes:
    return numbered(b'm{a="0000000_%d"} 1 TIME\n' % run, size)


@layout("largest page, new in each run", sizes=(12_500, 25_000, 50_000), memory_mb=(512, 128))
def _(size: int, run: int, task: int) -> bytes:
    return numbered(b'm{a="0000000_%d_%s"} 1\n' % (run, b"x" * 280), size)


@layout("pages of 60 tasks", sizes=(250, 500, 1_000), tasks=60, memory_mb=(512, 128))
def _(size: int, run: int, task: int) -> bytes:
    return numbered(b'm{task="%d",a="0000000"} 1\n' % task, size)


@layout("pages of 60 tasks, new in each run", sizes=(250, 500, 1_000), tasks=60, memory_mb=(512, 128))
def _(size: int, run: int, task: int) -> bytes:
    return numbered(b'm{task="%d_%d",a="0000000"} 1\n' % (task, run), size)


@layout("pages of 60 tasks with timestamps, new in each run", sizes=(250, 500, 1_000), tasks=60, memory_mb=(512, 128))
def _(size: int, run: int, task: int) -> bytes:
    return numbered(b'm{task="%d_%d",a="0000000"} 1 TIME\n' % (task, run), size)


@layout("long paths of 200 tasks", sizes=(1_000, 2_000, 4_000), tasks=200, path_bytes=30_000, memory_mb=(512, 128))
def _(size: int, run: int, task: int) -> bytes:
    return b"m 1\n"
