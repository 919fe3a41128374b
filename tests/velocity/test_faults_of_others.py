"""Where other tools' delivery measures hurt their users: each as a case that comes out right here."""

from datetime import timedelta
from typing import Any

import pytest

from bot.catalog.window import Span
from bot.store.database import Database
from bot.velocity.measures import DeliveryMeasures
from bot.velocity.reader import Velocity, VelocityReader
from bot.velocity.scope import UnknownScopeError, find_scope, team_scope
from tests.support.values import catalog
from tests.velocity.history import History, at, scope_of, service

HOUR = timedelta(hours=1)
MARCH = Span(at("03-01 00:00"), at("04-01 00:00"))


async def measured(database: Database, past: History, span: Span = MARCH, *services: str) -> DeliveryMeasures:
    await past.write(database)
    return (await velocity(database, span, *services)).measures


async def velocity(database: Database, span: Span, *services: str) -> Velocity:
    return await VelocityReader(database).velocity(scope_of(*services or ("checkout",)), span)


def deployed(*ends: str, **more: Any) -> History:
    past = History()
    for end in ends:
        past.deploy(end, at(end), **more)
    return past


async def test_fail_rate_is_of_deployments_and_not_of_changes(database: Database) -> None:
    """The archived four-keys divided incidents by distinct changes (issue 351)."""
    past = deployed("03-03 10:00")
    past.deploy("many", at("03-02 10:00"), *((f"c{each}", HOUR, HOUR) for each in range(9)))
    past.incident(1, at("03-03 10:05"), at("03-03 11:00"), "03-03 10:00")
    found = await measured(database, past)
    assert (found.change_fail_rate.count, found.change_fail_rate.n) == (1, 2)


async def test_recovery_begins_with_the_deployment_and_not_with_the_incident(database: Database) -> None:
    """The archived four-keys and middleware measured from the incident's creation (issue 119)."""
    past = deployed("03-02 10:00")
    past.incident(1, at("03-02 14:00"), at("03-02 15:00"), "03-02 10:00", opened=at("03-02 14:30"))
    assert (await measured(database, past)).recovery.times.p50 == 5 * HOUR


async def test_changes_with_wrong_times_are_counted_as_dropped(database: Database) -> None:
    """The archived four-keys dropped them in silence, those of no time among them."""
    past = History()
    past.deploy("d", at("03-02 10:00"), ("at-once", timedelta(), None), ("later", -HOUR, None))
    lead_time = (await measured(database, past)).lead_time
    assert (lead_time.times.n, lead_time.times.p50, lead_time.dropped) == (1, timedelta(), 1)


async def test_a_deployment_with_many_incidents_failed_once(database: Database) -> None:
    """DevLake counted incidents: 26.1% instead of 17.4% (pull request 8890)."""
    past = deployed(*(f"03-{day:02} 10:00" for day in range(2, 25)))
    for number in range(6):
        day = min(number, 3) + 2
        past.incident(number + 1, at(f"03-{day:02} 11:00"), at(f"03-{day:02} 12:00"), f"03-{day:02} 10:00")
    rate = (await measured(database, past)).change_fail_rate
    assert (rate.count, rate.n) == (4, 23)
    assert rate.value == pytest.approx(0.174, abs=0.0005)


async def test_jobs_of_one_run_are_one_deployment(database: Database) -> None:
    past = deployed("03-02 10:00", "03-02 10:04", "03-02 10:09", run="run 7")
    found = await measured(database, past)
    assert found.deployment_frequency.n == 1
    assert (await velocity(database, MARCH)).deliveries[0].finished_at == at("03-02 10:09")


@pytest.mark.parametrize("shift", range(-3, 4))
async def test_no_shift_of_the_window_blames_another_deployment(database: Database, shift: int) -> None:
    """DevLake blamed another deployment where data was collected from a day later on (issue 4989)."""
    past = deployed("03-10 10:00", "03-11 10:00", "03-12 10:00")
    past.incident(1, at("03-11 10:05"), at("03-11 12:00"), "03-10 10:00")
    past.incident(2, at("03-12 09:00"), at("03-12 09:30"))
    await past.write(database)
    start = at("03-11 09:00") + timedelta(days=shift)
    found = await velocity(database, Span(start, start + timedelta(days=30)))
    said = {each.reports[0]: (each.has_failed, each.is_suspected) for each in found.deliveries}
    true = {"03-10 10:00": (True, False), "03-11 10:00": (False, True), "03-12 10:00": (False, False)}
    assert said == {name: what for name, what in true.items() if at(name) >= start}


async def test_an_incident_is_not_the_last_deployments_however_long_ago(database: Database) -> None:
    """The tool middleware gives it to the latest one before it, of whichever repository of the team."""
    past = deployed("03-02 10:00")
    past.deploy("other", at("03-10 09:00"), to="search")
    past.incident(1, at("03-10 10:00"), at("03-10 11:00"))
    found = await measured(database, past, MARCH, "checkout", "search")
    assert (found.change_fail_rate.count, found.suspected.count) == (0, 0)


async def test_a_failure_counts_though_its_incident_began_after_the_window(database: Database) -> None:
    """The tool middleware lets incidents vanish that lie before the first deployment of the range."""
    past = deployed("03-31 23:00", "04-05 10:00")
    past.incident(1, at("04-02 10:00"), at("04-02 12:00"), "03-31 23:00")
    assert (await measured(database, past)).change_fail_rate.count == 1
    april = (await velocity(database, Span(at("04-01 00:00"), at("05-01 00:00")))).measures
    assert (april.change_fail_rate.count, april.change_fail_rate.n) == (0, 1)


async def test_one_long_outlier_moves_no_median(database: Database) -> None:
    """The tool middleware shows means: one change that waited a year hides all the others."""
    past = History()
    for day in range(2, 11):
        past.deploy(f"{day}", at(f"03-{day:02} 10:00"), (f"c{day}", HOUR, HOUR))
    past.deploy("old", at("03-12 10:00"), ("old", timedelta(days=365), HOUR))
    lead_time = (await measured(database, past)).lead_time.times
    assert (lead_time.n, lead_time.p50) == (10, HOUR)


async def test_duplicates_of_an_incident_count_once(database: Database) -> None:
    """GitLab counts them twice."""
    past = deployed("03-02 10:00", "03-03 10:00")
    past.incident(1, at("03-02 11:00"), at("03-02 12:00"), "03-02 10:00")
    past.incident(2, at("03-02 11:00"), at("03-02 15:00"), "03-02 10:00", status="merged", merged_into=1)
    found = await measured(database, past)
    assert (found.change_fail_rate.count, found.recovery.times.p50) == (1, 2 * HOUR)


async def test_lead_time_begins_with_the_commit_and_not_with_the_merge(database: Database) -> None:
    """GitLab and DevLake begin with the merge or the pull request: here both are shown."""
    past = History()
    past.deploy("d", at("03-02 10:00"), ("c", 30 * HOUR, 2 * HOUR))
    found = await measured(database, past)
    assert found.lead_time.times.p50 == 30 * HOUR
    assert found.lead_time_from_merge.times.p50 == 2 * HOUR


async def test_what_is_told_late_counts_where_it_belongs(database: Database) -> None:
    """Datadog refuses what is older than an hour."""
    past = deployed("03-02 10:00")
    await past.write(database)
    assert (await velocity(database, MARCH)).measures.change_fail_rate.count == 0
    late = History()
    late.incident(1, at("03-02 10:10"), at("03-02 11:00"), "03-02 10:00", opened=at("06-20 09:00"))
    late.deploy("03-05 10:00", at("03-05 10:00"))
    await late.write(database)
    found = (await velocity(database, MARCH)).measures
    assert (found.change_fail_rate.count, found.change_fail_rate.n) == (1, 2)


async def test_a_service_that_began_lately_has_no_measures_before(database: Database) -> None:
    past = deployed("03-20 10:00")
    await past.write(database)
    found = (await velocity(database, Span(at("02-01 00:00"), at("03-01 00:00")))).measures
    assert (found.deployment_frequency.n, found.change_fail_rate.value) == (0, None)
    assert found.lead_time.times.p50 is None


def test_people_have_no_measures() -> None:
    known = catalog(service("checkout", "@checkout-devs"), service("search", "U0DANA", "@Checkout-Devs"))
    assert team_scope(known, "checkout-devs").service_names == ("checkout", "search")
    assert find_scope(known, "@CHECKOUT-devs").service_names == ("checkout", "search")
    with pytest.raises(UnknownScopeError, match="there is no team U0DANA"):
        team_scope(known, "U0DANA")
