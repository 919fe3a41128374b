"""When freeze windows come: ten years in forty zones, with their changes of clocks, against dateutil."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from dateutil import tz
from dateutil.rrule import rrulestr

from bot.catalog.freeze_window import FreezeWindow
from bot.freezes.calendar.occurrences import current_occurrence, next_occurrence

YEARS = (datetime(2026, 1, 1), datetime(2036, 1, 1))  # noqa: DTZ001 - local times
ZONES = (
    "Africa/Cairo", "Africa/Casablanca", "Africa/Johannesburg", "America/Anchorage", "America/Asuncion",
    "America/Bogota", "America/Chicago", "America/Denver", "America/Halifax", "America/Havana",
    "America/Los_Angeles", "America/Mexico_City", "America/New_York", "America/Nuuk", "America/Santiago",
    "America/Sao_Paulo", "America/St_Johns", "Antarctica/Troll", "Asia/Beirut", "Asia/Gaza", "Asia/Jerusalem",
    "Asia/Kathmandu", "Asia/Kolkata", "Asia/Shanghai", "Asia/Tehran", "Asia/Tokyo", "Atlantic/Azores",
    "Australia/Adelaide", "Australia/Lord_Howe", "Australia/Sydney", "Europe/Berlin", "Europe/Chisinau",
    "Europe/Dublin", "Europe/London", "Pacific/Apia", "Pacific/Auckland", "Pacific/Chatham",
    "Pacific/Easter", "Pacific/Kiritimati", "UTC",
)  # fmt: skip
RULES = ("FREQ=WEEKLY;BYDAY=SU", "FREQ=MONTHLY;BYDAY=-1SU", "FREQ=WEEKLY;BYDAY=FR")
HOUR = timedelta(hours=1)


def window(
    zone: str = "UTC", rule: str | None = RULES[0], at: str = "02:30", **changes: object
) -> FreezeWindow:
    start = datetime.fromisoformat(f"2026-01-01T{at}")
    values: dict[str, object] = {
        "name": "w", "start": start, "time_zone": zone, "duration": 2 * HOUR, "reason": "r",
        "services": ("checkout",), "rule": rule,
    }  # fmt: skip
    return FreezeWindow(**(values | changes))  # type: ignore[arg-type] # the fields by name


def all_of(of: FreezeWindow, until: datetime) -> list[datetime]:
    found, at = [], datetime(2025, 12, 30, tzinfo=UTC)
    while (occurrence := next_occurrence(of, at)) is not None and occurrence.start < until:
        found.append(occurrence.start)
        at = occurrence.start + timedelta(seconds=1)
    return found


@pytest.mark.parametrize("rule", RULES)
def test_ten_years_in_forty_zones_are_those_of_dateutil(rule: str) -> None:
    """Around every change of clocks the next occurrence is the one that dateutil computes."""
    assert len(ZONES) == 40
    for zone in ZONES:
        # 02:30 is skipped or comes twice where clocks change on that Sunday.
        of = window(zone, rule, "02:30" if "SU" in rule else "15:00")
        local = rrulestr(rule, dtstart=of.start).between(*YEARS, inc=True)
        theirs = [
            # Not by dateutil's own zones: before 3 they are wrong about Dublin, whose winter time is the odd
            # one.
            tz.resolve_imaginary(at.replace(tzinfo=ZoneInfo(zone), fold=0)).astimezone(UTC)
            for at in local
        ]
        for before, after in pairwise(theirs):
            is_change = (after - before) % timedelta(days=1) != timedelta()
            if is_change or before == theirs[0] or after == theirs[-1]:
                found = next_occurrence(of, before + timedelta(seconds=1))
                assert found is not None, zone
                assert found.start == after, zone


def test_days_that_are_left_out_are_local_days() -> None:
    # Half past two on Sunday in Auckland is Saturday in UTC.
    of = window("Pacific/Auckland", exceptions=frozenset({date(2026, 1, 11)}))
    assert [at.date().isoformat() for at in all_of(of, datetime(2026, 1, 25, tzinfo=UTC))] == [
        "2026-01-03",
        "2026-01-17",
        "2026-01-24",
    ]


def test_an_occurrence_lasts_its_duration_whatever_clocks_do() -> None:
    of = window("Europe/Berlin", at="01:30")
    spring = current_occurrence(of, datetime(2026, 3, 29, 1, 0, tzinfo=UTC))
    assert spring is not None
    assert (spring.start, spring.end - spring.start) == (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), 2 * HOUR)


@pytest.mark.parametrize(("minutes", "is_current"), [(-1, False), (0, True), (119, True), (120, False)])
def test_an_occurrence_has_its_start_and_not_its_end(minutes: int, *, is_current: bool) -> None:
    start = datetime(2026, 1, 4, 2, 30, tzinfo=UTC)
    assert (current_occurrence(window(), start + timedelta(minutes=minutes)) is not None) is is_current


def test_one_that_comes_once_does_not_come_again() -> None:
    of = window(rule=None)
    assert len(all_of(of, datetime(2030, 1, 1, tzinfo=UTC))) == 1
    assert (
        all_of(window(rule=None, exceptions=frozenset({date(2026, 1, 1)})), datetime(2030, 1, 1, tzinfo=UTC))
        == []
    )
