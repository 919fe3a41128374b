"""Adjustments as people ask for them: asked by one, approved by another, reversed, and read.

Maintenance of the policies is recorded as one that counts at once.

Each step is committed with its audit row and its messages. A step that was taken before is told as such and
changes nothing, however often a button is pressed and on whichever replica.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.adjustments.adjustment import SHARED, Adjustment, AdjustmentState
from bot.budgets.adjustments.figures import AdjustmentEvent, AnnounceAdjustment, BudgetChange, figures_json
from bot.budgets.adjustments.records import adjustment_of, read_of_service, read_one, row_values
from bot.budgets.adjustments.requests import (
    AdjustmentDecidedError,
    NoAdjustmentError,
    OwnAdjustmentError,
    check_others,
    check_time,
)
from bot.catalog.catalog import Service
from bot.store import audit
from bot.store.database import Database
from bot.store.outbox import enqueue
from bot.store.tables.adjustments import adjustments as table

_COUNTING = (AdjustmentState.WAITING, AdjustmentState.APPROVED)


class AdjustmentRegistry:
    """Asks for, decides on, reverses and reads adjustments; `announce` returns the messages of each step."""

    def __init__(self, database: Database, announce: AnnounceAdjustment) -> None:
        self._database = database
        self._announce = announce

    async def check(self, service: Service, asked: Adjustment, now: datetime) -> None:
        """Raise `AdjustmentError` where this cannot be asked for."""
        check_time(asked, service, now)
        async with self._database.reading() as connection:
            check_others(asked, await self._counting(connection, service.name), service, now)

    async def ask(
        self,
        service: Service,
        asked: Adjustment,
        changes: Sequence[BudgetChange],
        *,
        request: str,
        now: datetime,
    ) -> tuple[Adjustment, bool]:
        """Store what is asked for; return it with its number, and whether this request is new.

        Raises `AdjustmentError` as `check` does.
        """
        check_time(asked, service, now)
        async with self._database.transaction() as connection:
            same = (await connection.execute(select(table).where(table.c.request == request))).one_or_none()
            if same is not None:
                return adjustment_of(same), False
            check_others(asked, await self._counting(connection, service.name), service, now)
            values = row_values(replace(asked, state=AdjustmentState.WAITING), request)
            insert = self._database.insert(table).values(values).returning(table.c.id)
            number = (await connection.execute(insert)).scalar_one()
            stored = replace(asked, id=number, state=AdjustmentState.WAITING)
            event = AdjustmentEvent(stored, service, asked.asked_by, asked.reason, tuple(changes))
            await self._record(connection, event, "adjustment.asked", now)
        return stored, True

    async def record_maintenance(
        self,
        connection: AsyncConnection,
        service: Service,
        occurrence: Adjustment,
        changes: Sequence[BudgetChange],
        *,
        window: str,
        now: datetime,
    ) -> Adjustment | None:
        """Store an occurrence of a window of the policy, which counts at once; None if it is known already.

        It runs in its caller's transaction.
        """
        request = f"maintenance {service.name}/{window} {occurrence.span.start.isoformat()}"
        insert = self._database.insert(table).values(row_values(occurrence, request))
        number = (
            await connection.execute(insert.on_conflict_do_nothing().returning(table.c.id))
        ).scalar_one_or_none()
        if number is None:
            return None
        stored = replace(occurrence, id=number)
        event = AdjustmentEvent(stored, service, occurrence.asked_by, occurrence.reason, tuple(changes))
        await self._record(connection, event, "adjustment.maintenance", now, window=window)
        return stored

    async def find(self, number: int) -> Adjustment:
        """Return an adjustment; raises `NoAdjustmentError`."""
        async with self._database.reading() as connection:
            found = await read_one(connection, number)
        if found is None:
            raise NoAdjustmentError(number)
        return found

    async def of_service(self, service: str, since: datetime) -> Sequence[Adjustment]:
        """Return what of a service ends after `since` or waits, in any state; the newest first."""
        async with self._database.reading() as connection:
            return await read_of_service(connection, service, since)

    async def approve(
        self, service: Service, number: int, changes: Sequence[BudgetChange], *, by: str, now: datetime
    ) -> Adjustment:
        """Let it count from now on; raises `AdjustmentError`, such as `OwnAdjustmentError`."""
        state = AdjustmentState.APPROVED
        return await self._decide(
            service, number, state, changes, by=by, now=now, action="adjustment.approved"
        )

    async def decline(self, service: Service, number: int, *, by: str, now: datetime) -> Adjustment:
        """Refuse it; whoever asked for it withdraws it so. Raises `AdjustmentDecidedError`."""
        state = AdjustmentState.DECLINED
        action = "adjustment.declined"
        return await self._decide(service, number, state, (), by=by, now=now, action=action)

    async def reverse(
        self,
        service: Service,
        number: int,
        changes: Sequence[BudgetChange],
        *,
        by: str,
        reason: str,
        now: datetime,
    ) -> Adjustment:
        """Let one that counts count no more. Raises `AdjustmentDecidedError`, `NoAdjustmentError`."""
        async with self._database.transaction() as connection:
            found = await self._lock(connection, number)
            if found.state is not AdjustmentState.APPROVED:
                raise AdjustmentDecidedError(found)
            reversed_ = replace(found, state=AdjustmentState.REVERSED, reversed_by=by, reversed_at=now)
            await connection.execute(
                update(table)
                .where(table.c.id == number)
                .values(state=str(reversed_.state), reversed_by=by, reversed_at=now)
            )
            event = AdjustmentEvent(reversed_, service, by, reason, tuple(changes))
            await self._record(connection, event, "adjustment.reversed", now)
        return reversed_

    async def _decide(
        self,
        service: Service,
        number: int,
        state: AdjustmentState,
        changes: Sequence[BudgetChange],
        *,
        by: str,
        now: datetime,
        action: str,
    ) -> Adjustment:
        async with self._database.transaction() as connection:
            found = await self._lock(connection, number)
            if found.state is not AdjustmentState.WAITING:
                raise AdjustmentDecidedError(found)
            is_own = found.asked_by == by
            if is_own and state is AdjustmentState.APPROVED:
                raise OwnAdjustmentError
            new_state = AdjustmentState.WITHDRAWN if is_own else state
            decided = replace(found, state=new_state, decided_by=by, decided_at=now)
            await connection.execute(
                update(table)
                .where(table.c.id == number)
                .values(state=str(new_state), decided_by=by, decided_at=now)
            )
            event = AdjustmentEvent(decided, service, by, found.reason, tuple(changes))
            done = "adjustment.withdrawn" if is_own else action
            await self._record(connection, event, done, now)
        return decided

    async def _lock(self, connection: AsyncConnection, number: int) -> Adjustment:
        found = await read_one(connection, number, lock=True)
        if found is None:
            raise NoAdjustmentError(number)
        return found

    async def _counting(self, connection: AsyncConnection, service: str) -> Sequence[Adjustment]:
        rows = await connection.execute(
            select(table).where(table.c.service == service, table.c.state.in_(_COUNTING))
        )
        return [adjustment_of(row) for row in rows]

    async def _record(
        self,
        connection: AsyncConnection,
        event: AdjustmentEvent,
        action: str,
        now: datetime,
        *,
        window: str | None = None,
    ) -> None:
        """Write the audit row and the messages of a step."""
        await audit.record(connection, _audit_entry(event, action, window), now)
        await enqueue(connection, self._announce(event), now)


def _audit_entry(event: AdjustmentEvent, action: str, window: str | None) -> audit.AuditEntry:
    """Return the audit row of a step, with the figures before and after; `window` is one of the policy."""
    adjustment = event.adjustment
    about = {
        "adjustment": adjustment.id,
        "slo": adjustment.slo or SHARED,
        "kind": str(adjustment.kind),
        "counts_as": str(adjustment.counts_as),
        "from": adjustment.span.start.isoformat(),
        "to": adjustment.span.end.isoformat(),
        "bad_events": adjustment.bad_events or None,
    } | ({"window": window} if window else {})
    return audit.AuditEntry(
        actor=event.by,
        action=action,
        subject=f"{event.service.name}, adjustment {adjustment.id}",
        reason=event.reason,
        service=event.service.name,
        before=figures_json([change.before for change in event.changes]) or None,
        after={**about, "figures": figures_json([change.after for change in event.changes])},
    )
