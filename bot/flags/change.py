"""Changes of a flag, and what they lead to. Pure; no clock, no I/O.

A change is independent of the flag system's form of it: `apply_to` returns the state that a change leads to,
`Difference` compares two states by exposure.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, assert_never

from bot.flags.flag import FlagState, Shape, exposure_in_words, state_from_json
from bot.formatting import percent_text


@dataclass(frozen=True, slots=True)
class TurnOn:
    """Serve the flag's own rollout again, or everybody where it has none."""


@dataclass(frozen=True, slots=True)
class TurnOff:
    """Serve nobody; the rollout and the rules stay for the next time."""


@dataclass(frozen=True, slots=True)
class SetExposure:
    """Turn the flag on for this share of users, between 0 and 1."""

    share: float


@dataclass(frozen=True, slots=True)
class Kill:
    """Off for everyone at once, whatever default the code has."""


@dataclass(frozen=True, slots=True)
class Restore:
    """Restore a recorded state exactly."""

    state: FlagState


FlagChange = TurnOn | TurnOff | SetExposure | Kill | Restore


class ImpossibleChangeError(Exception):
    """The change makes no sense for this flag; the message says why."""


class ShareOutOfRangeError(ImpossibleChangeError):
    """The share is out of range, or finer than the flag system can store."""


class Direction(StrEnum):
    """What a change does to how many see the flag."""

    RAISES = "raises"
    LOWERS = "lowers"
    KEEPS = "keeps"


@dataclass(frozen=True, slots=True)
class Difference:
    """Two states of one flag, compared by who sees it."""

    before: FlagState
    after: FlagState

    @property
    def direction(self) -> Direction:
        """Return whether more people see the flag; what cannot be compared counts as raising."""
        before, after = self.before.exposure, self.after.exposure
        if after == 0:
            return Direction.KEEPS if before == 0 else Direction.LOWERS
        if before == 1 and self.before.shape is Shape.SIMPLE:
            return Direction.KEEPS if _same(self.before, self.after) else Direction.LOWERS
        if before == 0 or before is None or after is None or not _comparable(self.before, self.after):
            return Direction.KEEPS if _same(self.before, self.after) else Direction.RAISES
        if before == after:
            return Direction.KEEPS
        return Direction.RAISES if after > before else Direction.LOWERS

    @property
    def words(self) -> str:
        """The difference as text: `5% → 25% of users`, `off → 5% of users`, `25% of users → off`."""
        before, after = exposure_in_words(self.before), exposure_in_words(self.after)
        if before == after:
            is_other = _is_configured_otherwise(self.before, self.after)
            return f"{after} as before, with other rules" if is_other else f"{after}, as before"
        both_on = self.before.enabled and self.after.enabled
        if both_on and self.before.rollout is not None and self.before.shape is self.after.shape:
            before = percent_text(self.before.rollout, plain=True)
        return f"{before} → {after}"


def apply_to(state: FlagState, change: FlagChange, *, finest: float = 0.0) -> FlagState:
    """Return the state that `change` leads to; `finest` is the smallest step of a share that can be stored.

    Raises `ShareOutOfRangeError` for a share out of range or finer than that, `ImpossibleChangeError` for a
    percentage of a flag that has none.
    """
    match change:
        case TurnOn():
            return replace(state, enabled=True)
        case TurnOff() | Kill():
            return replace(state, enabled=False, share_while_off=0.0)
        case SetExposure(share):
            _check_share(share, finest)
            if state.rollout is None and state.shape is Shape.OPAQUE:
                raise ImpossibleChangeError(f"who sees {state.flag} is not known (opaque): turn it off first")
            if state.rollout is None:
                raise ImpossibleChangeError(
                    f"{state.flag} has no single percentage ({state.shape}): "
                    "setting one would overwrite its rules"
                )
            return replace(state, enabled=True, rollout=share)
        case Restore(recorded):
            if (recorded.flag, recorded.environment) != (state.flag, state.environment):
                raise ImpossibleChangeError(
                    f"the recorded state is of {recorded.flag} in {recorded.environment}"
                )
            return recorded
        case _:
            assert_never(change)


def change_as_json(change: FlagChange) -> dict[str, Any]:
    """Return the change as JSON, for an approval or a ramp that outlives the process."""
    return {"kind": type(change).__name__, **asdict(change)}


def change_from_json(written: Mapping[str, Any]) -> FlagChange:
    """Return the change that `change_as_json` wrote."""
    kind = written["kind"]
    if kind == "SetExposure":
        return SetExposure(float(written["share"]))
    if kind == "Restore":
        return Restore(state_from_json(written["state"]))
    plain: Mapping[str, FlagChange] = {"TurnOn": TurnOn(), "TurnOff": TurnOff(), "Kill": Kill()}
    return plain[kind]


def _check_share(share: float, finest: float) -> None:
    if not 0 <= share <= 1:
        raise ShareOutOfRangeError(f"{percent_text(share, plain=True)} is not between 0% and 100%")
    if finest and abs(share / finest - round(share / finest)) > 1e-8:
        raise ShareOutOfRangeError(
            f"{percent_text(share, plain=True)} is finer than "
            f"the steps of {percent_text(finest, plain=True)} that are kept"
        )


def _comparable(before: FlagState, after: FlagState) -> bool:
    """Return whether shares in the two states are shares of the same people."""
    if before.shape is not after.shape:
        return False
    return before.shape is Shape.SIMPLE or not _is_configured_otherwise(before, after)


def _same(before: FlagState, after: FlagState) -> bool:
    shown = (before.enabled, before.exposure, before.shape) == (after.enabled, after.exposure, after.shape)
    return shown and (before.shape is Shape.SIMPLE or not _is_configured_otherwise(before, after))


def _is_configured_otherwise(before: FlagState, after: FlagState) -> bool:
    return before.configuration != after.configuration
