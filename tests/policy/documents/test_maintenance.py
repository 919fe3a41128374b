"""`maintenance` in Service documents: what is meant, and what `governor check` says about what cannot be."""

from datetime import datetime, timedelta

import pytest

from bot.catalog.maintenance import MaintenanceWindow
from bot.policy.loader import load
from tests.policy.conftest import SERVICE, WORKSPACE, Write, faults_of, texts_of

WEEKLY = "{name: upgrade, start: 2026-01-04T02:30, duration: 1h, rrule: FREQ=WEEKLY, reason: Upgrade}"


def service(*windows: str) -> str:
    return SERVICE + "  maintenance:\n" + "".join(f"    - {each}\n" for each in windows)


def changed(change: str) -> str:
    """Return the weekly window with one key written otherwise, or left out."""
    key, _, value = change.partition(": ")
    parts = [part for part in WEEKLY[1:-1].split(", ") if not part.startswith(f"{key}:")]
    return "{" + ", ".join([*parts, change] if value else parts) + "}"


def test_a_window_is_what_the_document_says(write: Write) -> None:
    full = (
        '{name: night, start: "2026-01-04 02:30", timeZone: Europe/Berlin, duration: 90m, '
        "rrule: freq=monthly;byday=-1su, slo: availability, counts: good, reason: Backups run.}"
    )
    checkout = load(write(shop=WORKSPACE, checkout=service(WEEKLY, full))).services["checkout"]
    at = datetime(2026, 1, 4, 2, 30)  # noqa: DTZ001 - a local time
    hour = timedelta(hours=1)
    assert checkout.maintenance == (
        MaintenanceWindow("upgrade", at, "UTC", hour, "dropped", "Upgrade", "FREQ=WEEKLY"),
        MaintenanceWindow(
            "night", at, "Europe/Berlin", 1.5 * hour, "good", "Backups run.",
            "FREQ=MONTHLY;BYDAY=-1SU", "availability",
        ),
    )  # fmt: skip


def test_a_window_without_a_rule_comes_once_and_may_be_long(write: Write) -> None:
    text = service("{name: move, start: 2026-01-04T02:30, duration: 7d, reason: We move.}")
    (window,) = load(write(shop=WORKSPACE, checkout=text)).services["checkout"].maintenance
    assert window.rule is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rrule: FREQ=HOURLY", "a window comes once a day at most"),
        ("rrule: FREQ=DAILY;INTERVAL=0", "INTERVAL cannot be `0`"),
        ("rrule: FREQ=WEEKLY;BYHOUR=3", "the time of day is that of `start`"),
        ("rrule: FREQ=WEEKLY;UNTIL=20251231", "it never comes"),
        ("rrule: on Sundays", "is not a part of a recurrence rule"),
        ("timeZone: Europe/Berln", "did you mean `Europe/Berlin`?"),
        ("start: 02:30", "is not a date and time"),
        ("start: 2026-02-30T02:30", "is not a day of the calendar"),
        ("start: 2026-01-04T02:30+01:00", "the zone is that of `timeZone`"),
        ("start: 1026-01-04T02:30", "is too far away"),
        ("duration: 8d", "is too long"),
        ("duration: 90s", "whole minutes"),
        ("duration: 6d", "maintenance takes 85.7% of four weeks of availability"),
        ("counts: ignored", "is not known"),
        ("reason", "`reason` is missing"),
        ("slo: availabilty", "did you mean `availability`?"),
    ],
)
def test_what_cannot_be_meant_is_a_fault_with_its_position(write: Write, change: str, words: str) -> None:
    (fault,) = faults_of(write(shop=WORKSPACE, checkout=service(changed(change))))
    assert words in str(fault)
    assert fault.line is not None
    assert fault.path.startswith("spec.maintenance")


def test_a_window_that_begins_again_before_it_is_over_is_a_fault(write: Write) -> None:
    daily = "{name: a, start: 2026-01-04T02:30, duration: 25h, rrule: FREQ=DAILY;COUNT=2, reason: Upgrade}"
    (text,) = texts_of(write(shop=WORKSPACE, checkout=service(daily)))
    assert text.replace("\xa0", " ") == (
        "checkout.yaml:12:52: Service/checkout spec.maintenance[0].duration: the window begins again after "
        "1 d, before it is over (allowed: at most 1 d)"
    )


def test_windows_have_names_of_their_own_and_limits_together(write: Write) -> None:
    (fault,) = faults_of(write(shop=WORKSPACE, checkout=service(WEEKLY, WEEKLY)))
    assert "is in this list twice" in fault.message
    nights = [
        "{name: early, start: 2026-01-04T00:00, duration: 4h, rrule: FREQ=DAILY, reason: Backups}",
        "{name: late, start: 2026-01-04T20:00, duration: 4h, rrule: FREQ=DAILY, reason: Backups}",
    ]
    (fault,) = faults_of(write(shop=WORKSPACE, checkout=service(*nights)))
    assert fault.message == "maintenance takes 33.3% of four weeks of availability"
    many = [WEEKLY.replace("upgrade", f"upgrade-{number}") for number in range(21)]
    (fault,) = faults_of(write(shop=WORKSPACE, checkout=service(*many)))
    assert fault.message == "a service has too many windows"


def test_a_template_names_its_services_in_reasons_alone(write: Write) -> None:
    template = SERVICE.replace("spec:\n", "spec:\n  forEach: {label: service}\n")
    windows = service(changed("reason: '%{service} is upgraded'")).partition("  maintenance:")
    load(write(shop=WORKSPACE, checkout=template + windows[1] + windows[2]))
    named = windows[2].replace("name: upgrade", "name: '%{service}'")
    faults = faults_of(write(shop=WORKSPACE, checkout=template + windows[1] + named))
    assert "cannot be used here" in faults[0].message
