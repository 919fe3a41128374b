"""Every way out by which somebody could read of a private incident, tried by people who may not see it.

The ways are those that the bot has: the table of commands, the buttons, the modals, the described operations
of the API, all channels and the home tab. Whoever adds one finds it tried here, or is told by a failure what
to fill in.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest

from bot.cli import audit as audit_command
from bot.http.openapi import served_operations
from bot.http.rights import ALL, Right
from bot.incidents.incident import Status
from bot.incidents.postmortem import PostmortemPart
from bot.slack.blockkit.modals import SubmittedModal
from bot.slack.command_reference import COMMANDS
from bot.slack.incidents import buttons, modals
from bot.slack.incidents.shortcuts import (
    ADD_TO_TIMELINE,
    OPEN_ANYWHERE,
    OPEN_FROM_MESSAGE,
    ShortcutUse,
)
from bot.slack.incidents.source_message import SourceMessage
from bot.slack.interactions import Interaction, Query
from bot.store import api_tokens
from tests.stories.conftest import POLICIES
from tests.support.running_bot import TOKEN, RunningBot, start_bot

TITLE, ACTION, NOTE, SUMMARY = (
    "Bucketleak alpha",
    "rotatekeys bravo",
    "suspectfound charlie",
    "howitwas delta",
)
SECRETS = (TITLE, ACTION, NOTE, SUMMARY, "bucketleak-alpha")
OUTSIDER, OUTSIDER_ID = "omar", "U0OMAR"
T = TypeVar("T")
WORDS = {
    "SERVICE": "checkout", "CHANGE": "PR-12", "KIND": "security", "REASON": "because", "FLAG": "new-checkout",
    "ENV": "production", "TITLE": "Other title", "ID": "1", "WHO": "omar", "TEXT": "more", "OWNER": "omar",
    "PERSON": "dana", "NAME": "new-checkout", "P0": "P0", "PR": "PR", "SUMMARY": "over", "SLO": "orders",
    "NUMBER": "-1", "TEAM": "checkout", "COLLEAGUE": "dana", "COMMIT": "3f1c2ab", "GOAL": "q4",
    "PROOF": "CVE-2026-1234", "CANARY": "checkout", "CLUSTER": "production", "URL": "https://github.com/acme/shop/issues/12",
}  # fmt: skip
"""What is typed for each placeholder of the table of commands."""
PATHS = {"service": "checkout", "id": "1", "key": "new-checkout", "environment": "production"}
"""What stands for each variable of a path."""
POLICY = POLICIES.replace(
    'permissions: {freeze: ["@sre"]}',
    "permissions: {freeze: everyone, exempt: everyone, incidents: everyone, flags: {production: everyone}}",
)


def revealed(text: object) -> list[str]:
    """Return which secrets a text has."""
    return [secret for secret in SECRETS if secret in str(text)]


@pytest.fixture
async def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningBot]:
    """A bot with incident 1, which was told, written about, and then made private in its channel."""
    async with start_bot(tmp_path, text=POLICY) as bot:
        monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/governor.db")
        dana = bot.slack.person("dana")
        await dana.says(f"/incident open {TITLE} sev1 checkout", "#general")
        channel = await _until(lambda: _channel_of(bot))
        assert channel is not None
        # Its card comes once the bot knows that the channel is the incident's.
        await _until(lambda: [m for m in bot.slack.messages(channel) if TITLE in m.text])
        await dana.says(f"/incident note {NOTE}", channel)
        await dana.says(f"/action add {ACTION} P0", channel)
        await _until(lambda: [m for m in bot.slack.messages(channel) if ACTION in m.text])
        for told_in in ("#checkout", "#releases"):
            await _until(lambda: [m for m in bot.slack.messages(told_in) if TITLE in m.text])  # noqa: B023
        await dana.says("/incident status resolved", channel)
        await dana.says("/postmortem open", channel)
        channels = bot.slack.workspace.channels
        await _until(lambda: [c for c in channels.values() if c.name.startswith("pm-")])
        workspace = bot.governor.parts.slack.app.workspaces.main
        await workspace.incidents.submit(
            SubmittedModal(f"{buttons.EDIT}summary", "m1", "U0DANA", "1", channel, "", {"text": SUMMARY})
        )
        await dana.says("/incident private", channel)
        await _until(lambda: not _told(bot))
        yield bot


async def _until(condition: Callable[[], T]) -> T:
    async with asyncio.timeout(30):
        while not (found := condition()):  # noqa: ASYNC110 - the bot works meanwhile
            await asyncio.sleep(0.05)
    return found


def _channel_of(bot: RunningBot, title: str = "bucketleak") -> str | None:
    """Return the channel of the incident of that title."""
    channels = bot.slack.workspace.channels.values()
    return next((c.id for c in channels if c.name.startswith("inc-") and title in c.name), None)


def _elsewhere(bot: RunningBot) -> Iterator[str]:
    """Yield the channels that are not the incident's own."""
    for channel in bot.slack.workspace.channels.values():
        if not channel.name.startswith(("inc-", "pm-")):
            yield channel.id


def _told(bot: RunningBot) -> list[str]:
    """Return which secrets the outsider reads in channels, and in replies there."""
    messages = [
        (message.text, message.blocks)
        for channel in _elsewhere(bot)
        for message in bot.slack.seen_by(OUTSIDER, channel)
        if OUTSIDER_ID in bot.slack.workspace.channel(channel).members
    ]
    return revealed(messages)


def typed_forms() -> Iterator[str]:
    """Yield every form of every command, filled in."""
    for command in COMMANDS:
        for form in command.forms:
            plain = form.arguments.replace("[", "").replace("]", "").replace("…", "")
            filled = re.sub(r"\b[A-Z][A-Z0-9]+\b", lambda word: WORDS[word[0]], plain)
            yield f"/{command.name} {filled}".strip()


async def test_no_command_tells_an_outsider(bot: RunningBot) -> None:
    omar = bot.slack.person(OUTSIDER)
    for text in typed_forms():
        await omar.says(text, "#general")
        await bot.governor.parts.slack.app.drain(10)
    assert _told(bot) == []
    snapshot = await bot.governor.parts.incidents.snapshots.of(1)
    assert snapshot.incident.status is Status.RESOLVED
    assert [(action.owner, action.done_at) for action in snapshot.actions] == [(None, None)]


async def test_no_button_or_form_serves_an_outsider(bot: RunningBot) -> None:
    incidents = bot.governor.parts.slack.app.workspaces.main.incidents
    ids = {
        value for name, value in vars(buttons).items()
        if name.isupper() and isinstance(value, str) and value.startswith(buttons.PREFIXES)
    }  # fmt: skip
    # The button that opens the form for a new incident is about none.
    wholes = {id_ for id_ in ids - {buttons.OPEN_FORM} if not id_.endswith(".")}
    wholes |= {f"{buttons.STATUS}{status.value}" for status in Status}
    wholes |= {f"{buttons.EDIT}{part.value}" for part in PostmortemPart}
    assert {id_ for id_ in ids if id_.endswith(".")} == {buttons.STATUS, buttons.EDIT}
    for id_ in sorted(wholes):
        pressed = Interaction(Query(id_, "1"), OUTSIDER_ID, "C9", "elsewhere", request="pressed")
        reply = await incidents.press(pressed)
        assert "There is no" in reply.text
        assert (revealed(reply.blocks), reply.form) == ([], None)
    for callback in sorted({*incidents._submissions, f"{buttons.EDIT}summary"}):
        submitted = SubmittedModal(callback, "m2", OUTSIDER_ID, "1", "C9", "", {"text": "taken over"})
        assert "There is no incident 1" in (await incidents.submit(submitted)).text
    assert modals.OPEN not in incidents._submissions
    message = SourceMessage("C9", "1700000000.000100", "omar", "taken over").to_about()
    added = SubmittedModal(modals.ADD_MESSAGE, "m3", OUTSIDER_ID, message, "C9", "", {"incident": "1"})
    assert "There is no incident 1" in (await incidents.submit(added)).text
    assert revealed((await bot.governor.parts.incidents.snapshots.of(1)).incident.document) == [SUMMARY]


async def test_nothing_that_corrects_incidents_offers_it_to_an_outsider(bot: RunningBot) -> None:
    """Whoever has an incident of their own finds it in no form, and cannot reach it by its number."""
    omar, workspace = bot.slack.person(OUTSIDER), bot.governor.parts.slack.app.workspaces.main
    await omar.says("/incident open Own trouble search", "#general")
    own = await _until(lambda: _channel_of(bot, "own-trouble")) or ""
    await omar.says("/incident open Third trouble search", "#general")
    await _until(lambda: _channel_of(bot, "third-trouble"))
    pressed = Interaction(Query(buttons.MERGE, "2"), OUTSIDER_ID, own, "own", request="pressed")
    form = (await workspace.incidents.press(pressed)).form
    assert form is not None
    assert ("Third trouble" in str(form.inputs), revealed(form.inputs)) == (True, [])
    chosen = SubmittedModal(buttons.MERGE, "m4", OUTSIDER_ID, "2", own, "", {"into": "1"})
    assert "There is no incident 1" in (await workspace.incidents.submit(chosen)).text
    for command in ("merge 1", "merge into 1", "status merged 1", "reopen 1", "show 1"):
        reply = await workspace.router.answer(
            Interaction(Query("incident", command), OUTSIDER_ID, own, "own", request=command)
        )
        assert (command, "There is no incident 1" in reply.text) == (command, True)
    message = {"ts": "1700000000.000100", "text": "taken over", "user": OUTSIDER_ID}
    offered = []
    for shortcut in (OPEN_ANYWHERE, OPEN_FROM_MESSAGE, ADD_TO_TIMELINE):
        about = Interaction(Query(shortcut), OUTSIDER_ID, "C9", "elsewhere", request=shortcut)
        use = ShortcutUse(about, None if shortcut == OPEN_ANYWHERE else message)
        reply = await workspace.incidents.use_shortcut(use)
        assert reply.form is not None
        offered.append(str(reply.form.inputs))
    assert ("Own trouble" in offered[-1], revealed(offered)) == (True, [])
    incident = (await bot.governor.parts.incidents.snapshots.of(1)).incident
    assert (incident.title, incident.services, incident.status) == (TITLE, ("checkout",), Status.RESOLVED)


async def test_what_becomes_part_of_it_tells_no_outsider(bot: RunningBot) -> None:
    """A public duplicate becomes private; renaming, reopening and cancelling tell nobody elsewhere."""
    dana = bot.slack.person("dana")
    await dana.says("/incident open Own trouble search", "#general")
    own = await _until(lambda: _channel_of(bot, "own-trouble")) or ""
    channel = await _until(lambda: _channel_of(bot)) or ""
    lifecycle, now = bot.governor.parts.incidents.lifecycle, bot.governor.clock.now
    await lifecycle.reopen(1, by="U0DANA", now=now())
    await bot.governor.parts.incidents.merging.merge(2, 1, by="U0DANA", now=now())
    for text in ("rename Bucketleak alpha again", "service remove search", "cancel Bucketleak alpha"):
        await dana.says(f"/incident {text}", channel)
        await bot.governor.parts.slack.app.drain(10)
    assert (await bot.governor.parts.incidents.snapshots.of(1)).incident.status is Status.CANCELLED
    await lifecycle.reopen(2, by="U0DANA", now=now())
    assert (await bot.governor.parts.incidents.snapshots.of(2)).incident.private
    omar = bot.slack.person(OUTSIDER)
    for text in ("list", "show 1", "show 2", "report"):
        await omar.says(f"/incident {text}", "#general")
        await bot.governor.parts.slack.app.drain(10)
    await _until(lambda: not _told(bot))
    # What was told before is edited, and Slack allows few edits in a minute.
    seen = await _until(
        lambda: (
            not [
                m for c in _elsewhere(bot) for m in bot.slack.seen_by(OUTSIDER, c) if "Own trouble" in m.text
            ]
        )
    )
    assert seen
    assert own != channel


async def test_no_home_tab_shows_it_to_an_outsider(bot: RunningBot) -> None:
    await bot.governor.parts.incidents.actions.change(
        1, by="U0DANA", now=bot.governor.clock.now(), owner="U0PRIYA"
    )
    shown = {}
    for name, user in ((OUTSIDER, OUTSIDER_ID), ("priya", "U0PRIYA")):
        await bot.governor.parts.slack.app.workspaces.main.home.publish(user)
        home = bot.slack.person(name).home
        assert home is not None
        shown[name] = revealed(home.content)
    # The owner of an action was told what to do.
    assert shown == {OUTSIDER: [], "priya": [ACTION]}


async def test_no_operation_of_the_api_tells_without_the_right(bot: RunningBot) -> None:
    rights = frozenset(ALL - {Right.INCIDENTS_READ_PRIVATE})
    async with bot.governor.database.transaction() as connection:
        token = await api_tokens.create(connection, "outsider", rights, 6_000, bot.governor.clock.now())
    for bearer, expected in ((token, False), (TOKEN, True)):
        seen = ""
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {bearer}"}) as session:
            for method, path, operation in served_operations(bot.governor._application()):
                if operation is None or operation.right is None or method != "GET":
                    continue
                filled = re.sub(r"\{(\w+)[^}]*\}", lambda name: PATHS[name[1]], path)
                async with session.get(bot.url + filled) as answer:
                    seen += await answer.text()
        assert bool(revealed(seen)) is expected


async def test_an_export_has_it_only_where_asked_for(bot: RunningBot) -> None:
    assert revealed(await audit_command._read_rows(None, with_private=False)) == []
    assert TITLE in revealed(await audit_command._read_rows(None, with_private=True))
