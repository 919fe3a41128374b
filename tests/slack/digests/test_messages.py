"""What digests say: of nothing nothing, a line for a stand-up, what observing would have stopped."""

from dataclasses import replace
from datetime import date, timedelta

from bot.catalog.digests import DigestKind
from bot.catalog.window import CalendarUnit, CalendarWindow, Span
from bot.deployments.deployment import Deployment, DeploymentState
from bot.freezes.status import ServiceStatus
from bot.incidents.action import Action
from bot.incidents.spending.observed_week import ObservedWeek
from bot.slack.digests.messages import digest_messages
from bot.teams.digests.contents import (
    DigestContents,
    LingeringFlag,
    ServiceNews,
    ServingNow,
    change_of,
    due_actions,
)
from bot.teams.reviews.review import Agreement, FreezeReview, TeamSide
from bot.teams.rotations.outlook import ComingPeriod
from bot.teams.rotations.period import RotationPeriod, StoredTurn
from bot.teams.rotations.plan import Choice, PlannedPair, Side, Turn
from bot.velocity.budget_cost import BudgetCost, KindCost
from bot.velocity.statistics import number_quantiles
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


def test_a_deployment_of_several_services_counts_once_also_where_it_failed() -> None:
    failed = Deployment("1", "production", "3f1c2ab", "ci", DeploymentState.FAILED, NOW - HOUR, NOW - HOUR)
    told = replace(news(), deployments=(failed,))
    both = replace(contents(told), services=(told, told))
    assert "1 deployment (1 failed)" in digest_messages(both, "s")[0].text


def test_a_flag_that_nobody_has_changed_for_years_is_told_of() -> None:
    old = LingeringFlag("new-ui", "production", is_on=True, since=NOW - 1_200 * DAY - HOUR)
    _, details = digest_messages(contents(news(), lingering=(old,)), "s")
    assert "on for everybody for 1,200 days." in details.text


def test_the_stand_up_line_names_what_needs_a_word_today() -> None:
    overdue = Action(3, "Limit the pool", "checkout", owner="U0DANA", due=NOW.date() - DAY)
    standing = contents(news(), DigestKind.STAND_UP, actions=(overdue,))
    head, details = digest_messages(standing, "s")
    assert head.text.startswith("Stand-up: checkout: checkout — *40.0%")
    assert head.text.endswith("1 overdue action")
    assert "Limit the pool — <@U0DANA> · overdue since" in details.text


def serving(*people: str) -> RotationPeriod:
    turns = [Turn(1, side, person, 1) for side, person in zip(Side, people, strict=False)]
    stored = tuple(StoredTurn(number, turn, WEEK.start) for number, turn in enumerate(turns))
    return RotationPeriod("shop", 1, WEEK.start, NOW + 3 * DAY, turns=stored)


def test_the_pair_of_the_rotation_is_named_and_who_comes_next_when_it_ends_soon() -> None:
    pair = {Side.DEVELOPMENT: Choice("U0KIM", 1), Side.RELIABILITY: Choice("U0LEE", 1)}
    following = ComingPeriod(NOW + 3 * DAY, NOW + 17 * DAY, PlannedPair(2, pair))
    period = serving("U0DANA", "U0SAM")
    spent = replace(news(), changes={"availability": -0.041})
    (weekly, _) = digest_messages(contents(spent, serving=(ServingNow(period, following),)), "s")
    assert "On rotation: <@U0DANA> and <@U0SAM> until <!date^" in weekly.text
    assert "Next: <@U0KIM> and <@U0LEE>." in weekly.text
    assert "Next: <@U0KIM> and <@U0LEE>." in str(weekly.blocks)
    standing = contents(spent, DigestKind.STAND_UP, serving=(ServingNow(period),))
    assert digest_messages(standing, "s")[0].text.endswith("on rotation: <@U0DANA> and <@U0SAM>")


def test_a_period_in_which_nobody_serves_is_told_weekly_and_left_out_of_the_stand_up_line() -> None:
    spent = replace(news(), changes={"availability": -0.041})
    nobody = (ServingNow(serving()),)
    assert "On rotation: nobody until" in digest_messages(contents(spent, serving=nobody), "s")[0].text
    standing = contents(spent, DigestKind.STAND_UP, serving=nobody)
    assert "rotation" not in digest_messages(standing, "s")[0].text


def test_a_pair_alone_is_no_news() -> None:
    assert digest_messages(contents(news(1.0), serving=(ServingNow(serving("U0DANA")),)), "s") == ()


def test_a_long_freeze_without_an_agreement_is_to_be_agreed_on() -> None:
    asked = FreezeReview(1, "checkout", 7, NOW - 3 * DAY, asked_at=NOW - DAY)
    one = replace(asked, agreed={TeamSide.DEVELOPMENT: Agreement("U0DANA", NOW)})
    for kind in DigestKind:
        head, details = digest_messages(contents(news(0.0), kind, reviews=(asked,)), "s")
        assert "1 freeze to agree on" in head.text
        assert "both teams have not agreed on the reliability work. The work is not" in details.text
    _, details = digest_messages(contents(news(0.0), reviews=(one,)), "s")
    assert "and reliability has not agreed" in details.text


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


def test_what_agents_spent_and_what_people_spent_is_told_where_agents_deployed() -> None:
    def cost(*kinds: KindCost) -> BudgetCost:
        each = number_quantiles([0.1])
        return BudgetCost("checkout", "availability", each, (), kinds, 0.4, 1, 0.1, 4)

    deployed = Deployment(
        "1", "production", "3f1c2ab", "coder", DeploymentState.SUCCEEDED, NOW - HOUR, NOW - HOUR
    )
    told = replace(news(), deployments=(deployed,))
    mixed = cost(KindCost("agent", 2, 0.32), KindCost("person", 1, 0.1), KindCost("pipeline", 3, 0.02))
    _, details = digest_messages(contents(told, costs=(mixed,)), "s")
    spent = (
        "Agents spent *32.0%* of the availability budget in 2 deployments, people *12.0%* in 4 deployments."
    )
    assert spent in details.text
    of_people = digest_messages(contents(told, costs=(cost(KindCost("person", 1, 0.1)),)), "s")
    assert "Agents spent" not in "".join(message.text for message in of_people)
