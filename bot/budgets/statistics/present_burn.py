"""Whether errors come faster than usual now, how fast, and for how long already. Pure; no clock, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass

Cell = tuple[float, float]
"""Bad events and all events."""

_LEAST_BAD = 3
_TIMES_USUAL = 3.0
_TIMES_ALLOWED = 2.0
_LONGEST_H = 6.0
_EXPECTED_TO_TELL = 6.0
_ENDED_BELOW = 0.25


@dataclass(frozen=True, slots=True)
class PresentBurn:
    """The bad events of the newest hours, an hour: `fast` in a short window, `slow` in a longer one.

    They have come at about that rate for `lasted_h` hours.
    """

    fast: float
    slow: float
    lasted_h: float


def present_burn(newest: Mapping[float, Cell], *, usual: float, allowed: float) -> PresentBurn | None:
    """Return the present burn, given the events of the last hours by their number; None if there is none.

    `usual` are the bad events of an ordinary hour, `allowed` is the share of events that may be bad. The
    shortest time with three bad events leads. What has stopped since is not a present burn.
    """
    lengths = sorted(length for length in newest if length <= _LONGEST_H)
    leading = next((length for length in lengths if newest[length][0] >= _LEAST_BAD), None)
    if leading is None:
        return None
    bad, total = newest[leading]
    fast = bad / leading
    if fast < _TIMES_USUAL * usual or bad < _TIMES_ALLOWED * allowed * total:
        return None
    if any(_has_ended(fast * length, newest[length][0]) for length in lengths if length < leading):
        return None
    longer = [length for length in lengths if length > leading]
    slow = newest[longer[0]][0] / longer[0] if longer else fast
    return PresentBurn(fast, min(fast, slow), max(newest[length][0] for length in (leading, *longer)) / fast)


def _has_ended(expected: float, seen: float) -> bool:
    return expected >= _EXPECTED_TO_TELL and seen < _ENDED_BELOW * expected
