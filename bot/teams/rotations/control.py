"""What people do with rotations: look at them, be away, come back, swap, subscribe to the calendar."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.catalog.rotation import Rotation
from bot.clock import Clock
from bot.store import audit, idempotency
from bot.store.database import Database
from bot.store.outbox import enqueue
from bot.tasks import records as tasks
from bot.teams.rotations import records
from bot.teams.rotations.outlook import RotationOutlook, SwapError, look_ahead
from bot.teams.rotations.period import Absence, RequestedSwap, RotationPeriod, SwapState
from bot.teams.rotations.plan import Turn
from bot.teams.rotations.ports import Members, RotationMembers, RotationMessageWriter
from bot.teams.rotations.tasks import absence_task

_SHOWN = 6
_FAR = 40
_SECRET_BYTES = 24


class RotationError(Exception):
    """A change of a rotation was refused; the message is fit for the person who asked."""


class RepeatedRequestError(RotationError):
    """The same request was carried out already."""


@dataclass(frozen=True, slots=True)
class DecidedSwap:
    """What became of a swap, and when its two periods begin."""

    requested: RequestedSwap
    begins: tuple[datetime, datetime] | None = None


class RotationControl:
    """Reads and changes rotations. Changes carry an idempotency key, and act once."""

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
        members: RotationMembers,
        messages: RotationMessageWriter,
        clock: Clock,
    ) -> None:
        self._database = database
        self._current = current
        self._members = members
        self._messages = messages
        self._clock = clock

    async def outlook(self, rotation: Rotation, count: int = _SHOWN) -> RotationOutlook:
        """Return a rotation as it stands, with so many periods to come; raises `TeamUnknownError`."""
        members = await self._members.of(rotation)
        async with self._database.reading() as connection:
            return await self._outlook(connection, rotation, members, count)

    async def history(self, rotation: Rotation) -> Sequence[RotationPeriod]:
        """Return all periods of a rotation, oldest first."""
        async with self._database.reading() as connection:
            return await records.read_periods(connection, rotation.name)

    async def members(self, rotation: Rotation) -> Members:
        """Return who may serve on each side; raises `TeamUnknownError`."""
        return await self._members.of(rotation)

    async def current(self, rotation: Rotation) -> RotationPeriod | None:
        """Return the period that is under way, as it is stored; None where there is none."""
        async with self._database.reading() as connection:
            periods = await records.read_periods(connection, rotation.name)
        return periods[-1] if periods and periods[-1].closed_at is None else None

    async def absences(self, rotation: Rotation, people: Collection[str]) -> Sequence[Absence]:
        """Return the absences of people that are not over."""
        async with self._database.reading() as connection:
            team = self._team(rotation)
            return await records.read_absences(connection, team, self._clock.now(), people)

    async def set_away(
        self,
        rotations: Sequence[Rotation],
        person: str,
        span: tuple[datetime, datetime],
        by: str,
        request: str,
    ) -> None:
        """Record that a person of these rotations is away; raises `RepeatedRequestError`."""
        now, (from_at, until_at) = self._clock.now(), span
        team = self._team(rotations[0])
        async with self._database.transaction() as connection:
            await self._first(connection, request, now)
            absence = Absence(0, person, from_at, until_at)
            id_ = await records.add_absence(connection, team, absence, by, now)
            for rotation in rotations:
                task = absence_task(rotation, replace(absence, id=id_))
                await tasks.plan(self._database, connection, task, now)
            after = {"person": person, "from": from_at.isoformat(), "until": until_at.isoformat()}
            await self._audit(connection, "rotation.away", rotations[0], by, after)

    async def set_back(
        self, rotations: Sequence[Rotation], person: str, by: str, request: str
    ) -> Sequence[Absence]:
        """End a person's absences; return them as they were. Raises `RepeatedRequestError`."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            await self._first(connection, request, now)
            ended = await records.end_absences(connection, self._team(rotations[0]), person, now)
            if ended:
                await self._audit(connection, "rotation.back", rotations[0], by, {"person": person})
        return ended

    async def ask_swap(
        self, rotation: Rotation, by: str, other: str, request: str
    ) -> tuple[RequestedSwap, tuple[datetime, datetime]]:
        """Ask another to exchange turns; return the swap, and when its two periods begin.

        Raises `SwapError`, `TeamUnknownError`, `RepeatedRequestError`.
        """
        now, members = self._clock.now(), await self._members.of(rotation)
        async with self._database.transaction() as connection:
            await self._first(connection, request, now)
            outlook = await self._outlook(connection, rotation, members, _FAR)
            if any({by, other} == set(requested.people) for requested in outlook.asked):
                raise SwapError("a swap of these two waits for an answer already")
            swap = outlook.swap_of(by, other)
            requested = RequestedSwap(0, rotation.name, swap, by, other, now, SwapState.ASKED)
            requested = replace(requested, id=await records.add_swap(connection, requested))
            begins = (outlook.begins_of(swap.first), outlook.begins_of(swap.later))
            await enqueue(connection, [self._messages.swap_asked(rotation, requested, begins)], now)
            await self._audit(connection, "rotation.swap_asked", rotation, by, {"with": other})
        return requested, begins

    async def decide_swap(self, id_: int, by: str, *, agrees: bool) -> DecidedSwap:
        """Agree to a swap, decline it, or withdraw one's own.

        Raises `RotationError` where there is nothing to decide, `SwapError` where the two can no longer
        swap, `TeamUnknownError`.
        """
        rotation, members = await self._asked(id_)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            requested = await records.read_swap(connection, id_, lock=True)
            if requested is None or requested.state is not SwapState.ASKED:
                raise RotationError("This swap has been decided already.")
            if by not in ({requested.asked_of} if agrees else {requested.asked_of, requested.asked_by}):
                raise RotationError("Only who was asked may agree to a swap, and only the two may end it.")
            if not agrees:
                return await self._refuse(connection, rotation, requested, by)
            outlook = await self._outlook(connection, rotation, members, _FAR)
            swap = outlook.swap_of(requested.asked_by, requested.asked_of)
            await records.decide_swap(connection, id_, SwapState.AGREED, now, swap)
            requested = replace(requested, swap=swap, state=SwapState.AGREED)
            begins = (outlook.begins_of(swap.first), outlook.begins_of(swap.later))
            await self._hand_over_now(connection, outlook, requested, now)
            await enqueue(connection, self._messages.swapped(rotation, requested, begins), now)
            after = {"first": swap.first_person, "later": swap.later_person}
            await self._audit(connection, "rotation.swapped", rotation, by, after)
        return DecidedSwap(requested, begins)

    async def calendar_secret(self, rotation: Rotation, by: str, *, renew: bool = False) -> str:
        """Return the secret in the address of a calendar, made at the first request or anew."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            known = await records.calendar_secret(connection, rotation.name)
            if known is not None and not renew:
                return known
            secret = secrets.token_urlsafe(_SECRET_BYTES)
            await records.set_calendar_secret(
                self._database, connection, rotation.name, secret, by=by, now=now
            )
            await self._audit(connection, "rotation.calendar_made", rotation, by)
        return secret

    async def known_calendar_secret(self, rotation: Rotation) -> str | None:
        """Return the secret in the address of a calendar; None if nobody has asked for it yet."""
        async with self._database.reading() as connection:
            return await records.calendar_secret(connection, rotation.name)

    async def _asked(self, id_: int) -> tuple[Rotation, Members]:
        async with self._database.reading() as connection:
            requested = await records.read_swap(connection, id_)
        rotation = self._current.catalog.rotations.get(requested.rotation) if requested is not None else None
        if rotation is None:
            raise RotationError("There is no such swap any more.")
        return rotation, await self._members.of(rotation)

    async def _refuse(
        self,
        connection: AsyncConnection,
        rotation: Rotation,
        requested: RequestedSwap,
        by: str,
    ) -> DecidedSwap:
        is_withdrawn, now = by == requested.asked_by, self._clock.now()
        state = SwapState.WITHDRAWN if is_withdrawn else SwapState.DECLINED
        await records.decide_swap(connection, requested.id, state, now)
        requested = replace(requested, state=state)
        if not is_withdrawn:
            await enqueue(connection, [self._messages.swap_declined(rotation, requested)], now)
        action = "rotation.swap_withdrawn" if is_withdrawn else "rotation.swap_declined"
        await self._audit(connection, action, rotation, by)
        return DecidedSwap(requested)

    async def _hand_over_now(
        self, connection: AsyncConnection, outlook: RotationOutlook, requested: RequestedSwap, now: datetime
    ) -> None:
        """Let the other take over where one of the two serves in the period that is under way."""
        current, swap = outlook.current, requested.swap
        serving = current.serving(swap.side) if current is not None else None
        if current is None or serving is None or current.number != swap.first:
            return
        await records.end_turn(connection, serving, now, counts=False)
        turn = Turn(current.number, swap.side, swap.first_person, serving.turn.round)
        await records.add_turn(connection, current.rotation, turn, now)

    async def _outlook(
        self, connection: AsyncConnection, rotation: Rotation, members: Members, count: int
    ) -> RotationOutlook:
        now = self._clock.now()
        periods = await records.read_periods(connection, rotation.name)
        absences = await records.read_absences(connection, self._team(rotation), now)
        agreed = await records.read_swaps(connection, rotation.name, SwapState.AGREED)
        coming = look_ahead(
            rotation, members, periods, absences=absences, agreed=agreed, now=now, count=count
        )
        asked = await records.read_swaps(connection, rotation.name, SwapState.ASKED)
        of_members = [each for each in absences if any(each.person in people for people in members.values())]
        return RotationOutlook(rotation, members, periods, coming, of_members, asked)

    async def _first(self, connection: AsyncConnection, request: str, now: datetime) -> None:
        if not await idempotency.is_first(self._database, connection, request, now):
            raise RepeatedRequestError("This was done already.")

    async def _audit(
        self,
        connection: AsyncConnection,
        action: str,
        rotation: Rotation,
        by: str,
        after: Mapping[str, str] | None = None,
    ) -> None:
        entry = audit.AuditEntry(by, action, rotation.name, "", rotation.services[0], after=after)
        await audit.record(connection, entry, self._clock.now())

    def _team(self, rotation: Rotation) -> str | None:
        return self._current.workspace.of(rotation.services[0]).elsewhere
