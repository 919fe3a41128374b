"""Does what is due in rotations, each once: hands over from pair to pair, finds stand-ins.

The rules and times are those of the catalog in force when a task is done: one that was planned by a
document that has changed since does nothing, and the series goes on by the new one.
"""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.catalog.rotation import Rotation
from bot.catalog.teams import TeamUnknownError
from bot.clock import Clock
from bot.freezes.hold import GOVERNOR
from bot.store import audit
from bot.store.database import Database
from bot.store.outbox import enqueue
from bot.store.threads import end_threads
from bot.tasks import records as tasks
from bot.tasks.handler import EndsSilently, TaskAttempt, TryLaterError
from bot.tasks.task import RetryRule, TaskState
from bot.teams.rotations import records
from bot.teams.rotations.handover import read_note
from bot.teams.rotations.outlook import history_of
from bot.teams.rotations.period import RotationPeriod, StoredTurn, SwapState, leaves_the_rest, passed_over
from bot.teams.rotations.plan import PlannedPair, Side, Turn, plan_pair, stand_in
from bot.teams.rotations.ports import Members, RotationMembers, RotationMessageWriter
from bot.teams.rotations.tasks import ABSENCE, PERIOD, period_task

_ASK_AGAIN = timedelta(minutes=1)
_RULE = RetryRule(longest_wait=timedelta(minutes=5))
_HALF = 0.5


class RotationSeries:
    """Keeps the tasks of all rotations in step with the policies."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def follow(self, catalog: Catalog) -> None:
        """Plan what is due by the documents in force; may be repeated."""
        now = self._clock.now()
        for rotation in catalog.rotations.values():
            async with self._database.transaction() as connection:
                last = await records.read_last(connection, rotation.name, lock=True)
                begun, following = rotation.begun(now), rotation.next_begin(now)
                if begun is not None and needs_pair(last, begun):
                    await self._plan_now(connection, rotation, begun, now)
                elif last is not None and last.closed_at is None and last.ends_at != following:
                    await records.change_end(connection, last, following)
                await tasks.plan(self._database, connection, period_task(rotation, following), now)

    async def _plan_now(
        self, connection: AsyncConnection, rotation: Rotation, begun: datetime, now: datetime
    ) -> None:
        task = period_task(rotation, begun, now)
        known = await tasks.read(connection, task.kind, task.key)
        if known is None or known[1] is not TaskState.PENDING:
            await tasks.schedule(self._database, connection, task, now)


def needs_pair(last: RotationPeriod | None, begun: datetime) -> bool:
    """Return whether the period that began at a time has no pair yet."""
    return last is None or last.closed_at is not None or last.begins_at < begun


class _RotationHandler(EndsSilently):
    """What the handlers of rotations have in common."""

    rule = _RULE

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
        members: RotationMembers,
        messages: RotationMessageWriter,
    ) -> None:
        self._database = database
        self._current = current
        self._members = members
        self._messages = messages

    async def _read_members(self, rotation: Rotation) -> Members:
        try:
            return await self._members.of(rotation)
        except TeamUnknownError as error:
            if not error.retryable:
                raise
            after = timedelta(seconds=error.after_s) if error.after_s else _ASK_AGAIN
            raise TryLaterError(after, error.error) from error

    def _rotation(self, attempt: TaskAttempt) -> Rotation | None:
        return self._current.catalog.rotations.get(str(attempt.payload["rotation"]))

    def _team(self, rotation: Rotation) -> str | None:
        return self._current.workspace.of(rotation.services[0]).elsewhere


class PeriodHandler(_RotationHandler):
    """Ends the period that is over with its hand-over note, begins the next, and plans the one after it."""

    kind = PERIOD

    async def run(self, attempt: TaskAttempt) -> None:
        """Begin the period of now; nothing for a rotation that the policies no longer have."""
        rotation = self._rotation(attempt)
        if rotation is None:
            return
        members = await self._read_members(rotation)
        async with attempt.completing() as connection:
            begun, following = rotation.begun(attempt.now), rotation.next_begin(attempt.now)
            periods = await records.read_periods(connection, rotation.name)
            last = periods[-1] if periods else None
            if begun is not None and needs_pair(last, begun):
                if last is not None and last.closed_at is None:
                    last = await self._close(connection, rotation, last, begun, attempt.now)
                    periods[-1] = last
                span = (begun, following)
                await self._begin(connection, rotation, members, periods, span=span, now=attempt.now)
            await attempt.plan(connection, period_task(rotation, following))

    async def _close(
        self,
        connection: AsyncConnection,
        rotation: Rotation,
        last: RotationPeriod,
        begun: datetime,
        now: datetime,
    ) -> RotationPeriod:
        ends_at = min(last.ends_at, begun)
        await records.close(connection, last, ends_at, now)
        over = RotationPeriod(last.rotation, last.number, last.begins_at, ends_at, now, last.turns)
        if over.people:
            note = await read_note(connection, over, rotation.services)
            await enqueue(connection, self._messages.handed_over(rotation, note), now)
        return over

    async def _begin(
        self,
        connection: AsyncConnection,
        rotation: Rotation,
        members: Members,
        periods: list[RotationPeriod],
        *,
        span: tuple[datetime, datetime],
        now: datetime,
    ) -> None:
        number = periods[-1].number + 1 if periods else 1
        absences = await records.read_absences(connection, self._team(rotation), span[0])
        agreed = await records.read_swaps(connection, rotation.name, SwapState.AGREED)
        away = passed_over(absences, *span)
        planned = plan_pair(history_of(periods, agreed), number, members, away)
        period = _period(rotation, planned, span)
        await records.void_swaps(connection, rotation.name, number, now)
        await records.add_period(connection, period, planned.turns)
        messages = self._messages.begun(rotation, period)
        await enqueue(connection, messages, now)
        for subject in {message.thread for message in messages if message.thread is not None}:
            await end_threads(connection, subject, now)
        after = {side.value: planned.of(side) for side in Side} | {"until": span[1].isoformat()}
        entry = audit.AuditEntry(
            GOVERNOR, "rotation.begun", rotation.name, "", rotation.services[0], after=after
        )
        await audit.record(connection, entry, now)


class AbsenceHandler(_RotationHandler):
    """Lets the next in turn take over from somebody who serves and is away for most of the rest."""

    kind = ABSENCE

    async def run(self, attempt: TaskAttempt) -> None:
        """Find a stand-in where one is needed."""
        rotation = self._rotation(attempt)
        if rotation is None:
            return
        members = await self._read_members(rotation)
        async with attempt.completing() as connection:
            await self._stand_in(connection, rotation, members, int(attempt.payload["absence"]), attempt.now)

    async def _stand_in(
        self,
        connection: AsyncConnection,
        rotation: Rotation,
        members: Members,
        absence_id: int,
        now: datetime,
    ) -> None:
        periods = await records.read_periods(connection, rotation.name)
        current = periods[-1] if periods and periods[-1].closed_at is None else None
        absences = await records.read_absences(connection, self._team(rotation), now)
        absence = next((each for each in absences if each.id == absence_id), None)
        if current is None or absence is None or not leaves_the_rest(absence, absences, now, current.ends_at):
            return
        away = passed_over(absences, now, current.ends_at)
        agreed = await records.read_swaps(connection, rotation.name, SwapState.AGREED)
        for side in Side:
            serving = current.serving(side)
            if serving is None or serving.turn.person != absence.person:
                continue
            await records.end_turn(connection, serving, now, counts=_is_mostly_served(serving, current, now))
            here = [person for person in members[side] if person not in away]
            choice = stand_in(
                history_of(periods, agreed), current.number, side, here, current.person(side.other)
            )
            if choice.person is not None:
                turn = Turn(current.number, side, choice.person, choice.round)
                await records.add_turn(connection, rotation.name, turn, now)
            after = {"away": absence.person, "instead": choice.person}
            entry = audit.AuditEntry(
                GOVERNOR, "rotation.stood_in", rotation.name, "", rotation.services[0], after=after
            )
            await audit.record(connection, entry, now)
            as_it_is = (await records.read_periods(connection, rotation.name))[-1]
            await enqueue(connection, self._messages.stood_in(rotation, as_it_is, absence, side), now)


def _is_mostly_served(stored: StoredTurn, period: RotationPeriod, now: datetime) -> bool:
    return (now - stored.from_at) / (period.ends_at - period.begins_at) >= _HALF


def _period(rotation: Rotation, planned: PlannedPair, span: tuple[datetime, datetime]) -> RotationPeriod:
    turns = tuple(StoredTurn(0, turn, span[0]) for turn in planned.turns)
    return RotationPeriod(rotation.name, planned.number, *span, turns=turns)
