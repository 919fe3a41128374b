"""The buttons of `/flag show`: each does what its command does, and the flag is shown anew."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.fake_slack.input_state import interactive_elements
from bot.sandbox.fake_slack.model import Message
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import (
    FLAG,
    changes,
    deliver,
    exposure,
    raised,
    run_slack_app_with_flags,
    told,
)


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app_with_flags(tmp_path) as slack_app:
        yield slack_app
        assert not slack_app.slack.refused


async def shown(slack_app: RunningSlackApp, environment: str = "staging", who: str = "riley") -> Message:
    return await slack_app.types(who, f"/flag show {FLAG} {environment}", "#random")


def buttons(message: Message) -> dict[str, Any]:
    """Return the message's buttons by their text."""
    return {element["text"]["text"]: element for _, element in interactive_elements(message.blocks)}


def seen(slack_app: RunningSlackApp, message: Message, who: str = "riley") -> Message:
    """Return the message as it is now."""
    return next(one for one in slack_app.slack.seen_by(who, "#random") if one.ts == message.ts)


async def test_on_and_off_change_the_flag_and_show_it_anew(slack_app: RunningSlackApp) -> None:
    message = await shown(slack_app)
    assert list(buttons(message)) == ["On", "Ramp", "History", "Share"]
    assert buttons(message)["On"]["confirm"]["text"]["text"] == (
        "new-checkout in staging is turned on for 100% of users."
    )
    await slack_app.presses("riley", message, "flag.shown.on", "#random")
    assert await exposure(slack_app, "staging") == 1
    message = seen(slack_app, message)
    assert message.text.startswith(f"*100% of users* — *{FLAG}* in staging")
    assert list(buttons(message)) == ["Off", "History", "Share"]
    await slack_app.presses("riley", message, "flag.shown.off", "#random")
    assert await exposure(slack_app, "staging") == 0
    assert seen(slack_app, message).text.startswith(f"*off* — *{FLAG}* in staging")
    assert [change[:3] for change in await changes(slack_app)] == [
        ("U0RILEY", "off", "100% of users"),
        ("U0RILEY", "100% of users", "off"),
    ]


async def test_a_button_pressed_twice_changes_once(slack_app: RunningSlackApp) -> None:
    message = await shown(slack_app)
    for _ in range(2):
        await slack_app.slack.person("riley").acts(message, "#random", "flag.shown.on")
    await slack_app.app.drain(10)
    assert len(await changes(slack_app)) == 1


async def test_a_raise_in_production_waits_for_another_person(slack_app: RunningSlackApp) -> None:
    message = await shown(slack_app, "production", "dana")
    asked = buttons(message)["On"]["confirm"]["text"]["text"]
    assert asked.endswith("Another person approves it first.")
    await slack_app.presses("dana", message, "flag.shown.on", "#random")
    assert await exposure(slack_app) == 0
    assert "Waiting for approval in #checkout" in seen(slack_app, message, "dana").text
    (request,) = await deliver(slack_app)
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    assert await exposure(slack_app) == 1


async def test_who_has_no_right_is_told_so_and_changes_nothing(slack_app: RunningSlackApp) -> None:
    message = await shown(slack_app, "production", "riley")
    for action in ("flag.shown.on", "flag.shown.ramp"):
        await slack_app.presses("riley", message, action, "#random")
        texts = [one.text for one in slack_app.slack.seen_by("riley", "#random")]
        assert texts[-1] == "Only @checkout-devs or @sre may change flags in production. Ask one of them."
    assert not await told(slack_app)


async def test_a_frozen_service_refuses_the_buttons_too(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", "/freeze checkout peak sale")
    message = await shown(slack_app, "production", "dana")
    await slack_app.presses("dana", message, "flag.shown.on", "#random")
    assert any("is frozen, so its flags" in one.text for one in slack_app.slack.seen_by("dana", "#random"))
    assert await exposure(slack_app) == 0


async def test_a_ramp_is_begun_paused_and_ended_beside_the_flag(slack_app: RunningSlackApp) -> None:
    message = await shown(slack_app)
    assert buttons(message)["Ramp"]["confirm"]["text"]["text"].startswith(
        "new-checkout in staging goes to 1%, then 5%, then 25%, then 100% of users, a step every 30\u00a0min."
    )
    await slack_app.presses("riley", message, "flag.shown.ramp", "#random")
    message = seen(slack_app, message)
    assert "0 of 4 ramp steps taken" in message.text
    assert {"Pause", "End ramp"} < set(buttons(message))
    assert "Ramp" not in buttons(message)
    await slack_app.presses("riley", message, "flag.shown.hold", "#random")
    message = seen(slack_app, message)
    assert "Go on" in buttons(message)
    await slack_app.presses("riley", message, "flag.shown.go", "#random")
    message = seen(slack_app, message)
    await slack_app.presses("riley", message, "flag.shown.stop", "#random")
    assert "Ramp" in buttons(seen(slack_app, message))


async def test_a_ramp_offers_only_the_steps_that_are_left(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    offered = buttons(await shown(slack_app, "production"))
    assert offered["Ramp"]["value"] == f"{FLAG} production 100% every 30m"


async def test_what_is_shared_has_no_buttons_that_change(slack_app: RunningSlackApp) -> None:
    message = await shown(slack_app)
    await slack_app.presses("riley", message, "question.share", "#random")
    shared = slack_app.slack.messages("#random")[-1]
    assert "flag.shown" not in str(shared.blocks)
