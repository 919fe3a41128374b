"""Full members, guests, people of elsewhere, bots and deactivated accounts are told apart everywhere."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.catalog.teams import Teams
from bot.incidents.incident import Role, Status
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from bot.slack.manifest import manifest
from bot.slack.permissions import AccountUnknown, Allowed, NotAMember, People, PermissionDenied
from bot.slack.webapi.accounts import CACHE_S, FAILURE_CACHE_S, AccountKind, Accounts, kind_of
from bot.slack.webapi.errors import SlackError
from tests.support.examples import PERMISSIONS
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_incidents import RunningIncidentApp

GUEST, SINGLE_CHANNEL_GUEST, OUTSIDER, DEACTIVATED = "U0KIM", "U0GUS", "U1LENA", "U0THEO"
NO_MEMBERS = {
    GUEST: AccountKind.GUEST,
    SINGLE_CHANNEL_GUEST: AccountKind.GUEST,
    OUTSIDER: AccountKind.OUTSIDER,
    DEACTIVATED: AccountKind.DEACTIVATED,
    BOT_USER_ID: AccountKind.BOT,
    "USLACKBOT": AccountKind.BOT,
    "U0NOBODY": AccountKind.OUTSIDER,
}


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlackServer]:
    async with FakeSlackServer(manifest=manifest("https://governor.example")) as slack:
        yield slack


def client(slack: FakeSlackServer) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


def people(slack: FakeSlackServer, *guests: str) -> People:
    return People(client(slack), lambda: guests)


@pytest.mark.parametrize("user", NO_MEMBERS)
async def test_no_entry_means_who_is_no_full_member(slack: FakeSlackServer, user: str) -> None:
    slack.workspace.group("sre").users.append(user)
    channel = slack.workspace.channel("#checkout")
    channel.members.append(user)
    for entry in ("everyone", "@sre", "#checkout", channel.id, user):
        assert await people(slack).check_permission(user, (entry,)) == NotAMember(NO_MEMBERS[user])
    assert await people(slack).check_permission(user, ("U0DANA",)) == PermissionDenied(("U0DANA",))


async def test_full_members_have_what_entries_give_them(slack: FakeSlackServer) -> None:
    for entry in ("everyone", "@sre", "#checkout", "U0SAM"):
        assert await people(slack).check_permission("U0SAM", (entry,)) == Allowed(entry)


@pytest.mark.parametrize(
    ("guests", "allowed"),
    [
        (("everyone",), {GUEST, SINGLE_CHANNEL_GUEST}),
        ((GUEST,), {GUEST}),
        (("#checkout",), {GUEST, SINGLE_CHANNEL_GUEST, OUTSIDER}),
        (("@sre",), {OUTSIDER}),
        ((OUTSIDER, DEACTIVATED, BOT_USER_ID, "USLACKBOT"), {OUTSIDER}),
    ],
)
async def test_the_policy_allows_guests_by_name_group_or_channel(
    slack: FakeSlackServer, guests: Sequence[str], allowed: set[str]
) -> None:
    slack.workspace.group("sre").users.append(OUTSIDER)
    asked = people(slack, *guests)
    answers = {user: await asked.check_permission(user, ("everyone",)) for user in NO_MEMBERS}
    assert {user for user, answer in answers.items() if answer == Allowed("everyone")} == allowed
    # To be a guest that counts gives no right by itself.
    assert await asked.check_permission(GUEST, ("U0DANA",)) == PermissionDenied(("U0DANA",))


ACCOUNT = {"id": "U1", "team_id": "T1", "deleted": False, "is_bot": False}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, AccountKind.MEMBER),
        ({"is_restricted": True}, AccountKind.GUEST),
        ({"is_restricted": True, "is_ultra_restricted": True}, AccountKind.GUEST),
        ({"is_ultra_restricted": True}, AccountKind.GUEST),
        ({"team_id": "T2"}, AccountKind.OUTSIDER),
        ({"team_id": "T2", "is_restricted": True}, AccountKind.OUTSIDER),
        ({"team_id": None}, AccountKind.OUTSIDER),
        ({"is_stranger": True}, AccountKind.OUTSIDER),
        (
            {"team_id": "E1", "enterprise_user": {"teams": ["T9", "T1"]}},
            AccountKind.MEMBER,
        ),
        (
            {"team_id": "T2", "enterprise_user": {"teams": ["T2"]}},
            AccountKind.OUTSIDER,
        ),
        ({"team_id": "T2", "enterprise_user": None}, AccountKind.OUTSIDER),
        ({"is_bot": True}, AccountKind.BOT),
        ({"is_workflow_bot": True}, AccountKind.BOT),
        ({"deleted": True, "team_id": "T2"}, AccountKind.DEACTIVATED),
    ],
)
def test_kinds_of_accounts_as_slack_describes_them(fields: dict[str, Any], kind: AccountKind) -> None:
    assert kind_of(ACCOUNT | fields, "T1") is kind


async def test_an_account_is_cached_for_minutes_and_a_failure_for_seconds(slack: FakeSlackServer) -> None:
    now_s = [1_000.0]
    accounts = Accounts(client(slack), now_s=lambda: now_s[0])
    slack.faults.once(InjectedFault.SERVER_ERROR, "users.info")
    for _ in range(3):
        with pytest.raises(SlackError):
            await accounts.kind("U0SAM")
    assert asked(slack) == 1
    now_s[0] += FAILURE_CACHE_S
    assert await accounts.kind("U0SAM") is AccountKind.MEMBER
    slack.workspace.users["U0SAM"].account = "deactivated"
    now_s[0] += CACHE_S - 1
    assert await accounts.kind("U0SAM") is AccountKind.MEMBER
    now_s[0] += 1
    assert await accounts.kind("U0SAM") is AccountKind.DEACTIVATED
    assert asked(slack) == 3


async def test_nobody_may_anything_while_slack_does_not_say_who_they_are(slack: FakeSlackServer) -> None:
    slack.faults.refuse("users.info", "missing_scope")
    assert await people(slack).check_permission("U0SAM", ("everyone",)) == AccountUnknown("missing_scope")
    slack.faults.once(InjectedFault.SERVER_ERROR, "auth.test")
    assert isinstance(await people(slack).check_permission("U0SAM", ("U0SAM",)), AccountUnknown)


def asked(slack: FakeSlackServer) -> int:
    return sum(call.method == "users.info" for call in slack.calls)


def allow(slack_app: RunningSlackApp, *guests: str) -> None:
    """Give everyone all rights, and the guests named."""
    policies = slack_app.shop.catalog
    permissions = replace(
        PERMISSIONS,
        freeze=("everyone",),
        incidents=("everyone",),
        flags={"production": ("everyone",)},
        guests=guests,
    )
    slack_app.shop.catalog = replace(policies, workspace=replace(policies.workspace, permissions=permissions))


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ("kim", "You are a guest in this workspace, so you may not"),
        ("lena", "You are from another workspace, so you may not"),
        ("theo", "You are deactivated, so you may not"),
    ],
)
async def test_commands_say_why_they_refuse_and_how_it_can_be_allowed(
    incident_app: RunningIncidentApp, who: str, said: str
) -> None:
    slack_app = incident_app.slack_app
    allow(slack_app)
    slack_app.slack.workspace.channel("#checkout").members.append(DEACTIVATED)
    for command in ("/freeze checkout for 1h because", "/incident open It burns", "/action add more"):
        answer = (await slack_app.types(who, command, "#checkout")).text
        assert answer.startswith(said)
        assert ("`permissions.guests`" in answer) is (who != "theo")
    whoami = (await slack_app.types(who, "/governor whoami", "#checkout")).text
    assert whoami.count(said) == 2
    assert not await slack_app.hold_registry.holds(slack_app.shop.clock.now())


async def test_a_stranger_cannot_resolve_an_incident_by_its_buttons(incident_app: RunningIncidentApp) -> None:
    slack_app = incident_app.slack_app
    allow(slack_app)
    channel = await incident_app.open()
    slack_app.slack.workspace.channel(channel).members.append(OUTSIDER)
    card = await incident_app.card(channel)
    await incident_app.presses("lena", card, channel, "incident.status.resolved")
    refused = incident_app.last("lena", channel)
    assert refused.text.startswith(
        "You are from another workspace, so you may not open or change an incident."
    )
    assert (await incident_app.view()).incident.status is Status.INVESTIGATING
    allow(slack_app, OUTSIDER)
    await incident_app.presses("lena", card, channel, "incident.status.resolved")
    assert await incident_app.submits("lena") == {}
    assert (await incident_app.view()).incident.status is Status.RESOLVED


async def test_roles_are_given_to_members_and_allowed_guests_alone(incident_app: RunningIncidentApp) -> None:
    slack_app = incident_app.slack_app
    channel = await incident_app.open()
    for who, said in (
        ("kim", "<@U0KIM> is a guest in this workspace, and can have no role. The policy can allow it: "),
        ("lena", "<@U1LENA> is from another workspace, and can have no role."),
        ("theo", "<@U0THEO> is deactivated, and can have no role."),
    ):
        answer = await slack_app.types("dana", f"/incident role commander @{who}", channel)
        assert answer.text.startswith(said)
    assert (await incident_app.view()).incident.roles == {}
    allow(slack_app, GUEST)
    await slack_app.types("dana", "/incident role scribe @kim", channel)
    assert (await incident_app.view()).incident.roles == {Role.SCRIBE: GUEST}


async def test_facilitators_are_members_of_their_team_who_can_have_a_role(
    incident_app: RunningIncidentApp,
) -> None:
    slack_app = incident_app.slack_app
    slack_app.slack.workspace.group("checkout-devs").users[:] = [GUEST, DEACTIVATED, "U0DANA"]
    slack_app.slack.workspace.group("sre").users[:] = [OUTSIDER, BOT_USER_ID]
    channel = await incident_app.open()
    await slack_app.types("dana", "/postmortem open", channel)
    await incident_app.work()
    assert (await incident_app.view()).incident.roles == {Role.FACILITATOR_DEVELOPMENT: "U0DANA"}


async def test_without_user_groups_the_listed_people_are_invited_and_lead_in_turn(
    incident_app: RunningIncidentApp,
) -> None:
    slack_app = incident_app.slack_app
    slack_app.slack.workspace.groups.clear()
    policies = slack_app.shop.catalog
    teams = Teams(("U0RILEY", "U0DANA"), ("U0SAM", GUEST, "U0MORGAN"))
    checkout = replace(policies.services["checkout"], teams=teams)
    workspace = replace(policies.workspace, permissions=replace(PERMISSIONS, incidents=("U0DANA",)))
    services = {**policies.services, "checkout": checkout}
    slack_app.shop.catalog = replace(policies, workspace=workspace, services=services)
    led = []
    for number in (1, 2, 3):
        await incident_app.open()
        channel = incident_app.channel_id(await incident_app.view(number))
        await slack_app.types("dana", "/postmortem open", channel)
        await incident_app.work()
        assert {*teams.entries} <= {*slack_app.slack.workspace.channel(channel).members}
        roles = (await incident_app.view(number)).incident.roles
        led.append((roles[Role.FACILITATOR_DEVELOPMENT], roles[Role.FACILITATOR_RELIABILITY]))
    assert led == [("U0DANA", "U0MORGAN"), ("U0RILEY", "U0SAM"), ("U0DANA", "U0MORGAN")]
    assert "usergroups.list" not in {call.method for call in slack_app.slack.calls}
