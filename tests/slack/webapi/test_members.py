"""Permissions by channel: its members may, as long as Slack says who they are; never by outdated answers."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.model import User
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from bot.slack.manifest import manifest
from bot.slack.permissions import Allowed, People, PermissionDenied, Undetermined, refusal
from bot.slack.webapi.errors import SlackError
from bot.slack.webapi.members import Members
from bot.slack.webapi.user_groups import CACHE_S
from tests.support.clock import NOW
from tests.support.examples import PERMISSIONS
from tests.support.slack_app import RunningSlackApp, run_slack_app, shop


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    """#oncall is private, sam and the bot are in it, and its members may freeze and change staging."""
    async with run_slack_app(tmp_path, shop()) as slack_app:
        channel = slack_app.slack.workspace.create_channel("oncall", "U0SAM", kind="private")
        channel.members.append(BOT_USER_ID)
        policies = slack_app.shop.catalog
        permissions = replace(
            PERMISSIONS, freeze=("#oncall",), exempt=("U0MORGAN", channel.id), flags={"staging": ("#oncall",)}
        )
        slack_app.shop.catalog = replace(
            policies, workspace=replace(policies.workspace, permissions=permissions)
        )
        yield slack_app


async def test_members_of_the_channel_may_and_others_see_who_may(slack_app: RunningSlackApp) -> None:
    refused = await slack_app.types("riley", "/freeze checkout peak sale")
    assert refused.text == "Only members of #oncall may freeze a service. Ask one of them."
    assert not await slack_app.hold_registry.holds(NOW)
    await slack_app.types("sam", "/freeze checkout peak sale")
    assert len(await slack_app.hold_registry.holds(NOW)) == 1


async def test_the_only_person_who_may_is_not_one_of_several(slack_app: RunningSlackApp) -> None:
    policies = slack_app.shop.catalog
    permissions = replace(PERMISSIONS, freeze=("U0MORGAN",))
    slack_app.shop.catalog = replace(policies, workspace=replace(policies.workspace, permissions=permissions))
    refused = await slack_app.types("riley", "/freeze checkout peak sale")
    assert refused.text == "Only <@U0MORGAN> may freeze a service. Ask them."


async def test_whoami_says_which_channel_gives_a_permission(slack_app: RunningSlackApp) -> None:
    oncall = slack_app.slack.find_channel("#oncall")
    sam = (await slack_app.types("sam", "/governor whoami")).text
    assert "You may *freeze and lift*, because you are in #oncall." in sam
    assert f"You may *exempt a change*, because you are in <#{oncall}>." in sam
    riley = (await slack_app.types("riley", "/governor whoami")).text
    assert "You may not *freeze and lift*: only members of #oncall may." in riley
    assert f"You may not *exempt a change*: only <@U0MORGAN> or members of <#{oncall}> may." in riley


async def test_nobody_may_on_account_of_a_channel_that_slack_does_not_show(
    slack_app: RunningSlackApp,
) -> None:
    slack_app.slack.workspace.channel("#oncall").members.remove(BOT_USER_ID)
    answer = await slack_app.types("sam", "/freeze checkout peak sale")
    assert answer.text == (
        "Slack does not say who is in #oncall right now, so you may not freeze a service. "
        "Try again in a minute."
    )
    reply_text = (await slack_app.types("sam", "/governor whoami")).text
    assert (
        "It is not known whether you may *freeze and lift*: Slack does not say who is in #oncall."
        in reply_text
    )
    assert not await slack_app.hold_registry.holds(NOW)


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlackServer]:
    async with FakeSlackServer(manifest=manifest("https://governor.example")) as slack:
        yield slack


def client(slack: FakeSlackServer) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


def member_calls(slack: FakeSlackServer) -> int:
    return sum(call.method == "conversations.members" for call in slack.calls)


async def test_all_pages_are_read_and_cached_for_five_minutes(slack: FakeSlackServer) -> None:
    now_s = [1_000.0]
    members = Members(client(slack), now_s=lambda: now_s[0])
    channel = slack.workspace.channel("#general")
    for number in range(2_500):
        user = User(f"U1{number:05}", f"p{number}", f"Person {number}")
        slack.workspace.users[user.id] = user
        channel.members.append(user.id)
    assert await members.has("#general", "U102499")
    assert member_calls(slack) == 3
    assert not await members.has("#general", "U0NOBODY")
    assert member_calls(slack) == 3
    channel.members.remove("U102499")
    now_s[0] += CACHE_S - 1
    assert await members.has("#general", "U102499")
    now_s[0] += 1
    assert not await members.has("#general", "U102499")


async def test_outdated_members_are_not_returned_if_slack_fails(slack: FakeSlackServer) -> None:
    now_s = [1_000.0]
    members = Members(client(slack), now_s=lambda: now_s[0])
    assert await members.has("#general", "U0SAM")
    slack.faults.once(InjectedFault.SERVER_ERROR, "conversations.members")
    assert await members.has("#general", "U0SAM")
    now_s[0] += CACHE_S
    with pytest.raises(SlackError):
        await members.has("#general", "U0SAM")
    assert await members.has("#general", "U0SAM")


async def test_an_unknown_group_does_not_hide_another_that_gives_the_permission(
    slack: FakeSlackServer,
) -> None:
    people = People(client(slack))
    entries = ("#nowhere", "@sre", "U0MORGAN")
    assert await people.check_permission("U0SAM", entries) == Allowed("@sre")
    assert await people.check_permission("U0MORGAN", entries) == Allowed("U0MORGAN")
    assert await people.check_permission("U0RILEY", entries) == Undetermined(entries, ("#nowhere",))
    assert await people.check_permission("U0RILEY", entries[1:]) == PermissionDenied(entries[1:])


async def test_without_user_groups_only_people_and_channels_have_permissions(slack: FakeSlackServer) -> None:
    slack.workspace.plan.is_free = True
    people = People(client(slack))
    entries = ("@sre", "U0MORGAN")
    assert await people.check_permission("U0MORGAN", entries) == Allowed("U0MORGAN")
    denied = await people.check_permission("U0SAM", entries)
    assert denied == PermissionDenied(entries, without_plan=("@sre",))
    assert refusal(denied, "freeze a service") == (
        "Only @sre or <@U0MORGAN> may freeze a service. Nobody is in @sre, because this workspace's Slack "
        "plan has no user groups. Next: the policies can name people (`U…`) or a private channel instead."
    )
