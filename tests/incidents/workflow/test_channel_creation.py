"""An incident is opened: one channel, both teams, one card, one notice, whatever Slack does meanwhile."""

import asyncio
from pathlib import Path

import pytest

from bot.freezes.hold import HoldKind
from bot.incidents.incident import IncidentChange, Severity, Status
from bot.incidents.ports import ChannelInfo
from bot.incidents.workflow.channel_creation import is_ours
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.slack.incidents.messages import CARD, NOTICE
from bot.store import audit
from tests.incidents.values import incident
from tests.support.incidents import IncidentsSetup, channel_id_of, run_incidents

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


async def test_an_incident_gets_its_room(incidents_setup: IncidentsSetup) -> None:
    view = await incidents_setup.opened(by="U0RILEY")
    channel_id = incidents_setup.assert_one_complete_incident(people={*TEAMS, "U0RILEY"})
    assert channel_id == channel_id_of(view)
    (notice,) = incidents_setup.messages("#incidents", NOTICE)
    assert f"<#{channel_id}>" in notice.text
    assert incidents_setup.slack.refused == []
    assert {state for _, state, _ in await incidents_setup.steps()} == {"done"}


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("fault", [InjectedFault.RATE_LIMITED, InjectedFault.SERVER_ERROR, InjectedFault.CUT])
async def test_any_call_may_fail_once(
    incidents_setup: IncidentsSetup, method: str, fault: InjectedFault
) -> None:
    incidents_setup.slack.faults.once(fault, method)
    await incidents_setup.opened(by="U0RILEY")
    incidents_setup.assert_one_complete_incident(people={*TEAMS, "U0RILEY"})


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
async def test_any_call_may_be_refused_once(incidents_setup: IncidentsSetup, method: str, error: str) -> None:
    """Each refusal that Slack's reference lists for a call of the opening."""
    incidents_setup.slack.faults.refuse(method, error)
    opened = await incidents_setup.opened(by="U0RILEY")
    await incidents_setup.slack.until(lambda: len(incidents_setup.messages("#incidents", NOTICE)) == 1)
    await incidents_setup.complete(opened.incident.id)
    incidents_setup.assert_one_complete_incident(people={*TEAMS, "U0RILEY"})


async def test_a_name_that_is_taken_is_left_alone(incidents_setup: IncidentsSetup) -> None:
    first = next(iter(_names(incidents_setup)))
    taken = incidents_setup.slack.workspace.create_channel(first, "U0MORGAN")
    view = await incidents_setup.opened()
    assert view.channels["incident"].name == f"{first}-2"  # type: ignore[index]
    assert taken.members == ["U0MORGAN"]
    assert not incidents_setup.slack.messages(taken.id)


async def test_an_old_channel_of_the_bots_own_is_not_adopted(incidents_setup: IncidentsSetup) -> None:
    first = next(iter(_names(incidents_setup)))
    old = incidents_setup.slack.workspace.create_channel(first, "U0GOVERNOR")
    incidents_setup.slack.faults.once(InjectedFault.CUT, "conversations.create")
    await incidents_setup.opened()
    assert len(incidents_setup.channels()) == 2
    assert not incidents_setup.slack.messages(old.id)


async def test_two_incidents_of_one_title_have_two_channels(incidents_setup: IncidentsSetup) -> None:
    incidents_setup.slack.faults.once(InjectedFault.CUT, "conversations.create")
    one, two = await asyncio.gather(incidents_setup.opened("one"), incidents_setup.opened("two"))
    assert channel_id_of(one) != channel_id_of(two)
    assert len(incidents_setup.channels()) == 2


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        (ChannelInfo("C1", is_created_by_bot=True, purpose=""), True),
        (ChannelInfo("C1", is_created_by_bot=True, purpose="governor-1 · Working on incident 1"), True),
        (ChannelInfo("C1", is_created_by_bot=True, purpose="governor-2 · Working on incident 2"), False),
        (ChannelInfo("C1", is_created_by_bot=True, purpose=f"{incident().reference}: what we do"), True),
        (ChannelInfo("C1", is_created_by_bot=True, purpose=f"{incident(id=2).reference}: what"), False),
        (ChannelInfo("C1", is_created_by_bot=False, purpose=""), False),
    ],
)
def test_only_what_the_bot_made_for_this_incident_is_ours(found: ChannelInfo, ours: bool) -> None:
    assert is_ours(found, incident()) is ours


async def test_the_same_key_is_the_same_incident(incidents_setup: IncidentsSetup) -> None:
    now = incidents_setup.clock.now()
    opened = await asyncio.gather(
        *(incidents_setup.incidents.lifecycle.open(incidents_setup.opening(), now) for _ in range(8))
    )
    assert {one.incident.id for one in opened} == {1}
    assert [one.is_new for one in opened].count(True) == 1
    await incidents_setup.complete(1)
    incidents_setup.assert_one_complete_incident(people=TEAMS)


async def test_a_workspace_that_forbids_channels_hears_of_the_incident_all_the_same(
    incidents_setup: IncidentsSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.sandbox.fake_slack.errors import FakeSlackError  # noqa: PLC0415

    make = incidents_setup.slack.workspace.create_channel

    def refuse(*_: object, **__: object) -> None:
        raise FakeSlackError("restricted_action")

    monkeypatch.setattr(incidents_setup.slack.workspace, "create_channel", refuse)
    opened = await incidents_setup.incidents.lifecycle.open(
        incidents_setup.opening(), incidents_setup.clock.now()
    )
    (notice,) = await incidents_setup.slack.until(lambda: incidents_setup.messages("#incidents", NOTICE))
    assert "restricted_action" in notice.text
    monkeypatch.setattr(incidents_setup.slack.workspace, "create_channel", make)
    view = await incidents_setup.complete(opened.incident.id)
    incidents_setup.assert_one_complete_incident(people=TEAMS)
    await incidents_setup.slack.until(lambda: f"<#{channel_id_of(view)}>" in notice.text)


async def test_a_team_that_is_gone_does_not_keep_the_others_out(incidents_setup: IncidentsSetup) -> None:
    incidents_setup.slack.workspace.groups = {
        key: group
        for key, group in incidents_setup.slack.workspace.groups.items()
        if group.handle != "checkout-devs"
    }
    await incidents_setup.opened(by="U0RILEY")
    incidents_setup.assert_one_complete_incident(people={"U0SAM", "U0RILEY"})
    assert ("invite @checkout-devs", "failed", "no_such_group") in await incidents_setup.steps()


async def test_a_member_who_left_does_not_keep_the_others_out(incidents_setup: IncidentsSetup) -> None:
    for group in incidents_setup.slack.workspace.groups.values():
        if group.handle == "sre":
            group.users = ["U0GONE", "U0SAM"]
    await incidents_setup.opened()
    incidents_setup.assert_one_complete_incident(people=TEAMS)


async def test_a_private_incident_is_told_to_its_people_alone(incidents_setup: IncidentsSetup) -> None:
    view = await incidents_setup.opened(private=True, title="Leaked keys")
    channel = incidents_setup.slack.workspace.channels[channel_id_of(view)]
    assert channel.kind == "private"
    assert set(channel.members) >= TEAMS
    assert incidents_setup.messages("#incidents", NOTICE) == []
    for name in ("#releases", "#checkout", "#incidents"):
        assert not any("Leaked" in message.text for message in incidents_setup.slack.messages(name))
    async with incidents_setup.database.reading() as connection:
        assert not any("Leaked" in row.entry.reason for row in await audit.read(connection))


async def test_severe_incidents_hold_their_services_until_mitigated(incidents_setup: IncidentsSetup) -> None:
    view = await incidents_setup.opened()
    (hold,) = await incidents_setup.hold_registry.holds(incidents_setup.clock.now())
    assert (hold.service, hold.kind, hold.reason) == (
        "checkout", HoldKind.INCIDENT, "sev2 incident: Checkout 500s",
    )  # fmt: skip
    await incidents_setup.incidents.lifecycle.change(
        view.incident.id, IncidentChange(status=Status.MITIGATED), by="U0SAM", now=incidents_setup.clock.now()
    )
    await incidents_setup.complete(view.incident.id)
    assert await incidents_setup.hold_registry.holds(incidents_setup.clock.now()) == ()
    assert any("is open again" in message.text for message in incidents_setup.slack.messages("#checkout"))


async def test_a_minor_incident_holds_nothing_until_it_is_severe(incidents_setup: IncidentsSetup) -> None:
    view = await incidents_setup.opened(severity=Severity.SEV3)
    assert await incidents_setup.hold_registry.holds(incidents_setup.clock.now()) == ()
    change = IncidentChange(severity=Severity.SEV1)
    await incidents_setup.incidents.lifecycle.change(
        view.incident.id, change, by="U0SAM", now=incidents_setup.clock.now()
    )
    await incidents_setup.complete(view.incident.id)
    assert len(await incidents_setup.hold_registry.holds(incidents_setup.clock.now())) == 1


async def test_a_person_who_lifts_holds_leaves_the_incidents(incidents_setup: IncidentsSetup) -> None:
    from bot.freezes.hold_registry import NothingToLiftError  # noqa: PLC0415

    await incidents_setup.opened()
    with pytest.raises(NothingToLiftError):
        await incidents_setup.hold_registry.lift(
            incidents_setup.policies.services["checkout"],
            by="U0SAM",
            reason="go",
            now=incidents_setup.clock.now(),
        )


async def test_the_card_follows_the_incident_in_place(incidents_setup: IncidentsSetup) -> None:
    view = await incidents_setup.opened()
    change = IncidentChange(status=Status.IDENTIFIED)
    await incidents_setup.incidents.lifecycle.change(
        view.incident.id, change, by="U0SAM", now=incidents_setup.clock.now()
    )
    (card,) = incidents_setup.messages(channel_id_of(view), CARD)
    await incidents_setup.slack.until(lambda: "identified" in card.text)
    (notice,) = incidents_setup.messages("#incidents", NOTICE)
    await incidents_setup.slack.until(lambda: "identified" in notice.text)


async def test_what_a_crash_left_is_done_after_it(tmp_path: Path) -> None:
    async with run_incidents(tmp_path, works=False) as before:
        await before.incidents.lifecycle.open(before.opening(), before.clock.now())
        assert before.channels() == []
    async with run_incidents(tmp_path) as after:
        await after.complete(1)
        after.assert_one_complete_incident(people=TEAMS)


def _names(incidents_setup: IncidentsSetup) -> list[str]:
    return [f"inc-{incidents_setup.clock.now():%Y-%m-%d}-checkout-500s"]
