"""The arguments of `/incident` and `/action`, parsed word by word. Pure.

Times are in the zone of the person who typed them, and in the past: `14:05` is the last 14:05 there was.
On the day that clocks go back a time may come twice, on the day that they go forward not at all.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from dateutil import parser
from dateutil.relativedelta import relativedelta

from bot.formatting import listed
from bot.incidents.downtime import Impact
from bot.incidents.incident import MOST_TITLE, Role, Severity
from bot.slack.arguments import UsageError, read_duration, split, unquoted
from bot.slack.blockkit.mrkdwn import Markup, code, markup

ROLES = {"commander": Role.COMMANDER, "scribe": Role.SCRIBE, "comms": Role.COMMS}
DEFAULT_SEVERITY = Severity.SEV3

_PERSON = re.compile(r"<@([UW][A-Z0-9]{1,20})(?:\|[^<>]*)?>")
_NAMED = re.compile(r"@([UW][A-Z0-9]{1,20})")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_SHARE = re.compile(r"(\d{1,3}(?:[.,]\d{1,6})?)%?")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WRITTEN_DAY = re.compile(r"(?:\d{1,2} [a-z]{3,9}|[a-z]{3,9} \d{1,2})( \d{4})?", re.IGNORECASE)
DEFAULT_REPORT, SHORTEST_REPORT, LONGEST_REPORT = timedelta(days=90), timedelta(days=1), timedelta(days=366)
_REPORT_FORM = code("/incident report 90d SERVICE")
_IMPACT_FORM = code("/incident impact 30% from 14:05 to 14:20")


@dataclass(frozen=True, slots=True)
class OpenArguments:
    """The arguments of `/incident open`."""

    title: str
    severity: Severity
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImpactArguments:
    """The arguments of `/incident impact`; `start` None: no time was given, so all known impacts change."""

    share: float
    start: datetime | None = None
    end: datetime | None = None
    service: str | None = None

    def impact(self) -> Impact | None:
        """Return it as an interval, None where no time was given."""
        return Impact(self.start, self.end, self.share, self.service) if self.start else None


@dataclass(frozen=True, slots=True)
class ReportArguments:
    """The arguments of `/incident report`: how far back, and which service, None for all."""

    length: timedelta
    service: str | None


@dataclass(frozen=True, slots=True)
class ActionArguments:
    """The arguments of `/action add`."""

    text: str
    owner: str | None
    due: date | None
    is_p0: bool
    service: str | None


def split_keeping_people(text: str) -> list[str]:
    """Return the words of a command, with mentions of people as `@U123`, so that it is clear who is meant."""
    return split(_PERSON.sub(r" @\1 ", text))


def person_of(word: str) -> str | None:
    """Return the Slack user id in a word, None where it names nobody by id."""
    match = _NAMED.fullmatch(word)
    return match[1] if match else None


def parse_opening(words: Sequence[str], services: Collection[str]) -> OpenArguments:
    """Read `TITLE [sev2] [SERVICE…]`; severity and services stand last, in any order. Raises `UsageError`."""
    rest, severity, named = list(words), None, []
    while rest:
        word = rest[-1].casefold()
        if severity is None and word in set(Severity):
            severity = Severity(word)
        elif word in services and word not in named:
            named.append(word)
        else:
            break
        rest.pop()
    title = unquoted(" ".join(rest))
    if not title:
        raise UsageError(markup("Say what is wrong: {}.", code("/incident open TITLE sev2 SERVICE")))
    if len(title) > MOST_TITLE:
        raise UsageError(markup("The title has {} characters; {} are the most.", len(title), MOST_TITLE))
    return OpenArguments(title, severity or DEFAULT_SEVERITY, tuple(reversed(named)))


def parse_impact(
    words: Sequence[str], *, now: datetime, zone: tzinfo, services: Collection[str] = ()
) -> ImpactArguments:
    """Read `30% [of SERVICE] [from 14:05 [to 14:20]]`. Raises `UsageError`."""
    match = _SHARE.fullmatch(words[0]) if words else None
    if match is None or not 0 <= (percent := float(match[1].replace(",", "."))) <= 100:
        raise UsageError(markup("Say which share of requests failed: {}.", _IMPACT_FORM))
    rest, service = list(words[1:]), None
    if len(rest) > 1 and rest[0].casefold() == "of":
        service = rest[1].casefold()
        if service not in services:
            own = listed([code(name) for name in services], "or") or "no service"
            raise UsageError(markup("This incident concerns {}, not {}.", Markup(own), code(rest[1][:100])))
        rest = rest[2:]
    if not rest:
        return ImpactArguments(percent / 100, service=service)
    if rest[0].casefold() not in {"from", "since"}:
        raise UsageError(markup("I cannot read {}. Write {}.", code(rest[0][:40]), _IMPACT_FORM))
    start, rest = past_moment(rest[1:], now=now, zone=zone)
    end = None
    if rest and rest[0].casefold() in {"to", "until", "till", "-"}:
        end, rest = _end(rest[1:], start, now=now, zone=zone)
    if rest:
        raise UsageError(markup("I cannot read {}. Write {}.", code(rest[0][:40]), _IMPACT_FORM))
    return ImpactArguments(percent / 100, start, end, service)


def parse_report(words: Sequence[str], services: Collection[str]) -> ReportArguments:
    """Read `[90d] [SERVICE]`, in any order. Raises `UsageError`."""
    length, service = None, None
    for word in words:
        if length is None and (parsed := read_duration(word)) is not None:
            length = parsed
        elif service is None and word.casefold() in services:
            service = word.casefold()
        else:
            raise UsageError(markup("I cannot read {}. Write {}.", code(word[:40]), _REPORT_FORM))
    if length is not None and not SHORTEST_REPORT <= length <= LONGEST_REPORT:
        raise UsageError(markup("A report looks back from 1 day to 366 days: {}.", _REPORT_FORM))
    return ReportArguments(length or DEFAULT_REPORT, service)


def past_moment(words: Sequence[str], *, now: datetime, zone: tzinfo) -> tuple[datetime, list[str]]:
    """Read a time, or a day and a time; return it in UTC and the words that follow. Raises `UsageError`."""
    day, clock, rest = _day_and_clock(words)
    local = now.astimezone(zone)
    if day is None:
        today = local.date()
        has_been = any(at <= now for at in _moments(today, clock, zone)) or clock <= local.time()
        day = today if has_been else today - timedelta(days=1)
    moment = _last_moment(day, clock, zone, now)
    if moment is None:
        raise _no_such_time(day, clock)
    return moment, rest


def _last_moment(day: date, clock: time, zone: tzinfo, now: datetime) -> datetime | None:
    """Return the last such moment of a day that has passed, else the first that is to come."""
    moments = _moments(day, clock, zone)
    past = [at for at in moments if at <= now]
    return past[-1] if past else next(iter(moments), None)


def _no_such_time(day: date, clock: time) -> UsageError:
    return UsageError(markup("There was no {} on {}.", code(f"{clock:%H:%M}"), day.isoformat()))


def _end(
    words: Sequence[str], start: datetime, *, now: datetime, zone: tzinfo
) -> tuple[datetime | None, list[str]]:
    """Read the end of what began at `start`: the first such time after it; `now` is no end."""
    if words and words[0].casefold() == "now":
        return now, list(words[1:])
    day, clock, rest = _day_and_clock(words)
    try:
        first = start.astimezone(zone).date()
        days = [day] if day is not None else [first, first + timedelta(days=1)]
    except OverflowError:
        days = []
    for candidate in days:
        later = [at for at in _moments(candidate, clock, zone) if at >= start]
        if later:
            return later[0], rest
    raise UsageError(Markup("It ends before it begins."))


def _day_and_clock(words: Sequence[str]) -> tuple[date | None, time, list[str]]:
    rest = list(words)
    day = _iso_day(rest[0]) if rest else None
    if day is not None:
        rest.pop(0)
    clock = _clock(rest[0]) if rest else None
    if clock is None:
        word = code(words[0][:40]) if words else Markup("nothing")
        raise UsageError(markup("I cannot read a time in {}. Write {}.", word, _IMPACT_FORM))
    return day, clock, rest[1:]


def _moments(day: date, clock: time, zone: tzinfo) -> list[datetime]:
    """Return when the clocks of a zone show a time on a day: once, twice or never."""
    shown = datetime.combine(day, clock)
    try:
        moments = {shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
        return sorted(at for at in moments if at.astimezone(zone).replace(tzinfo=None) == shown)
    except OverflowError:
        return []


def _iso_day(word: str) -> date | None:
    try:
        return date.fromisoformat(word) if len(word) == 10 else None
    except ValueError:
        return None


def _clock(word: str) -> time | None:
    match = _CLOCK.fullmatch(word)
    if match is None or not word.isascii() or int(match[1]) > 23 or int(match[2]) > 59:
        return None
    return time(int(match[1]), int(match[2]))


def parse_action(text: str, *, today: date, services: Collection[str]) -> ActionArguments:
    """Read `TEXT @owner [due DATE] [P0] [for SERVICE]`. Raises `UsageError`."""
    words = split_keeping_people(text)
    urgent = any(word.casefold() == "p0" for word in words)
    words = [word for word in words if word.casefold() != "p0"]
    due, words = take_due(words, today)
    owner = next((person for word in reversed(words) if (person := person_of(word))), None)
    words = [word for word in words if person_of(word) != owner or owner is None]
    service = None
    if len(words) > 2 and words[-2].casefold() == "for" and words[-1].casefold() in services:
        service, words = words[-1].casefold(), words[:-2]
    description = unquoted(" ".join(words))
    if not description:
        raise UsageError(markup("Say what is to be done: {}.", code("/action add TEXT @owner due friday P0")))
    return ActionArguments(description, owner, due, urgent, service)


def take_due(words: Sequence[str], today: date) -> tuple[date | None, list[str]]:
    """Take the last `due DATE` out of the words; return the day and the other words. Raises `UsageError`."""
    at = next((i for i in range(len(words) - 1, -1, -1) if words[i].casefold() == "due"), None)
    if at is None:
        return None, list(words)
    for used in (3, 2, 1):
        date_words = words[at + 1 : at + 1 + used]
        day = _parse_day(" ".join(date_words), today) if len(date_words) == used else None
        if day is not None and day < today:
            raise UsageError(markup("{} has passed. Name a day that is still to come.", day.isoformat()))
        if day is not None:
            return day, [*words[:at], *words[at + 1 + used :]]
    if at + 1 < len(words) and not words[at + 1][0].isdigit():
        return None, list(words)
    raise UsageError(markup("I cannot read a day after {}. Write {}.", code("due"), code("due 2026-12-01")))


def _parse_day(text: str, today: date) -> date | None:
    word = text.casefold().rstrip(",.")
    if word in {"today", "tomorrow"}:
        return today + timedelta(days=word == "tomorrow")
    if word in _WEEKDAYS or word in {name[:3] for name in _WEEKDAYS}:
        ahead = (next(i for i, name in enumerate(_WEEKDAYS) if name.startswith(word)) - today.weekday()) % 7
        return today + timedelta(days=ahead or 7)
    if (iso := _iso_day(word)) is not None:
        return iso
    if not _WRITTEN_DAY.fullmatch(word) or not word.isascii():
        return None
    try:
        day: date = parser.parse(word, default=datetime.combine(today, time()), ignoretz=True).date()
    except (ValueError, OverflowError):
        return None
    has_year = _WRITTEN_DAY.fullmatch(word)
    if day < today and has_year is not None and has_year[1] is None:
        day += relativedelta(years=1)
    return day
