"""Adjusting the record: asked by one person, approved by another, with the figures before and after."""

import copy
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentKind, CountsAs
from bot.budgets.adjustments.records import adjustment_of
from bot.budgets.adjustments.registry import AdjustmentRegistry
from bot.budgets.ledger.ledger import Ledger, PushedEvent
from bot.catalog.current import CurrentCatalog
from bot.catalog.window import Span
from bot.sandbox.fake_slack.model import Message
from bot.slack.announcements.adjustments import AdjustmentAnnouncer
from bot.slack.commands.audit import ACTION_TEXTS
from bot.store.audit import AuditEntry
from bot.store.tables.adjustments import adjustments
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import audited, deliver

EXCLUDE = "/budget exclude checkout availability from 07:00 UTC to 07:20 UTC load test"
CHECKOUT = "#checkout"


@pytest.fixture(autouse=True)
async def counted(slack_app: RunningSlackApp) -> None:
    """Two hours of traffic: 100 events a minute, and 120 bad ones from 07:00 to 07:20."""
    slo = slack_app.shop.catalog.services["checkout"].slos[0]
    start = NOW - 2 * HOUR
    ledger = Ledger(slack_app.database)
    for minute in range(120):
        at, bad = start + MINUTE * minute, 6 if minute < 20 else 0
        await ledger.push([PushedEvent(slo, 100.0 - bad, float(bad), at, f"{minute}")], NOW)


async def stored(slack_app: RunningSlackApp) -> list[Adjustment]:
    async with slack_app.database.reading() as connection:
        rows = await connection.execute(select(adjustments).order_by(adjustments.c.id))
        return [adjustment_of(row) for row in rows]


async def bad_events(slack_app: RunningSlackApp) -> tuple[float, float]:
    slo = slack_app.shop.catalog.services["checkout"].slos[0]
    (found,) = await Ledger(slack_app.database).counts(slo, [Span(NOW - 30 * DAY, NOW)], NOW)
    return found.bad, found.total


async def request_of(slack_app: RunningSlackApp) -> Message:
    found = [one for one in await deliver(slack_app) if "adjustment.approve" in str(one.blocks)]
    return found[-1]


async def actions(slack_app: RunningSlackApp) -> list[str]:
    return [entry.action for entry in await entries(slack_app)]


async def entries(slack_app: RunningSlackApp) -> list[AuditEntry]:
    return [entry for entry in await audited(slack_app) if entry.action.startswith("adjustment.")]


async def test_a_time_is_left_out_once_another_person_approves(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("sam", EXCLUDE)
    assert "asked to leave out" in answer.text
    assert "availability: −900.0% left → *100.0% left* (120 bad of 12000 → 0 bad of 10000)" in answer.text
    assert await bad_events(slack_app) == (120, 12_000)
    request = await request_of(slack_app)
    assert request.text.startswith(":bar_chart: *checkout* — <@U0SAM> asks to leave out")
    assert "Why: load test" in request.text
    await slack_app.presses("sam", request, "adjustment.approve", CHECKOUT)
    assert "another person must approve" in slack_app.slack.seen_by("sam", CHECKOUT)[-1].text
    await slack_app.presses("riley", request, "adjustment.approve", CHECKOUT)
    assert "may approve adjustments" in slack_app.slack.seen_by("riley", CHECKOUT)[-1].text
    assert await bad_events(slack_app) == (120, 12_000)
    twice = copy.deepcopy(request)
    for message in (request, twice):
        await slack_app.presses("morgan", message, "adjustment.approve", CHECKOUT)
    assert await bad_events(slack_app) == (0, 10_000)
    replaced = next(one for one in slack_app.slack.messages(CHECKOUT) if one.ts == request.ts)
    assert "approved by <@U0MORGAN>" in replaced.text
    assert "adjustment.approve" not in str(replaced.blocks)
    told = [one.text for one in await deliver(slack_app) if "approved what" in one.text]
    assert len(told) == 2, "once in each of the two channels"
    assert await actions(slack_app) == ["adjustment.asked", "adjustment.approved"]
    approved = (await entries(slack_app))[-1]
    assert approved.before == {"availability": {"bad": 120.0, "total": 12_000.0, "remaining": -9.0}}
    assert approved.after is not None
    assert approved.after["figures"]["availability"] == {"bad": 0.0, "total": 10_000.0, "remaining": 1.0}


async def test_it_is_reversed_by_a_button_of_the_list(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", EXCLUDE)
    assert "approved by" in (await slack_app.types("morgan", "/budget approve 1")).text
    assert await bad_events(slack_app) == (0, 10_000)
    listed = await slack_app.types("sam", "/budget adjustments checkout")
    assert "*1.* Leave out" in listed.text
    assert "asked by <@U0SAM>, approved by <@U0MORGAN>" in listed.text
    await slack_app.presses("sam", listed, "adjustment.reverse")
    assert await bad_events(slack_app) == (120, 12_000)
    assert "reversed" in slack_app.slack.seen_by("sam", "#general")[-1].text
    again = await slack_app.types("sam", "/budget reverse 1")
    assert again.text == "Adjustment 1 is reversed already."
    await slack_app.types("sam", EXCLUDE)
    waiting = await slack_app.types("sam", "/budget reverse 2")
    assert waiting.text == "Adjustment 2 waits for approval: decline it instead."
    await slack_app.types("sam", "/budget decline 2")
    assert (await actions(slack_app))[:3] == [
        "adjustment.asked",
        "adjustment.approved",
        "adjustment.reversed",
    ]
    assert "reversed by <@U0SAM>" in (await slack_app.types("sam", "/budget adjustments checkout")).text


async def test_a_request_is_declined_by_another_and_withdrawn_by_its_own(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", EXCLUDE)
    request = await request_of(slack_app)
    await slack_app.presses("morgan", request, "adjustment.decline", CHECKOUT)
    replaced = next(one for one in slack_app.slack.messages(CHECKOUT) if one.ts == request.ts)
    assert "declined by <@U0MORGAN>" in replaced.text
    await slack_app.types("sam", EXCLUDE)
    assert "withdrawn" in (await slack_app.types("sam", "/budget decline 2")).text
    assert [each.state for each in await stored(slack_app)] == ["declined", "withdrawn"]
    assert await bad_events(slack_app) == (120, 12_000)
    assert (await slack_app.types("morgan", "/budget approve 2")).text == "Adjustment 2 is withdrawn already."


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("-50", (70, 12_000)),
        ("-50 bad events as good", (70, 12_000)),
        ("-50 dropped", (70, 11_950)),
        ("+50", (170, 12_000)),
        ("+1,000 missed", (1_120, 13_000)),
        ("good", (0, 12_000)),
        ("dropped", (0, 10_000)),
    ],
)
async def test_a_number_or_a_time_counts_as_it_is_said(
    slack_app: RunningSlackApp, typed: str, left: tuple[int, int]
) -> None:
    time = "from 7:00am UTC to 7:20am UTC"
    await slack_app.types("sam", f"/budget adjust checkout availability {typed} {time} it was retried")
    (asked,) = await stored(slack_app)
    assert asked.reason == "it was retried"
    await slack_app.types("morgan", f"/budget approve {asked.id}")
    assert await bad_events(slack_app) == left


async def test_what_cannot_be_adjusted_is_said(slack_app: RunningSlackApp) -> None:
    refused = {
        "exclude": "Name the service",
        "exclude chekout from 07:00 to 07:20 x": "There is no service `chekout`. Did you mean `checkout`?",
        "exclude checkout latenzy from 07:00 UTC to 07:20 UTC x": "There is no SLO `latenzy`",
        "exclude checkout from 07:00 UTC x": "Say until when",
        "exclude checkout from 07:00 UTC to 07:20 UTC": "Say why",
        "exclude checkout from 07:00 UTC to 06:00 UTC x": "",
        "exclude checkout from breakfast to 06:00 x": "I cannot read a time in `breakfast`",
        "exclude checkout -5 from 07:00 UTC to 07:20 UTC x": "not of a number of events",
        "exclude checkout from 2026-11-10 00:00 UTC to 2026-11-20 00:00 UTC x": "covers 7",
        "exclude checkout from 2026-11-23 07:00 UTC to 2026-11-24 07:00 UTC x": "not over yet",
        "exclude checkout from 2026-09-01 07:00 UTC to 2026-09-01 08:00 UTC x": "before the window",
        "adjust checkout -50 from 07:00 UTC to 07:20 UTC x": "is of one SLO",
        "adjust checkout availability from 07:00 UTC to 07:20 UTC x": "Say how many bad events",
        "adjust checkout availability 50 from 07:00 UTC to 07:20 UTC x": "Write `-50` to take",
        "approve": "Name the adjustment by its number",
        "approve 99": "There is no adjustment 99.",
        "reverse 99": "There is no adjustment 99.",
        "adjustments": "Name one service",
    }
    for typed, expected in refused.items():
        answer = await slack_app.types("sam", f"/budget {typed}")
        assert expected in answer.text, typed
    assert not [each for each in await stored(slack_app) if each.span.length > timedelta(days=1)]


async def test_fractions_of_events_do_not_look_like_a_change(slack_app: RunningSlackApp) -> None:
    """Counts as Prometheus extrapolates them, whose sums differ in their last digits with the order."""
    slo = slack_app.shop.catalog.services["checkout"].slos[0]
    hours = [
        PushedEvent(
            slo, 3_333.3 + hour / 7, 0.1 + hour / 3, NOW - HOUR * hour - 3 * MINUTE, f"fraction {hour}"
        )
        for hour in range(1, 200)
    ]
    await Ledger(slack_app.database).push(hours, NOW)
    typed = "/budget exclude checkout availability from yesterday 07:10 UTC to yesterday 07:25 UTC x"
    asked = await slack_app.types("sam", typed)
    assert "It changes nothing: there are no such events in that time." in asked.text


async def test_overlapping_times_and_events_that_are_not_there_are_told(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", EXCLUDE)
    overlapping = await slack_app.types(
        "morgan", "/budget adjust checkout availability -5 from 07:10 UTC to 07:30 UTC retries"
    )
    assert overlapping.text.startswith("Adjustment 1 is about some of that time and waits for approval.")
    empty = await slack_app.types("sam", "/budget exclude checkout latency from 07:10 UTC to 07:30 UTC x")
    assert "It changes nothing: there are no such events in that time." in empty.text
    few = await slack_app.types(
        "sam", "/budget adjust checkout availability -5 from 08:10 UTC to 08:30 UTC retries"
    )
    assert "It changes nothing" in few.text


async def test_more_bad_events_than_there_are_is_told(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types(
        "sam", "/budget adjust checkout availability -500 from 07:00 UTC to 07:20 UTC retries"
    )
    assert "Only 120 bad events were counted then" in answer.text


async def test_at_most_a_quarter_of_a_window_is_left_out(slack_app: RunningSlackApp) -> None:
    first: datetime = NOW - 20 * DAY
    span = f"from {first:%Y-%m-%dT%H:%M}Z to {first + 6 * DAY:%Y-%m-%dT%H:%M}Z"
    assert "asked to" in (await slack_app.types("sam", f"/budget exclude checkout {span} move")).text
    later = first + 7 * DAY
    span = f"from {later:%Y-%m-%dT%H:%M}Z to {later + 2 * DAY:%Y-%m-%dT%H:%M}Z"
    assert (
        "At most 25% of it may be"
        in (await slack_app.types("sam", f"/budget exclude checkout {span} x")).text
    )


async def test_long_ago_whole_hours_are_counted_and_that_is_said(slack_app: RunningSlackApp) -> None:
    at = NOW - 10 * DAY
    span = f"from {at + 10 * MINUTE:%Y-%m-%dT%H:%M}Z to {at + 20 * MINUTE:%Y-%m-%dT%H:%M}Z"
    answer = await slack_app.types("sam", f"/budget exclude checkout availability {span} move")
    assert "Counted in whole minutes or hours" in answer.text
    (asked,) = await stored(slack_app)
    assert asked.span == Span(at, at + HOUR)


async def test_who_may_not_is_told_who_may(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("riley", EXCLUDE)
    assert answer.text == ("Only @sre or <@U0MORGAN> may adjust the record of a budget. Ask one of them.")
    assert not await stored(slack_app)


async def test_every_step_has_words_in_the_audit_log() -> None:
    for step in ("asked", "approved", "declined", "withdrawn", "reversed"):
        assert f"adjustment.{step}" in ACTION_TEXTS


async def test_maintenance_of_the_policy_is_told_explained_and_reversed_alike(
    slack_app: RunningSlackApp,
) -> None:
    checkout = slack_app.shop.catalog.services["checkout"]
    span = Span(NOW - 2 * HOUR, NOW - 2 * HOUR + 20 * MINUTE)
    planned = Adjustment(
        0, "checkout", None, AdjustmentKind.MAINTENANCE, CountsAs.DROPPED, span, "Upgrade", "governor",
        span.start,
    )  # fmt: skip
    registry = AdjustmentRegistry(
        slack_app.database, AdjustmentAnnouncer(CurrentCatalog(slack_app.shop.catalog))
    )
    async with slack_app.database.transaction() as connection:
        await registry.record_maintenance(connection, checkout, planned, (), window="night", now=NOW)
    told = (await deliver(slack_app))[-1]
    assert told.text.startswith(":wrench: *checkout* — maintenance until <!date^")
    assert "Why: Upgrade" in told.text
    assert await bad_events(slack_app) == (0, 10_000)
    listed = await slack_app.types("sam", "/budget adjustments checkout")
    assert "Leave out" in listed.text
    assert "maintenance, planned in the policy\nWhy: Upgrade" in listed.text
    # People may ask about the same time, and are told what it changes.
    assert "It changes nothing" in (await slack_app.types("sam", EXCLUDE)).text
    assert "is reversed" in (await slack_app.types("sam", "/budget reverse 1 it was put off")).text
    assert await bad_events(slack_app) == (120, 12_000)
    listed = await slack_app.types("sam", "/budget adjustments checkout")
    assert "maintenance, planned in the policy, reversed by <@U0SAM>" in listed.text
    assert "adjustment.maintenance" in await actions(slack_app)
