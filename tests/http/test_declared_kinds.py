"""A kind that nobody has proven passes the gate, and each use is audited and told once, on both stores."""

import asyncio

from sqlalchemy import select

from bot.freezes.budget_judge import BudgetJudge
from bot.store import audit
from bot.store.tables.core import outbox
from tests.http.conftest import ApiServer
from tests.support.clock import NOW
from tests.support.values import budget

GATE = "/api/v1/gate/checkout"


async def held(api_server: ApiServer) -> None:
    """Place the budget's hold, which yields to the policy's exempt kinds."""
    judge = BudgetJudge(api_server.database, lambda _: ())
    await judge.judge(api_server.catalog.services["checkout"], [budget(-0.1)], NOW)


async def uses(api_server: ApiServer) -> list[audit.AuditEntry]:
    async with api_server.database.reading() as connection:
        rows = await audit.read(connection, service="checkout")
    return [row.entry for row in rows if row.entry.action == "gate.passed_by_kind"]


async def told(api_server: ApiServer) -> list[tuple[str, str]]:
    async with api_server.database.reading() as connection:
        query = select(outbox.c.channel, outbox.c.text).where(outbox.c.event_type == "gate_passed_by_kind")
        return [(row.channel, row.text) for row in await connection.execute(query.order_by(outbox.c.id))]


async def test_a_use_is_audited_and_told_once_however_often_the_gate_is_asked(api_server: ApiServer) -> None:
    await held(api_server)
    asked = (
        api_server.get(GATE, change=name, kind=kind)
        for name in ("PR-12", "pr-12")
        for kind in ("security", "Security")
    )
    answers = await asyncio.gather(*asked)
    assert [body["allow"] for _, body in answers] == [True] * 4
    (use,) = await uses(api_server)
    assert (use.actor, use.subject.casefold()) == ("api", "pr-12")
    assert use.after is not None
    assert len(use.after["holds"]) == 1
    ((channel, text),) = await told(api_server)
    assert channel == api_server.catalog.services["checkout"].channel
    assert "Nobody has proven that" in text

    await api_server.get(GATE, change="PR-13", kind="security")
    await api_server.get(GATE, kind="security")
    assert [use.subject for use in await uses(api_server)][1:] == ["PR-13", "a change without a name"]
    assert len(await told(api_server)) == 3


async def test_what_the_kind_does_not_decide_is_no_use(api_server: ApiServer) -> None:
    # Nothing to pass.
    await api_server.get(GATE, change="PR-1", kind="security")
    await held(api_server)
    # The policy does not know the kind, or a person let this very change through.
    await api_server.get(GATE, change="PR-2", kind="urgent")
    service = api_server.catalog.services["checkout"]
    await api_server.hold_registry.exempt(
        service, change="PR-3", by="U0SAM", reason="agreed", until=None, request="r1", now=NOW
    )
    _, body = await api_server.get(GATE, change="PR-3", kind="security")
    assert body["allow"] is True
    assert await uses(api_server) == []
    assert await told(api_server) == []
