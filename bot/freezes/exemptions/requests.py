"""Requests for exemptions: asked by anybody, then granted or declined, once, by those who may.

FreezeError
├── ExemptionWaitingError  the same change, at that commit or at any, waits for a decision already
├── OwnRequestError        nobody approves what they asked for themselves
└── NotWaitingError        the request was decided, or is too old to decide on
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.freezes.hold_registry import AlreadyRequestedError, FreezeError
from bot.freezes.hold_writer import Announce, HoldWriter, log_transitions
from bot.freezes.transition import ExemptionDeclined, ExemptionGranted, ExemptionRequested
from bot.freezes.verdict import Change, Exemption, is_at_commit
from bot.store.database import Database
from bot.store.tables.core import exemptions
from bot.store.tables.exemptions import exemption_requests as rows
from bot.store.value_lists import is_one_of

DECIDED_WITHIN = timedelta(hours=24)
"""How long a request waits for a decision."""
USUAL_LENGTH = timedelta(hours=24)
"""How long a change is exempt where nothing else is said."""


class RequestState(StrEnum):
    """How far a request has come."""

    PENDING = "asked"
    GRANTED = "granted"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class StoredExemptionRequest:
    """A request as it is stored; `keep_for` is how long the change may ship once it is granted."""

    id: int
    service: str
    change: str
    reason: str
    by: str
    asked_at: datetime
    keep_for: timedelta | None
    state: RequestState
    commit: str | None = None
    kind: str | None = None
    proof: str | None = None
    until: datetime | None = None
    """When it ends, where that was asked for instead of a length."""
    by_agent: bool = False

    def end(self, granted_at: datetime) -> datetime:
        """Return when the change is no longer exempt if it is granted at a time."""
        return self.until or granted_at + (self.keep_for or USUAL_LENGTH)

    def asks_for(self, change: str, commit: str | None) -> bool:
        """Return whether it would let a change through at a commit, at any for None."""
        return self.change.casefold() == change.casefold() and is_at_commit(
            Change(change, commit=commit), self.commit
        )


class ExemptionWaitingError(FreezeError):
    """The change waits for a decision already: `waiting`."""

    def __init__(self, waiting: StoredExemptionRequest) -> None:
        super().__init__(f"{waiting.change} waits for approval already")
        self.waiting = waiting


class OwnRequestError(FreezeError):
    """Nobody approves what they asked for themselves."""


class NotWaitingError(FreezeError):
    """Nothing waits for a decision here any more."""


class ExemptionRequests:
    """Stores requests and decisions; `announce` returns the messages of each."""

    def __init__(self, database: Database, announce: Announce) -> None:
        self._database = database
        self._writer = HoldWriter(database, announce)

    async def ask(
        self,
        service: Service,
        *,
        change: str,
        by: str,
        reason: str,
        keep_for: timedelta | None,
        request: str | None,
        now: datetime,
        commit: str | None = None,
        kind: str | None = None,
        proof: str | None = None,
        until: datetime | None = None,
        by_agent: bool = False,
    ) -> StoredExemptionRequest:
        """Store and announce a request; one for another commit of a change that waits stands beside it.

        Raises `AlreadyRequestedError` for a repeated `request`, and `ExemptionWaitingError`.
        """
        async with self._database.transaction() as connection:
            repeated = await connection.execute(select(rows.c.id).where(rows.c.request == request))
            if request is not None and repeated.first() is not None:
                raise AlreadyRequestedError(f"{change} was asked for by this request before")
            waiting = await pending_of(connection, [service.name], now)
            same = [each for each in waiting if each.asks_for(change, commit)]
            if same:
                raise ExemptionWaitingError(same[0])
            values = {
                "service": service.name,
                "change": change,
                "reason": reason,
                "by": by,
                "asked_at": now,
                "keep_for": keep_for.total_seconds() if keep_for else None,
                "request": request,
                "state": str(RequestState.PENDING),
                "commit": commit,
                "kind": kind,
                "proof": proof,
                "until": until,
                "by_agent": by_agent,
            }
            insert = self._database.insert(rows).values(values).returning(rows.c.id)
            id_ = int((await connection.execute(insert)).scalar_one())
            asked = ExemptionRequested(
                id_, change, by, reason, keep_for, commit, kind, proof, until, by_agent
            )
            await self._writer.record(connection, service, asked, now)
        log_transitions(service.name, [asked])
        return StoredExemptionRequest(
            id_,
            service.name,
            change,
            reason,
            by,
            now,
            keep_for,
            RequestState.PENDING,
            commit,
            kind,
            proof,
            until,
            by_agent,
        )

    async def pending(self, id_: int, now: datetime) -> StoredExemptionRequest:
        """Return a request that waits for a decision; raises `NotWaitingError`."""
        async with self._database.reading() as connection:
            return await _find_pending(connection, id_, now)

    async def approve(
        self, service: Service, id_: int, *, by: str, comment: str, now: datetime
    ) -> tuple[StoredExemptionRequest, Exemption]:
        """Let the change through that a request asks for, from now on.

        Raises `NotWaitingError`, and `OwnRequestError` for whoever asked.
        """
        async with self._database.transaction() as connection:
            asked = await _find_pending(connection, id_, now)
            if asked.by == by:
                raise OwnRequestError("somebody else must approve what you asked for")
            decision = {"decided_by": by, "decided_at": now, "comment": comment or None}
            await _decide(connection, asked, RequestState.GRANTED, decision)
            until = asked.end(now)
            exemption = Exemption(asked.service, asked.change, asked.reason, by, now, until, asked.commit)
            values = {
                "service": asked.service,
                "change": asked.change,
                "reason": asked.reason,
                "by": by,
                "since": now,
                "until": until,
                "request": exemption_key(id_),
                "commit": asked.commit,
                "kind": asked.kind,
                "proof": asked.proof,
            }
            await connection.execute(self._database.insert(exemptions).values(values))
            granted = ExemptionGranted(asked.change, by, asked.reason, until, asked.by, comment, asked.commit)
            await self._writer.record(connection, service, granted, now)
        log_transitions(service.name, [granted])
        return asked, exemption

    async def decline(
        self, service: Service, id_: int, *, by: str, comment: str, now: datetime
    ) -> StoredExemptionRequest:
        """Decline what a request asks for; raises `NotWaitingError`."""
        async with self._database.transaction() as connection:
            asked = await _find_pending(connection, id_, now)
            decision = {"decided_by": by, "decided_at": now, "comment": comment or None}
            await _decide(connection, asked, RequestState.DECLINED, decision)
            declined = ExemptionDeclined(asked.change, by, asked.reason, asked.by, comment, asked.commit)
            await self._writer.record(connection, service, declined, now)
        log_transitions(service.name, [declined])
        return asked


def exemption_key(request_id: int) -> str:
    """Return the request of the exemption that answers this request."""
    return f"exemption request {request_id}"


async def pending_of(
    connection: AsyncConnection, services: Collection[str], now: datetime
) -> list[StoredExemptionRequest]:
    """Return the requests of services that wait for a decision, oldest first."""
    query = select(rows).where(
        is_one_of(rows.c.service, services),
        rows.c.state == RequestState.PENDING,
        rows.c.asked_at > now - DECIDED_WITHIN,
    )
    return [request_of(row) for row in await connection.execute(query.order_by(rows.c.id))]


async def waiting_for_agent(connection: AsyncConnection, by: str, now: datetime) -> int:
    """Return how many requests of an agent wait for a decision."""
    query = select(func.count()).where(
        rows.c.by == by,
        rows.c.by_agent.is_(True),
        rows.c.state == RequestState.PENDING,
        rows.c.asked_at > now - DECIDED_WITHIN,
    )
    return int((await connection.execute(query)).scalar_one())


async def _find_pending(connection: AsyncConnection, id_: int, now: datetime) -> StoredExemptionRequest:
    row = (await connection.execute(select(rows).where(rows.c.id == id_))).one_or_none()
    if row is None or row.state != RequestState.PENDING:
        raise NotWaitingError("this was decided already")
    if row.asked_at <= now - DECIDED_WITHIN:
        raise NotWaitingError("this was asked more than a day ago; ask again")
    if row.until is not None and row.until <= now:
        raise NotWaitingError("the time for which this was asked is over")
    return request_of(row)


async def _decide(
    connection: AsyncConnection,
    asked: StoredExemptionRequest,
    state: RequestState,
    decision: Mapping[str, Any],
) -> None:
    """Store a decision; raises `NotWaitingError` if somebody else was quicker."""
    waiting = (rows.c.id == asked.id) & (rows.c.state == RequestState.PENDING)
    decided = await connection.execute(update(rows).where(waiting).values(state=str(state), **decision))
    if decided.rowcount != 1:
        raise NotWaitingError("somebody else was quicker")


def request_of(row: Row[Any]) -> StoredExemptionRequest:
    """Return the request in a row of `exemption_requests`."""
    keep_for = timedelta(seconds=row.keep_for) if row.keep_for else None
    return StoredExemptionRequest(
        row.id,
        row.service,
        row.change,
        row.reason,
        row.by,
        row.asked_at,
        keep_for,
        RequestState(row.state),
        row.commit,
        row.kind,
        row.proof,
        row.until,
        row.by_agent,
    )
