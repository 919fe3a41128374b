"""A deployment that went to production in spite of a freeze is told and audited, once."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.freezes.hold import HoldKind
from bot.http.serializers import instant
from bot.sandbox.fake_slack.model import Message
from bot.store import audit
from bot.store.outbox import read_backlog
from tests.support.github import SHA, api, deliver, delivery
from tests.support.running import eventually
from tests.support.running_bot import Whole, whole_bot

MINUTE = timedelta(minutes=1)
CHANNELS = ("#checkout", "#releases")


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole_bot(tmp_path) as whole:
        yield whole


async def frozen(whole: Whole, kind: HoldKind = HoldKind.PERSON) -> datetime:
    """Put a hold on checkout ten minutes ago; return the time five minutes ago, when it lay there."""
    ago = whole.governor.clock.now() - 10 * MINUTE
    service = whole.governor.watcher.current.catalog.services["checkout"]
    await whole.governor.budgets.hold_registry.place(
        service, by="U0SAM", reason="peak sale", until=None, request=f"{kind}", now=ago, kind=kind
    )
    return ago + 5 * MINUTE


def deployed(begun: datetime, *, of: dict[str, Any] | None = None, **status: object) -> dict[str, Any]:
    """Return GitHub's event of a deployment that began then and ended a minute later."""
    times = {"created_at": instant(begun)} | (of or {})
    return delivery(of=times, created_at=instant(begun + MINUTE), **status)


async def tellings(whole: Whole) -> dict[str, list[Message]]:
    """Wait until everything is sent; return what the channels were told of bypasses."""

    async def unsent() -> int:
        async with whole.governor.database.reading() as connection:
            return len((await read_backlog(connection)).channels)

    await eventually(unsent, lambda count: count == 0)
    kind = "gate_bypassed"
    return {
        channel: [m for m in whole.slack.messages(channel) if (m.metadata or {}).get("event_type") == kind]
        for channel in CHANNELS
    }


async def audited(whole: Whole) -> list[audit.AuditEntry]:
    async with whole.governor.database.reading() as connection:
        rows = await audit.read(connection, service="checkout")
    return [row.entry for row in rows if row.entry.action == "freeze.bypassed"]


async def test_a_deployment_in_spite_of_a_freeze_is_told_once_in_both_channels_and_audited(
    whole: Whole,
) -> None:
    begun = await frozen(whole)
    for _ in range(3):
        await deliver(whole, deployed(begun))
    told = await tellings(whole)
    for channel in CHANNELS:
        (message,) = told[channel]
        first, *_, last = message.text.splitlines()
        assert first == ":warning: 1 hold lay on *checkout* when `6113728` went to production all the same."
        assert "<@U0SAM>" in message.text
        assert "peak sale" in message.text
        assert "Codertocat at GitHub, main of Acme/Checkout, <https://ci.example/42|details>" in message.text
        assert last.startswith("Next: roll it back or agree on it with <@U0SAM>")
        assert "`governor gate checkout`" in last
        # Whoever counts freezes by their words does not count this one.
        assert "freeze" not in str(message.blocks)
        assert "frozen" not in str(message.blocks)
    (entry,) = await audited(whole)
    assert (entry.actor, entry.subject) == ("github", "6113728 to production")
    assert entry.reason == "person hold: peak sale"


async def test_it_is_told_also_when_word_of_it_comes_after_the_hold_was_lifted(whole: Whole) -> None:
    begun = await frozen(whole)
    service = whole.governor.watcher.current.catalog.services["checkout"]
    now = whole.governor.clock.now()
    await whole.governor.budgets.hold_registry.lift(service, by="U0SAM", reason="over", now=now)
    await deliver(whole, deployed(begun))
    assert [len(messages) for messages in (await tellings(whole)).values()] == [1, 1]


@pytest.mark.parametrize("name", [SHA, SHA[:10], "MAIN", "pr-12"])
async def test_an_exempt_deployment_is_not_told_by_whichever_of_its_names(whole: Whole, name: str) -> None:
    begun = await frozen(whole)
    service = whole.governor.watcher.current.catalog.services["checkout"]
    await whole.governor.budgets.hold_registry.exempt(
        service, change=name, by="U0SAM", reason="a fix", until=None, request="r", now=begun
    )
    await deliver(whole, deployed(begun, of={"payload": {"change": "PR-12"}}))
    assert await tellings(whole) == {channel: [] for channel in CHANNELS}
    assert await audited(whole) == []
    # Another change is not covered by it.
    other = {"id": 2, "sha": "f" * 40, "ref": "other"}
    await deliver(whole, deployed(begun, of=other))
    assert len(await audited(whole)) == 1


@pytest.mark.parametrize(("kind", "count"), [(HoldKind.CALENDAR, 0), (HoldKind.PERSON, 1)])
async def test_the_policys_kinds_pass_the_holds_that_the_policy_speaks_for(
    whole: Whole, kind: HoldKind, count: int
) -> None:
    begun = await frozen(whole, kind)
    body = {
        "service": "checkout", "key": "1", "state": "succeeded", "commit": "v2", "kind": "security",
        "started_at": instant(begun), "finished_at": instant(begun + MINUTE),
    }  # fmt: skip
    assert (await api(whole, "POST", "deployments", json=body))[0] == 201
    assert len(await audited(whole)) == count


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
async def test_what_the_gate_would_have_let_through_is_not_told(
    whole: Whole, minutes: int, of: dict[str, Any], status: dict[str, Any]
) -> None:
    begun = await frozen(whole) + minutes * MINUTE
    await deliver(whole, deployed(begun, of=of, **status))
    assert await audited(whole) == []
    assert (await whole.rows())["deployments"] == 1


async def test_another_environment_that_is_said_to_be_production_counts_as_such(whole: Whole) -> None:
    begun = await frozen(whole)
    await deliver(whole, deployed(begun, of={"production_environment": True}, environment="eu-west"))
    assert len(await audited(whole)) == 1
