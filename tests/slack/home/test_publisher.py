"""Publishing the home tab: whose services it shows, when it is refreshed, where its buttons reply."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.catalog.teams import Teams
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.slack.home.contents import HomeContents
from bot.slack.home.publisher import HomePublisher
from bot.slack.home.view import HOME_SHOW
from bot.slack.incidents.access import IncidentAccess
from tests.support.slack_app import RunningSlackApp, build_velocity, run_slack_app, shop
from tests.support.slack_home import open_home, presses_home


def home_contents(slack_app: RunningSlackApp, access: IncidentAccess) -> HomeContents:
    goals = build_velocity(slack_app.shop, slack_app.database).goals
    return HomeContents(access, slack_app.flags.ramps, goals, slack_app.shop.clock)


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app(tmp_path, shop()) as slack_app:
        yield slack_app


async def test_opening_the_tab_shows_every_service_to_one_who_is_in_no_team(
    slack_app: RunningSlackApp,
) -> None:
    shown = str((await open_home(slack_app, "riley")).content)
    assert all(name in shown for name in ("checkout", "search", "payments", "All services"))
    assert "none frozen" in shown


async def test_a_member_of_a_team_sees_its_services(slack_app: RunningSlackApp) -> None:
    policies = slack_app.shop.catalog
    search = replace(policies.services["search"], teams=Teams(reliability=("@sre",)))
    slack_app.shop.catalog = replace(policies, services={**policies.services, "search": search})
    shown = str((await open_home(slack_app, "sam")).content)
    assert "search" in shown
    assert "*checkout*" not in shown


async def test_a_freeze_is_shown_at_the_next_refresh_and_nothing_is_published_twice(
    slack_app: RunningSlackApp,
) -> None:
    now_s = [1_000.0]
    status_reader = slack_app.app.workspaces.main.incidents.access.status_reader
    contents = home_contents(slack_app, slack_app.app.workspaces.main.incidents.access)
    home = HomePublisher(contents, slack_app.client, slack_app.shop.clock, now_s=lambda: now_s[0], pause_s=0)
    sam = slack_app.slack.person("sam")
    await home.publish(sam.id)
    await slack_app.types("sam", "/freeze checkout peak sale")
    await home.refresh()
    assert "peak sale" not in str(sam.home and sam.home.content), "a minute has not passed"
    now_s[0] += 61
    status_reader.invalidate()
    await home.refresh()
    assert "peak sale" in str(sam.home and sam.home.content)
    calls = len([call for call in slack_app.slack.calls if call.method == "views.publish"])
    now_s[0] += 61
    await home.refresh()
    assert len([call for call in slack_app.slack.calls if call.method == "views.publish"]) == calls
    now_s[0] += 3_600
    await slack_app.types("sam", "/freeze search index rebuild")
    status_reader.invalidate()
    await home.refresh()
    assert "index rebuild" not in str(sam.home and sam.home.content), "nobody looks any more"


async def test_what_was_done_is_shown_after_seconds_and_what_only_moves_after_a_minute(
    slack_app: RunningSlackApp,
) -> None:
    now_s = [1_000.0]
    access = slack_app.app.workspaces.main.incidents.access
    contents = home_contents(slack_app, access)
    home = HomePublisher(contents, slack_app.client, slack_app.shop.clock, now_s=lambda: now_s[0], pause_s=0)
    sam = slack_app.slack.person("sam")
    await home.publish(sam.id)
    await slack_app.types("sam", "/freeze checkout peak sale")
    access.status_reader.invalidate()
    now_s[0] += 5
    home.request_refresh()
    await home.refresh()
    assert "peak sale" not in str(sam.home and sam.home.content), "not every moment"
    now_s[0] += 5
    await home.refresh()
    assert "peak sale" in str(sam.home and sam.home.content)


async def test_while_slack_limits_the_rate_no_tab_is_published(slack_app: RunningSlackApp) -> None:
    now_s = [1_000.0]
    access = slack_app.app.workspaces.main.incidents.access
    home = HomePublisher(
        home_contents(slack_app, access),
        slack_app.client,
        slack_app.shop.clock,
        now_s=lambda: now_s[0],
        pause_s=0,
    )
    viewers = [slack_app.slack.person(who) for who in ("sam", "riley")]
    for viewer in viewers:
        await home.publish(viewer.id)
    await slack_app.types("sam", "/freeze checkout peak sale")
    access.status_reader.invalidate()
    now_s[0] += 61
    slack_app.slack.faults.once(InjectedFault.RATE_LIMITED, "views.publish")
    for _ in range(2):
        await home.refresh()
    assert not any("peak sale" in str(viewer.home and viewer.home.content) for viewer in viewers)
    now_s[0] += 31
    await home.refresh()
    assert all("peak sale" in str(viewer.home and viewer.home.content) for viewer in viewers)


async def test_a_button_is_answered_in_a_direct_message(slack_app: RunningSlackApp) -> None:
    await open_home(slack_app, "riley")
    await presses_home(slack_app, "riley", f"{HOME_SHOW}.budget")
    said = [call for call in slack_app.slack.calls if call.method == "chat.postMessage"]
    assert "checkout" in str(said[-1].args["text"])
    assert "Share" not in str(said[-1].args["blocks"]), "nobody else is there"
