"""The measures of a synthetic year against a table that was computed by hand.

| deployment | ended | changes: written / merged hours before | what became of it |
|---|---|---|---|
| first | 5 Jan 10:00 | 4/2, 24/1 | an incident on 2 Jan, before any deployment, is nobody's |
| three jobs of run 7 | 2 Feb 10:00, 10:05, 10:20 | 8/1, in each job | one deployment, which ended at 10:20 |
| two-incidents | 2 Mar 09:00 | 48/4 | failed; over at 10:00 and at 13:00: 4 h; a duplicate merged into one |
| a | 6 Apr 10:00 | 12/3 | failed; rolled back after 30 min |
| b | 6 Apr 10:30 | | the rollback of a: rework; rolled forward by c, so it did not fail |
| c | 6 Apr 11:00 | the change of a once more | failed again; rolled back after 15 min |
| d | 6 Apr 11:15 | | the rollback of the roll forward: rework |
| month-end | 31 May 23:00 | 6/2 | failed; over on 1 June at 01:00: 2 h |
| odd-times | 15 Jun 12:00 | −1/–, 9624/3, –/– | two dropped, one unknown; from merge one, and two unknown |
| hotfix | 6 Jul 12:00 | 2/1 | rework; suspected: an incident 23 h later |
| long-before | 3 Aug 10:00 | 30/6 | an incident more than 24 h later is nobody's |
| false-alarm | 7 Sep 10:00 | 10/5 | the incident was cancelled; another's link was taken back: suspected |
| still-burning | 5 Oct 10:00 | 20/2 | failed; has not recovered |
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from bot.catalog.window import Span
from bot.store.database import Database
from bot.velocity.measures import DeliveryMeasures
from bot.velocity.reader import VelocityReader
from tests.velocity.history import History, at, scope_of

HOUR = timedelta(hours=1)
YEAR = Span(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
MONTHS = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 13)] + [YEAR.end]


def synthetic_year() -> History:
    """Return the rows of the table above."""
    year = History()
    year.incident(1, at("01-02 00:00"), at("01-02 02:00"))
    year.deploy("first", at("01-05 10:00"), ("c1", 4 * HOUR, 2 * HOUR), ("c2", 24 * HOUR, HOUR))
    for job, ended, before in (("build", "10:00", 20), ("web", "10:05", 15), ("api", "10:20", 0)):
        minutes = timedelta(minutes=before)
        change = ("c3", 8 * HOUR - minutes, HOUR - minutes)
        year.deploy(f"run 7 {job}", at(f"02-02 {ended}"), change, run="run 7")
    year.deploy("two-incidents", at("03-02 09:00"), ("c4", 48 * HOUR, 4 * HOUR))
    year.incident(2, at("03-02 09:10"), at("03-02 10:00"), "two-incidents")
    year.incident(3, at("03-02 11:00"), at("03-02 13:00"), "two-incidents")
    year.incident(4, at("03-02 11:30"), at("03-02 15:00"), "two-incidents", status="merged", merged_into=3)
    year.deploy("a", at("04-06 10:00"), ("c5", 12 * HOUR, 3 * HOUR))
    year.deploy("b", at("04-06 10:30"), undoes="a", rework="a rollback of a")
    year.deploy("c", at("04-06 11:00"), ("c5", 13 * HOUR, 4 * HOUR), undoes="b")
    year.deploy("d", at("04-06 11:15"), undoes="c", rework="a rollback of c")
    year.deploy("month-end", at("05-31 23:00"), ("c6", 6 * HOUR, 2 * HOUR))
    year.incident(5, at("05-31 23:30"), at("06-01 01:00"), "month-end")
    year.deploy(
        "odd-times",
        at("06-15 12:00"),
        ("x1", -HOUR, None),
        ("x2", 401 * 24 * HOUR, 3 * HOUR),
        ("x3", None, None),
    )
    year.deploy("hotfix", at("07-06 12:00"), ("c7", 2 * HOUR, HOUR), rework="fixes incident 3")
    year.incident(6, at("07-07 11:00"), at("07-07 12:00"))
    year.deploy("long-before", at("08-03 10:00"), ("c8", 30 * HOUR, 6 * HOUR))
    year.incident(7, at("08-04 10:01"), at("08-04 11:00"))
    year.deploy("not-deployed", at("08-20 10:00"), ("c8b", HOUR, HOUR), state="failed")
    year.deploy("staging", at("08-21 10:00"), production=False, environment="staging")
    year.deploy("false-alarm", at("09-07 10:00"), ("c9", 10 * HOUR, 5 * HOUR))
    year.incident(8, at("09-07 10:30"), at("09-07 11:00"), "false-alarm", status="cancelled")
    year.incident(9, at("09-07 12:00"), at("09-07 13:00"))
    year.link("false-alarm", 9, removed_at=at("09-08 09:00"), removed_by="U0SAM")
    year.deploy("still-burning", at("10-05 10:00"), ("c10", 20 * HOUR, 2 * HOUR))
    year.incident(10, at("10-05 10:05"), None, "still-burning")
    # Another service of the same team: the same commit is a change of it as well.
    year.deploy("search 1", at("02-10 10:00"), ("c3", 16 * HOUR, 8 * HOUR), to="search")
    return year


@pytest.fixture
async def reader(database: Database) -> VelocityReader:
    """A reader of the synthetic year."""
    await synthetic_year().write(database)
    return VelocityReader(database)


async def _measures(reader: VelocityReader, span: Span, *services: str) -> DeliveryMeasures:
    return (await reader.velocity(scope_of(*services or ("checkout",)), span)).measures


async def test_year_is_as_computed_by_hand(reader: VelocityReader) -> None:
    year = await _measures(reader, YEAR)
    assert year.deployment_frequency.n == 13
    assert year.deployment_frequency.per_week == pytest.approx(13 / (365 / 7))
    # 2 4 6 8 10 12 20 24 30 48
    assert (year.lead_time.times.n, year.lead_time.dropped, year.lead_time.unknown) == (10, 2, 1)
    assert (year.lead_time.times.p50, year.lead_time.times.p90) == (11 * HOUR, 31.8 * HOUR)
    # 1 1 1 2 2 2 3 3 4 5 6
    merged = year.lead_time_from_merge
    assert (merged.times.n, merged.dropped, merged.unknown) == (11, 0, 2)
    assert (merged.times.p50, merged.times.p90) == (2 * HOUR, 5 * HOUR)
    # ¼ ½ 2 4
    assert (year.recovery.times.n, year.recovery.unrecovered) == (4, 1)
    assert (year.recovery.times.p50, year.recovery.times.p90) == (1.25 * HOUR, 3.4 * HOUR)
    assert (year.change_fail_rate.count, year.change_fail_rate.n) == (5, 13)
    assert year.change_fail_rate.low == pytest.approx(0.1771, abs=1e-4)
    assert year.change_fail_rate.high == pytest.approx(0.6448, abs=1e-4)
    assert (year.suspected.count, year.suspected.n) == (2, 13)
    assert (year.rework_rate.count, year.rework_rate.n) == (3, 13)
    assert year.without_changes == 2


async def test_months_are_as_computed_by_hand(reader: VelocityReader) -> None:
    found = [await _measures(reader, Span(*ends)) for ends in pairwise(MONTHS)]
    deployed = [month.deployment_frequency.n for month in found]
    assert deployed == [1, 1, 1, 4, 1, 1, 1, 1, 1, 1, 0, 0]
    assert [month.change_fail_rate.count for month in found] == [0, 0, 1, 2, 1, 0, 0, 0, 0, 1, 0, 0]
    assert [month.rework_rate.count for month in found] == [0, 0, 0, 2, 0, 0, 1, 0, 0, 0, 0, 0]
    assert [month.suspected.count for month in found] == [0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0]
    lead_times = [month.lead_time.times.p50 for month in found]
    hours = [None if length is None else length / HOUR for length in lead_times]
    assert hours == [14, 8, 48, 12, 6, None, 2, 30, 10, 20, None, None]
    recoveries = [month.recovery.times.p50 for month in found]
    assert [None if length is None else length / HOUR for length in recoveries] == [
        None, None, 4, 0.375, 2, None, None, None, None, None, None, None,
    ]  # fmt: skip


async def test_team_is_its_services_together(reader: VelocityReader) -> None:
    team = await _measures(reader, YEAR, "checkout", "search")
    assert team.deployment_frequency.n == 14
    assert team.lead_time.times.n == 11
    assert team.lead_time.times.p50 == 12 * HOUR
    # The time between two deployments is that of one service: search has only one.
    assert team.deployment_frequency.between.n == 12


async def test_a_deployment_counts_the_same_wherever_the_window_begins(reader: VelocityReader) -> None:
    around = at("04-06 10:00")
    for days in range(-40, 40, 7):
        start = around + timedelta(days=days, minutes=-1)
        span = Span(start, start + timedelta(days=90))
        velocity = await reader.velocity(scope_of("checkout"), span)
        for each in velocity.deliveries:
            whole = await reader.velocity(scope_of("checkout"), YEAR)
            assert each in whole.deliveries


async def test_window_that_ends_within_a_run_has_none_of_it(reader: VelocityReader) -> None:
    before = await _measures(reader, Span(at("02-02 00:00"), at("02-02 10:10")))
    after = await _measures(reader, Span(at("02-02 10:10"), at("02-03 00:00")))
    assert (before.deployment_frequency.n, after.deployment_frequency.n) == (0, 1)
    assert after.lead_time.times.p50 == 8 * HOUR


async def test_first_deployment_of_a_window_knows_the_one_before_it(reader: VelocityReader) -> None:
    august = await _measures(reader, Span(at("08-01 00:00"), at("09-01 00:00")))
    assert august.deployment_frequency.between.n == 1
    assert august.deployment_frequency.between.p50 == at("08-03 10:00") - at("07-06 12:00")
