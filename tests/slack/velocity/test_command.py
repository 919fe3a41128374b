"""`/velocity`, by signed requests to a strict Slack: figures, pictures, costs, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.catalog.teams import Teams
from bot.slack.interactions import SHARE
from tests.support.clock import DAY, HOUR, NOW
from tests.support.examples import shop_service
from tests.support.slack_app import RunningSlackApp, Shop, run_slack_app, shop
from tests.support.values import slo
from tests.velocity.history import History

NBSP = "\u00a0"


def of_teams() -> Shop:
    """Return two services of one team, and one of another."""
    names = {"checkout": "@checkout-devs", "search": "@checkout-devs", "payments": "@payments-devs"}
    found = (
        replace(shop_service(name, slo()), teams=Teams((team,), ("@sre",))) for name, team in names.items()
    )
    return shop(*found)


async def ship(app: RunningSlackApp) -> None:
    """Deploy checkout weekly, of which one failed and was rolled back, and search once."""
    past = History()
    for week in range(1, 9):
        past.deploy(f"w{week}", NOW - week * 7 * DAY, (f"c{week}", 5 * HOUR, 2 * HOUR))
    past.deploy("back", NOW - 7 * DAY + HOUR / 2, undoes="w1", rework="it rolled back c1")
    past.deploy("s", NOW - 3 * DAY, ("s1", 50 * HOUR, HOUR), to="search")
    await past.write(app.database)


async def test_the_measures_stand_beside_the_budget_with_pictures(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as app:
        await ship(app)
        answer = await app.types("riley", "/velocity checkout 60d", "#search")
        assert answer.ephemeral_to == app.slack.person("riley").id
        text = answer.text
        assert text.startswith("checkout: 1.1 deployments a week, 11.1% failed")
        assert "*Budget of checkout*  availability" in text
        assert f"*Lead time for changes*: 5{NBSP}h median, 5{NBSP}h p90 (n 8)" in text
        assert f"From the default branch: 2{NBSP}h median" in text
        assert "*Deployment frequency*: 1.1 deployments a week (n 9)" in text
        assert f"*Failed deployment recovery time*: 30{NBSP}min median, 30{NBSP}min p90 (n 1)" in text
        assert "*Change fail rate*: 11.1%, likely 2% to 43% (1 of 9)" in text
        assert "*Deployment rework rate*: 11.1%" in text
        assert "_From when a change was committed to when it ran in production, for each change._" in text
        assert "Never frozen." in text
        charts = [block for block in answer.blocks if block["type"] == "data_visualization"]
        assert [chart["title"] for chart in charts] == [
            "checkout: deployments by week",
            "checkout: lead time",
        ]
        counts = {series["name"]: series["data"] for series in charts[0]["chart"]["series"]}
        assert sum(point["value"] for point in counts["Deployments"]) == 9
        assert sum(point["value"] for point in counts["Failed"]) == 1
        assert "Share" in str(answer.blocks)
        assert not app.slack.refused


async def test_without_a_name_it_is_the_channels_service_and_elsewhere_all(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as app:
        await ship(app)
        own = await app.types("riley", "/velocity", "#checkout")
        assert own.text.startswith("checkout: ")
        everything = await app.types("riley", "/velocity last 30 days", "#releases")
        assert everything.text.startswith("all services: ")
        assert "3 services together." in str(everything.blocks)
        assert "Look at a service or team" in str(everything.blocks)
        assert not app.slack.refused


async def test_what_is_shared_looks_back_as_far_as_what_was_asked_for(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as app:
        past = History()
        past.deploy("new", NOW - HOUR)
        past.deploy("old", NOW - 30 * HOUR)
        await past.write(app.database)
        answer = await app.types("riley", "/velocity checkout 36h")
        await app.presses("riley", answer, SHARE)
        (shared,) = app.slack.messages("#general")
        assert shared.text == answer.text
        assert "*Deployment frequency*: 9.3 deployments a week (n 2)" in shared.text


async def test_a_team_is_all_its_services_together_in_the_order_of_their_names(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, of_teams()) as app:
        await ship(app)
        text = (await app.types("riley", "/velocity @checkout-devs 60d", "#releases")).text
        assert text.startswith("@checkout-devs: 1.2 deployments a week, 10.0% failed")
        assert text.index("Budget of checkout") < text.index("Budget of search")
        assert "payments" not in text
        assert (await app.types("riley", "/velocity CHECKOUT-DEVS 60d", "#releases")).text == text
        near = (await app.types("riley", "/velocity @checkout-dev", "#releases")).text
        assert "Did you mean `@checkout-devs`" in near


async def test_what_deployments_spent_says_how_many_more_it_carries(
    tmp_path: Path,
) -> None:
    async with run_slack_app(tmp_path, shop()) as app:
        await ship(app)
        promised = app.shop.catalog.services["checkout"].slos[0]
        pushed = [PushedEvent(promised, 10_000, 90, NOW - week * 7 * DAY + 2 * HOUR) for week in range(2, 5)]
        await Ledger(app.database).push(pushed, NOW)
        text = (await app.types("riley", "/velocity checkout 60d")).text
        # 800 of 1,000 are spent; three of the nine spent 90 each: 200 / (270 / 9) = 6 more.
        assert "At this pace the budget carries *6* more deployments like the last 9." in text
        spent = "0.0% of the availability budget at the median, 9.0% at p90, 3.0% on average (n 9)."
        assert f"Each spent {spent}" in text
        assert "By kind: pipeline ×9, 3.0% on average." in text


async def test_a_service_that_nobody_told_a_deployment_of_is_told_what_to_do(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as app:
        text = (await app.types("riley", "/velocity payments")).text
        assert f"*payments*: no deployment to production in the last 90{NBSP}d" in text
        assert "POST /api/v1/deployments" in text


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("chekout", "There is no service or team `chekout`. Did you mean `checkout`?"),
        ("<@U0DANA|dana>", "There is no service or team `@dana`."),
        ("U0DANA", "There is no service or team `U0DANA`."),
        ("checkout search", "One service or team at a time"),
        ("checkout 2h", "It looks back from 1 day to 366 days"),
        ("checkout 400d", "It looks back from 1 day to 366 days"),
        ("help", "`/velocity SERVICE`"),
    ],
)
async def test_what_cannot_be_answered_says_what_to_type(
    slack_app: RunningSlackApp, typed: str, answer: str
) -> None:
    assert answer in (await slack_app.types("riley", f"/velocity {typed}")).text


async def test_a_freeze_that_a_change_waited_for_is_told(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as app:
        await app.types("sam", "/freeze checkout for 4h the database is moved")
        past = History()
        app.shop.clock.time = NOW + 6 * HOUR
        past.deploy("d", NOW + 5 * HOUR, ("c", 7 * HOUR, 6 * HOUR))
        await past.write(app.database)
        text = (await app.types("riley", "/velocity checkout 7d")).text
        assert f"Frozen for *4{NBSP}h* in 1 freeze." in text
        assert f"1 change waited for a freeze to end: 4{NBSP}h at the median, 4{NBSP}h at p90." in text
