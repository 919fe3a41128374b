"""The contents of the home tab: the viewer's incidents, actions, ramps and budgets, and no others."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.flags.records.ramps import RampState, StoredRamp
from bot.freezes.status import ServiceStatus
from bot.incidents.action import Action
from bot.incidents.incident import Severity
from bot.incidents.lifecycle import NewIncident
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.visibility import OPERATOR
from bot.sandbox.fake_slack.block_kit.validation import view_faults
from bot.slack.home.contents import Contents
from bot.slack.home.view import (
    MOST_ACTIONS,
    MOST_GOALS,
    MOST_INCIDENTS,
    MOST_RAMPS,
    MOST_SERVICES,
    home_view,
)
from bot.velocity.goals.progress import progress
from tests.support.clock import NOW
from tests.support.examples import WORKSPACE, shop_service
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import FLAG
from tests.support.slack_home import blocks_of, buttons, open_home, ramp_begun, run_slack_app_with_home, texts
from tests.support.values import catalog
from tests.velocity.goals.test_progress import LEAD, goal


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app_with_home(tmp_path) as slack_app:
        yield slack_app


async def shown(slack_app: RunningSlackApp, who: str) -> str:
    return "\n".join(texts((await open_home(slack_app, who)).content["blocks"]))


async def test_incidents_come_first_then_actions_then_budgets(
    slack_app: RunningSlackApp,
) -> None:
    await slack_app.types("sam", "/action add test the rollback @dana due friday P0 for checkout")
    await ramp_begun(slack_app)
    await slack_app.types("dana", "/incident open Checkout 500s sev2 checkout")
    slack_app.shop.clock.time += timedelta(minutes=12)
    await open_home(slack_app, "dana")
    blocks = blocks_of(slack_app, "dana")
    heads = [block["text"]["text"] for block in blocks if block["type"] == "header"]
    assert heads == ["Open incidents", "Your actions", "Running ramps", "Error budgets"]
    _, incident, _, action, _, ramp, *_ = texts(blocks)
    channel = (await slack_app.incidents.snapshots.of(1)).channel_id()
    minutes = "12\u00a0min so far"
    assert incident.startswith(f":rotating_light: sev2 investigating, {minutes}: *Checkout 500s*\n")
    assert f"checkout · <#{channel}> · incident 1" in incident
    friday = int(
        datetime(2026, 11, 27, 12, tzinfo=ZoneInfo(slack_app.slack.workspace.users["U0DANA"].tz)).timestamp()
    )
    day = f"<!date^{friday}^{{date_short_pretty}}|2026-11-27>"
    assert action == f"*P0* test the rollback\ndue {day} · checkout · action 1"
    assert ramp.startswith(f"*{FLAG}* in production — 1% of users\n1 of 3 ramp steps taken; ")
    assert buttons(blocks)[:10] == [
        ("Open an incident", "incident.open.form"),
        ("Help", "home.help"),
        ("Details", "home.show.incident"),
        ("Take command", "incident.claim"),
        ("Cause identified", "incident.status.identified"),
        ("Mitigated", "incident.status.mitigated"),
        ("Resolved", "incident.status.resolved"),
        ("Done", "action.done"),
        ("Pause", "flag.ramp.hold"),
        ("End ramp", "flag.ramp.stop"),
    ]


async def test_where_nothing_is_open_the_tab_shows_the_budgets_alone(slack_app: RunningSlackApp) -> None:
    assert (await shown(slack_app, "dana")).startswith("Error budgets\n")


async def test_incidents_and_ramps_are_those_of_the_viewers_services(slack_app: RunningSlackApp) -> None:
    await ramp_begun(slack_app)
    await slack_app.types("dana", "/incident open Checkout 500s sev3 checkout")
    await slack_app.types("priya", "/incident open Stale index sev3 search")
    await slack_app.types("omar", "/incident open Nobody knows sev3")
    seen = {who: await shown(slack_app, who) for who in ("dana", "priya", "sam", "riley")}
    assert all("Nobody knows" in tab for tab in seen.values()), "one that names no service is everybody's"
    assert [who for who, tab in seen.items() if "Checkout 500s" in tab] == ["dana", "sam", "riley"]
    assert [who for who, tab in seen.items() if "Stale index" in tab] == ["priya", "sam", "riley"]
    assert [who for who, tab in seen.items() if "Running ramps" in tab] == ["dana", "sam", "riley"]
    channel = (await slack_app.incidents.snapshots.of(1)).channel_id()
    assert channel is not None
    await slack_app.types("dana", "/incident role scribe @priya", channel)
    assert "Checkout 500s" in await shown(slack_app, "priya"), "who works on it sees it"
    await slack_app.types("dana", "/incident status resolved", channel)
    assert "Checkout 500s" not in await shown(slack_app, "dana")


async def test_a_private_incident_is_seen_by_those_alone_who_work_on_it(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", "/incident open Leaked keys sev2 checkout")
    channel = (await slack_app.incidents.snapshots.of(1)).channel_id()
    assert channel is not None
    await slack_app.types("dana", "/incident private", channel)
    await slack_app.types("dana", "/action add rotate the keys @sam due friday", channel)
    dana, sam = await shown(slack_app, "dana"), await shown(slack_app, "sam")
    assert "Leaked keys" in dana
    assert "· private · incident 1" in dana
    assert "Leaked keys" not in sam
    assert channel not in str(blocks_of(slack_app, "sam"))
    assert "rotate the keys" in sam, "the owner is told what an action of theirs says"
    assert "rotate the keys" not in dana
    assert "rotate the keys" not in await shown(slack_app, "riley")


async def test_actions_are_the_viewers_own_p0_first_and_overdue_is_shown(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", "/action add load test @dana due tomorrow for checkout")
    await slack_app.types("sam", "/action add canary @dana P0 for checkout")
    await slack_app.types("sam", "/action add somebody elses @priya due tomorrow for search")
    await slack_app.types("sam", "/action add nobodys for checkout")
    slack_app.shop.clock.time += timedelta(days=3)
    tab = await shown(slack_app, "dana")
    assert tab.index("*P0* canary\nno due date · checkout") < tab.index("load test\noverdue, due <!date^")
    assert "elses" not in tab
    assert "nobodys" not in tab
    await slack_app.types("sam", "/action done 1")
    assert "load test" not in await shown(slack_app, "dana")


async def test_a_ramp_says_why_it_waits(slack_app: RunningSlackApp) -> None:
    await ramp_begun(slack_app)
    await slack_app.types("sam", f"/flag ramp hold {FLAG}")
    tab = await shown(slack_app, "dana")
    assert "1 of 3 ramp steps taken; it waits: held by hand." in tab
    assert ("Go on", "flag.ramp.go") in buttons(blocks_of(slack_app, "dana"))
    await slack_app.types("sam", f"/flag ramp stop {FLAG}")
    assert "Running ramps" not in await shown(slack_app, "dana")


async def test_what_people_wrote_pings_nobody(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", "/incident open <!here> *down* sev2 checkout")
    await slack_app.types("sam", "/action add <!channel> & more @dana for checkout")
    await shown(slack_app, "dana")
    assert "<!here>" not in str(blocks_of(slack_app, "dana"))
    assert "<!channel>" not in str(blocks_of(slack_app, "dana"))


async def test_however_much_there_is_the_view_keeps_slacks_limits_and_counts_the_rest(
    slack_app: RunningSlackApp,
) -> None:
    await ramp_begun(slack_app)
    (ramp,) = await slack_app.flags.ramps.running()
    await slack_app.incidents.lifecycle.open(
        NewIncident(
            key="many",
            title="Ünïcode <&> 😀 " * 13,
            severity=Severity.SEV1,
            services=("checkout", "search", "payments"),
            by="U0DANA",
            is_person=True,
        ),
        NOW,
    )
    (incident,) = await slack_app.incidents.snapshots.list(OPERATOR, unresolved=True)
    blocks = home_view(full(30, incident, ramp), NOW)["blocks"]
    assert len(blocks) <= 100
    assert view_faults({"type": "home", "blocks": blocks}, "home") == []
    for most, lists in (
        (MOST_INCIDENTS, "`/incident list`"),
        (MOST_ACTIONS, "`/action list`"),
        (MOST_RAMPS, "`/flag list`"),
        (MOST_GOALS, "`/velocity goals`"),
        (MOST_SERVICES, "`/budget`"),
    ):
        assert f"and {30 - most} more: type {lists}" in str(blocks)
    menu = blocks[-1]["accessory"]
    options = [option["value"] for group in menu["option_groups"] for option in group["options"]]
    assert (len(options), options[0], options[-1]) == (30 - MOST_SERVICES + 270, "other-000", "service-29")


def full(count: int, incident: IncidentSnapshot, ramp: StoredRamp) -> Contents:
    """As much of everything, as wide as it can be."""
    many = catalog(*(shop_service(f"service-{number}") for number in range(count)), workspace=WORKSPACE)
    statuses = [ServiceStatus(service, (), (), NOW) for service in many.services.values()]
    actions = [
        Action(number, "x" * 500, "checkout", 1, "U0DANA", date(2026, 1, 1), is_p0=True)
        for number in range(count)
    ]
    ramps = [replace(ramp, id=number, state=RampState.RUNNING) for number in range(count)]
    rest = catalog(*(shop_service(f"other-{number:03}") for number in range(9 * count)), workspace=WORKSPACE)
    others = [ServiceStatus(service, (), (), NOW) for service in rest.services.values()]
    goals = [progress(goal(LEAD), None, {}, NOW)] * count
    return Contents(
        statuses, others=others, incidents=[incident] * count, actions=actions, ramps=ramps, goals=goals
    )


async def test_services_of_other_teams_are_in_a_menu(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", "/freeze payments peak sale")
    await open_home(slack_app, "dana")
    assert "*search*" not in texts(blocks_of(slack_app, "dana"))
    menu = blocks_of(slack_app, "dana")[-1]
    assert menu["text"]["text"] == "*Services of other teams*\n2 services, 1 frozen"
    assert [option["text"]["text"] for option in menu["accessory"]["options"]] == [
        "payments · frozen",
        "search",
    ]
    await open_home(slack_app, "riley")
    assert "home.service" not in str(blocks_of(slack_app, "riley")), "all are shown already"


def test_a_workspace_without_services_says_so() -> None:
    assert "No policy defines a service yet" in str(home_view(Contents([], is_all=True), NOW))


async def test_a_guest_sees_the_services_of_their_team(slack_app: RunningSlackApp) -> None:
    slack_app.slack.workspace.group("search-devs").users.append("U0KIM")
    kim, gus = await shown(slack_app, "kim"), await shown(slack_app, "gus")
    assert ("*search*" in kim, "*payments*" in kim) == (True, False)
    assert ("*search*" in gus, "*payments*" in gus) == (True, True)
