"""`/budget what-if`: an outage, and another objective, through signed requests and a strict Slack."""

import re

import pytest

from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.slack.interactions import SHARE
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.slack_app import RunningSlackApp


async def test_an_outage_costs_what_its_requests_are_of_the_budget(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("riley", "/budget what-if checkout 10m 50%")
    assert answer.ephemeral_to == slack_app.slack.person("riley").id
    # 23.1 requests a minute, half of ten minutes of them, of the 1,000 that 99.9% of a million allow.
    assert "It would cost 11.6% of the budget (5.0\u00a0min)" in answer.text
    assert "*availability* — 20.0% left → *8.4% left*" in answer.text
    assert "It would not freeze checkout." in answer.text
    assert "10% after" in answer.text
    latency = next(line for line in answer.text.splitlines() if line.startswith("*latency*"))
    assert "99.0% left" in latency


@pytest.mark.parametrize(
    "text",
    [
        "what-if checkout 50% 10m",
        "what-if checkout for 10 minutes at 50 %",
        "checkout what-if 10m 50",
        "what if Checkout 10m 50,0%",
        "whatif #checkout an outage of 10min 50%",
    ],
)
async def test_an_outage_is_typed_in_any_order(slack_app: RunningSlackApp, text: str) -> None:
    answer = await slack_app.types("riley", f"/budget {text}")
    assert "What if checkout failed 50% of requests for 10\u00a0min?" in answer.text
    assert "cost 11.6%" in answer.text


async def test_a_long_outage_freezes_and_says_after_what_time(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("riley", "/budget what-if checkout 1h")
    assert "What if checkout failed 100% of requests for 1\u00a0h?" in answer.text
    # 200 of the 1,000 that may fail are left: at 23.1 a minute they are gone after nine minutes.
    assert "It would freeze *checkout* after 9\u00a0min" in answer.text
    assert "When it would recover cannot be told" in answer.text
    await slack_app.presses("riley", answer, SHARE)
    shared = slack_app.slack.seen_by("riley", "#general")[-1]
    assert shared.ephemeral_to is None
    assert "What if checkout failed" in str(shared.blocks)


async def test_a_service_without_figures_tells_nothing_of_them(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("riley", "/budget what-if payments 10m 50%")
    assert "no data yet: what it would cost cannot be told" in answer.text


async def test_another_objective_reads_the_present_window_and_the_past(slack_app: RunningSlackApp) -> None:
    checkout = slack_app.shop.catalog.services["checkout"]
    events = []
    for hour in range(100 * 24):
        failed = 150.0 if hour == 70 * 24 else 0.1
        at = NOW - 100 * DAY + hour * HOUR + 30 * MINUTE
        events.append(PushedEvent(checkout.slos[0], 1_000 - failed, failed, at))
    await Ledger(slack_app.database).push(events, NOW)
    answer = await slack_app.types("riley", "/budget what-if checkout objective 99.98")
    assert "What if checkout availability promised 99.98%?" in answer.text
    assert "The present window: *−300.0% left* instead of 20.0% left at 99.9%" in answer.text
    assert "checkout would be frozen for it now." in answer.text
    now, new = (line for line in answer.text.splitlines() if "burn alert" in line)
    assert now.startswith("99.9%: never frozen")
    assert re.match(r"\*99\.98%\*: frozen 1 time for (29|30)\s", new)
    assert "█" in answer.text
    (chart,) = [block["chart"] for block in answer.blocks if block["type"] == "data_visualization"]
    assert [len(series["data"]) for series in chart["series"]] == [20, 20]
    assert "objective 99.98 latency" in str(answer.blocks)


async def test_an_objective_of_a_named_slo_without_a_past_reads_the_present(
    slack_app: RunningSlackApp,
) -> None:
    answer = await slack_app.types("riley", "/budget what-if checkout objective 99.5% latency")
    assert "What if checkout latency promised 99.5%?" in answer.text
    assert "What it would have meant so far cannot be told: the ledger holds nothing of it" in answer.text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("what-if", "/budget what-if SERVICE 10m 50%"),
        ("what-if checkout", "What if what?"),
        ("what-if checkout 50%", "How long would it last?"),
        ("what-if checkout 10m 150%", "at most 100%"),
        ("what-if checkout 10m 0%", "That would be no outage"),
        ("what-if checkout 90d", "at most 30"),
        ("what-if checkout 10m fast", "`fast` was not understood"),
        ("what-if checkout objective", "Which objective?"),
        ("what-if checkout objective 100", "between 0% and 100%"),
        ("what-if checkout objective 99.95 latncy", "Did you mean `latency`?"),
        ("what-if chekout 10m", "Did you mean `checkout`?"),
        ("checkout wat-if 10m", "Did you mean `/budget checkout what-if`?"),
    ],
)
async def test_what_cannot_be_supposed_is_answered_with_what_can(
    slack_app: RunningSlackApp, text: str, answer: str
) -> None:
    assert answer in (await slack_app.types("riley", f"/budget {text}")).text
