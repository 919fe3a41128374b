"""FreezeWindow documents: what they say, and what is wrong with them."""

from datetime import date, datetime, timedelta

import pytest

from bot.catalog.error_budget_policy import PolicyMode
from bot.catalog.freeze_window import FreezeWindow
from bot.policy.loader import load
from tests.policy.conftest import SERVICE, WORKSPACE, Write, texts_of

FRIDAYS = """apiVersion: governor/v1
kind: FreezeWindow
metadata: {name: friday-afternoons}
spec:
  services: checkout
  start: 2026-11-06T15:00
  timeZone: Europe/Berlin
  duration: 65h
  rrule: FREQ=WEEKLY;BYDAY=FR
  exceptions: ["2026-12-25"]
  reason: Nobody repairs it at the weekend.
"""
SEARCH = SERVICE.replace("name: checkout", "name: search, labels: {team: shop, tier: one}")


def test_a_window_is_read_as_it_is_written(write: Write) -> None:
    catalog = load(write(w=WORKSPACE, s=SERVICE, f=FRIDAYS), {})
    assert catalog.freeze_windows["friday-afternoons"] == FreezeWindow(
        "friday-afternoons",
        datetime(2026, 11, 6, 15),  # noqa: DTZ001 - a local time
        "Europe/Berlin",
        timedelta(hours=65),
        "Nobody repairs it at the weekend.",
        ("checkout",),
        "FREQ=WEEKLY;BYDAY=FR",
        frozenset({date(2026, 12, 25)}),
        PolicyMode.ENFORCE,
    )


@pytest.mark.parametrize(
    ("which", "services"),
    [
        ("", ("checkout", "search")),
        ("  labels: {team: shop}\n", ("search",)),
        ("  labels: {team: shop, tier: two}\n", ()),
        ("  services: checkout\n  labels: {team: shop}\n", ("checkout", "search")),
    ],
)
def test_services_are_chosen_by_name_by_labels_or_all(
    write: Write, which: str, services: tuple[str, ...]
) -> None:
    text = FRIDAYS.replace("  services: checkout\n", which)
    catalog = load(write(w=WORKSPACE, s=SERVICE, t=SEARCH, f=text), {})
    assert catalog.freeze_windows["friday-afternoons"].services == services


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("services: checkout", "services: chekout", "unknown Service `chekout`; did you mean `checkout`?"),
        ("FREQ=WEEKLY;BYDAY=FR", "FREQ=HOURLY", "once a day at most"),
        ("FREQ=WEEKLY;BYDAY=FR", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "it never comes"),
        ("duration: 65h", "duration: 8d", "the window begins again after"),
        ("duration: 65h", "duration: 100d", "is too long"),
        ("duration: 65h", "duration: 90s", "whole minutes"),
        ("Europe/Berlin", "Europe/Berln", "did you mean `Europe/Berlin`?"),
        ('["2026-12-25"]', '["2026-12-25", "2026-12-25"]', "in this list twice"),
        ('["2026-12-25"]', '["2026-12-32"]', "there is no such day"),
        ("2026-11-06T15:00", "'2026-11-06T15:00:30'", "more than the minute"),
        ("  services: checkout", "  labels: {team: -shop}", "is not a label"),
        ("  services: checkout", "  servces: checkout", "did you mean `services`?"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(write: Write, old: str, new: str, message: str) -> None:
    assert old in FRIDAYS
    texts = texts_of(write(w=WORKSPACE, s=SERVICE, f=FRIDAYS.replace(old, new)))
    assert any(message in text for text in texts), texts
