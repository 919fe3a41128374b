"""A proven kind passes the gate, and each use is audited and told once, on both stores."""

import asyncio

import pytest
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
        api_server.get(GATE, change=name, kind=kind, proof="cve-2026-1234")
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
    assert "proven by CVE-2026-1234" in text

    ghsa = "GHSA-jfh8-c2jp-5v3q"
    await api_server.get(GATE, change="PR-13", kind="security", proof=ghsa)
    await api_server.get(GATE, kind="security", proof=ghsa)
    assert [use.subject for use in await uses(api_server)][1:] == ["PR-13", "a change without a name"]
    assert len(await told(api_server)) == 3


async def test_what_the_kind_does_not_decide_is_no_use(api_server: ApiServer) -> None:
    # Nothing to pass.
    await api_server.get(GATE, change="PR-1", kind="security", proof="CVE-2026-1234")
    await held(api_server)
    # The policy does not know the kind, or a person let this very change through.
    await api_server.get(GATE, change="PR-2", kind="urgent", proof="CVE-2026-1234")
    service = api_server.catalog.services["checkout"]
    await api_server.hold_registry.exempt(
        service, change="PR-3", by="U0SAM", reason="agreed", until=None, request="r1", now=NOW
    )
    _, body = await api_server.get(GATE, change="PR-3", kind="security")
    assert body["allow"] is True
    assert await uses(api_server) == []
    assert await told(api_server) == []


@pytest.mark.parametrize(
    ("kind", "proof", "why"),
    [
        ("security", "", "is not proven"),
        ("security", "trust me", "neither an advisory"),
        ("security", "CVE-26-1", "neither an advisory"),
        ("security", "GHSA-aaaa-bbbb-cccc", "neither an advisory"),
        ("P0", "CVE-2026-1234", "not that it is P0"),
        ("P0", "incident 7", "incident 7 proves nothing"),
    ],
)
async def test_what_proves_nothing_is_refused_with_the_reason(
    api_server: ApiServer, kind: str, proof: str, why: str
) -> None:
    await held(api_server)
    _, body = await api_server.get(GATE, change="PR-12", kind=kind, proof=proof)
    assert body["verdict"] == "wait"
    assert why in str(body["reasons"])
    assert await uses(api_server) == []
