"""A policy that only observes decides and records everything, and stops nothing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from bot.budgets.budget import Budget
from bot.budgets.rolling import NO_HISTORY, RollingHistory
from bot.catalog.catalog import Catalog, Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import ErrorBudgetPolicy, OnMissingData, PolicyMode
from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.hold import HoldKind
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.past_verdict import verdict_at
from bot.freezes.status import StatusReader
from bot.freezes.verdict import Change
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.store.database import Database
from tests.freezes.store_contents import announcements, audited_actions
from tests.support.clock import MINUTE, NOW, StoppedClock
from tests.support.values import QUIET, budget, catalog, service, slo

OBSERVING = replace(QUIET, mode=PolicyMode.OBSERVE)


def checkout(policy: ErrorBudgetPolicy = OBSERVING) -> Service:
    return service(policy=policy)


class Shop:
    """A service, its budget, its policy, and all that decides on them."""

    def __init__(self, database: Database, policy: ErrorBudgetPolicy = OBSERVING) -> None:
        self.database = database
        self.clock = StoppedClock()
        self.current = CurrentCatalog(catalog(checkout(policy)))
        announce = FreezeAnnouncer(self.current)
        self.judge = BudgetJudge(database, announce)
        self.registry = HoldRegistry(database, announce)
        self.left: Sequence[float] = (1.0,)
        self.status_reader = StatusReader(self.current, self, self.registry, self.clock)

    @property
    def service(self) -> Service:
        return self.current.catalog.services["checkout"]

    def follow(self, of: Service) -> None:
        """Put other policies in force."""
        self.current.set(catalog(of))

    def mode(self, mode: PolicyMode) -> None:
        self.follow(checkout(replace(OBSERVING, mode=mode)))

    async def evaluate(self, *left: float, later: int = 0) -> None:
        """Judge what is left of each SLO's budget, some minutes later."""
        self.left = left
        self.clock.time += later * MINUTE
        (budgets,) = await self.assess([self.service], self.clock.time)
        await self.judge.judge(self.service, budgets, self.clock.time)

    async def assess(self, services: Sequence[Service], now: datetime) -> Sequence[Sequence[Budget]]:
        return [
            [budget(left, of=slo, as_of=now) for slo, left in zip(of.slos, self.left, strict=True)]
            for of in services
        ]

    async def rolling(self, *_: object) -> RollingHistory:
        return NO_HISTORY

    async def recovers_at(self, *_: object) -> datetime | None:
        return None

    async def actions(self) -> list[str]:
        return [action for _, action in await audited_actions(self.database)]


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


async def test_a_spent_budget_is_recorded_and_shown_but_stops_nothing(shop: Shop) -> None:
    await shop.evaluate(-0.1)
    await shop.evaluate(-0.1, later=1)
    assert await shop.registry.holds(shop.clock.time) == ()
    status = await shop.status_reader.service("checkout")
    assert (status.is_frozen, status.would_be_frozen) == (False, True)
    (hold,) = status.observed
    assert (hold.kind, hold.slo) == (HoldKind.BUDGET, "availability")
    assert await shop.actions() == ["service.would_freeze"]
    assert await announcements(shop.database) == [("#checkout", "service_would_freeze")]


async def test_the_verdict_allows_and_says_that_it_would_have_refused(shop: Shop) -> None:
    await shop.evaluate(-0.1)
    verdict = await shop.status_reader.verdict("checkout", Change("PR-12"))
    assert verdict.allow
    assert verdict.holds == ()
    assert any(
        "would have been refused, but the policy only observes: budget hold" in why for why in verdict.reasons
    )
    exempt = await shop.status_reader.verdict("checkout", Change("PR-12", "security", proof="CVE-2026-1234"))
    assert exempt.allow
    assert not any("would have been refused" in why for why in exempt.reasons)
    async with shop.database.reading() as connection:
        past = await verdict_at(connection, shop.service, Change("PR-12"), shop.clock.time, lambda _: False)
    assert past.allow


async def test_a_budget_that_recovers_ends_what_would_have_been(shop: Shop) -> None:
    await shop.evaluate(-0.1)
    await shop.evaluate(0.5, later=1)
    await shop.evaluate(0.5, later=20)
    assert await shop.registry.current(shop.clock.time) == ()
    assert await shop.actions() == ["service.would_freeze", "service.would_unfreeze"]
    assert [kind for _, kind in await announcements(shop.database)] == [
        "service_would_freeze",
        "service_would_open",
    ]


async def test_missing_data_would_freeze_where_the_policy_says_so(database: Database) -> None:
    shop = Shop(database, replace(OBSERVING, on_missing_data=OnMissingData.FREEZE))
    missing = Budget(shop.service.slos[0], state="no_data", problem="no answer")  # type: ignore[arg-type]
    await shop.judge.judge(shop.service, [missing], NOW)
    assert await shop.registry.holds(NOW) == ()
    assert await shop.actions() == ["service.would_freeze"]


async def test_what_is_observed_becomes_real_once_when_the_policy_is_enforced(shop: Shop) -> None:
    await shop.evaluate(-0.1)
    shop.mode(PolicyMode.ENFORCE)
    for _ in range(3):
        await shop.evaluate(-0.1, later=1)
    (hold,) = await shop.registry.current(shop.clock.time)
    assert (hold.observed, hold.since) == (False, NOW + MINUTE)
    assert not (await shop.status_reader.verdict("checkout", Change("PR-12"))).allow
    assert await shop.actions() == ["service.would_freeze", "hold.enforced"]
    assert (await announcements(shop.database))[1:] == [
        ("#checkout", "service_frozen"),
        ("#releases", "service_frozen"),
    ]


async def test_a_hold_between_the_levels_becomes_real_too(shop: Shop) -> None:
    await shop.evaluate(-0.1)
    await shop.evaluate(0.05, later=1)
    shop.mode(PolicyMode.ENFORCE)
    await shop.evaluate(0.05, later=1)
    (hold,) = await shop.registry.holds(shop.clock.time)
    assert "freezes at 0" in hold.reason


async def test_a_freeze_stops_being_one_once_when_the_policy_only_observes(database: Database) -> None:
    shop = Shop(database, QUIET)
    await shop.evaluate(-0.1)
    shop.mode(PolicyMode.OBSERVE)
    for _ in range(3):
        await shop.evaluate(-0.1, later=1)
    assert await shop.registry.holds(shop.clock.time) == ()
    assert (await shop.status_reader.service("checkout")).would_be_frozen
    assert await shop.actions() == ["service.frozen", "hold.suspended"]
    assert (await announcements(database))[2:] == [
        ("#checkout", "service_open"),
        ("#releases", "service_open"),
    ]
    # The time in which it was frozen stays a freeze for what was deployed then.
    async with database.reading() as connection:
        past = await verdict_at(connection, shop.service, Change("PR-12"), NOW, lambda _: False)
    assert not past.allow


async def test_a_recovery_that_comes_with_the_change_of_mode_is_only_a_recovery(shop: Shop) -> None:
    await shop.evaluate(-0.1)
    await shop.evaluate(0.5, later=1)
    shop.mode(PolicyMode.ENFORCE)
    await shop.evaluate(0.5, later=20)
    assert await shop.registry.current(shop.clock.time) == ()
    assert "hold.enforced" not in await shop.actions()


async def test_a_persons_freeze_is_real_in_any_mode(shop: Shop) -> None:
    await shop.registry.place(shop.service, by="U1", reason="migration", until=None, request="r1", now=NOW)
    await shop.evaluate(1.0)
    assert [hold.kind for hold in await shop.registry.holds(NOW)] == [HoldKind.PERSON]
    await shop.evaluate(-0.1)
    verdict = await shop.status_reader.verdict("checkout", Change("PR-12"))
    assert not verdict.allow
    await shop.registry.lift(shop.service, by="U1", reason="done", now=NOW + MINUTE)
    assert (await announcements(shop.database))[-1] == ("#releases", "hold_lifted")


async def test_the_hold_of_an_incident_only_observes_and_follows_the_mode(shop: Shop) -> None:
    place = {"by": "governor", "reason": "sev1 incident: down", "until": None, "kind": HoldKind.INCIDENT}
    await shop.registry.place(shop.service, request="incident:7:1", now=NOW, **place)  # type: ignore[arg-type]
    assert await shop.registry.holds(NOW) == ()
    assert await announcements(shop.database) == []
    shop.mode(PolicyMode.ENFORCE)
    await shop.evaluate(1.0, later=1)
    await shop.evaluate(1.0, later=1)
    (hold,) = await shop.registry.holds(shop.clock.time)
    assert hold.kind is HoldKind.INCIDENT
    shop.mode(PolicyMode.OBSERVE)
    await shop.evaluate(1.0, later=1)
    shop.mode(PolicyMode.ENFORCE)
    await shop.evaluate(1.0, later=1)
    await shop.registry.lift_incident(
        shop.service, incident="incident:7:", reason="the incident is resolved", now=shop.clock.time
    )
    assert await shop.registry.current(shop.clock.time) == ()
    assert await shop.actions() == [
        "hold.placed", "hold.enforced", "hold.suspended", "hold.enforced", "hold.lifted",
    ]  # fmt: skip


class TestOneServiceWithBothModes:
    """A service whose own policy observes, with one SLO that is enforced."""

    @pytest.fixture
    def mixed(self, shop: Shop) -> Shop:
        slos = (slo(), slo("latency"))
        shop.follow(service(slos=slos, policy=OBSERVING, policies={"latency": QUIET}))
        return shop

    async def test_only_the_enforced_slo_freezes(self, mixed: Shop) -> None:
        await mixed.evaluate(-0.1, 0.5)
        assert await mixed.registry.holds(NOW) == ()
        await mixed.evaluate(-0.1, -0.05, later=1)
        (hold,) = await mixed.registry.holds(mixed.clock.time)
        assert hold.slo == "latency"

    async def test_what_is_only_observed_keeps_no_real_hold(self, mixed: Shop) -> None:
        await mixed.evaluate(-0.2, -0.1)
        (hold,) = await mixed.registry.holds(NOW)
        assert hold.slo == "latency"
        await mixed.evaluate(-0.2, 0.5, later=1)
        await mixed.evaluate(-0.2, 0.5, later=20)
        await mixed.evaluate(-0.2, 0.5, later=1)
        assert await mixed.registry.holds(mixed.clock.time) == ()
        (would,) = (await mixed.status_reader.service("checkout")).observed
        assert would.slo == "availability"


def test_the_mode_of_a_catalog_is_that_of_the_services_policy() -> None:
    policies: Catalog = catalog(checkout(), service("search"))
    assert [of.mode for of in policies.services.values()] == [PolicyMode.OBSERVE, PolicyMode.ENFORCE]
