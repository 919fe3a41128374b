"""`/incident report`: what is read, who sees what, and where it leads."""

from datetime import timedelta

import pytest

from bot.incidents.attribution import Charge
from bot.incidents.incident import CauseClass, IncidentChange, Status
from bot.incidents.report import report_on
from bot.slack.arguments import UsageError
from bot.slack.incidents.arguments import parse_report as read
from bot.slack.incidents.queries.report import report_reply
from bot.slack.interactions import Query
from tests.incidents.test_report import charged
from tests.support.clock import NOW
from tests.support.slack_incidents import RunningIncidentApp

DAY = timedelta(days=1)


async def test_report_says_how_many_how_quickly_and_what_is_not_classified(
    incident_app: RunningIncidentApp,
) -> None:
    lifecycle = incident_app.slack_app.incidents.lifecycle
    await incident_app.open("it is slow search")
    await incident_app.open("Checkout 500s sev1 checkout")
    await lifecycle.change(2, IncidentChange(status=Status.RESOLVED), by="U0SAM", now=NOW)
    text = (await incident_app.slack_app.types("riley", "/incident report")).text.replace("\u00a0", " ")
    assert text.startswith("2 incidents in 90 d.")
    assert "1 sev1 and 1 sev3 · 1 not resolved yet" in text
    assert "Next: name the cause of incident 2 in `/postmortem 2`." in text
    await lifecycle.classify(2, CauseClass.CAPACITY, by="U0SAM", now=NOW)
    shown = await incident_app.slack_app.types("riley", "/incident report 30d search")
    assert shown.text.replace("\u00a0", " ").startswith("1 incident of search in 30 d.")
    assert "Share" in str(shown.blocks)


async def test_report_that_counts_a_private_incident_is_not_shared(incident_app: RunningIncidentApp) -> None:
    await incident_app.open("Cards leak sev1 checkout")
    await incident_app.slack_app.incidents.lifecycle.change(
        1, IncidentChange(private=True), by="U0DANA", now=NOW
    )
    others = await incident_app.slack_app.types("riley", "/incident report")
    assert others.text.startswith("No incident in the last")
    mine = await incident_app.slack_app.types("dana", "/incident report")
    assert "1 incident that is not public counts too." in str(mine.blocks)
    assert "Share" not in str(mine.blocks)
    there = await incident_app.slack_app.types(
        "sam", "/incident report", incident_app.channel_id(await incident_app.view())
    )
    assert there.text.startswith("1 incident in")


@pytest.mark.parametrize(
    ("words", "length", "service"),
    [
        ([], 90 * DAY, None),
        (["30d"], 30 * DAY, None),
        (["Checkout", "2w"], 14 * DAY, "checkout"),
        (["checkout"], 90 * DAY, "checkout"),
    ],
)
def test_report_is_read_in_any_order(words: list[str], length: timedelta, service: str | None) -> None:
    meant = read(words, {"checkout", "search"})
    assert (meant.length, meant.service) == (length, service)


@pytest.mark.parametrize("words", [["payments"], ["checkout", "search"], ["3h"], ["400d"], ["30d", "7d"]])
def test_report_that_cannot_be_read_says_how_to_write_it(words: list[str]) -> None:
    with pytest.raises(UsageError) as hint:
        read(words, {"checkout", "search"})
    assert "/incident report 90d SERVICE" in hint.value.text


def test_report_on_nothing_leads_on() -> None:
    reply = report_reply(report_on([], since=NOW - 90 * DAY, until=NOW), Query("incident", "report"))
    assert reply.text.replace("\u00a0", " ") == "No incident in the last 90 d. Next: `/incident` opens one."


def test_report_says_first_where_the_budget_went_and_what_to_work_on() -> None:
    found = [
        charged(1, CauseClass.CAPACITY, {"checkout/uptime": Charge(1.2, 0.5)}),
        charged(2, CauseClass.SOFTWARE_BUG, {"checkout/uptime": 0.1}),
        charged(3, CauseClass.SOFTWARE_BUG, {"search/uptime": 0.1}),
    ]
    made = report_on(found, since=NOW - 90 * DAY, until=NOW)
    lines = report_reply(made, Query("incident", "report")).text.replace("\u00a0", " ").splitlines()
    assert lines[1] == (
        "*1.4 error budgets* spent, 86% of it in incident 1. "
        "Most went to capacity: load tests and tuning first."
    )
    assert "`█████████░` 86% capacity (1): *load tests and tuning*" in lines
    assert "`█░░░░░░░░░` 14% software bug (2 and 3): *fixes and tests*" in lines
    assert "`████░░░░░░` 36% was spent before anybody knew: *monitoring and alerts*" in lines
    assert lines[-1] == "Next: `/action add TEXT @OWNER due DATE` gives that work an owner."


def test_report_does_not_say_what_to_work_on_first_while_the_largest_part_is_not_classified() -> None:
    found = [
        charged(1, None, {"checkout/uptime": 0.5}),
        charged(2, CauseClass.CAPACITY, {"checkout/uptime": 0.2}),
    ]
    made = report_on(found, since=NOW - 90 * DAY, until=NOW)
    text = report_reply(made, Query("incident", "report")).text.replace("\u00a0", " ")
    assert "*70.0% of an error budget* spent. The largest part is not classified yet." in text
    assert text.endswith("Next: name the cause of incident 1 in `/postmortem 1`.")
