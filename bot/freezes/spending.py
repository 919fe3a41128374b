"""Where a spent budget went, as far as incidents explain it. Pure; no clock, no I/O."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spending:
    """The share (0 to 1) of what was spent that went in incidents, and what that teaches.

    `incidents` are their numbers, the costliest first; `is_open` says that the costliest lasts. `cause` is
    the class of cause that most of it went to and `work` the reliability work that it points to, both None
    where most of it is not classified yet.
    """

    share: float
    incidents: tuple[int, ...]
    is_open: bool = False
    cause: str | None = None
    work: str | None = None
