"""What tools that ship step by step ask: the one verdict, about a change that begins to take traffic."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from aiohttp import web

from bot.catalog.catalog import Service
from bot.clock import Clock
from bot.freezes.exemptions.passages import Passages
from bot.freezes.gate.begun import begin
from bot.freezes.status import StatusReader
from bot.freezes.verdict import Change, Verdict
from bot.store.database import Database

MOST = 200
"""The longest name of a change, an environment or a proof."""

FindCaller = Callable[[str], Awaitable[str | None]]
"""Returns the name of a token that may ask the gate; None for any other text."""


class GateQuestions:
    """Asks the verdict for an adapter, and records what follows from it."""

    def __init__(
        self, status_reader: StatusReader, passages: Passages, database: Database, clock: Clock
    ) -> None:
        self._status_reader = status_reader
        self._passages = passages
        self._database = database
        self._clock = clock

    async def ask(self, service_name: str, change: Change, by: str, *, begins: bool) -> Verdict:
        """Return the verdict. With `begins`, a change that may ship takes traffic from now on.

        Raises `UnknownServiceError` and `NotMeasuredYetError`.
        """
        verdict = await self.judge(service_name, change)
        await self.let_through(verdict, by, begins=begins)
        return verdict

    async def judge(self, service_name: str, change: Change) -> Verdict:
        """Return the verdict alone; raises `UnknownServiceError` and `NotMeasuredYetError`."""
        service = self._status_reader.find(service_name)
        return await self._status_reader.verdict(service.name, change)

    async def let_through(self, verdict: Verdict, by: str, *, begins: bool) -> None:
        """Record what follows from telling the verdict to whoever asked."""
        service, now = self._status_reader.find(verdict.service), self._clock.now()
        await self._passages.record(service, verdict, by, now)
        if begins and verdict.allow and verdict.change.id is not None:
            await self._begin(service, verdict.change.id, by, now)

    async def _begin(self, service: Service, change: str, by: str, now: datetime) -> None:
        state = await self._status_reader.gate_states.of(service, now)
        if any(begun.change.casefold() == change.casefold() for begun in state.begun):
            return
        async with self._database.transaction() as connection:
            await begin(self._database, connection, service.name, change, told_by=by, at=now)


async def require_caller(find_caller: FindCaller, token: str) -> str:
    """Return the name of the token's owner; raises `HTTPUnauthorized`."""
    caller = await find_caller(token) if token else None
    if caller is None:
        raise web.HTTPUnauthorized(
            reason="this token may not ask the gate", headers={"WWW-Authenticate": 'Bearer realm="governor"'}
        )
    return caller


def bearer(request: web.Request) -> str:
    """Return the token that a request carries in its header; empty without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else ""


def change_of(request: web.Request) -> Change:
    """Return the change that a query names; raises `HTTPBadRequest`."""
    words = {
        name: request.query.get(name, "").strip()
        for name in ("change", "kind", "environment", "commit", "proof")
    }
    if any(len(word) > MOST for word in words.values()):
        raise web.HTTPBadRequest(reason=f"at most {MOST} characters for each parameter")
    return Change(
        words["change"] or None,
        words["kind"] or None,
        words["environment"] or None,
        words["commit"] or None,
        words["proof"] or None,
    )
