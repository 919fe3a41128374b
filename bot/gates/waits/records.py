"""Questions of platforms as rows, and the calls that were made."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.clock import Clock
from bot.freezes.kind_proof import KindProof, ProofSort
from bot.freezes.verdict import Change
from bot.gates.waits.limits import CallAllowance, CallLimit
from bot.gates.waits.wait import PlatformCall, Question, Wait, WaitState
from bot.store import signals
from bot.store.database import Database
from bot.store.signals import Topic
from bot.store.tables.gate_waits import gate_calls
from bot.store.tables.gate_waits import gate_waits as rows
from bot.store.value_lists import begins_with

_MOST_AT_ONCE = 2_000
_MOST_ERROR = 500
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_CHANGE_FIELDS = ("id", "kind", "environment", "commit", "proof", "by_agent", "vouched")


class GateWaits:
    """Stores what platforms ask. Each question is stored once, however often it is delivered."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def ask(self, question: Question) -> bool:
        """Store a question; return whether it is new. `WaitAnswering` is woken by the commit."""
        async with self._database.transaction(in_turn=False) as connection:
            return await self._insert(connection, question)

    async def _insert(self, connection: AsyncConnection, question: Question) -> bool:
        now = self._clock.now()
        insertion = self._database.insert(rows).values(
            platform=question.platform,
            account=question.account,
            key=question.key,
            kind=question.kind,
            priority=question.priority,
            services=list(question.services),
            changes=[_change_values(change) for change in question.changes],
            place=dict(question.place),
            begins=question.begins,
            asked_at=now,
            state=WaitState.WAITING.value,
            notes=0,
            seen_at=now,
            next_at=now,
            failures=0,
            version=0,
        )
        return (await connection.execute(insertion.on_conflict_do_nothing())).rowcount == 1

    async def withdraw(self, platform: str, key: str) -> bool:
        """End a wait that the platform no longer has; return whether there was one."""
        is_waiting = (rows.c.platform == platform) & (rows.c.key == key) & _IS_WAITING
        async with self._database.transaction(in_turn=False) as connection:
            return await _write(connection, is_waiting, _ended(WaitState.GONE, None, self._clock.now()))

    async def reopen(self, platform: str, key: str, place: Mapping[str, Any]) -> bool:
        """Let a question wait again, with this added to its place; return whether there is one."""
        async with self._database.transaction(in_turn=False) as connection:
            return await self._wait_again(connection, platform, key, place)

    async def ask_again(self, question: Question, *, after: Collection[WaitState]) -> bool:
        """Store a question, or let one that ended in such a state wait again; return whether it begins to."""
        known = await self.find(question.platform, question.key)
        if known is None or known.state not in after:
            return await self.ask(question)
        await self.renew(question)
        return True

    async def renew(self, question: Question) -> None:
        """Store a question, or let it wait again with what it says now of services and changes."""
        now = {
            "services": list(question.services),
            "changes": [_change_values(change) for change in question.changes],
        }
        async with self._database.transaction(in_turn=False) as connection:
            if not await self._insert(connection, question):
                await self._wait_again(connection, question.platform, question.key, {}, **now)

    async def _wait_again(
        self, connection: AsyncConnection, platform: str, key: str, place: Mapping[str, Any], **more: object
    ) -> bool:
        """Write what the platform says now, whatever is being written beside: it is not said twice."""
        own = (rows.c.platform == platform) & (rows.c.key == key)
        known = (await connection.execute(select(rows.c.place).where(own).with_for_update())).one_or_none()
        if known is None:
            return False
        now = self._clock.now()
        values = {
            "state": WaitState.WAITING.value,
            "outcome": None,
            "ended_at": None,
            "note": None,
            "seen_at": now,
            "next_at": now,
            "place": dict(known.place) | dict(place),
        }
        signals.mark(connection, Topic.GATE_WAITS)
        return await _write(connection, own, values | more)

    async def doubt(self, platform: str, start: str, *, but: str | None) -> None:
        """Have the platform asked whether what has such a beginning of its key still waits, `but` for one."""
        own = (rows.c.platform == platform) & begins_with(rows.c.key, start) & _IS_WAITING
        if but is not None:
            own &= rows.c.key != but
        async with self._database.transaction(in_turn=False) as connection:
            signals.mark(connection, Topic.GATE_WAITS)
            await connection.execute(update(rows).where(own).values(seen_at=_NEVER))

    async def assign(self, wait: Wait, services: Sequence[str]) -> None:
        """Set the services of a question that had none."""
        async with self._database.transaction(in_turn=False) as connection:
            signals.mark(connection, Topic.GATE_WAITS)
            await _write(connection, (rows.c.id == wait.id) & _IS_WAITING, {"services": list(services)})

    async def find(self, platform: str, key: str) -> Wait | None:
        """Return the question with this key, whatever became of it; None if it was never asked."""
        query = select(rows).where(rows.c.platform == platform, rows.c.key == key)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _wait(row)

    async def waiting(self, platform: str) -> Sequence[Wait]:
        """Return what waits on a platform, by priority, the oldest first."""
        query = select(rows).where(_IS_WAITING, rows.c.platform == platform)
        query = query.order_by(rows.c.priority, rows.c.id).limit(_MOST_AT_ONCE)
        async with self._database.reading() as connection:
            return [_wait(row) for row in await connection.execute(query)]


async def read_allowance(
    connection: AsyncConnection, platform: str, account: str, limits: Sequence[CallLimit], now: datetime
) -> CallAllowance:
    """Return when the account's next call may be made, by the calls that were made before."""
    allowance = CallAllowance(limits)
    longest = max((limit.per for limit in limits), default=timedelta())
    own = (gate_calls.c.platform == platform) & (gate_calls.c.account == account)
    is_recent = (gate_calls.c.at > now - longest) | (gate_calls.c.blocked_until > now)
    for row in await connection.execute(select(gate_calls).where(own, is_recent).order_by(gate_calls.c.at)):
        allowance.note(row.costs.split(), row.at)
        if row.blocked_until is not None:
            allowance.block(row.blocked_until)
    return allowance


async def begin_sending(connection: AsyncConnection, wait: Wait, costs: Iterable[str], now: datetime) -> bool:
    """Note that a call is about to be made; return whether the wait is still as it was read."""
    if not await _write(connection, _unchanged(wait), {"sending_at": now}):
        return False
    await _note_call(connection, wait, now, costs=" ".join(costs))
    return True


async def sent(
    connection: AsyncConnection,
    wait: Wait,
    call: PlatformCall,
    place: Mapping[str, Any],
    now: datetime,
    *,
    began: datetime,
) -> None:
    """Record that the platform was told; `wait` is as it was before `begin_sending` at `began`.

    Where it was asked anew meanwhile, what the call brought is kept, and the wait is told again.
    """
    values: dict[str, Any] = {
        "note": call.note,
        "notes": wait.notes + (0 if call.is_final else 1),
        "place": dict(wait.place) | dict(place),
        "sending_at": None,
        "seen_at": now,
        "next_at": now,
        "failures": 0,
        "error": None,
    }
    if call.outcome is not None:
        values |= _ended(WaitState.ANSWERED, call.outcome, now)
    unchanged = _sending(wait, began) & (rows.c.version == wait.version + 1)
    if await _write(connection, unchanged, values):
        return
    anew = (await connection.execute(select(rows.c.place).where(_sending(wait, began)))).one_or_none()
    if anew is not None:
        said = {key: value for key, value in anew.place.items() if wait.place.get(key) != value}
        kept = {"sending_at": None, "place": dict(wait.place) | dict(place) | said, "error": None}
        signals.mark(connection, Topic.GATE_WAITS)
        await _write(connection, _sending(wait, began), kept)


async def blocked(
    connection: AsyncConnection, wait: Wait, until: datetime, now: datetime, *, began: datetime
) -> None:
    """Record that the platform asked to wait instead of taking the call."""
    await _write(connection, _sending(wait, began), {"sending_at": None})
    await _note_call(connection, wait, now, costs="", blocked_until=until)


async def failed(
    connection: AsyncConnection,
    wait: Wait,
    error: str,
    next_at: datetime,
    *,
    began: datetime,
    in_doubt_since: datetime | None,
) -> None:
    """Record that a call failed; `in_doubt_since` is None where the platform surely did not take it."""
    values: dict[str, Any] = {
        "failures": wait.failures + 1,
        "error": error[:_MOST_ERROR],
        "next_at": next_at,
        "sending_at": in_doubt_since,
    }
    await _write(connection, _sending(wait, began), values)


async def seen(connection: AsyncConnection, wait: Wait, place: Mapping[str, Any], now: datetime) -> None:
    """Record that the platform said that it still waits."""
    values = {"seen_at": now, "sending_at": None, "place": dict(wait.place) | dict(place), "error": None}
    await _write(connection, _unchanged(wait), values)


async def look_again(connection: AsyncConnection, wait: Wait, error: str, next_at: datetime) -> None:
    """Record that the platform could not be asked what became of a wait."""
    values = {"failures": wait.failures + 1, "error": error[:_MOST_ERROR], "next_at": next_at}
    await _write(connection, _unchanged(wait), values)


async def end(
    connection: AsyncConnection, wait: Wait, state: WaitState, outcome: str | None, now: datetime
) -> bool:
    """End a wait; return whether it was still waiting."""
    return await _write(connection, (rows.c.id == wait.id) & _IS_WAITING, _ended(state, outcome, now))


_IS_WAITING = rows.c.state == WaitState.WAITING.value


def _ended(state: WaitState, outcome: str | None, now: datetime) -> dict[str, Any]:
    return {"state": state.value, "outcome": outcome, "ended_at": now, "sending_at": None}


def _unchanged(wait: Wait) -> ColumnElement[bool]:
    return (rows.c.id == wait.id) & (rows.c.version == wait.version) & _IS_WAITING


def _sending(wait: Wait, began: datetime) -> ColumnElement[bool]:
    """Return the condition that the call that began then is still the one whose end is not known."""
    return (rows.c.id == wait.id) & (rows.c.sending_at == began)


async def _write(connection: AsyncConnection, which: ColumnElement[bool], values: Mapping[str, Any]) -> bool:
    statement = update(rows).where(which).values(**values, version=rows.c.version + 1)
    return (await connection.execute(statement)).rowcount == 1


async def _note_call(
    connection: AsyncConnection,
    wait: Wait,
    now: datetime,
    *,
    costs: str,
    blocked_until: datetime | None = None,
) -> None:
    question = wait.question
    await connection.execute(
        gate_calls.insert().values(
            platform=question.platform,
            account=question.account,
            at=now,
            costs=costs,
            blocked_until=blocked_until,
        )
    )


def _change_values(change: Change) -> dict[str, Any]:
    return {name: value for name, value in asdict(change).items() if name in _CHANGE_FIELDS and value}


def _change(values: Mapping[str, Any]) -> Change:
    vouched = values.get("vouched")
    proof = None if vouched is None else KindProof(ProofSort(vouched["sort"]), vouched["text"])
    return Change(**{**values, "vouched": proof})


def _wait(row: Row[Any]) -> Wait:
    question = Question(
        platform=row.platform,
        account=row.account,
        key=row.key,
        kind=row.kind,
        services=tuple(row.services),
        changes=tuple(_change(values) for values in row.changes),
        place=row.place,
        priority=row.priority,
        begins=row.begins,
    )
    return Wait(
        row.id,
        question,
        WaitState(row.state),
        row.asked_at,
        row.seen_at,
        row.next_at,
        row.note,
        row.notes,
        row.sending_at,
        row.failures,
        row.version,
    )
