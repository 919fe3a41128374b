"""How far long work is, on standard error: a bar on a terminal, elsewhere one line in a while."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bot.cli.console import err

EVERY_S = 30.0
"""How often a line is printed where nobody watches a terminal; none before that time is over."""

Show = Callable[[int, int], None]


class Lines:
    """Prints a line when the last one, or the beginning, is `EVERY_S` ago."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_s = clock()

    def show(self, line: str) -> None:
        """Print the line if it is time."""
        if self._clock() - self._last_s >= EVERY_S:
            self._last_s = self._clock()
            err.print(line, markup=False)


@contextmanager
def progress(description: str) -> Iterator[Show]:
    """Show how many of how many steps are done; `show(done, total)` is called after each."""
    if not err.is_terminal:
        lines = Lines()
        yield lambda done, total: lines.show(f"{description}: {done} of {total}")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bars:
        bar = bars.add_task(description, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)
