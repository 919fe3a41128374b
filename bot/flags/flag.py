"""A flag in one environment, as every flag system's flags can be described. Pure; no clock, no I/O.

`rollout` is what the flag means once it is on; `exposure` is what it means now. Shares are fractions
between 0 and 1.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from bot.formatting import percent_text


class Shape(StrEnum):
    """How the flag decides who sees it."""

    SIMPLE = "simple"
    """One share of all users: one percentage describes it."""
    TARGETED = "targeted"
    """Rules choose users by what they are; a rollout, where there is one, is a share of those chosen."""
    MULTIVARIATE = "multivariate"
    """More values than on and off."""
    OPAQUE = "opaque"
    """Not understood by the adapter."""


@dataclass(frozen=True, slots=True)
class FlagState:
    """A flag as its system has it.

    `rollout` is None where no single share describes it. `version` changes with everything in the state
    (two equal versions: nobody changed the flag). `configuration` is the system's own form, JSON,
    that brings this very state back; only the backend that wrote it reads it. `share_while_off` is who sees
    the flag while it is not enabled: nobody, or None where its system leaves that to the application's code.
    """

    flag: str
    environment: str
    enabled: bool
    rollout: float | None
    shape: Shape = Shape.SIMPLE
    version: str = ""
    stale: bool = False
    url: str | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict, repr=False)
    share_while_off: float | None = 0.0

    @property
    def exposure(self) -> float | None:
        """The share that sees the flag on now: as a rule 0 while it is off; None where it cannot be known."""
        return self.rollout if self.enabled else self.share_while_off

    @property
    def is_off(self) -> bool:
        """Whether nobody sees it."""
        return self.exposure == 0


def is_same_state(state: FlagState, other: FlagState) -> bool:
    """Return whether two states of a flag differ in nothing but what its system counts and links."""
    return replace(state, version="", stale=False, url=None) == replace(
        other, version="", stale=False, url=None
    )


def exposure_in_words(state: FlagState) -> str:
    """Return who sees the flag: `off`, `25% of users`, `5% of those its rules choose`, …."""
    if not state.enabled:
        return _off_in_words(state.share_while_off)
    if state.shape is Shape.SIMPLE and state.rollout is not None:
        return f"{percent_text(state.rollout, plain=True)} of users"
    if state.rollout is not None:
        return f"{percent_text(state.rollout, plain=True)} of those its rules choose"
    if state.shape is Shape.MULTIVARIATE:
        return "on, with several values"
    return "on for those its rules choose" if state.shape is Shape.TARGETED else "on, for whom is not known"


def _off_in_words(share: float | None) -> str:
    if share is None:
        return "left to the code's default, for whom is not known"
    return f"off, yet on for {percent_text(share, plain=True)} of users" if share else "off"


def subject(flag: str, environment: str) -> str:
    """Return what the audit log calls a flag in an environment."""
    return f"{flag} in {environment}"


def state_from_json(written: Mapping[str, Any]) -> FlagState:
    """Return the state that `state_as_json` wrote."""
    return FlagState(**{**written, "shape": Shape(written["shape"])})


def state_as_json(state: FlagState) -> dict[str, Any]:
    """Return the state as JSON, in full."""
    return asdict(state)
