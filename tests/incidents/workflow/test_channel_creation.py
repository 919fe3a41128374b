"""An incident is opened: one channel, both teams, one card, one notice, whatever Slack does meanwhile."""

import asyncio
from pathlib import Path

import pytest

from bot.freezes.hold import HoldKind
from bot.incidents.incident import IncidentChange, Severity, Status
from bot.incidents.ports import ChannelInfo
from bot.incidents.workflow.channel_creation import is_ours
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.slack.incidents.card import CARD, NOTICE
from bot.store import audit
from tests.support.incidents import Scene, room, staged

TEAMS = {"U0DANA", "U0SAM"}
CALLS = (
    "users.conversations",
    "conversations.create",
    "conversations.setTopic",
    "conversations.setPurpose",
    "usergroups.list",
    "conversations.invite",
    "chat.postMessage",
    "pins.add",
)


async def test_an_incident_gets_its_room(scene: Scene) -> None:
    view = await scene.opened(by="U0RILEY")
    channel_id = scene.assert_one_complete_incident(people={*TEAMS, "U0RILEY"})
    assert channel_id == room(view)
    (notice,) = scene.told("#incidents", NOTICE)
    assert f"<#{channel_id}>" in notice.text
    assert scene.slack.refused == []
    assert {state for _, state, _ in await scene.steps()} == {"done"}


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("fault", [InjectedFault.RATE_LIMITED, InjectedFault.SERVER_ERROR, InjectedFault.CUT])
async def test_any_call_may_fail_once(scene: Scene, method: str, fault: InjectedFault) -> None:
    scene.slack.faults.once(fault, method)
    await scene.opened(by="U0RILEY")
    scene.assert_one_complete_incident(people={*TEAMS, "U0RILEY"})


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("conversations.create", "name_taken"),
        ("conversations.create", "restricted_action"),
        ("conversations.invite", "user_not_found"),
        ("chat.postMessage", "restricted_action"),
        ("pins.add", "restricted_action"),
    ],
)
async def test_any_call_may_be_refused_once(scene: Scene, method: str, error: str) -> None:
    """Each refusal that Slack's reference lists for a call of the opening."""
    scene.slack.faults.refuse(method, error)
    opened = await scene.opened(by="U0RILEY")
    await scene.slack.until(lambda: len(scene.told("#incidents", NOTICE)) == 1)
    await scene.complete(opened.incident.id)
    scene.assert_one_complete_incident(people={*TEAMS, "U0RILEY"})


async def test_a_name_that_is_taken_is_left_alone(scene: Scene) -> None:
    first = next(iter(_names(scene)))
    taken = scene.slack.workspace.create_channel(first, "U0MORGAN")
    view = await scene.opened()
    assert view.rooms["incident"].name == f"{first}-2"  # type: ignore[index]
    assert taken.members == ["U0MORGAN"]
    assert not scene.slack.messages(taken.id)


async def test_an_old_channel_of_the_bots_own_is_not_adopted(scene: Scene) -> None:
    first = next(iter(_names(scene)))
    old = scene.slack.workspace.create_channel(first, "U0GOVERNOR")
    scene.slack.faults.once(InjectedFault.CUT, "conversations.create")
    await scene.opened()
    assert len(scene.channels()) == 2
    assert not scene.slack.messages(old.id)


async def test_two_incidents_of_one_title_have_two_channels(scene: Scene) -> None:
    scene.slack.faults.once(InjectedFault.CUT, "conversations.create")
    one, two = await asyncio.gather(scene.opened("one"), scene.opened("two"))
    assert room(one) != room(two)
    assert len(scene.channels()) == 2


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        (ChannelInfo("C1", is_mine=True, purpose=""), True),
        (ChannelInfo("C1", is_mine=True, purpose="governor-1 · Working on incident 1"), True),
        (ChannelInfo("C1", is_mine=True, purpose="governor-2 · Working on incident 2"), False),
        (ChannelInfo("C1", is_mine=False, purpose=""), False),
    ],
)
def test_only_what_the_bot_made_for_this_incident_is_ours(found: ChannelInfo, ours: bool) -> None:
    assert is_ours(found, "governor-1") is ours


async def test_the_same_key_is_the_same_incident(scene: Scene) -> None:
    now = scene.clock.now()
    opened = await asyncio.gather(*(scene.response.lifecycle.open(scene.opening(), now) for _ in range(8)))
    assert {one.incident.id for one in opened} == {1}
    assert [one.is_new for one in opened].count(True) == 1
    await scene.complete(1)
    scene.assert_one_complete_incident(people=TEAMS)


async def test_a_workspace_that_forbids_channels_hears_of_the_incident_all_the_same(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.sandbox.fake_slack.errors import FakeSlackError  # noqa: PLC0415

    make = scene.slack.workspace.create_channel

    def refuse(*_: object, **__: object) -> None:
        raise FakeSlackError("restricted_action")

    monkeypatch.setattr(scene.slack.workspace, "create_channel", refuse)
    opened = await scene.response.lifecycle.open(scene.opening(), scene.clock.now())
    (notice,) = await scene.slack.until(lambda: scene.told("#incidents", NOTICE))
    assert "restricted_action" in notice.text
    monkeypatch.setattr(scene.slack.workspace, "create_channel", make)
    view = await scene.complete(opened.incident.id)
    scene.assert_one_complete_incident(people=TEAMS)
    await scene.slack.until(lambda: f"<#{room(view)}>" in notice.text)


async def test_a_team_that_is_gone_does_not_keep_the_others_out(scene: Scene) -> None:
    scene.slack.workspace.groups = {
        key: group for key, group in scene.slack.workspace.groups.items() if group.handle != "checkout-devs"
    }
    await scene.opened(by="U0RILEY")
    scene.assert_one_complete_incident(people={"U0SAM", "U0RILEY"})
    assert ("invite @checkout-devs", "failed", "no_such_group") in await scene.steps()


async def test_a_member_who_left_does_not_keep_the_others_out(scene: Scene) -> None:
    for group in scene.slack.workspace.groups.values():
        if group.handle == "sre":
            group.users = ["U0GONE", "U0SAM"]
    await scene.opened()
    scene.assert_one_complete_incident(people=TEAMS)


async def test_a_private_incident_is_told_to_its_people_alone(scene: Scene) -> None:
    view = await scene.opened(private=True, title="Leaked keys")
    channel = scene.slack.workspace.channels[room(view)]
    assert channel.kind == "private"
    assert set(channel.members) >= TEAMS
    assert scene.told("#incidents", NOTICE) == []
    for name in ("#releases", "#checkout", "#incidents"):
        assert not any("Leaked" in message.text for message in scene.slack.messages(name))
    async with scene.database.reading() as connection:
        assert not any("Leaked" in row.entry.reason for row in await audit.read(connection))


async def test_severe_incidents_hold_their_services_until_mitigated(scene: Scene) -> None:
    view = await scene.opened()
    (hold,) = await scene.hold_registry.holds(scene.clock.now())
    assert (hold.service, hold.kind, hold.reason) == (
        "checkout", HoldKind.INCIDENT, "sev2 incident: Checkout 500s",
    )  # fmt: skip
    await scene.response.lifecycle.change(
        view.incident.id, IncidentChange(status=Status.MITIGATED), by="U0SAM", now=scene.clock.now()
    )
    await scene.complete(view.incident.id)
    assert await scene.hold_registry.holds(scene.clock.now()) == ()
    assert any("is open again" in message.text for message in scene.slack.messages("#checkout"))


async def test_a_minor_incident_holds_nothing_until_it_is_severe(scene: Scene) -> None:
    view = await scene.opened(severity=Severity.SEV3)
    assert await scene.hold_registry.holds(scene.clock.now()) == ()
    change = IncidentChange(severity=Severity.SEV1)
    await scene.response.lifecycle.change(view.incident.id, change, by="U0SAM", now=scene.clock.now())
    await scene.complete(view.incident.id)
    assert len(await scene.hold_registry.holds(scene.clock.now())) == 1


async def test_a_person_who_lifts_holds_leaves_the_incidents(scene: Scene) -> None:
    from bot.freezes.hold_registry import NothingToLiftError  # noqa: PLC0415

    await scene.opened()
    with pytest.raises(NothingToLiftError):
        await scene.hold_registry.lift(
            scene.policies.services["checkout"], by="U0SAM", reason="go", now=scene.clock.now()
        )


async def test_the_card_follows_the_incident_in_place(scene: Scene) -> None:
    view = await scene.opened()
    change = IncidentChange(status=Status.IDENTIFIED)
    await scene.response.lifecycle.change(view.incident.id, change, by="U0SAM", now=scene.clock.now())
    (card,) = scene.told(room(view), CARD)
    await scene.slack.until(lambda: "identified" in card.text)
    (notice,) = scene.told("#incidents", NOTICE)
    await scene.slack.until(lambda: "identified" in notice.text)


async def test_what_a_crash_left_is_done_after_it(tmp_path: Path) -> None:
    async with staged(tmp_path, works=False) as before:
        await before.response.lifecycle.open(before.opening(), before.clock.now())
        assert before.channels() == []
    async with staged(tmp_path) as after:
        await after.complete(1)
        after.assert_one_complete_incident(people=TEAMS)


def _names(scene: Scene) -> list[str]:
    return [f"inc-{scene.clock.now():%Y-%m-%d}-checkout-500s"]
