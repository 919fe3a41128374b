"""Holds of people: placed, lifted, ended and exempted from, each with its audit row and announcements."""

from datetime import datetime
from typing import Any

import pytest

from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.hold import Hold, HoldKind
from bot.freezes.hold_registry import AlreadyRequestedError, HoldRegistry, NothingToLiftError, OwnHoldError
from bot.store.database import Database
from tests.freezes.store_contents import announcements, audited_actions
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.due_holds import expire
from tests.support.examples import WORKSPACE
from tests.support.values import budget, catalog, service

CHECKOUT = service()


async def place(hold_registry: HoldRegistry, request: str = "r1", until: datetime | None = None) -> Hold:
    placed = await hold_registry.place(
        CHECKOUT, by="U1", reason="migration", until=until, request=request, now=NOW
    )
    return placed.hold


async def test_a_person_freezes_and_lifts(hold_registry: HoldRegistry, database: Database) -> None:
    hold = await place(hold_registry)
    assert await hold_registry.holds(NOW, "checkout") == (hold,)
    await hold_registry.lift(CHECKOUT, by="U2", reason="done", now=NOW + MINUTE)
    assert await hold_registry.holds(NOW + MINUTE) == ()
    assert await audited_actions(database) == [("U1", "hold.placed"), ("U2", "hold.lifted")]


async def test_a_repeated_request_places_one_hold(hold_registry: HoldRegistry) -> None:
    await place(hold_registry)
    with pytest.raises(AlreadyRequestedError):
        await place(hold_registry)
    assert len(await hold_registry.holds(NOW)) == 1


async def test_a_repeated_request_lifts_nothing_that_was_placed_since(hold_registry: HoldRegistry) -> None:
    await place(hold_registry)
    await hold_registry.lift(CHECKOUT, by="U2", reason="done", now=NOW, request="lift-1")
    await hold_registry.place(CHECKOUT, by="U1", reason="again", until=None, request="other", now=NOW)
    with pytest.raises(AlreadyRequestedError):
        await hold_registry.lift(CHECKOUT, by="U2", reason="done", now=NOW, request="lift-1")
    assert len(await hold_registry.holds(NOW)) == 1


async def test_a_persons_second_hold_replaces_their_own_only_if_they_say_so(
    hold_registry: HoldRegistry, database: Database
) -> None:
    first = await place(hold_registry)
    other = await hold_registry.place(CHECKOUT, by="U9", reason="audit", until=None, request="r2", now=NOW)
    values: dict[str, Any] = {"by": "U1", "reason": "longer", "until": None, "now": NOW + MINUTE}
    with pytest.raises(OwnHoldError) as refused:
        await hold_registry.place(CHECKOUT, **values, request="r3", replacing=False)
    assert refused.value.holds == (first,)
    assert await hold_registry.holds(NOW) == (first, other.hold)
    before = len(await announcements(database))
    placed = await hold_registry.place(CHECKOUT, **values, request="r3", replacing=True)
    assert placed.replaced == (first,)
    assert await hold_registry.holds(NOW + MINUTE) == (other.hold, placed.hold)
    assert (await announcements(database))[before:] == [
        ("#checkout", "HoldPlaced"),
        ("#releases", "HoldPlaced"),
    ]
    assert (await audited_actions(database))[-2:] == [("U1", "hold.lifted"), ("U1", "hold.placed")]
    with pytest.raises(AlreadyRequestedError):
        await hold_registry.place(CHECKOUT, **values, request="r3", replacing=True)


async def test_several_holds_that_one_command_lifts_are_told_once(
    hold_registry: HoldRegistry, database: Database
) -> None:
    for request in ("r1", "r2", "r3"):
        await place(hold_registry, request)
    before = len(await announcements(database))
    assert len(await hold_registry.lift(CHECKOUT, by="U2", reason="", now=NOW + MINUTE)) == 3
    assert (await announcements(database))[before:] == [
        ("#checkout", "HoldLifted"),
        ("#releases", "HoldLifted"),
    ]
    assert (await audited_actions(database))[-3:] == [("U2", "hold.lifted")] * 3


async def test_several_holds_that_run_out_at_once_are_told_once(
    hold_registry: HoldRegistry, database: Database
) -> None:
    await place(hold_registry, until=NOW + HOUR)
    await place(hold_registry, "r2", until=NOW + HOUR - MINUTE)
    before = len(await announcements(database))
    assert await expire(database, hold_registry, NOW + HOUR) == 2
    assert (await announcements(database))[before:] == [
        ("#checkout", "HoldExpired"),
        ("#releases", "HoldExpired"),
    ]
    assert (await audited_actions(database))[-2:] == [("governor", "hold.expired")] * 2


async def test_a_person_cannot_lift_the_bots_hold(judge: BudgetJudge, hold_registry: HoldRegistry) -> None:
    await judge.judge(CHECKOUT, [budget(-0.1)], NOW)
    with pytest.raises(NothingToLiftError) as refused:
        await hold_registry.lift(CHECKOUT, by="U1", reason="please", now=NOW)
    assert [hold.kind for hold in refused.value.holds] == [HoldKind.BUDGET]
    assert len(await hold_registry.holds(NOW)) == 1


async def test_a_hold_with_an_end_expires_once_and_is_told(
    hold_registry: HoldRegistry, database: Database
) -> None:
    await place(hold_registry, until=NOW + HOUR)
    assert await expire(database, hold_registry, NOW + 59 * MINUTE) == 0
    assert await expire(database, hold_registry, NOW + HOUR) == 1
    assert await expire(database, hold_registry, NOW + HOUR) == 0
    assert (await announcements(database))[-1] == ("#releases", "HoldExpired")
    assert (await audited_actions(database))[-1] == ("governor", "hold.expired")


async def test_a_hold_of_a_service_that_left_the_policies_expires_and_is_told(
    hold_registry: HoldRegistry, database: Database
) -> None:
    await place(hold_registry, until=NOW + HOUR)
    without = catalog(service("search"), workspace=WORKSPACE)
    assert await expire(database, hold_registry, NOW + HOUR, without.service_or_stand_in) == 1
    assert (await announcements(database))[-2:] == [("#releases", "HoldExpired")] * 2
    assert (await audited_actions(database))[-1] == ("governor", "hold.expired")


async def test_a_persons_hold_is_lifted_by_the_name_of_a_service_that_left(
    hold_registry: HoldRegistry,
) -> None:
    await place(hold_registry)
    gone = catalog(service("search")).service_or_stand_in("checkout")
    await hold_registry.lift(gone, by="U2", reason="retired", now=NOW)
    assert await hold_registry.holds(NOW) == ()


async def test_a_budget_hold_of_a_service_without_slos_may_be_lifted_and_is_named(
    judge: BudgetJudge, hold_registry: HoldRegistry
) -> None:
    await judge.judge(CHECKOUT, [budget(-0.1)], NOW)
    assert await hold_registry.ended_causes(lambda _: CHECKOUT, NOW) == []
    without = catalog(service("search"))
    ((hold, cause),) = await hold_registry.ended_causes(without.service_or_stand_in, NOW)
    assert (hold.service, cause.why) == ("checkout", "the policies have no SLO of this service any more")
    await hold_registry.lift(without.service_or_stand_in("checkout"), by="U1", reason="gone", now=NOW)
    assert await hold_registry.holds(NOW) == ()


async def test_an_exemption_is_remembered_until_it_runs_out(hold_registry: HoldRegistry) -> None:
    await hold_registry.exempt(
        CHECKOUT, change="PR-12", by="U1", reason="leak", until=NOW + HOUR, request="r1", now=NOW
    )
    assert [exemption.change for exemption in await hold_registry.exemptions("checkout", NOW)] == ["PR-12"]
    assert await hold_registry.exemptions("checkout", NOW + HOUR) == []


async def test_an_incident_lifts_the_holds_that_its_request_names_in_the_same_letters(
    hold_registry: HoldRegistry,
) -> None:
    values: dict[str, Any] = {"by": "governor", "until": None, "kind": HoldKind.INCIDENT, "now": NOW}
    for request in ("incident:7:checkout", "Incident:7:checkout", "incident:70:checkout"):
        await hold_registry.place(CHECKOUT, reason=request, request=request, **values)
    await hold_registry.lift_incident(CHECKOUT, incident="incident:7:", reason="over", now=NOW)
    assert [hold.reason for hold in await hold_registry.holds(NOW)] == [
        "Incident:7:checkout",
        "incident:70:checkout",
    ]
