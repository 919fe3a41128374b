"""A rotation as iCalendar: lines of RFC 5545, UTC times, UIDs that stay, names and nothing else."""

from datetime import date

from bot.catalog.rotation import Rotation
from bot.teams.rotations.calendar import as_icalendar, people_of
from bot.teams.rotations.outlook import RotationOutlook, look_ahead
from bot.teams.rotations.period import RotationPeriod, StoredTurn
from bot.teams.rotations.plan import Side, Turn
from tests.support.clock import NOW
from tests.support.rotations import DEVELOPERS, SRES, rotation

MEMBERS = {Side.DEVELOPMENT: DEVELOPERS, Side.RELIABILITY: SRES}
NAMES = {person: f"{person.title()}, of the team; \\o/ " + "é" * 60 for person in (*DEVELOPERS, *SRES)}


def outlook(of: Rotation) -> RotationOutlook:
    begins = of.begin_of(-1), of.begin_of(0)
    turns = (Turn(1, Side.DEVELOPMENT, "UDANA", 1), Turn(1, Side.RELIABILITY, "USAM", 1))
    past = RotationPeriod(
        "shop", 1, *begins, begins[1], tuple(StoredTurn(0, turn, begins[0]) for turn in turns)
    )
    coming = look_ahead(of, MEMBERS, [past], absences=(), agreed=(), now=NOW, count=30)
    return RotationOutlook(of, MEMBERS, [past], coming)


def events(text: str) -> list[dict[str, str]]:
    """Return the events of a file, unfolded, each as its properties."""
    found = []
    for block in text.replace("\r\n ", "").split("BEGIN:VEVENT\r\n")[1:]:
        lines = block.partition("END:VEVENT")[0].splitlines()
        found.append(dict(line.split(":", 1) for line in lines))
    return found


def test_every_line_is_folded_at_75_octets_and_ends_as_the_standard_says() -> None:
    text = as_icalendar(outlook(rotation()), NAMES, NOW)

    assert text.endswith("END:VCALENDAR\r\n")
    lines = text.split("\r\n")
    assert all(len(line.encode()) <= 75 for line in lines)
    assert "\n" not in "".join(lines)
    assert any(line.startswith(" ") for line in lines)
    first = events(text)[0]
    assert first["SUMMARY"].startswith("Udana\\, of the team\\; \\\\o/ é")
    assert "é" * 60 in first["SUMMARY"]


def test_periods_keep_their_time_of_day_through_summer_time() -> None:
    of = rotation(starts_on=date(2026, 11, 30), zone="Europe/London")
    begins = [event["DTSTART"] for event in events(as_icalendar(outlook(of), NAMES, NOW))]

    assert begins[1] == "20261130T100000Z"
    assert {begin[8:] for begin in begins} == {"T100000Z", "T090000Z"}


def test_uids_are_those_of_the_numbers_and_each_is_there_once() -> None:
    found = events(as_icalendar(outlook(rotation()), NAMES, NOW))

    assert [event["UID"] for event in found] == [
        f"shop-{number}@rotation.governor" for number in range(1, 32)
    ]
    assert [event["STATUS"] for event in found[:2]] == ["CONFIRMED", "TENTATIVE"]
    assert [event["DTEND"] for event in found[:-1]] == [event["DTSTART"] for event in found[1:]]


def test_people_are_named_and_not_identified() -> None:
    shop = outlook(rotation())
    text = as_icalendar(shop, dict.fromkeys(people_of(shop), "Somebody"), NOW)

    assert not any(person in text for person in (*DEVELOPERS, *SRES))
