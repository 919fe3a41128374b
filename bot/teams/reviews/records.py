"""Freezes and their reviews as rows. Functions run in their caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.freezes.hold import Hold
from bot.store.addresses import local, qualified, team_of
from bot.store.database import Database
from bot.store.outbox import DeliveryState
from bot.store.tables.core import outbox
from bot.store.tables.reviews import freeze_reviews
from bot.store.threads import MessageLocation, continue_thread, head_of, set_head
from bot.teams.reviews.review import Agreement, FreezeReview, ReviewedWork, TeamSide

_COLUMNS = freeze_reviews.c


async def begin(database: Database, connection: AsyncConnection, first: Hold) -> bool:
    """Store that a freeze began with a hold; return whether it is new."""
    values = {
        "service": first.service,
        "lasting": first.service,
        "hold_id": first.id,
        "began_at": first.since,
        "work": [],
    }
    insertion = database.insert(freeze_reviews).values(values).on_conflict_do_nothing()
    return (await connection.execute(insertion)).rowcount == 1


async def read_lasting(connection: AsyncConnection, service: str) -> FreezeReview | None:
    """Return the freeze that lasts."""
    row = (await connection.execute(select(freeze_reviews).where(_COLUMNS.lasting == service))).one_or_none()
    return None if row is None else _review(row)


async def read_all_lasting(connection: AsyncConnection) -> Sequence[FreezeReview]:
    """Return all freezes that last, oldest first."""
    query = select(freeze_reviews).where(_COLUMNS.lasting.is_not(None)).order_by(_COLUMNS.id)
    return [_review(row) for row in await connection.execute(query)]


async def read(connection: AsyncConnection, id_: int, *, lock: bool = False) -> FreezeReview | None:
    """Return a freeze by its number; with `lock` nobody else changes it before the transaction ends."""
    query = select(freeze_reviews).where(_COLUMNS.id == id_)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _review(row)


async def end(connection: AsyncConnection, review: FreezeReview, now: datetime) -> bool:
    """Store that a freeze ended; return whether it lasted until now."""
    lasting = (_COLUMNS.id == review.id) & _COLUMNS.lasting.is_not(None)
    ended = update(freeze_reviews).where(lasting).values(lasting=None, ended_at=now)
    return (await connection.execute(ended)).rowcount == 1


async def set_asked(
    connection: AsyncConnection, review: FreezeReview, work: Sequence[ReviewedWork], now: datetime
) -> None:
    """Store that both sides were asked, and the work that is suggested to them."""
    await _write(connection, review, asked_at=now, work=_as_json(work))


async def set_escalated(connection: AsyncConnection, review: FreezeReview, now: datetime) -> None:
    """Store that others were told that the sides have not agreed."""
    await _write(connection, review, escalated_at=now)


async def set_work(connection: AsyncConnection, review: FreezeReview, work: Sequence[ReviewedWork]) -> None:
    """Store the work anew; what was agreed before is agreed no more."""
    nobody = {f"{side}_{what}": None for side in TeamSide for what in ("by", "at")}
    await _write(connection, review, work=_as_json(work), **nobody)


async def set_agreed(
    connection: AsyncConnection, review: FreezeReview, side: TeamSide, done: Agreement
) -> None:
    """Store that a side agreed."""
    await _write(connection, review, **{f"{side}_by": done.by, f"{side}_at": done.at})


async def place_thread(
    connection: AsyncConnection, review: FreezeReview, subject: str, channel: str, now: datetime
) -> None:
    """Let a thread go on below the announcement of the freeze; one that is gone is begun anew."""
    columns = outbox.c
    announced = (
        (columns.hold_id == review.hold_id) & (columns.channel == channel) & columns.is_edit.is_(False)
    )
    announced &= (columns.state == DeliveryState.SENT) & columns.ts.is_not(None)
    query = select(columns.channel_id, columns.ts, columns.thread_id).where(announced).order_by(columns.id)
    row = (await connection.execute(query.limit(1))).one_or_none()
    thread = await continue_thread(connection, subject, channel, now)
    if row is None:
        return
    place = MessageLocation(row.channel_id, row.ts)
    # What replies to a reply stands below the first message of that thread.
    head = await head_of(connection, row.thread_id) if row.thread_id is not None else None
    await set_head(connection, thread, head or place, None)


def in_workspace_of(channel: str, entries: Sequence[str]) -> tuple[str, ...]:
    """Return the entries of a policy as addresses of the Slack workspace that a channel is of."""
    return tuple(qualified(team_of(channel), local(entry)) for entry in entries)


async def _write(connection: AsyncConnection, review: FreezeReview, **values: Any) -> None:
    await connection.execute(update(freeze_reviews).where(_COLUMNS.id == review.id).values(values))


def _as_json(work: Sequence[ReviewedWork]) -> list[dict[str, Any]]:
    return [{"text": each.text, "why": each.why, "action": each.action} for each in work]


def _review(row: Row[Any]) -> FreezeReview:
    stored = {side: (getattr(row, f"{side}_by"), getattr(row, f"{side}_at")) for side in TeamSide}
    return FreezeReview(
        row.id,
        row.service,
        row.hold_id,
        row.began_at,
        row.ended_at,
        row.asked_at,
        row.escalated_at,
        tuple(ReviewedWork(each["text"], each["why"], each["action"]) for each in row.work),
        {side: Agreement(by, at) for side, (by, at) in stored.items() if by is not None},
    )
