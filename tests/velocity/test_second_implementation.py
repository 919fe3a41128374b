"""The measures against a second implementation in SQL, which shares no code with the first.

It runs over random years with everything in them that goes wrong: several jobs of a run, rollbacks, reports
of staging and of failures, commits that come again, changes with odd times, incidents that overlap, lack an
end, were cancelled, or are nobody's. Rollbacks of rollbacks are not in it: `test_year.py` and
`tests/deployments/test_judgement.py` have those.
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bot.catalog.window import Span
from bot.store.database import Database
from bot.velocity.measures import DeliveryMeasures
from bot.velocity.reader import VelocityReader
from tests.velocity.history import History, scope_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)
SERVICES = ("checkout", "search")
DAY_US = 86_400_000_000

# One row for each run that succeeded in production, with the least and the last end of its jobs.
RUNS = """
runs AS (
  SELECT d.service, COALESCE('run ' || d.run, 'id ' || d.deployment) AS unit,
         MIN(d.started_at) AS began, MIN(d.finished_at) AS first_end, MAX(d.finished_at) AS ended,
         MAX(CASE WHEN d.rework IS NULL THEN 0 ELSE 1 END) AS rework
  FROM deployments d
  WHERE d.production AND d.state = 'succeeded'
  GROUP BY d.service, COALESCE('run ' || d.run, 'id ' || d.deployment)
),
units AS (
  SELECT d.service, d.deployment, COALESCE('run ' || d.run, 'id ' || d.deployment) AS unit
  FROM deployments d WHERE d.production AND d.state = 'succeeded'
),
suffered AS (
  SELECT i.id, s.service, MIN(p.start) AS started,
         CASE WHEN COUNT(p."end") = COUNT(*) THEN MAX(p."end") END AS over
  FROM incidents i
  JOIN incident_services s ON s.incident_id = i.id
  JOIN incident_impacts p ON p.incident_id = i.id AND (p.service IS NULL OR p.service = s.service)
  WHERE i.status NOT IN ('cancelled', 'merged')
  GROUP BY i.id, s.service
),
caused AS (
  SELECT DISTINCT u.service, u.unit, f.id, f.over
  FROM deployment_incidents l
  JOIN units u ON u.service = l.service AND u.deployment = l.deployment
  JOIN suffered f ON f.id = l.incident_id AND f.service = l.service
  WHERE l.removed_at IS NULL
),
undone AS (
  SELECT target.service, target.unit, MIN(r.ended) AS at
  FROM deployments d
  JOIN units own ON own.service = d.service AND own.deployment = d.deployment
  JOIN runs r ON r.service = own.service AND r.unit = own.unit
  JOIN units target ON target.service = d.service AND target.deployment = d.undoes
  GROUP BY target.service, target.unit
),
failed AS (
  SELECT r.service, r.unit,
         CASE WHEN EXISTS (SELECT 1 FROM caused c WHERE c.service = r.service AND c.unit = r.unit)
              THEN (SELECT CASE WHEN COUNT(c.over) = COUNT(*) THEN MAX(c.over) END
                    FROM caused c WHERE c.service = r.service AND c.unit = r.unit)
              ELSE (SELECT n.at FROM undone n WHERE n.service = r.service AND n.unit = r.unit)
         END AS recovered
  FROM runs r
  WHERE EXISTS (SELECT 1 FROM caused c WHERE c.service = r.service AND c.unit = r.unit)
     OR EXISTS (SELECT 1 FROM undone n WHERE n.service = r.service AND n.unit = r.unit)
),
blamed AS (
  SELECT DISTINCT f.service,
         (SELECT r.unit FROM runs r WHERE r.service = f.service AND r.began <= f.started
          ORDER BY r.began DESC, r.ended DESC LIMIT 1) AS unit, f.id, f.started
  FROM suffered f
  WHERE NOT EXISTS (SELECT 1 FROM deployment_incidents l
                    WHERE l.incident_id = f.id AND l.removed_at IS NULL)
),
suspected AS (
  SELECT DISTINCT b.service, b.unit FROM blamed b
  JOIN runs r ON r.service = b.service AND r.unit = b.unit
  WHERE b.started - r.ended <= :day
    AND NOT EXISTS (SELECT 1 FROM failed f WHERE f.service = b.service AND f.unit = b.unit)
),
shown AS (SELECT * FROM runs WHERE ended >= :since AND ended < :until)
"""
COUNTS = """
WITH {runs}
SELECT (SELECT COUNT(*) FROM shown) AS n,
       (SELECT COUNT(*) FROM shown r JOIN failed f ON f.service = r.service AND f.unit = r.unit) AS failed,
       (SELECT COUNT(*) FROM shown r JOIN suspected s ON s.service = r.service AND s.unit = r.unit)
         AS suspected,
       (SELECT COALESCE(SUM(rework), 0) FROM shown) AS rework
"""
RECOVERIES = """
WITH {runs}
SELECT CASE WHEN f.recovered < r.ended THEN 0 ELSE f.recovered - r.ended END AS length
FROM shown r JOIN failed f ON f.service = r.service AND f.unit = r.unit
WHERE f.recovered IS NOT NULL
"""
LEAD_TIMES = """
WITH {runs},
carried AS (
  SELECT DISTINCT u.service, u.unit, c."commit", c.{column} AS began
  FROM deployment_changes c JOIN units u ON u.service = c.service AND u.deployment = c.deployment
),
first AS (
  SELECT k.service, k."commit", MIN(r.first_end) AS at
  FROM carried k JOIN runs r ON r.service = k.service AND r.unit = k.unit
  GROUP BY k.service, k."commit"
)
SELECT r.ended - k.began AS length
FROM shown r
JOIN carried k ON k.service = r.service AND k.unit = r.unit
JOIN first f ON f.service = k.service AND f."commit" = k."commit" AND f.at = r.first_end
"""


def random_year(seed: int) -> History:
    """Return a year of two services."""
    draw, year = random.Random(seed), History()  # noqa: S311 - reproducible, not secret
    incident = 0
    for service in SERVICES:
        earlier: list[str] = []
        at = START + timedelta(hours=draw.uniform(0, 200))
        while at < START + timedelta(days=365):
            at += timedelta(hours=draw.expovariate(1 / 90) + 0.2)
            run = f"run {len(earlier)}" if draw.random() < 0.3 else None
            name = f"{service} {len(earlier)}"
            commits = [(f"{name} {each}", *_times(draw)) for each in range(draw.randint(0, 4))]
            if len(earlier) > 3 and draw.random() < 0.3:
                commits.append((f"{service} {len(earlier) - 2} 0", *_times(draw)))
            is_undoing = earlier and draw.random() < 0.1 and not earlier[-1].endswith("back")
            undoes = earlier[-1] if is_undoing else None
            for job in range(draw.randint(2, 4) if run else 1):
                id_ = f"{service} {len(earlier)} {job}{' back' if undoes else ''}"
                at += timedelta(seconds=draw.randint(1, 400))
                more: dict[str, Any] = {"state": "failed"} if draw.random() < 0.08 else {}
                more |= {"production": False} if draw.random() < 0.05 else {}
                changes = [(name, a and a + (at - START), m and m + (at - START)) for name, a, m in commits]
                year.deploy(id_, at, *changes, to=service, run=run, undoes=undoes, **more)
            if undoes or draw.random() < 0.05:
                for row in year.rows["deployments"][-1:]:
                    row["rework"] = "because something failed"
            earlier.append(id_)
            if draw.random() < 0.25:
                incident += 1
                began = at + timedelta(hours=draw.choice((0.2, 5, 23.9, 24.1, 60)))
                end = None if draw.random() < 0.1 else began + timedelta(minutes=draw.randint(1, 6000))
                status: dict[str, Any] = {"status": "cancelled"} if draw.random() < 0.15 else {}
                linked = [id_] if draw.random() < 0.6 else []
                year.incident(incident, began, end, *linked, of=(service,), **status)
                if linked and draw.random() < 0.2:
                    year.rows["deployment_incidents"][-1]["removed_at"] = began
    return year


def _times(draw: random.Random) -> tuple[timedelta | None, timedelta | None]:
    """Return before the year's start how long a change was written and merged: some odd, some not known."""
    hours = draw.expovariate(1 / 30)
    written = draw.choice((hours, hours, hours, hours, None, -9_000, 24 * 800))
    merged = draw.choice((hours / 3, hours / 3, hours / 3, None))
    return tuple(None if each is None else timedelta(hours=each) for each in (written, merged))  # type: ignore[return-value]


def quantile(lengths: Sequence[int], share: float) -> float | None:
    """Return a quantile in microseconds as `percentile_cont` of PostgreSQL has it."""
    if not lengths:
        return None
    ordered, place = sorted(lengths), share * (len(lengths) - 1)
    low = int(place)
    high = low if low == place else low + 1
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


async def second(database: Database, span: Span) -> dict[str, Any]:
    """Return what the second implementation says of a span, times in microseconds."""
    values = {"since": us(span.start), "until": us(span.end), "day": DAY_US}
    async with database.reading() as connection:
        counts = (await connection.execute(text(COUNTS.replace("{runs}", RUNS)), values)).mappings().one()
        query = text(RECOVERIES.replace("{runs}", RUNS))
        recoveries = [row.length for row in await connection.execute(query, values)]
        found: dict[str, Any] = dict(counts)
        lead_times = {}
        for column in ("authored_at", "merged_at"):
            query = text(LEAD_TIMES.replace("{runs}", RUNS).replace("{column}", column))
            lead_times[column] = [row.length for row in await connection.execute(query, values)]
    found["recovery"] = (len(recoveries), quantile(recoveries, 0.5), quantile(recoveries, 0.9))
    for column, lengths in lead_times.items():
        kept = [each for each in lengths if each is not None and 0 <= each <= 400 * DAY_US]
        unknown = sum(each is None for each in lengths)
        dropped = len(lengths) - len(kept) - unknown
        found[column] = (len(kept), quantile(kept, 0.5), quantile(kept, 0.9), dropped, unknown)
    return found


def first(measures: DeliveryMeasures) -> dict[str, Any]:
    """Return the same of the bot's measures."""
    recovery = measures.recovery.times
    found: dict[str, Any] = {
        "n": measures.deployment_frequency.n,
        "failed": measures.change_fail_rate.count,
        "suspected": measures.suspected.count,
        "rework": measures.rework_rate.count,
        "recovery": (recovery.n, *map(in_us, (recovery.p50, recovery.p90))),
    }
    lead_times = {"authored_at": measures.lead_time, "merged_at": measures.lead_time_from_merge}
    for column, each in lead_times.items():
        times = each.times
        found[column] = (times.n, in_us(times.p50), in_us(times.p90), each.dropped, each.unknown)
    return found


def us(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def in_us(length: timedelta | None) -> int | None:
    return None if length is None else length // timedelta(microseconds=1)


@pytest.mark.parametrize("seed", range(4))
async def test_both_implementations_agree_on_every_window(database: Database, seed: int) -> None:
    await random_year(seed).write(database)
    reader, scope = VelocityReader(database), scope_of(*SERVICES)
    draw = random.Random(f"windows {seed}")  # noqa: S311 - as above
    whole = Span(START - timedelta(days=1), START + timedelta(days=500))
    starts = [START + timedelta(hours=draw.uniform(0, 8_000)) for _ in range(6)]
    spans = [whole, *(Span(start, start + timedelta(days=draw.choice((1, 7, 30, 90)))) for start in starts)]
    for span in spans:
        found = first((await reader.velocity(scope, span)).measures)
        expected = await second(database, span)
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=1), f"{name} of {span}"
    assert found is not None
    year = first((await reader.velocity(scope, whole)).measures)
    assert min(year["failed"], year["suspected"], year["rework"], year["recovery"][0]) > 0
