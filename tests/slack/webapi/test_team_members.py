"""Who is in a team: listed people and members of user groups, in any Slack workspace."""

from collections.abc import AsyncIterator

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.catalog.teams import TeamUnknownError
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.manifest import manifest
from bot.slack.webapi.team_members import SlackTeamMembers


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlackServer]:
    async with FakeSlackServer(manifest=manifest("https://governor.example")) as slack:
        yield slack


def reader(slack: FakeSlackServer) -> SlackTeamMembers:
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    return SlackTeamMembers(lambda _: client)


async def test_listed_people_come_as_listed_and_those_of_a_group_by_their_ids(slack: FakeSlackServer) -> None:
    slack.workspace.group("sre").users[:] = ["U0SAM", "U0MORGAN"]
    members = reader(slack)
    assert await members.of(()) == ()
    assert await members.of(("U0SAM", "U0DANA", "@sre")) == ("U0SAM", "U0DANA", "U0MORGAN")
    assert await members.of(("T0ACME/@sre", "T0ACME/U0DANA")) == ("U0MORGAN", "U0SAM", "U0DANA")


async def test_listed_people_need_no_user_groups(slack: FakeSlackServer) -> None:
    slack.workspace.groups.clear()
    assert await reader(slack).of(("U0SAM", "U0DANA")) == ("U0SAM", "U0DANA")
    assert "usergroups.list" not in {call.method for call in slack.calls}


async def test_a_group_is_asked_for_once_in_some_minutes(slack: FakeSlackServer) -> None:
    members = reader(slack)
    for _ in range(3):
        await members.of(("@sre", "@checkout-devs"))
    assert [call.method for call in slack.calls].count("usergroups.list") == 1


async def test_a_group_that_slack_lacks_will_not_be_known_later_but_an_outage_ends(
    slack: FakeSlackServer,
) -> None:
    members = reader(slack)
    slack.faults.once(InjectedFault.SERVER_ERROR, "usergroups.list")
    with pytest.raises(TeamUnknownError) as outage:
        await members.of(("@sre",))
    assert outage.value.retryable
    with pytest.raises(TeamUnknownError, match="no_such_group") as missing:
        await members.of(("U0SAM", "@nobody"))
    assert not missing.value.retryable


async def test_a_plan_without_user_groups_is_asked_once_in_some_minutes(slack: FakeSlackServer) -> None:
    slack.workspace.plan.is_free = True
    members = reader(slack)
    for _ in range(3):
        with pytest.raises(TeamUnknownError, match="plan_upgrade_required") as missing:
            await members.of(("U0SAM", "@sre"))
        assert not missing.value.retryable
    assert [call.method for call in slack.calls].count("usergroups.list") == 1
