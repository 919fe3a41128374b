"""What digests say: of nothing nothing, a line for a stand-up, what observing would have stopped."""

from dataclasses import replace
from datetime import date, timedelta

from bot.catalog.digests import DigestKind
from bot.catalog.window import CalendarUnit, CalendarWindow, Span
from bot.freezes.status import ServiceStatus
from bot.incidents.action import Action
from bot.incidents.spending.observed_week import ObservedWeek
from bot.slack.digests.messages import digest_messages
from bot.teams.digests.contents import DigestContents, ServiceNews, change_of, due_actions
from tests.support.clock import DAY, HOUR, NOW
from tests.support.examples import shrinking
from tests.support.values import budget, service, slo

WEEK = Span(NOW - 7 * DAY, NOW)


def contents(news: ServiceNews, kind: DigestKind = DigestKind.WEEKLY, **more: object) -> DigestContents:
    return replace(DigestContents(kind, "#checkout", WEEK, NOW.date(), (news,)), **more)  # type: ignore[arg-type]


def news(left: float = 0.4) -> ServiceNews:
    return ServiceNews(ServiceStatus(service(), (budget(left),), (), NOW))


def test_whole_budgets_alone_are_no_news_and_what_was_spent_is() -> None:
    assert digest_messages(contents(news(1.0)), "s") == ()
    spent = replace(news(), changes={"availability": -0.041})
    head, details = digest_messages(contents(spent), "s")
    assert "left*, down 4.1 points" in head.text
    assert (head.thread, details.thread) == ("s", "s")
    assert "*Budgets*" in details.text


def test_the_stand_up_line_names_what_needs_a_word_today() -> None:
    overdue = Action(3, "Limit the pool", "checkout", owner="U0DANA", due=NOW.date() - DAY)
    standing = contents(news(), DigestKind.STAND_UP, actions=(overdue,))
    head, details = digest_messages(standing, "s")
    assert head.text.startswith("Stand-up: checkout: checkout — *40.0%")
    assert head.text.endswith("1 overdue action")
    assert "Limit the pool — <@U0DANA> · overdue since" in details.text


def test_what_observing_would_have_stopped_is_in_the_digest() -> None:
    week = ObservedWeek(WEEK, "careful", 2, 3 * HOUR, (), DAY)
    _, details = digest_messages(contents(replace(news(), observed=week)), "s")
    assert "would have frozen *checkout* twice" in details.text


def test_a_trend_is_told_where_a_whole_window_ended_a_week_ago() -> None:
    history = shrinking(1.0, 0.2, 61)
    assert change_of(budget(0.2), history, Span(history.points[-1].at, history.points[-1].at)) is not None
    assert change_of(budget(0.2), replace(history, points=history.points[-1:]), WEEK) is None
    month = slo(window=CalendarWindow(CalendarUnit.WEEK))
    assert change_of(budget(0.2, of=month), history, Span(NOW - DAY, NOW)) is None


def test_actions_are_named_a_week_ahead_and_urgent_ones_that_lack_something() -> None:
    today = date(2026, 11, 23)
    soon = Action(1, "soon", due=today + timedelta(days=7))
    later = Action(2, "later", due=today + timedelta(days=8))
    urgent = Action(3, "urgent", is_p0=True)
    done = Action(4, "done", due=today, done_at=NOW)
    every = (soon, later, urgent, done)
    assert due_actions(every, DigestKind.WEEKLY, today) == (soon, urgent)
    assert due_actions(every, DigestKind.STAND_UP, today) == ()
