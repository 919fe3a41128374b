"""The life of an incident, from the real Alertmanager's alert to the archived postmortem, on another's Slack.

The Slack is `emulate`'s, not this project's; a recorder before it keeps every call with its answer. What that
emulator lacks, the recorder answers: `usergroups.list` and `users.conversations` in Slack's documented shape,
made of the emulator's own people and channels, because without them no team can be invited anywhere; and the
methods of canvases with `unknown_method`, since a document's canvas is a step that may fail.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.fake_slack.web_api import read_arguments
from bot.slack.incidents.messages import CARD, DOCUMENT, NOTICE, POSTMORTEM_CLOSED, POSTMORTEM_OPENED
from tests.incidents.test_alertmanager import alertmanager, fire
from tests.incidents.test_story import POLICIES
from tests.stories.test_another_slack import Answers, Elsewhere, listening, types
from tests.support.running import API_TOKEN, Bot, eventually, running_governor, write_policies
from tests.support.slack_emulator import Emulator, running_emulator

TEAMS = {"checkout-devs": "dana", "sre": "sam"}
LACKING = {"conversations.canvases.create", "canvases.edit"}
PERMISSIONS = "spec:\n  permissions: {incidents: everyone}\n  channels: {announcements"


@dataclass(frozen=True)
class Called:
    """A call of the Web API and what was answered."""

    method: str
    arguments: Mapping[str, Any]
    answer: Mapping[str, Any]


@dataclass
class Recorder:
    """Stands before the emulator. `people` maps names to ids."""

    api_url: str
    token: str
    session: aiohttp.ClientSession
    people: dict[str, str] = field(default_factory=dict)
    calls: list[Called] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Forward a call and record it."""
        method, arguments = request.match_info["method"], await read_arguments(request)
        arguments.pop("token", None)
        answer = await self._answer(method, arguments)
        self.calls.append(Called(method, arguments, answer))
        return web.json_response(answer)

    async def _answer(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if method in LACKING:
            return {"ok": False, "error": "unknown_method", "req_method": method}
        if method == "usergroups.list":
            groups = [{"handle": team, "users": [self.people[who]]} for team, who in TEAMS.items()]
            return {"ok": True, "usergroups": groups}
        if method == "users.conversations":
            found = (await self.ask("conversations.list", limit="1000", exclude_archived="true"))["channels"]
            mine = [one for one in found if one.get("is_member")]
            return {"ok": True, "channels": mine, "response_metadata": {"next_cursor": ""}}
        return await self.ask(method, **arguments)

    async def ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call the emulator."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.session.post(f"{self.api_url}{method}", json=arguments, headers=headers) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
        return answer

    def of(self, method: str, **arguments: Any) -> list[Called]:
        """Return the calls of a method with these arguments."""
        return [
            one for one in self.calls if one.method == method and arguments.items() <= one.arguments.items()
        ]

    def posted(self, kind: str) -> list[Called]:
        """Return the posts of one kind of message."""
        return [one for one in self.of("chat.postMessage") if kind in str(one.arguments.get("metadata"))]


@asynccontextmanager
async def recording(emulator: Emulator) -> AsyncIterator[tuple[Recorder, str]]:
    """Put a recorder before the emulator; return it and its address."""
    async with aiohttp.ClientSession() as session:
        recorder = Recorder(emulator.api_url, emulator.token, session)
        members = (await recorder.ask("users.list"))["members"]
        recorder.people = {one["name"]: one["id"] for one in members}
        app = web.Application()
        app.router.add_route("*", "/{method}", recorder.take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield recorder, f"http://127.0.0.1:{runner.addresses[0][1]}/"
        finally:
            await runner.cleanup()


def alert(*, is_over: bool) -> dict[str, object]:
    """Describe an alert that fires since four minutes, or did."""
    now = datetime.now(UTC)
    return {
        "labels": {"alertname": "HighErrors", "service": "checkout", "severity": "critical"},
        "annotations": {"summary": "Checkout 500s"},
        "startsAt": STARTED.isoformat(),
        "endsAt": (now - timedelta(seconds=1) if is_over else now + timedelta(hours=1)).isoformat(),
    }


STARTED = datetime.now(UTC) - timedelta(minutes=4)


async def incident(bot: Bot) -> Mapping[str, Any]:
    """Return the one incident, or nothing."""
    _, listed = await bot.api("GET", "incidents")
    found: Sequence[Mapping[str, Any]] = listed["incidents"]
    return found[0] if found else {}


async def until(recorder: Recorder, method: str, count: int = 1, **arguments: Any) -> list[Called]:
    """Wait until a method was called so often, and accepted."""

    async def accepted() -> list[Called]:
        return [one for one in recorder.of(method, **arguments) if one.answer.get("ok")]

    return await eventually(accepted, lambda found: len(found) >= count, within_s=40)


@pytest.mark.timeout(300)
async def test_an_alert_becomes_an_incident_and_ends_as_an_archived_postmortem(tmp_path: Path) -> None:
    folder = write_policies(tmp_path, POLICIES.replace("spec:\n  channels: {announcements", PERMISSIONS, 1))
    async with running_emulator() as emulator, listening() as answers, recording(emulator) as (
        recorder, url,
    ):  # fmt: skip
        slack = Elsewhere(emulator)
        slack.api_url = url
        dana, sam = recorder.people["dana"], recorder.people["sam"]
        async with (
            running_governor(policies=folder, slack=slack, folder=tmp_path) as bot,
            alertmanager(tmp_path, f"{bot.url}/webhooks/alertmanager", API_TOKEN) as alerts,
        ):
            room = await _opens(recorder, bot, alerts)
            await _runs(recorder, bot, alerts, answers, room)
            postmortem = await _learns(recorder, bot, answers, room)
            await _closes(recorder, bot, answers, room, postmortem)
        for channel in (room, postmortem):
            await _assert_archived(recorder, channel, {dana, sam})
        _assert_every_call_was_taken(recorder, {room, postmortem})


async def _opens(recorder: Recorder, bot: Bot, alerts: str) -> str:
    """The alert fires: channel, topic, purpose, both teams, the card pinned, the notice elsewhere."""
    await fire(alerts, alert(is_over=False))
    (made,) = await until(recorder, "conversations.create")
    name, room = f"inc-{datetime.now(UTC):%Y-%m-%d}-checkout-500s", str(made.answer["channel"]["id"])
    assert made.arguments["name"] == name
    (pinned,) = await until(recorder, "pins.add", channel=room)
    (topic,) = await until(recorder, "conversations.setTopic", channel=room)
    assert topic.arguments["topic"] == "sev2 · Checkout 500s · checkout"
    (purpose,) = await until(recorder, "conversations.setPurpose", channel=room)
    assert purpose.arguments["purpose"].startswith("Incident 1, opened ")
    invited = await until(recorder, "conversations.invite", 2, channel=room)
    assert [one.arguments["users"] for one in invited] == [recorder.people["dana"], recorder.people["sam"]]
    (card,) = recorder.posted(CARD)
    assert (card.arguments["channel"], card.answer["ts"]) == (room, pinned.arguments["timestamp"])
    (notice,) = await eventually(lambda: _posted(recorder, NOTICE), bool)
    assert f"<#{room}>" in str(notice.arguments)
    assert (await incident(bot))["channel"]["id"] == room
    return room


async def _posted(recorder: Recorder, kind: str) -> list[Called]:
    return recorder.posted(kind)


async def _runs(recorder: Recorder, bot: Bot, alerts: str, answers: Answers, room: str) -> None:
    """Somebody takes command and finds the cause; the alert ends; it is resolved. The card follows."""
    sam = recorder.people["sam"]
    said = await types(bot, "/incident role commander", answers, user=sam, channel=room)
    assert said["text"] == f"<@{sam}> is commander."
    await types(bot, "/incident status identified", answers, user=sam, channel=room)
    await _shown(recorder, room, "identified")
    await fire(alerts, alert(is_over=True))
    await eventually(lambda: incident(bot), lambda one: one["status"] == "mitigated", within_s=40)
    said = await types(bot, "/incident status resolved", answers, user=sam, channel=room)
    assert "set it to *resolved*" in said["text"]
    await _shown(recorder, room, "resolved")


async def _shown(recorder: Recorder, room: str, words: str) -> None:
    """Wait until the card in the channel says so."""

    async def rewritten() -> bool:
        return any(words in one.arguments["text"] for one in recorder.of("chat.update", channel=room))

    await eventually(rewritten, bool, within_s=40)


async def _learns(recorder: Recorder, bot: Bot, answers: Answers, room: str) -> str:
    """Four minutes of 10.08 were costly: the postmortem opens by itself, and both teams are in it."""
    made = (await until(recorder, "conversations.create", 2))[1]
    postmortem = str(made.answer["channel"]["id"])
    assert made.arguments["name"] == f"pm-{datetime.now(UTC):%Y-%m-%d}-checkout-500s"
    (pinned,) = await until(recorder, "pins.add", channel=postmortem)
    (document,) = recorder.posted(DOCUMENT)
    assert (document.arguments["channel"], document.answer["ts"]) == (
        postmortem,
        pinned.arguments["timestamp"],
    )
    invited = await until(recorder, "conversations.invite", 2, channel=postmortem)
    assert {one.arguments["users"] for one in invited} == {recorder.people["dana"], recorder.people["sam"]}
    (told,) = await eventually(lambda: _posted(recorder, POSTMORTEM_OPENED), bool)
    assert told.arguments["channel"] == room
    dana = recorder.people["dana"]
    refused = await types(bot, "/postmortem close", answers, user=dana, channel=postmortem)
    assert "at least one P0 action" in refused["text"]
    owned = f"/action add limit the pool <@{dana}> due tomorrow P0"
    assert "limit the pool" in (await types(bot, owned, answers, user=dana, channel=postmortem))["text"]
    await _shown(recorder, postmortem, "Checkout 500s")
    return postmortem


async def _closes(recorder: Recorder, bot: Bot, answers: Answers, room: str, postmortem: str) -> None:
    """The document is saved as a file, announced in both channels, and these are archived."""
    dana = recorder.people["dana"]
    asked = await types(bot, "/postmortem close", answers, user=dana, channel=postmortem)
    assert "still empty" in asked["text"]
    said = await types(bot, "/postmortem close anyway", answers, user=dana, channel=postmortem)
    assert said["text"] == "The postmortem of incident 1 is closed. Its channels are archived in a moment."
    await until(recorder, "conversations.archive", 2)
    assert {one.arguments["channel"] for one in recorder.of("conversations.archive")} == {room, postmortem}
    (file,) = recorder.of("files.getUploadURLExternal")
    (shared,) = recorder.of("files.completeUploadExternal", channel_id=postmortem)
    assert str(file.answer["file_id"]) in str(shared.arguments["files"])
    told = await eventually(
        lambda: _posted(recorder, POSTMORTEM_CLOSED), lambda found: len(found) == 3, within_s=40
    )
    assert {room, postmortem} < {one.arguments["channel"] for one in told}
    await asyncio.sleep(3)  # long enough for anything that should not come any more


async def _assert_archived(recorder: Recorder, channel: str, people: set[str]) -> None:
    """The emulator's own state: archived, both teams in it, one card, pinned."""
    client = AsyncWebClient(token=recorder.token, base_url=recorder.api_url)
    found = (await client.conversations_info(channel=channel))["channel"]
    assert found["is_archived"] is True
    assert people <= set((await client.conversations_members(channel=channel))["members"])
    assert len((await client.pins_list(channel=channel))["items"]) == 1


def _assert_every_call_was_taken(recorder: Recorder, rooms: set[str]) -> None:
    """Nothing was refused but the canvas, and nothing was done in a channel after it was archived."""
    refused = {(one.method, one.answer.get("error")) for one in recorder.calls if not one.answer.get("ok")}
    assert refused == {("conversations.canvases.create", "unknown_method")}
    for room in rooms:
        (archived,) = recorder.of("conversations.archive", channel=room)
        at = recorder.calls.index(archived)
        later = [one for one in recorder.calls[at + 1 :] if room in {*map(str, one.arguments.values())}]
        assert later == []
    assert len(recorder.of("conversations.create")) == 2
    assert [len(recorder.posted(kind)) for kind in (CARD, DOCUMENT, NOTICE)] == [1, 1, 1]
