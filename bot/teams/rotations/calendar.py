"""A rotation as an iCalendar file (RFC 5545), for calendar apps that subscribe to it. Pure.

Times are in UTC, so that no time zone's rules need to be sent: a period begins at the same time of day in
the rotation's zone because its UTC time differs by season. People appear by their display names alone.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from bot.catalog.rotation import Rotation
from bot.teams.rotations.outlook import RotationOutlook
from bot.teams.rotations.plan import Side

CONTENT_TYPE = "text/calendar"
_LONGEST_LINE = 75
_REFRESH = timedelta(hours=1)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NOBODY = "nobody"
_DOMAIN = "governor"


def as_icalendar(outlook: RotationOutlook, names: Mapping[str, str], now: datetime) -> str:
    """Return the file: past periods, the one under way and those to come, as things stand.

    A period keeps its UID when its pair changes, so that calendar apps move the event instead of adding one.
    """
    rotation = outlook.rotation
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Governor//Rotation//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_text(f'Rotation {rotation.name}')}",
        f"REFRESH-INTERVAL;VALUE=DURATION:PT{_REFRESH // timedelta(hours=1)}H",
    ]
    for period in outlook.periods:
        people = [period.person(side) for side in Side]
        lines += _event(rotation, period.number, (period.begins_at, period.ends_at), _who(people, names), now)
    for coming in outlook.coming:
        people = [coming.planned.of(side) for side in Side]
        span, who = (coming.begins_at, coming.ends_at), _who(people, names)
        lines += _event(rotation, coming.planned.number, span, who, now, is_certain=False)
    lines.append("END:VCALENDAR")
    return "".join(f"{folded}\r\n" for line in lines for folded in _folded(line))


def people_of(outlook: RotationOutlook) -> frozenset[str]:
    """Return whose names the file needs."""
    past = {period.person(side) for period in outlook.periods for side in Side}
    coming = {person for each in outlook.coming for person in each.planned.people}
    return frozenset(person for person in past | coming if person is not None)


def _event(
    rotation: Rotation,
    number: int,
    span: tuple[datetime, datetime],
    who: str,
    now: datetime,
    *,
    is_certain: bool = True,
) -> list[str]:
    services = ", ".join(rotation.services)
    state = "" if is_certain else "\nAs things stand: absences and swaps may change it."
    return [
        "BEGIN:VEVENT",
        f"UID:{rotation.name}-{number}@rotation.{_DOMAIN}",
        f"DTSTAMP:{_moment(now)}",
        f"DTSTART:{_moment(span[0])}",
        f"DTEND:{_moment(span[1])}",
        f"SUMMARY:{_text(who)}",
        f"DESCRIPTION:{_text(f'Rotation {rotation.name} for {services}{state}')}",
        f"STATUS:{'CONFIRMED' if is_certain else 'TENTATIVE'}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def _who(people: Iterable[str | None], names: Mapping[str, str]) -> str:
    return " and ".join(names.get(person, person) if person else _NOBODY for person in people)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    """Return a value of the type TEXT (RFC 5545, 3.3.11), without control characters."""
    escaped = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return _CONTROLS.sub("", escaped.replace("\r\n", "\n")).replace("\n", "\\n")


def _folded(line: str) -> Iterable[str]:
    """Yield a line in parts of at most 75 octets, none of which ends within a character (3.1)."""
    part, octets = "", 0
    for character in line:
        size = len(character.encode("utf-8", "surrogatepass"))
        if octets + size > _LONGEST_LINE:
            yield part
            part, octets = " ", 1
        part, octets = part + character, octets + size
    yield part
