"""Reviews of freezes: planned when one begins, asked when it lasts, told further, over with the freeze."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.app.reviews import Reviews
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import PolicyMode
from bot.catalog.teams import Teams
from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.hold import HoldKind
from bot.freezes.hold_registry import HoldRegistry
from bot.incidents.records.actions import Actions
from bot.incidents.visibility import OPERATOR
from bot.slack.reviews.messages import ReviewMessages
from bot.store import audit
from bot.store.database import Database
from bot.store.tables.core import outbox
from bot.tasks.runner import TaskRunner
from bot.teams.reviews import records
from bot.teams.reviews.agreeing import PlannedWork, ReviewClosedError
from bot.teams.reviews.due import EscalationHandler, ReviewHandler
from bot.teams.reviews.review import FreezeReview, ReviewedWork, ReviewObstacle, TeamSide
from tests.support.clock import DAY, HOUR, NOW, StoppedClock
from tests.support.examples import POLICY, WORKSPACE, shop_service
from tests.support.values import budget, catalog

REVIEWED = replace(
    POLICY, review_after=3 * DAY, review_escalate_after=DAY, review_escalate_to=("#leads", "U0BOSS")
)
LEADS = Teams(development=("U0RILEY",), reliability=("U0SAM",))


def checkout(**policy: object) -> Service:
    changed = replace(REVIEWED, **policy)  # type: ignore[arg-type]
    return replace(shop_service(), error_budget_policy=changed, leads=LEADS)


class Setting:
    """A database with holds, and the runner of what is due, on a clock that stands still."""

    def __init__(self, database: Database, service: Service) -> None:
        self.database = database
        self.clock = StoppedClock()
        self.current = CurrentCatalog(catalog(service, workspace=WORKSPACE))
        self.reviews = Reviews(database, self.current)
        self.planner = self.reviews.planner
        self.holds = HoldRegistry(database, lambda _: (), follow=self.planner.follow)
        self.judge = BudgetJudge(database, lambda _: (), follow=self.planner.follow)
        self.runner = TaskRunner(database, self.clock)
        messages = ReviewMessages()
        self.runner.register(
            [
                ReviewHandler(database, self.current, self.planner, messages, self._suggest),
                EscalationHandler(database, self.current, messages),
            ]
        )

    async def _suggest(self, service: Service) -> Sequence[ReviewedWork]:
        del service
        return [ReviewedWork("Limit the pool", "60% of what was spent went in incidents (4)")]

    @property
    def service(self) -> Service:
        return self.current.catalog.services["checkout"]

    async def freeze(self, request: str = "r1", kind: HoldKind = HoldKind.INCIDENT) -> None:
        await self.holds.place(
            self.service,
            by="U0SAM",
            reason="it burns",
            until=None,
            request=request,
            now=self.clock.now(),
            kind=kind,
        )

    async def lift(self, request: str = "r1") -> None:
        await self.holds.lift_incident(self.service, incident=request, reason="over", now=self.clock.now())

    async def pass_time(self, length: timedelta) -> None:
        self.clock.time += length
        await self.runner.tick()

    async def told(self) -> list[tuple[str, str]]:
        query = select(outbox.c.channel, outbox.c.event_type).order_by(outbox.c.id)
        async with self.database.reading() as connection:
            return [(row.channel, row.event_type) for row in await connection.execute(query)]

    async def review(self) -> FreezeReview:
        async with self.database.reading() as connection:
            found = await records.read(connection, 1)
        assert found is not None
        return found

    async def audited(self) -> list[tuple[str, str]]:
        async with self.database.reading() as connection:
            rows = await audit.read(connection)
        return [(r.entry.actor, r.entry.action) for r in rows if r.entry.action.startswith("review.")]


@pytest.fixture
def setting(database: Database) -> Setting:
    return Setting(database, checkout())


async def test_a_freeze_that_lasts_is_reviewed_once(setting: Setting) -> None:
    await setting.freeze()
    await setting.pass_time(3 * DAY - HOUR)
    assert await setting.told() == []
    await setting.pass_time(HOUR)
    await setting.runner.tick()
    assert await setting.told() == [("#checkout", "review_asked")]
    assert (await setting.review()).work[0].text == "Limit the pool"
    assert await setting.audited() == [("governor", "review.asked")]


async def test_a_budget_s_freeze_is_reviewed_like_any_other(setting: Setting) -> None:
    await setting.judge.judge(setting.service, [budget(-0.2, of=setting.service.slos[0])], NOW)
    await setting.pass_time(3 * DAY)
    assert await setting.told() == [("#checkout", "review_asked")]


async def test_holds_that_follow_one_another_are_one_freeze(setting: Setting) -> None:
    await setting.freeze("r1")
    await setting.pass_time(2 * DAY)
    await setting.freeze("r2")
    await setting.lift("r1")
    await setting.pass_time(DAY)
    assert await setting.told() == [("#checkout", "review_asked")]


async def test_a_freeze_that_ends_before_is_not_reviewed_and_the_next_one_counts_anew(
    setting: Setting,
) -> None:
    await setting.freeze("r1")
    await setting.pass_time(2 * DAY)
    await setting.lift("r1")
    await setting.freeze("r2")
    await setting.pass_time(2 * DAY)
    assert await setting.told() == []
    await setting.pass_time(DAY)
    assert await setting.told() == [("#checkout", "review_asked")]


@pytest.mark.parametrize("kind", [HoldKind.CALENDAR])
async def test_a_planned_freeze_needs_no_review(setting: Setting, kind: HoldKind) -> None:
    await setting.freeze(kind=kind)
    await setting.pass_time(10 * DAY)
    assert await setting.told() == []


@pytest.mark.parametrize("policy", [{"review_after": None}, {"mode": PolicyMode.OBSERVE}])
async def test_no_review_without_a_policy_that_asks_or_a_freeze_that_stops(
    database: Database, policy: dict[str, object]
) -> None:
    setting = Setting(database, checkout(**policy))
    await setting.freeze()
    await setting.pass_time(10 * DAY)
    assert await setting.told() == []


async def test_the_end_of_the_freeze_is_told_once_and_cancels_what_is_due(setting: Setting) -> None:
    await setting.freeze()
    await setting.pass_time(3 * DAY)
    await setting.lift()
    await setting.lift()
    await setting.pass_time(5 * DAY)
    assert await setting.told() == [("#checkout", "review_asked"), ("#checkout", "review_closed")]
    assert [action for _, action in await setting.audited()] == ["review.asked", "review.closed"]


async def test_nobody_s_answer_is_told_further_by_the_policy(setting: Setting) -> None:
    await setting.freeze()
    await setting.pass_time(3 * DAY)
    await setting.pass_time(DAY - HOUR)
    assert len(await setting.told()) == 1
    await setting.pass_time(HOUR)
    await setting.pass_time(5 * DAY)
    assert (await setting.told())[1:] == [("#checkout", "review_escalated"), ("#leads", "review_escalated")]


async def agree(setting: Setting, side: TeamSide, by: str) -> None:
    await setting.reviews.agreements.agree(setting.service, 1, side, by=by, now=setting.clock.now())


async def plan(setting: Setting, *work: PlannedWork) -> None:
    await setting.reviews.agreements.plan(setting.service, 1, work, by="U0SAM", now=setting.clock.now())


DUE = NOW.date() + timedelta(days=14)
LIMIT = PlannedWork(0, "Limit the pool", "U0RILEY", DUE)


async def test_both_sides_agree_on_actions_with_owners_and_dates(setting: Setting) -> None:
    await setting.freeze()
    await setting.pass_time(3 * DAY)
    with pytest.raises(ReviewClosedError) as refused:
        await agree(setting, TeamSide.DEVELOPMENT, "U0RILEY")
    assert refused.value.why is ReviewObstacle.NO_WORK
    await plan(setting, LIMIT, PlannedWork(1, "Alert on the queue", "U0SAM", DUE))
    state = await setting.reviews.agreements.of_service("checkout")
    assert state is not None
    assert [(a.text, a.owner, a.due, a.service) for a in state.actions.values()] == [
        ("Limit the pool", "U0RILEY", DUE, "checkout"),
        ("Alert on the queue", "U0SAM", DUE, "checkout"),
    ]
    await agree(setting, TeamSide.DEVELOPMENT, "U0RILEY")
    await agree(setting, TeamSide.DEVELOPMENT, "U0MORGAN")
    await agree(setting, TeamSide.RELIABILITY, "U0SAM")
    review = await setting.review()
    assert {side: done.by for side, done in review.agreed.items()} == {
        TeamSide.DEVELOPMENT: "U0RILEY",
        TeamSide.RELIABILITY: "U0SAM",
    }
    await setting.pass_time(5 * DAY)
    kinds = [kind for _, kind in await setting.told()]
    assert kinds == ["review_asked", "review_planned", "review_agreed", "review_agreed"]


async def test_the_same_form_twice_makes_its_actions_once(setting: Setting) -> None:
    await setting.freeze()
    await setting.pass_time(3 * DAY)
    await plan(setting, LIMIT)
    await plan(setting, LIMIT)
    assert len(await Actions(setting.database).of_service("checkout", OPERATOR)) == 1


@pytest.mark.parametrize("position", [0, 1])
async def test_two_who_fill_in_other_work_in_the_same_place_both_have_their_say(
    setting: Setting, position: int
) -> None:
    await setting.freeze()
    await setting.pass_time(3 * DAY)
    first = PlannedWork(position, "Alert on the queue", "U0SAM", DUE)
    other = PlannedWork(position, "Shed load", "U0RILEY", DUE + timedelta(days=1))
    for each in (first, other, other):
        await plan(setting, each)
    state = await setting.reviews.agreements.of_service("checkout")
    assert state is not None
    assert [(a.text, a.owner, a.due) for a in state.actions.values()] == [
        ("Alert on the queue", "U0SAM", DUE), ("Shed load", "U0RILEY", DUE + timedelta(days=1)),
    ]  # fmt: skip
    assert [each.text for each in state.review.work][-2:] == ["Alert on the queue", "Shed load"]


async def test_two_forms_that_are_sent_at_the_same_time_both_count(setting: Setting) -> None:
    await setting.freeze()
    await setting.pass_time(3 * DAY)
    texts = ["Alert on the queue", "Shed load"]
    await asyncio.gather(*(plan(setting, PlannedWork(1, text, "U0SAM", DUE)) for text in texts))
    state = await setting.reviews.agreements.of_service("checkout")
    assert state is not None
    assert sorted(action.text for action in state.actions.values()) == texts


async def test_work_that_changes_is_agreed_on_anew(setting: Setting) -> None:
    await setting.freeze()
    await setting.pass_time(3 * DAY)
    await plan(setting, LIMIT)
    await agree(setting, TeamSide.DEVELOPMENT, "U0RILEY")
    await plan(setting, replace(LIMIT, due=DUE + timedelta(days=7)))
    assert (await setting.review()).agreed == {}


async def test_nothing_is_agreed_after_the_freeze(setting: Setting) -> None:
    await setting.freeze()
    await setting.pass_time(3 * DAY)
    await plan(setting, LIMIT)
    await setting.lift()
    with pytest.raises(ReviewClosedError):
        await agree(setting, TeamSide.DEVELOPMENT, "U0RILEY")
    with pytest.raises(ReviewClosedError):
        await plan(setting, replace(LIMIT, position=1))


async def test_a_policy_that_changes_moves_what_is_planned(setting: Setting) -> None:
    await setting.freeze()
    await setting.pass_time(DAY)
    await set_policy(setting, review_after=None)
    await setting.pass_time(10 * DAY)
    assert await setting.told() == []
    await set_policy(setting, review_after=12 * DAY)
    await setting.runner.tick()
    assert await setting.told() == []
    await setting.pass_time(DAY)
    assert await setting.told() == [("#checkout", "review_asked")]


async def test_a_freeze_from_before_the_upgrade_is_reviewed_too(database: Database) -> None:
    setting = Setting(database, checkout())
    before = HoldRegistry(database, lambda _: ())
    await before.place(
        setting.service,
        by="U0SAM",
        reason="it burns",
        until=None,
        request="r",
        now=NOW,
        kind=HoldKind.INCIDENT,
    )
    setting.clock.time += 4 * DAY
    await setting.planner.reconcile(setting.current.catalog, setting.clock.now())
    await setting.planner.reconcile(setting.current.catalog, setting.clock.now())
    await setting.runner.tick()
    assert await setting.told() == [("#checkout", "review_asked")]


async def set_policy(setting: Setting, **policy: object) -> None:
    changed = catalog(checkout(**policy), workspace=WORKSPACE)
    setting.current.set(changed)
    await setting.planner.reconcile(changed, setting.clock.now())
