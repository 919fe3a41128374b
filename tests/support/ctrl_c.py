"""Ctrl-C for a program that waits: not before it does, since Python loses a signal that comes just before."""

import signal
import subprocess
import time
from pathlib import Path
from threading import Event

_WAITS_WITHIN_S = 60
_LOOKS_EVERY_S = 0.005


def interrupt(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Send SIGINT to a program once it sleeps, as it does when a person reads what it asks."""
    until = time.monotonic() + _WAITS_WITHIN_S
    pause = Event()
    while not _sleeps(process.pid):
        assert process.poll() is None, f"ended with {process.returncode} before Ctrl-C"
        assert time.monotonic() < until, "never waited for anything"
        pause.wait(_LOOKS_EVERY_S)
    process.send_signal(signal.SIGINT)


def _sleeps(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "S"
