"""What people write to the bot gets one answer; what bots write gets none."""

from typing import Any

import pytest

from bot.sandbox.fake_slack.model import Message
from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from bot.slack.addressed_messages import AddressedMessage
from bot.slack.blockkit.blocks import actions
from bot.slack.interactions import SHOW, Query, show_button
from bot.slack.manifest import bot_scopes, manifest
from tests.support.slack_app import RunningSlackApp

MESSAGE = {
    "type": "app_mention",
    "user": "U0DANA",
    "text": f"<@{BOT_USER_ID}> help",
    "channel": "C1",
    "ts": "1.2",
}


async def says(
    slack_app: RunningSlackApp, text: str, channel: str, thread: str | None = None
) -> list[Message]:
    """Type a message as dana; return what the bot answered."""
    before = len(_of_bot(slack_app, channel))
    await slack_app.slack.person("dana").says(text, channel, thread_ts=thread)
    await slack_app.slack.wait_until_delivered()
    await slack_app.app.drain(10)
    return _of_bot(slack_app, channel)[before:]


def _of_bot(slack_app: RunningSlackApp, channel: str) -> list[Message]:
    return [one for one in slack_app.slack.seen_by("dana", channel) if one.user == BOT_USER_ID]


def direct(slack_app: RunningSlackApp) -> str:
    return slack_app.slack.workspace.open_direct("U0DANA", BOT_USER_ID).id


async def test_a_mention_is_answered_with_help_for_the_asker_alone(slack_app: RunningSlackApp) -> None:
    (answer,) = await says(slack_app, "@governor help", "#checkout")
    assert answer.ephemeral_to == "U0DANA"
    assert answer.text.startswith("*Three things to begin with*\n1. `/budget` shows")


@pytest.mark.parametrize("text", ["hello", "help", "what can you do?", "@governor"])
async def test_a_direct_message_is_answered_with_help_that_stays(
    slack_app: RunningSlackApp, text: str
) -> None:
    (answer,) = await says(slack_app, text, direct(slack_app))
    assert answer.ephemeral_to is None
    assert answer.text.startswith("*Three things to begin with*")


async def test_a_mention_in_a_thread_is_answered_there_for_the_asker_alone(
    slack_app: RunningSlackApp,
) -> None:
    await says(slack_app, "the checkout is slow", "#checkout")
    root = slack_app.slack.messages("#checkout")[-1]
    (answer,) = await says(slack_app, "@governor help", "#checkout", root.ts)
    assert (answer.thread_ts, answer.ephemeral_to) == (root.ts, "U0DANA")
    (outside,) = await says(slack_app, "@governor help", "#checkout")
    assert outside.thread_ts is None


async def test_a_direct_message_in_a_thread_is_answered_there(slack_app: RunningSlackApp) -> None:
    channel = direct(slack_app)
    (first,) = await says(slack_app, "help", channel)
    (answer,) = await says(slack_app, "freeze help", channel, first.ts)
    assert (answer.thread_ts, answer.ephemeral_to) == (first.ts, None)


async def test_what_fails_in_a_thread_is_told_there(
    slack_app: RunningSlackApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: AddressedMessage) -> None:
        raise KeyError("reply")

    await says(slack_app, "the checkout is slow", "#checkout")
    root = slack_app.slack.messages("#checkout")[-1]
    monkeypatch.setattr(AddressedMessage, "reply", broken)
    (answer,) = await says(slack_app, "@governor help", "#checkout", root.ts)
    assert answer.text.startswith("That did not work.")
    assert answer.thread_ts == root.ts


@pytest.mark.parametrize(
    ("subtype", "is_reply", "is_answered_there"),
    [(None, True, True), ("thread_broadcast", True, False), (None, False, False)],
)
async def test_a_button_in_a_thread_is_answered_there(
    slack_app: RunningSlackApp, subtype: str | None, is_reply: bool, is_answered_there: bool
) -> None:
    workspace = slack_app.slack.workspace
    channel = workspace.channel("#checkout", "U0DANA")
    root = workspace.say(channel, BOT_USER_ID, "It burns")
    workspace.say(channel, "U0SAM", "I look", root.ts)
    row = actions(*show_button("See budget", Query("budget", "checkout")))
    reply = workspace.post(
        channel,
        Message(
            workspace.new_ts(),
            BOT_USER_ID,
            "It burns still",
            blocks=[{**block, "block_id": "row"} for block in row],
            thread_ts=root.ts if is_reply else None,
            subtype=subtype,
        ),
    )
    await slack_app.presses("dana", reply, SHOW, "#checkout")
    answer = slack_app.slack.seen_by("dana", "#checkout")[-1]
    assert answer.ephemeral_to == "U0DANA"
    assert answer.text.startswith("checkout: ")
    assert answer.thread_ts == (root.ts if is_answered_there else None)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("budget checkout", "Type it as a command, here or in any channel: `/budget checkout`."),
        ("help freeze", "*/freeze*\n"),
        ("freeze help", "*/freeze*\n"),
    ],
)
async def test_a_command_in_a_direct_message_is_explained(
    slack_app: RunningSlackApp, text: str, answer: str
) -> None:
    (reply,) = await says(slack_app, text, direct(slack_app))
    assert reply.text.startswith(answer)


async def test_the_same_message_sent_again_is_answered_once(slack_app: RunningSlackApp) -> None:
    await says(slack_app, "@governor help", "#checkout")
    message = next(one for one in reversed(slack_app.slack.messages("#checkout")) if one.user == "U0DANA")
    channel = slack_app.slack.workspace.channel("#checkout", "U0DANA").id
    event = MESSAGE | {"channel": channel, "ts": message.ts}
    for _ in range(2):
        slack_app.slack.events.send(event, channel)
    await slack_app.slack.wait_until_delivered()
    await slack_app.app.drain(10)
    assert len(_of_bot(slack_app, "#checkout")) == 1


async def test_what_is_said_in_a_channel_to_others_is_not_answered(slack_app: RunningSlackApp) -> None:
    assert await says(slack_app, "help, the checkout is down", "#checkout") == []


@pytest.mark.parametrize(
    "changed",
    [
        {"bot_id": "B1"},
        {"app_id": "A1"},
        {"bot_profile": {"id": "B1"}},
        {"subtype": "message_changed"},
        {"subtype": "bot_message"},
        {"user": BOT_USER_ID},
        {"user": "USLACKBOT"},
        {"user": None},
        {"type": "message", "channel_type": "channel"},
        {"type": "message", "channel_type": "mpim"},
        {"ts": None},
    ],
)
def test_bots_edits_and_other_channels_get_no_answer(changed: dict[str, Any]) -> None:
    assert AddressedMessage.from_event(MESSAGE, BOT_USER_ID) is not None
    assert AddressedMessage.from_event(MESSAGE | changed, BOT_USER_ID) is None


def test_the_manifest_asks_for_the_events_and_lets_people_write() -> None:
    made = manifest("https://governor.example")
    assert {"app_mention", "message.im"} <= set(made["settings"]["event_subscriptions"]["bot_events"])
    assert {"app_mentions:read", "im:history"} <= set(bot_scopes())
    assert not made["features"]["app_home"]["messages_tab_read_only_enabled"]
