"""`/budget SERVICE where`, by signed requests: rows that add up, links, and private incidents unnamed."""

import re
from datetime import timedelta
from pathlib import Path

from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.deployments import records as deployment_records
from bot.incidents.incident import Severity
from bot.incidents.lifecycle import NewIncident
from tests.spending.happenings import deployed
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.slack_app import RunningSlackApp, run_slack_app, shop


async def spend(app: RunningSlackApp) -> None:
    """Spend checkout's 800 events: 500 in an incident, 200 after a deployment, 100 at another time."""
    orders = app.shop.catalog.services["checkout"].slos[0]
    times = {500: NOW - HOUR / 2, 200: NOW - 3 * DAY + HOUR, 100: NOW - 10 * DAY}
    pushed = [PushedEvent(orders, 300_000, bad, at) for bad, at in times.items()]
    await Ledger(app.database).push(pushed, NOW)
    async with app.database.transaction() as connection:
        deployment = deployed("3f1c2ab", NOW - 3 * DAY, url="https://ci.example/42")
        await deployment_records.add(app.database, connection, "checkout", deployment)


async def open_incident(app: RunningSlackApp, *, private: bool = False) -> None:
    person = app.slack.person("dana").id
    opening = NewIncident(
        "k", "Payments time out", Severity.SEV3, ("checkout",), person,
        started_at=NOW - HOUR, private=private, is_person=True,
    )  # fmt: skip
    await app.incidents.capabilities.lifecycle.open(opening, NOW - 50 * MINUTE)


def percentages(text: str) -> list[float]:
    """Return the percentages of an SLO's rows."""
    return [float(found) for found in re.findall(r"` \*([0-9.,]+)%\*", text)]


async def test_the_rows_name_incident_deployment_and_rest_and_add_up(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as app:
        await spend(app)
        await open_incident(app)
        answer = await app.types("riley", "/budget Checkout where availability")
        assert answer.ephemeral_to == app.slack.person("riley").id
        text = answer.text
        assert "*availability* — 80.0% of the budget of 30\u00a0d spent: 800 of 1,000 bad events." in text
        incident, deployment, rest = (line for line in text.splitlines() if "█" in line or "░" in line)
        assert "*50.0%* incident 1 *Payments time out*" in incident
        assert "*20.0%* after the deployment of <https://ci.example/42|3f1c2ab> <!date^" in deployment
        assert "*10.0%* the rest" in rest
        assert sum(percentages(text)) == 80.0
        assert "That says when it was spent, not why." in str(answer.blocks)
        assert "Share" in str(answer.blocks)
        assert not app.slack.refused


async def test_all_slos_of_a_service_are_told_and_one_that_is_not_counted_says_so(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as app:
        answer = await app.types("riley", "/budget checkout where")
        assert "*availability* —" in answer.text
        assert "*latency* —" in answer.text
        uncounted = await app.types("riley", "/budget payments WHERE")
        assert "*availability* — no data yet. There is nothing to divide." in uncounted.text
        assert not app.slack.refused


async def test_a_private_incident_is_a_row_without_a_name_to_others(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as app:
        await spend(app)
        await open_incident(app, private=True)
        others = await app.types("riley", "/budget checkout where availability")
        assert "*50.0%* other incidents" in others.text
        assert "Payments time out" not in str(others)
        own = await app.types("dana", "/budget checkout where availability")
        assert "incident 1 *Payments time out*" in own.text
        assert "Share" not in str(own.blocks)


async def test_unknown_names_are_answered_with_the_nearest(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as app:
        assert "Did you mean `latency`?" in (await app.types("riley", "/budget checkout where latncy")).text
        assert "Did you mean `checkout`?" in (await app.types("riley", "/budget chekout where")).text
        far = await app.types("riley", "/budget checkout where latency now")
        assert "One service at a time" in far.text


async def test_many_causes_are_summed_up_in_one_row(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as app:
        orders = app.shop.catalog.services["checkout"].slos[0]
        days = [NOW - day * DAY for day in range(2, 28, 2)]
        pushed = [PushedEvent(orders, 1_000, 10 + number, at) for number, at in enumerate(days)]
        rest = PushedEvent(orders, 900_000, 800 - sum(event.bad for event in pushed), NOW - HOUR)
        await Ledger(app.database).push([*pushed, rest], NOW)
        async with app.database.transaction() as connection:
            for number, at in enumerate(days):
                deployment = deployed(f"{number:07x}", at - timedelta(hours=1))
                await deployment_records.add(app.database, connection, "checkout", deployment)
        text = (await app.types("riley", "/budget checkout where availability")).text
        assert "5 smaller causes" in text
        assert abs(sum(percentages(text)) - 80) < 1e-9
