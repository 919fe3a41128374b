"""The real program with a clock that can be set while it runs, as an operator or a bad NTP server would.

Run as `python -m tests.stories.child_clock FILE run`: the file holds how many seconds the clock is off. The
monotonic clock stays true.
"""

import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

_LOOKS_S = 0.1
_never = threading.Event()


def follow(clock: time_machine.Traveller, file: Path) -> None:
    """Set the clock whenever the file changes, without end."""
    shown = 0.0
    while True:
        with suppress(OSError, ValueError):
            wanted = float(file.read_text())
            if wanted != shown:
                clock.shift(timedelta(seconds=wanted - shown))
                shown = wanted
        _never.wait(_LOOKS_S)


def main() -> None:
    """Run the command line with such a clock."""
    from bot.cli.main import main as run  # noqa: PLC0415 - after the clock is there

    _, file, *sys.argv[1:] = sys.argv
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        threading.Thread(target=follow, args=(clock, Path(file)), daemon=True).start()
        run()


if __name__ == "__main__":
    main()
