"""Rotation documents: what they say, and what is wrong with them."""

from datetime import date, time, timedelta

import pytest

from bot.catalog.rotation import Rotation
from bot.policy.loader import load
from tests.policy.conftest import SERVICE, WORKSPACE, Write, texts_of

ROTATION = """apiVersion: governor/v1
kind: Rotation
metadata: {name: shop}
spec:
  services: checkout
  startsOn: "2026-11-30"
"""
TEAMS = '  teams: {development: "@checkout-devs", reliability: [U0SAM, U0RILEY]}\n'


def test_a_rotation_takes_its_teams_from_its_first_service(write: Write) -> None:
    catalog = load(write(w=WORKSPACE, s=SERVICE + TEAMS, r=ROTATION), {})

    assert catalog.rotations["shop"] == Rotation(
        "shop",
        services=("checkout",),
        development=("@checkout-devs",),
        reliability=("U0SAM", "U0RILEY"),
        every=timedelta(weeks=2),
        starts_on=date(2026, 11, 30),
        at=time(10),
        time_zone="UTC",
    )


def test_a_rotation_may_name_people_and_times_of_its_own(write: Write) -> None:
    more = '  development: [U0DANA, U0KIM]\n  every: 7d\n  at: "09:30"\n  timeZone: Asia/Tokyo\n'
    catalog = load(write(w=WORKSPACE, s=SERVICE + TEAMS, r=ROTATION + more), {})

    rotation = catalog.rotations["shop"]
    assert rotation.development == ("U0DANA", "U0KIM")
    assert (rotation.every, rotation.at) == (timedelta(days=7), time(9, 30))
    assert rotation.time_zone == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("services: checkout", "services: chekout", "unknown Service `chekout`; did you mean `checkout`?"),
        ("services: checkout", "services: []", "services"),
        ("services: checkout", "services: [checkout, checkout]", "in this list twice"),
        ('"2026-11-30"', "2026-11-30", "as a date"),
        ('"2026-11-30"', '"2026-02-30"', "there is no such day as `2026-02-30`"),
        ('"2026-11-30"', '"30.11.2026"', "is not a date"),
        ("  startsOn", "  every: 36h\n  startsOn", "is not a number of whole days"),
        ("  startsOn", "  every: 12h\n  startsOn", "is too short"),
        ("  startsOn", '  at: "25:00"\n  startsOn', "is not a time of day"),
        ("  startsOn", "  at: 10:30\n  startsOn", "another number than it shows"),
        ("  startsOn", "  timeZone: Europe/Londn\n  startsOn", "did you mean `Europe/London`?"),
        ("  startsOn", "  evry: 2w\n  startsOn", "did you mean `every`?"),
    ],
)
def test_a_fault_of_a_rotation_is_named(write: Write, old: str, new: str, message: str) -> None:
    folder = write(w=WORKSPACE, s=SERVICE + TEAMS, r=ROTATION.replace(old, new))

    assert any(message in text for text in texts_of(folder)), texts_of(folder)


def test_a_rotation_without_a_team_is_a_fault(write: Write) -> None:
    (text,) = texts_of(write(w=WORKSPACE, s=SERVICE + '  teams: {reliability: "@sre"}\n', r=ROTATION))

    assert "`development` is missing, and checkout names no development team" in text


def test_a_rotation_stays_within_one_slack_workspace(write: Write) -> None:
    other = WORKSPACE.replace("acme", "other").replace("spec:", "spec:\n  team: T0OTHER")
    payments = SERVICE.replace("name: checkout", "name: payments").replace(
        "spec:", "spec:\n  workspace: other"
    )
    rotation = ROTATION.replace("services: checkout", "services: [checkout, payments]")
    folder = write(w=WORKSPACE, o=other, s=SERVICE + TEAMS, p=payments, r=rotation)

    assert any("`payments` belongs to another Workspace than checkout" in text for text in texts_of(folder))
