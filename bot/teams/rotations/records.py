"""Rotations as rows. Functions run in their caller's transaction."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.store.tables.rotations import (
    rotation_absences,
    rotation_calendars,
    rotation_periods,
    rotation_swaps,
    rotation_turns,
)
from bot.store.value_lists import is_one_of
from bot.teams.rotations.period import Absence, RequestedSwap, RotationPeriod, StoredTurn, SwapState
from bot.teams.rotations.plan import AgreedSwap, Side, Turn


async def read_periods(connection: AsyncConnection, rotation: str) -> list[RotationPeriod]:
    """Return all periods of a rotation, oldest first, each with its turns."""
    columns, turns = rotation_periods.c, rotation_turns.c
    query = select(rotation_turns).where(turns.rotation == rotation).order_by(turns.from_at, turns.id)
    by_number: dict[int, list[StoredTurn]] = {}
    for row in await connection.execute(query):
        by_number.setdefault(row.number, []).append(_turn(row))
    query = select(rotation_periods).where(columns.rotation == rotation).order_by(columns.number)
    return [
        RotationPeriod(
            row.rotation,
            row.number,
            row.begins_at,
            row.ends_at,
            row.closed_at,
            tuple(by_number.get(row.number, ())),
        )
        for row in await connection.execute(query)
    ]


async def read_last(
    connection: AsyncConnection, rotation: str, *, lock: bool = False
) -> RotationPeriod | None:
    """Return the newest period without its turns, with `lock` for update; None before the first."""
    columns = rotation_periods.c
    query = select(rotation_periods).where(columns.rotation == rotation)
    query = query.order_by(columns.number.desc()).limit(1)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        return None
    return RotationPeriod(row.rotation, row.number, row.begins_at, row.ends_at, row.closed_at)


async def add_period(connection: AsyncConnection, period: RotationPeriod, turns: Iterable[Turn]) -> None:
    """Insert a period that begins, with those who serve in it."""
    await connection.execute(
        insert(rotation_periods).values(
            rotation=period.rotation,
            number=period.number,
            begins_at=period.begins_at,
            ends_at=period.ends_at,
        )
    )
    for turn in turns:
        await add_turn(connection, period.rotation, turn, period.begins_at)


async def change_end(connection: AsyncConnection, period: RotationPeriod, ends_at: datetime) -> None:
    """Set when a period ends that is under way."""
    await connection.execute(update(rotation_periods).where(_is(period)).values(ends_at=ends_at))


async def close(
    connection: AsyncConnection, period: RotationPeriod, ends_at: datetime, now: datetime
) -> None:
    """Record that a period is over."""
    await connection.execute(
        update(rotation_periods).where(_is(period)).values(ends_at=ends_at, closed_at=now)
    )


async def add_turn(connection: AsyncConnection, rotation: str, turn: Turn, from_at: datetime) -> None:
    """Insert that somebody serves from a time on."""
    await connection.execute(
        insert(rotation_turns).values(
            rotation=rotation,
            number=turn.number,
            side=turn.side.value,
            person=turn.person,
            round=turn.round,
            from_at=from_at,
            counts=turn.counts,
        )
    )


async def end_turn(connection: AsyncConnection, stored: StoredTurn, at: datetime, *, counts: bool) -> None:
    """Record that somebody else takes over; one that does not count is still to come."""
    row = rotation_turns.c.id == stored.id
    await connection.execute(update(rotation_turns).where(row).values(until_at=at, counts=counts))


async def add_absence(
    connection: AsyncConnection, team: str | None, absence: Absence, by: str, now: datetime
) -> int:
    """Insert an absence, whose own id is not read; return its id."""
    values = {
        "team": team or "",
        "person": absence.person,
        "from_at": absence.from_at,
        "until_at": absence.until_at,
        "set_by": by,
        "set_at": now,
    }
    result = await connection.execute(
        insert(rotation_absences).values(values).returning(rotation_absences.c.id)
    )
    return int(result.scalar_one())


async def read_absences(
    connection: AsyncConnection, team: str | None, since: datetime, people: Collection[str] | None = None
) -> Sequence[Absence]:
    """Return the absences of a Slack workspace that end after a time: of all, or of these people."""
    columns = rotation_absences.c
    query = select(rotation_absences).where(columns.team == (team or ""), columns.until_at > since)
    if people is not None:
        query = query.where(is_one_of(columns.person, people))
    rows = await connection.execute(query.order_by(columns.from_at, columns.id))
    return [Absence(row.id, row.person, row.from_at, row.until_at) for row in rows]


async def end_absences(
    connection: AsyncConnection, team: str | None, person: str, now: datetime
) -> Sequence[Absence]:
    """End a person's absences now, and take back those to come; return them as they were."""
    ended = await read_absences(connection, team, now, [person])
    columns = rotation_absences.c
    begun = [absence.id for absence in ended if absence.from_at < now]
    await connection.execute(
        update(rotation_absences).where(is_one_of(columns.id, begun)).values(until_at=now)
    )
    to_come = [absence.id for absence in ended if absence.from_at >= now]
    await connection.execute(delete(rotation_absences).where(is_one_of(columns.id, to_come)))
    return ended


async def add_swap(connection: AsyncConnection, requested: RequestedSwap) -> int:
    """Insert a swap that somebody asks for, whose own id is not read; return its id."""
    swap = requested.swap
    values = {
        "rotation": requested.rotation,
        "side": swap.side.value,
        "first_number": swap.first,
        "first_person": swap.first_person,
        "later_number": swap.later,
        "later_person": swap.later_person,
        "asked_by": requested.asked_by,
        "asked_of": requested.asked_of,
        "asked_at": requested.asked_at,
        "state": requested.state.value,
    }
    result = await connection.execute(insert(rotation_swaps).values(values).returning(rotation_swaps.c.id))
    return int(result.scalar_one())


async def read_swaps(connection: AsyncConnection, rotation: str, state: SwapState) -> Sequence[RequestedSwap]:
    """Return a rotation's swaps in a state, oldest first."""
    columns = rotation_swaps.c
    query = select(rotation_swaps).where(columns.rotation == rotation, columns.state == state.value)
    return [_swap(row) for row in await connection.execute(query.order_by(columns.id))]


async def read_swap(connection: AsyncConnection, id_: int, *, lock: bool = False) -> RequestedSwap | None:
    """Return one swap, with `lock` for update."""
    query = select(rotation_swaps).where(rotation_swaps.c.id == id_)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _swap(row)


async def decide_swap(
    connection: AsyncConnection, id_: int, state: SwapState, now: datetime, swap: AgreedSwap | None = None
) -> None:
    """Record what became of a swap; with the periods that it is about by now."""
    values: dict[str, Any] = {"state": state.value, "decided_at": now}
    if swap is not None:
        values |= {
            "first_number": swap.first,
            "first_person": swap.first_person,
            "later_number": swap.later,
            "later_person": swap.later_person,
        }
    await connection.execute(update(rotation_swaps).where(rotation_swaps.c.id == id_).values(values))


async def void_swaps(connection: AsyncConnection, rotation: str, number: int, now: datetime) -> None:
    """End the swaps that nobody answered before the first of their periods was over."""
    columns = rotation_swaps.c
    unanswered = (columns.rotation == rotation) & (columns.state == SwapState.ASKED.value)
    await connection.execute(
        update(rotation_swaps)
        .where(unanswered, columns.first_number < number)
        .values(state=SwapState.VOID.value, decided_at=now)
    )


async def calendar_secret(connection: AsyncConnection, rotation: str) -> str | None:
    """Return the secret in the address of a rotation's calendar; None while there is none."""
    query = select(rotation_calendars.c.secret).where(rotation_calendars.c.rotation == rotation)
    return (await connection.execute(query)).scalar_one_or_none()


async def set_calendar_secret(
    database: Database, connection: AsyncConnection, rotation: str, secret: str, *, by: str, now: datetime
) -> None:
    """Set the secret of a rotation's calendar; the address with the former one leads nowhere."""
    fresh = {"secret": secret, "made_by": by, "made_at": now}
    insertion = database.insert(rotation_calendars).values(rotation=rotation, **fresh)
    await connection.execute(insertion.on_conflict_do_update(index_elements=["rotation"], set_=fresh))


def _is(period: RotationPeriod) -> Any:
    columns = rotation_periods.c
    return (columns.rotation == period.rotation) & (columns.number == period.number)


def _turn(row: Row[Any]) -> StoredTurn:
    turn = Turn(row.number, Side(row.side), row.person, row.round, row.counts)
    return StoredTurn(row.id, turn, row.from_at, row.until_at)


def _swap(row: Row[Any]) -> RequestedSwap:
    return RequestedSwap(
        id=row.id,
        rotation=row.rotation,
        swap=AgreedSwap(
            Side(row.side), row.first_number, row.first_person, row.later_number, row.later_person
        ),
        asked_by=row.asked_by,
        asked_of=row.asked_of,
        asked_at=row.asked_at,
        state=SwapState(row.state),
    )
