"""The home tab's buttons: each does what its command does, once, and the tab shows what became of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.incidents.incident import Role, Status
from bot.store import audit
from tests.support.slack_app import Office
from tests.support.slack_flags import FLAG, exposure, told
from tests.support.slack_home import (
    blocks_of,
    buttons,
    direct,
    home_of,
    home_office,
    open_home,
    presses_home,
    ramp_begun,
    texts,
)
from tests.support.slack_incidents import typed


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with home_office(tmp_path) as office:
        yield office
        assert [made.error for made in office.slack.refused if made.error != "already_in_channel"] == []


async def audited(office: Office, action: str) -> list[str]:
    """Who did it, each time that it was done."""
    async with office.database.reading() as connection:
        rows = await audit.read(connection)
    return [row.entry.actor for row in rows if row.entry.action == action]


async def opened(office: Office, text: str = "Checkout 500s sev2 checkout") -> str:
    """Open an incident; return its channel."""
    await office.types("dana", f"/incident open {text}")
    channel = (await office.response.snapshots.of(1)).channel_id()
    assert channel is not None
    return channel


async def test_done_is_done_once_and_leaves_the_tab(office: Office) -> None:
    await office.types("sam", "/action add test the rollback @dana P0 for checkout")
    before = await open_home(office, "dana")
    for _ in range(2):
        await presses_home(office, "dana", "action.done", before)
    assert await audited(office, "action.done") == ["U0DANA"]
    assert "test the rollback" not in str(blocks_of(office, "dana"))
    assert direct(office, "dana") == [
        "Action 1 is done, says <@U0DANA>: test the rollback",
        "Action 1 is done already.",
    ]


async def test_done_needs_the_right_to_change_incidents(office: Office) -> None:
    await office.types("sam", "/action add answer the mails @riley for checkout")
    await open_home(office, "riley")
    await presses_home(office, "riley", "action.done")
    assert direct(office, "riley")[-1].startswith("Only @sre, @checkout-devs")
    assert await audited(office, "action.done") == []
    assert "answer the mails" in str(blocks_of(office, "riley"))


async def test_an_incidents_channel_sees_what_was_pressed_on_a_home_tab(office: Office) -> None:
    channel = await opened(office)
    before = await open_home(office, "sam")
    for _ in range(2):
        await presses_home(office, "sam", "incident.claim", before)
    assert (await office.response.snapshots.of(1)).incident.roles[Role.COMMANDER] == "U0SAM"
    seen = [message.text for message in office.slack.messages(channel) if "commander" in message.text]
    assert seen == ["<@U0SAM> is commander."]
    assert direct(office, "sam") == ["<@U0SAM> is commander already."]
    assert "Take command" not in str(buttons(blocks_of(office, "sam")))
    await presses_home(office, "sam", "incident.status.resolved")
    assert (await office.response.snapshots.of(1)).incident.status is Status.RESOLVED
    assert "Open incidents" not in texts(blocks_of(office, "sam"))


async def test_details_are_the_card_with_all_its_buttons_and_forms(office: Office) -> None:
    channel = await opened(office)
    await open_home(office, "sam")
    await presses_home(office, "sam", "home.show.incident")
    room = next(
        one for one in office.slack.workspace.channels.values() if "U0SAM" in one.members and one.kind == "im"
    )
    card = room.messages[-1]
    assert "Checkout 500s" in card.text
    await office.slack.person("sam").acts(card, room.id, "incident.note")
    await office.face.drain(10)
    await office.slack.person("sam").submits({"text": {"text": typed("rolled back")}})
    await office.face.drain(10)
    view = await office.response.snapshots.of(1)
    assert [entry.text for entry in view.timeline if entry.text == "rolled back"] == ["rolled back"]
    await office.presses("sam", card, "incident.status.mitigated", room.id)
    assert any("set it to *mitigated*" in message.text for message in office.slack.messages(channel))


async def test_a_ramp_is_paused_let_go_on_and_ended(office: Office) -> None:
    await ramp_begun(office)
    before = await open_home(office, "dana")
    for _ in range(2):
        await presses_home(office, "dana", "flag.ramp.hold", before)
    assert [one for _, one, _ in await told(office)].count("ramp_held") == 1
    assert direct(office, "dana")[-1] == f"The ramp of {FLAG} is held already."
    assert "it waits: held by hand" in str(blocks_of(office, "dana"))
    await presses_home(office, "dana", "flag.ramp.go")
    assert await audited(office, "ramp.resumed") == ["U0DANA"]
    before = home_of(office, "dana")
    for _ in range(2):
        await presses_home(office, "dana", "flag.ramp.stop", before)
    assert await audited(office, "ramp.stopped") == ["U0DANA"]
    assert "Running ramps" not in texts(blocks_of(office, "dana"))
    assert await exposure(office) == 0.01, "the flag stays as it is"


async def test_kill_turns_the_flag_off_once_and_asks_before(office: Office) -> None:
    await ramp_begun(office)
    before = await open_home(office, "dana")
    kill = next(
        one
        for block in before.content["blocks"]
        for one in block.get("elements", ())
        if one.get("action_id") == "flag.kill"
    )
    assert kill["confirm"]["text"]["text"] == f"{FLAG} in production is turned off for everyone at once."
    for _ in range(2):
        await presses_home(office, "dana", "flag.kill", before)
    assert await exposure(office) == 0
    assert (await audited(office, "flag.changed")).count("U0DANA") == 1
    assert "Running ramps" not in texts(blocks_of(office, "dana"))
    assert direct(office, "dana")[-1] == f"*{FLAG}* in production is off already."


async def test_who_may_not_change_flags_is_told_who_may(office: Office) -> None:
    await ramp_begun(office)
    await open_home(office, "riley")
    for action in ("flag.kill", "flag.ramp.hold", "flag.ramp.stop"):
        await presses_home(office, "riley", action)
        assert "may change flags in production" in direct(office, "riley")[-1]
    assert await exposure(office) == 0.01
    assert len(await office.flags.ramps.running()) == 1


async def test_a_press_after_a_restart_is_answered_and_shown(office: Office) -> None:
    await office.types("sam", "/action add test the rollback @dana for checkout")
    await open_home(office, "dana")
    office.face.workspaces.main.home._viewers.clear()
    await presses_home(office, "dana", "action.done")
    assert "test the rollback" not in str(blocks_of(office, "dana"))
