"""A deployment to production in spite of a freeze is announced and audited once."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.freezes.gate.begun import read_begun
from bot.freezes.hold import HoldKind
from bot.http.serializers import instant
from bot.sandbox.fake_slack.model import Message
from bot.store import audit
from bot.store.outbox import read_backlog
from tests.support.github import SHA, api, deliver, delivery
from tests.support.running import eventually
from tests.support.running_bot import RunningBot, start_bot

MINUTE = timedelta(minutes=1)
CHANNELS = ("#checkout", "#releases")


@pytest.fixture
async def running_bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    async with start_bot(tmp_path) as running_bot:
        yield running_bot


async def frozen(running_bot: RunningBot, kind: HoldKind = HoldKind.PERSON) -> datetime:
    """Place a hold on checkout as of ten minutes ago; return the time five minutes after that."""
    ago = running_bot.governor.clock.now() - 10 * MINUTE
    service = running_bot.governor.watcher.current.catalog.services["checkout"]
    await running_bot.governor.parts.budgets.hold_registry.place(
        service, by="U0SAM", reason="peak sale", until=None, request=f"{kind}", now=ago, kind=kind
    )
    return ago + 5 * MINUTE


def deployed(started_at: datetime, *, of: dict[str, Any] | None = None, **status: object) -> dict[str, Any]:
    """Return GitHub's event of a deployment that began then and ended a minute later."""
    times = {"created_at": instant(started_at)} | (of or {})
    return delivery(of=times, created_at=instant(started_at + MINUTE), **status)


async def announcements(running_bot: RunningBot, kind: str = "gate_bypassed") -> dict[str, list[Message]]:
    """Wait until everything is sent; return the announcements of bypasses by channel."""

    async def unsent() -> int:
        async with running_bot.governor.database.reading() as connection:
            return len((await read_backlog(connection)).channels)

    await eventually(unsent, lambda count: count == 0)
    return {
        channel: [
            m for m in running_bot.slack.messages(channel) if (m.metadata or {}).get("event_type") == kind
        ]
        for channel in CHANNELS
    }


async def bypass_entries(running_bot: RunningBot) -> list[audit.AuditEntry]:
    return await entries(running_bot, "freeze.bypassed")


async def entries(running_bot: RunningBot, action: str) -> list[audit.AuditEntry]:
    async with running_bot.governor.database.reading() as connection:
        rows = await audit.read(connection, service="checkout")
    return [row.entry for row in rows if row.entry.action == action]


async def test_a_deployment_in_spite_of_a_freeze_is_announced_once_in_both_channels_and_audited(
    running_bot: RunningBot,
) -> None:
    started_at = await frozen(running_bot)
    for _ in range(3):
        await deliver(running_bot, deployed(started_at))
    announced = await announcements(running_bot)
    for channel in CHANNELS:
        (message,) = announced[channel]
        first, *_, last = message.text.splitlines()
        assert first == ":warning: 1 hold was on *checkout* when `6113728` was deployed to production anyway."
        assert "<@U0SAM>" in message.text
        assert "peak sale" in message.text
        assert "Codertocat at GitHub, main of Acme/Checkout, <https://ci.example/42|details>" in message.text
        assert last.startswith("Next: roll it back or agree on it with <@U0SAM>")
        assert "`governor gate checkout`" in last
        # This announcement must not be counted as a freeze.
        assert "freeze" not in str(message.blocks)
        assert "frozen" not in str(message.blocks)
    (entry,) = await bypass_entries(running_bot)
    assert (entry.actor, entry.subject) == ("github", "6113728 to production")
    assert entry.reason == "person hold: peak sale"


async def test_it_is_announced_also_when_it_is_reported_after_the_hold_was_lifted(
    running_bot: RunningBot,
) -> None:
    started_at = await frozen(running_bot)
    service = running_bot.governor.watcher.current.catalog.services["checkout"]
    now = running_bot.governor.clock.now()
    await running_bot.governor.parts.budgets.hold_registry.lift(service, by="U0SAM", reason="over", now=now)
    await deliver(running_bot, deployed(started_at))
    assert [len(messages) for messages in (await announcements(running_bot)).values()] == [1, 1]


async def test_a_report_whose_clock_is_ahead_is_judged_by_the_holds_of_now(running_bot: RunningBot) -> None:
    now = running_bot.governor.clock.now()
    service = running_bot.governor.watcher.current.catalog.services["checkout"]
    await running_bot.governor.parts.budgets.hold_registry.place(
        service, by="U0SAM", reason="peak sale", until=now + 10 * MINUTE, request="r", now=now - MINUTE
    )
    ahead = instant(now + 40 * MINUTE)
    body = {"service": "checkout", "key": "build-42", "state": "succeeded", "commit": "1.2.3"}
    await api(running_bot, "POST", "deployments", json=body | {"started_at": ahead, "finished_at": ahead})
    (entry,) = await bypass_entries(running_bot)
    assert entry.reason == "person hold: peak sale"
    _, history = await api(running_bot, "GET", "deployments")
    (deployment,) = history["deployments"]
    assert datetime.fromisoformat(deployment["ended_at"]) <= running_bot.governor.clock.now()


async def test_a_deployment_that_is_told_late_does_not_take_back_when_its_change_began_anew(
    running_bot: RunningBot,
) -> None:
    now = running_bot.governor.clock.now()
    for key, ago in ("again", 5), ("first", 300), ("again", 5):
        at = instant(now - ago * MINUTE)
        body = {"service": "checkout", "key": key, "state": "succeeded", "commit": "1.2.3", "started_at": at}
        await api(running_bot, "POST", "deployments", json=body)
    async with running_bot.governor.database.reading() as connection:
        (begun,) = await read_begun(connection, now)
    assert begun.began_at == now - 5 * MINUTE


@pytest.mark.parametrize("name", [SHA, SHA[:10], "MAIN", "pr-12"])
async def test_an_exempt_deployment_is_not_announced_whichever_of_its_names_is_exempt(
    running_bot: RunningBot, name: str
) -> None:
    started_at = await frozen(running_bot)
    service = running_bot.governor.watcher.current.catalog.services["checkout"]
    await running_bot.governor.parts.budgets.hold_registry.exempt(
        service, change=name, by="U0SAM", reason="a fix", until=None, request="r", now=started_at
    )
    await deliver(running_bot, deployed(started_at, of={"payload": {"change": "PR-12"}}))
    assert await announcements(running_bot) == {channel: [] for channel in CHANNELS}
    assert await bypass_entries(running_bot) == []
    # Another change is not covered by it.
    other = {"id": 2, "sha": "f" * 40, "ref": "other"}
    await deliver(running_bot, deployed(started_at, of=other))
    assert len(await bypass_entries(running_bot)) == 1


@pytest.mark.parametrize(("kind", "count"), [(HoldKind.CALENDAR, 0), (HoldKind.PERSON, 1)])
async def test_the_policys_exempt_kinds_pass_only_the_holds_that_the_policy_allows(
    running_bot: RunningBot, kind: HoldKind, count: int
) -> None:
    started_at = await frozen(running_bot, kind)
    body = {
        "service": "checkout", "key": "1", "state": "succeeded", "commit": "v2", "kind": "security",
        "proof": "CVE-2026-1234", "started_at": instant(started_at),
        "finished_at": instant(started_at + MINUTE),
    }  # fmt: skip
    assert (await api(running_bot, "POST", "deployments", json=body))[0] == 201
    assert len(await bypass_entries(running_bot)) == count
    # What passed by its kind is told in the service's channel, and no other.
    declared = await entries(running_bot, "gate.passed_by_kind")
    assert [entry.subject for entry in declared] == ["v2"] * (1 - count)
    told = (await announcements(running_bot, "gate_passed_by_kind")).values()
    assert [len(messages) for messages in told] == [1 - count, 0]


@pytest.mark.parametrize(
    ("minutes", "of", "status"),
    [
        (0, {}, {"state": "failure"}),
        (0, {}, {"environment": "staging"}),
        (0, {"production_environment": False}, {}),
        (-20, {}, {}),
    ],
    ids=["failed", "staging", "not production", "begun before the freeze"],
)
async def test_a_deployment_that_the_gate_would_have_allowed_is_not_announced(
    running_bot: RunningBot, minutes: int, of: dict[str, Any], status: dict[str, Any]
) -> None:
    started_at = await frozen(running_bot) + minutes * MINUTE
    await deliver(running_bot, deployed(started_at, of=of, **status))
    assert await bypass_entries(running_bot) == []
    assert (await running_bot.rows())["deployments"] == 1


async def test_another_environment_that_is_said_to_be_production_counts_as_such(
    running_bot: RunningBot,
) -> None:
    started_at = await frozen(running_bot)
    await deliver(
        running_bot, deployed(started_at, of={"production_environment": True}, environment="eu-west")
    )
    assert len(await bypass_entries(running_bot)) == 1
