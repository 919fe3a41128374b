"""The whole bot: what is frozen is told to a receiver, listed, and delivered again."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft202012Validator

from tests.stories.conftest import POLICIES
from tests.support.paths import DOCS
from tests.support.running import eventually
from tests.support.running_bot import TOKEN, RunningBot, start_bot
from tests.support.shell_blocks import blocks
from tests.webhooks.receiver import SECRET, Receiver, receiver

TEXT = POLICIES.replace(
    "  evaluateEvery: 1s\n",
    """  evaluateEvery: 1s
  webhooks:
    portal:
      url: "${PORTAL_URL}"
      secret: "${PORTAL_SECRET}"
      events: [hold.*, incident.*]
      services: checkout
""",
).replace('permissions: {freeze: ["@sre"]}', "permissions: {freeze: everyone, incidents: everyone}")
DELIVERIES = "/api/v1/webhook-deliveries"


class Portal:
    """A bot with one webhook, and the receiver of it."""

    def __init__(self, bot: RunningBot, found: Receiver, session: aiohttp.ClientSession) -> None:
        self.bot, self.receiver, self._session = bot, found, session

    async def ask(self, method: str, path: str, **query: str) -> tuple[int, dict[str, Any]]:
        async with self._session.request(
            method, f"{self.bot.url}{path}", params=query, headers={"Authorization": f"Bearer {TOKEN}"}
        ) as response:
            return response.status, await response.json(content_type=None)

    async def freeze(self) -> None:
        governor = self.bot.governor
        service = governor.watcher.current.catalog.services["checkout"]
        await governor.parts.budgets.hold_registry.place(
            service, by="U1", reason="peak sale", until=None, request="hold", now=governor.clock.now()
        )

    async def taken(self, count: int) -> list[Any]:
        async def ask() -> list[Any]:
            return [event for _, event in self.receiver.taken]

        return await eventually(ask, lambda events: len(events) >= count, within_s=60)


@pytest.fixture
async def portal(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Portal]:
    async with receiver() as found, aiohttp.ClientSession() as session:
        monkeypatch.setenv("PORTAL_URL", found.url)
        monkeypatch.setenv("PORTAL_SECRET", SECRET)
        async with start_bot(tmp_path, url, text=TEXT) as bot:
            yield Portal(bot, found, session)


def schema() -> dict[str, Any]:
    """Return the schema of an event that the documentation shows."""
    (shown,) = [block.text for block in blocks(DOCS / "webhooks.md") if block.info == "json schema"]
    found: dict[str, Any] = json.loads(shown)
    return found


async def test_a_freeze_is_told_and_told_again_on_request(portal: Portal) -> None:
    await portal.freeze()
    (event,) = await portal.taken(1)
    Draft202012Validator(schema()).validate(event)
    assert (event["type"], event["data"]["reason"]) == ("hold.placed", "peak sale")

    async def delivered() -> list[Any]:
        _, listed = await portal.ask("GET", DELIVERIES, webhook="portal", state="delivered")
        return list(listed["deliveries"])

    (delivery,) = await eventually(delivered, bool, within_s=60)
    assert (delivery["event"], delivery["status"], delivery["attempts"]) == ("hold.placed", 204, 1)
    status, whole = await portal.ask("GET", f"{DELIVERIES}/{delivery['id']}")
    assert (status, whole["payload"]) == (200, event)
    status, again = await portal.ask("POST", f"{DELIVERIES}/{delivery['id']}/redeliver")
    assert (status, again["state"], again["redelivered_by"]) == (202, "pending", "api")
    assert (await portal.taken(2))[1] == event
    assert len({id_ for id_, _ in portal.receiver.taken}) == 1
    async with aiohttp.ClientSession() as session, session.get(f"{portal.bot.url}/readyz") as answer:
        checks = (await answer.json())["checks"]
    assert checks["webhooks"]["disabled"] == {}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{DELIVERIES}/99", 404),
        ("GET", f"{DELIVERIES}/x", 404),
        ("POST", f"{DELIVERIES}/99/redeliver", 404),
        ("POST", f"{DELIVERIES}/{'9' * 40}/redeliver", 404),
        ("GET", f"{DELIVERIES}?state=lost", 400),
        ("GET", f"{DELIVERIES}?cursor=x", 400),
    ],
)
async def test_faulty_requests_are_refused(portal: Portal, method: str, path: str, status: int) -> None:
    path, _, query = path.partition("?")
    named = dict([query.split("=")]) if query else {}
    assert (await portal.ask(method, path, **named))[0] == status


async def test_what_became_private_is_neither_shown_nor_told_again(portal: Portal) -> None:
    dana, workspace = portal.bot.slack.person("dana"), portal.bot.slack.workspace
    await dana.says("/incident open Passwords leaked sev1 checkout", "#general")

    async def channels() -> list[str]:
        return [each.id for each in workspace.channels.values() if each.name.startswith("inc-")]

    (channel,) = await eventually(channels, bool, within_s=60)

    async def cards() -> list[str]:
        return [each.text for each in portal.bot.slack.messages(channel) if "leaked" in each.text]

    # Its card comes once the bot knows that the channel is the incident's.
    await eventually(cards, bool, within_s=60)
    (opened, *_) = await portal.taken(1)
    assert "leaked" in opened["data"]["reason"]
    await dana.says("/incident private", channel)

    async def payload() -> str:
        return str((await portal.ask("GET", f"{DELIVERIES}/1"))[1])

    await eventually(payload, lambda text: "leaked" not in text, within_s=60)
    first = portal.receiver.taken[0][0]
    portal.receiver.taken.clear()
    await portal.ask("POST", f"{DELIVERIES}/1/redeliver")

    async def again() -> list[str]:
        return [str(event) for id_, event in portal.receiver.taken if id_ == first]

    (told,) = await eventually(again, bool, within_s=60)
    assert "leaked" not in told
