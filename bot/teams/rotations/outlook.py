"""Who serves now in a rotation, and who will next, as things stand. Pure; no clock, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from bot.catalog.rotation import Rotation
from bot.teams.rotations.period import Absence, RequestedSwap, RotationPeriod, passed_over, turns_of
from bot.teams.rotations.plan import AgreedSwap, History, PlannedPair, Side, forecast
from bot.teams.rotations.ports import Members


class SwapError(Exception):
    """Two cannot swap; the message says why, with `{one}` and `{other}` in place of their names."""


@dataclass(frozen=True, slots=True)
class ComingPeriod:
    """A period to come, with the pair that it will have if nothing changes."""

    begins_at: datetime
    ends_at: datetime
    planned: PlannedPair


@dataclass(frozen=True, slots=True)
class RotationOutlook:
    """A rotation as it stands: all its periods so far, and those to come as far as was asked."""

    rotation: Rotation
    members: Members
    periods: Sequence[RotationPeriod]
    coming: Sequence[ComingPeriod]
    absences: Sequence[Absence] = ()
    asked: Sequence[RequestedSwap] = ()

    @property
    def current(self) -> RotationPeriod | None:
        """The period that is under way; None before the first, or between two."""
        last = self.periods[-1] if self.periods else None
        return last if last is not None and last.closed_at is None else None

    def begins_of(self, number: int) -> datetime:
        """Return when a period begins that has begun or is among those to come."""
        begins = {period.number: period.begins_at for period in self.periods}
        begins |= {each.planned.number: each.begins_at for each in self.coming}
        return begins[number]

    def side_of(self, person: str) -> Side | None:
        """Return on which side a person may serve; None for somebody else."""
        return next((side for side in Side if person in self.members[side]), None)

    def swap_of(self, one: str, other: str) -> AgreedSwap:
        """Return the swap of the next turns of two of one side; raises `SwapError`."""
        side = self._common_side(one, other)
        turns = {person: self._next_turn(person, side) for person in (one, other)}
        earlier, later = sorted(turns, key=lambda person: turns[person])
        if turns[earlier][1] != turns[later][1]:
            served = "{other}" if earlier == one else "{one}"
            raise SwapError(f"{served} has served in this round already, and would serve twice in it")
        return AgreedSwap(side, turns[earlier][0], later, turns[later][0], earlier)

    def swap_partners(self, person: str) -> list[str]:
        """Return with whom a person could swap, those whose turn comes first before the others."""
        side = self.side_of(person)
        partners = []
        for other in self.members[side] if side is not None else ():
            try:
                partners.append((self.swap_of(person, other).later, other))
            except SwapError:
                continue
        return [other for _, other in sorted(partners)]

    def _common_side(self, one: str, other: str) -> Side:
        if one == other:
            raise SwapError("it takes two to swap")
        for side in Side:
            if one in self.members[side] and other in self.members[side]:
                return side
        if self.side_of(one) is None or self.side_of(other) is None:
            stranger = "{one}" if self.side_of(one) is None else "{other}"
            raise SwapError(f"{stranger} is not in this rotation")
        raise SwapError("{one} and {other} are on different sides, and each pair needs one of both")

    def _next_turn(self, person: str, side: Side) -> tuple[int, int]:
        """Return the number and the round of the turn that a person has now or next."""
        current = self.current
        serving = current.serving(side) if current is not None else None
        if serving is not None and serving.turn.person == person:
            return serving.turn.number, serving.turn.round
        for each in self.coming:
            choice = each.planned.choices[side]
            if choice.person == person:
                return each.planned.number, choice.round
        raise SwapError("{one} or {other} has no turn to come, as far as can be seen")


def history_of(periods: Sequence[RotationPeriod], agreed: Sequence[RequestedSwap]) -> History:
    """Return the history that the next pair is chosen by."""
    return History(turns_of(periods), [requested.swap for requested in agreed])


def look_ahead(
    rotation: Rotation,
    members: Members,
    periods: Sequence[RotationPeriod],
    *,
    absences: Sequence[Absence],
    agreed: Sequence[RequestedSwap],
    now: datetime,
    count: int,
) -> list[ComingPeriod]:
    """Return so many periods to come after the one that is under way."""
    last = periods[-1] if periods else None
    begins = list(rotation.begins_after(now, count + 1))
    begun = rotation.begun(now)
    if begun is not None and (last is None or last.closed_at is not None or last.begins_at < begun):
        # The period of now has not begun yet: whoever begins it comes a moment later.
        begins = [begun, *begins[:-1]]
    spans = list(pairwise(begins))
    away = [passed_over(absences, *span) for span in spans]
    first = last.number + 1 if last is not None else 1
    planned = forecast(history_of(periods, agreed), first, away, members)
    return [ComingPeriod(*span, pair) for span, pair in zip(spans, planned, strict=True)]
