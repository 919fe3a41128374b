"""The home tab's buttons: each does what its command does, once, and the tab shows the outcome."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.incidents.incident import Role, Status
from bot.store import audit
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import FLAG, exposure, told
from tests.support.slack_home import (
    blocks_of,
    buttons,
    direct,
    home_of,
    open_home,
    presses_home,
    ramp_begun,
    run_slack_app_with_home,
    texts,
)
from tests.support.slack_incidents import typed


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app_with_home(tmp_path) as slack_app:
        yield slack_app
        assert [made.error for made in slack_app.slack.refused if made.error != "already_in_channel"] == []


async def audited(slack_app: RunningSlackApp, action: str) -> list[str]:
    """Who did it, once for each time that it was done."""
    async with slack_app.database.reading() as connection:
        rows = await audit.read(connection)
    return [row.entry.actor for row in rows if row.entry.action == action]


async def opened(slack_app: RunningSlackApp, text: str = "Checkout 500s sev2 checkout") -> str:
    """Open an incident; return its channel."""
    await slack_app.types("dana", f"/incident open {text}")
    channel = (await slack_app.incidents.snapshots.of(1)).channel_id()
    assert channel is not None
    return channel


async def test_done_is_done_once_and_leaves_the_tab(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", "/action add test the rollback @dana P0 for checkout")
    before = await open_home(slack_app, "dana")
    for _ in range(2):
        await presses_home(slack_app, "dana", "action.done", before)
    assert await audited(slack_app, "action.done") == ["U0DANA"]
    assert "test the rollback" not in str(blocks_of(slack_app, "dana"))
    assert direct(slack_app, "dana") == [
        "Action 1 is done, marked by <@U0DANA>: test the rollback",
        "Action 1 is done already.",
    ]


async def test_done_needs_permission_of_all_but_the_owner(
    slack_app: RunningSlackApp,
) -> None:
    await slack_app.types("sam", "/action add answer the mails @riley for checkout")
    before = await open_home(slack_app, "riley")
    await slack_app.types("sam", "/action change 1 @dana")
    await presses_home(slack_app, "riley", "action.done", before)
    assert direct(slack_app, "riley")[-1].startswith("Only @sre, @checkout-devs")
    assert await audited(slack_app, "action.done") == []
    await slack_app.types("sam", "/action change 1 @riley")
    await presses_home(slack_app, "riley", "action.done", before)
    assert await audited(slack_app, "action.done") == ["U0RILEY"]


async def test_an_incidents_channel_sees_what_was_pressed_on_a_home_tab(slack_app: RunningSlackApp) -> None:
    channel = await opened(slack_app)
    before = await open_home(slack_app, "sam")
    for _ in range(2):
        await presses_home(slack_app, "sam", "incident.claim", before)
    assert (await slack_app.incidents.snapshots.of(1)).incident.roles[Role.COMMANDER] == "U0SAM"
    seen = [message.text for message in slack_app.slack.messages(channel) if "commander" in message.text]
    assert seen == ["<@U0SAM> is commander."]
    assert direct(slack_app, "sam") == ["<@U0SAM> is commander already."]
    assert "Take command" not in str(buttons(blocks_of(slack_app, "sam")))
    await presses_home(slack_app, "sam", "incident.status.resolved")
    summary = {"summary": {"summary": {"type": "plain_text_input", "value": "A deploy broke payments."}}}
    assert await slack_app.slack.person("sam").submits(summary) == {}
    await slack_app.app.drain(10)
    assert "*resolved*" in slack_app.slack.messages(channel)[-1].text
    assert (await slack_app.incidents.snapshots.of(1)).incident.status is Status.RESOLVED
    assert "Open incidents" not in texts(blocks_of(slack_app, "sam"))


async def test_details_are_the_card_with_all_its_buttons_and_forms(slack_app: RunningSlackApp) -> None:
    channel = await opened(slack_app)
    await open_home(slack_app, "sam")
    await presses_home(slack_app, "sam", "home.show.incident")
    room = next(
        one
        for one in slack_app.slack.workspace.channels.values()
        if "U0SAM" in one.members and one.kind == "im"
    )
    card = room.messages[-1]
    assert "Checkout 500s" in card.text
    await slack_app.slack.person("sam").acts(card, room.id, "incident.note")
    await slack_app.app.drain(10)
    await slack_app.slack.person("sam").submits({"text": {"text": typed("rolled back")}})
    await slack_app.app.drain(10)
    view = await slack_app.incidents.snapshots.of(1)
    assert [entry.text for entry in view.timeline if entry.text == "rolled back"] == ["rolled back"]
    await slack_app.presses("sam", card, "incident.status.mitigated", room.id)
    assert any("set it to *mitigated*" in message.text for message in slack_app.slack.messages(channel))


async def test_a_ramp_is_paused_let_go_on_and_ended(slack_app: RunningSlackApp) -> None:
    await ramp_begun(slack_app)
    before = await open_home(slack_app, "dana")
    for _ in range(2):
        await presses_home(slack_app, "dana", "flag.ramp.hold", before)
    assert [one for _, one, _ in await told(slack_app)].count("ramp_held") == 1
    assert direct(slack_app, "dana")[-1] == f"The ramp of {FLAG} is held already."
    assert "it waits: held by hand" in str(blocks_of(slack_app, "dana"))
    await presses_home(slack_app, "dana", "flag.ramp.go")
    assert await audited(slack_app, "ramp.resumed") == ["U0DANA"]
    before = home_of(slack_app, "dana")
    for _ in range(2):
        await presses_home(slack_app, "dana", "flag.ramp.stop", before)
    assert await audited(slack_app, "ramp.stopped") == ["U0DANA"]
    assert "Running ramps" not in texts(blocks_of(slack_app, "dana"))
    assert await exposure(slack_app) == 0.01, "the flag stays as it is"


async def test_kill_turns_the_flag_off_once_and_asks_before(slack_app: RunningSlackApp) -> None:
    await ramp_begun(slack_app)
    before = await open_home(slack_app, "dana")
    kill = next(
        one
        for block in before.content["blocks"]
        for one in block.get("elements", ())
        if one.get("action_id") == "flag.kill"
    )
    assert kill["confirm"]["text"]["text"] == f"{FLAG} in production is turned off for everyone at once."
    for _ in range(2):
        await presses_home(slack_app, "dana", "flag.kill", before)
    assert await exposure(slack_app) == 0
    assert (await audited(slack_app, "flag.changed")).count("U0DANA") == 1
    assert "Running ramps" not in texts(blocks_of(slack_app, "dana"))
    assert direct(slack_app, "dana")[-1] == f"*{FLAG}* in production is off already."


async def test_who_may_not_change_flags_sees_who_may(slack_app: RunningSlackApp) -> None:
    await ramp_begun(slack_app)
    await open_home(slack_app, "riley")
    for action in ("flag.kill", "flag.ramp.hold", "flag.ramp.stop"):
        await presses_home(slack_app, "riley", action)
        assert "may change flags in production" in direct(slack_app, "riley")[-1]
    assert await exposure(slack_app) == 0.01
    assert len(await slack_app.flags.ramps.running()) == 1


async def test_a_press_after_a_restart_is_answered_and_shown(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", "/action add test the rollback @dana for checkout")
    await open_home(slack_app, "dana")
    slack_app.app.workspaces.main.home._viewers.clear()
    await presses_home(slack_app, "dana", "action.done")
    assert "test the rollback" not in str(blocks_of(slack_app, "dana"))


async def test_incident_is_opened_from_the_tab_by_those_who_may(slack_app: RunningSlackApp) -> None:
    await open_home(slack_app, "riley")
    await presses_home(slack_app, "riley", "incident.open.form")
    assert slack_app.slack.person("riley").modal is None
    assert direct(slack_app, "riley")[-1].startswith("Only @sre, @checkout-devs")
    await open_home(slack_app, "dana")
    await presses_home(slack_app, "dana", "incident.open.form")
    title = {"title": {"title": {"type": "plain_text_input", "value": "Checkout 500s"}}}
    assert await slack_app.slack.person("dana").submits(title) == {}
    await slack_app.app.drain(10)
    assert (await slack_app.incidents.snapshots.of(1)).incident.title == "Checkout 500s"
    assert direct(slack_app, "dana")[-1].startswith("Incident 1 is open, sev3")
    assert "Checkout 500s" in str(blocks_of(slack_app, "dana"))


async def test_help_opens_over_the_tab(slack_app: RunningSlackApp) -> None:
    await open_home(slack_app, "riley")
    await presses_home(slack_app, "riley", "home.help")
    modal = slack_app.slack.person("riley").modal
    assert modal is not None
    assert "/incident" in str(modal.content["blocks"])
    assert "submit" not in modal.content
    assert direct(slack_app, "riley") == []


async def test_service_of_another_team_opens_over_the_tab(slack_app: RunningSlackApp) -> None:
    view = await open_home(slack_app, "dana")
    option = {"text": {"type": "plain_text", "text": "search"}, "value": "search"}
    await slack_app.slack.person("dana").acts_in_view(view, "home.service", selected_option=option)
    await slack_app.app.drain(10)
    modal = slack_app.slack.person("dana").modal
    assert modal is not None
    assert modal.content["title"]["text"] == "search"
    assert "*search* — " in modal.content["blocks"][0]["text"]["text"]
    await slack_app.slack.person("dana").acts_in_view(modal, "home.show.ship")
    await slack_app.app.drain(10)
    assert "search" in direct(slack_app, "dana")[-1]
    gone = option | {"value": "gone"}
    await slack_app.slack.person("dana").acts_in_view(view, "home.service", selected_option=gone)
    await slack_app.app.drain(10)
    assert direct(slack_app, "dana")[-1] == "There is no service *gone* any more."
