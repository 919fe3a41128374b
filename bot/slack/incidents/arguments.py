"""The arguments of `/incident` and `/action`, parsed word by word. Pure.

Times are in the zone of the person who typed them, and in the past: `14:05` is the last 14:05 there was.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from bot.formatting import listed
from bot.incidents.downtime import Impact
from bot.incidents.incident import MOST_TITLE, Role, Severity
from bot.incidents.issues.tracked import TrackedIssue
from bot.slack.arguments import QUOTES, UsageError, split, unquoted
from bot.slack.blockkit.mrkdwn import Markup, code, markup
from bot.slack.typed.intervals import read_interval, unreadable_time
from bot.slack.typed.lengths import is_number, read_length
from bot.slack.typed.severities import read_severity, severity_of_number, typed_severity
from bot.slack.typed.shares import read_share
from bot.slack.typed.times import TimeDirection, read_day
from bot.slack.typed.words import plain, take_name

ROLES = {"commander": Role.COMMANDER, "scribe": Role.SCRIBE, "comms": Role.COMMS}
DEFAULT_SEVERITY = Severity.SEV3

_PERSON = re.compile(r"<@([UW][A-Z0-9]{1,20})(?:\|[^<>]*)?>")
_NAMED = re.compile(r"@([UW][A-Z0-9]{1,20})")
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
    issue: TrackedIssue | None = None


def split_keeping_people(text: str) -> list[str]:
    """Return the words of a command, with mentions of people as `@U123`, so that it is clear who is meant."""
    return split(_PERSON.sub(r" @\1 ", text))


def person_of(word: str) -> str | None:
    """Return the Slack user id in a word, None where it names nobody by id."""
    match = _NAMED.fullmatch(word)
    return match[1] if match else None


def parse_opening(words: Sequence[str], services: Collection[str]) -> OpenArguments:
    """Read `TITLE [sev2] [SERVICE…]`: severity and services last, in any order, or the severity first.

    Raises `UsageError`, also where two severities are named, or where one stands elsewhere, is none that
    there is, or may be a number. A title in quotes is taken as it is.
    """
    quoted = _quoted_words(words)
    rest, severities, named = list(words), list[Severity](), []
    if not quoted and (first := read_severity(rest)) is not None:
        severities.append(first[0])
        rest = rest[first[1] :]
    while len(rest) > quoted:
        word = _service_name(rest[-1])
        if (last := _last_severity(rest[quoted:])) is not None:
            severities.append(last[0])
            rest = rest[: -last[1]]
        elif word in services and word not in named:
            named.append(word)
            rest.pop()
        else:
            break
    title = unquoted(" ".join(rest))
    if not title:
        raise UsageError(markup("Say what is wrong: {}.", code("/incident open TITLE sev2 SERVICE")))
    if len(title) > MOST_TITLE:
        raise UsageError(
            markup("The title has {} characters; at most {} are allowed.", len(title), MOST_TITLE)
        )
    if len(set(severities)) > 1:
        both = listed([code(severity.value) for severity in dict.fromkeys(severities)], "or")
        raise UsageError(markup("Is it {}? Name one severity, or put the title in quotes.", Markup(both)))
    if not severities:
        _ask_about_severity(rest[quoted:])
    number = severity_of_number(rest[-1]) if not severities and quoted < len(rest) > 1 else None
    if number is not None:
        form = code(f"/incident open TITLE {number.value}")
        raise UsageError(
            markup("Is {} the severity? Write {}, or put the title in quotes.", code(rest[-1]), form)
        )
    return OpenArguments(title, (severities or [DEFAULT_SEVERITY])[0], tuple(reversed(named)))


def _ask_about_severity(words: Sequence[str]) -> None:
    """Raise `UsageError` where a word of an unquoted title may be meant as the severity."""
    for at in range(len(words)):
        typed = typed_severity(words[at:])
        if typed is None:
            continue
        if read_severity(words[at:]) is None:
            known = listed([code(severity.value) for severity in Severity], "or")
            raise UsageError(
                markup(
                    "{} is not a severity. Write {}, or put the title in quotes.", code(typed), Markup(known)
                )
            )
        form = code("/incident open TITLE sev2 SERVICE")
        raise UsageError(
            markup(
                "Is {} the severity? Only services may come after it: {}. Or put the title in quotes.",
                code(typed), form,
            )
        )  # fmt: skip


def _quoted_words(words: Sequence[str]) -> int:
    """Return of how many words a title in quotes is made, with which the words begin; 0 if with none."""
    if not words or words[0][0] not in QUOTES:
        return 0
    _, rest = take_name(words)
    used = len(words) - len(rest)
    return used if words[used - 1].endswith(QUOTES[words[0][0]]) else 0


def _last_severity(words: Sequence[str]) -> tuple[Severity, int] | None:
    """Return the severity with which the words end, and its number of words."""
    for used in (2, 1):
        read = read_severity(words[-used:])
        if read is not None and read[1] == used:
            return read
    return None


def _service_name(word: str) -> str:
    """Return a word as a service's name: `#checkout` names the service of that name."""
    return word.casefold().removeprefix("#")


def parse_impact(
    words: Sequence[str], *, now: datetime, zone: tzinfo, services: Collection[str] = ()
) -> ImpactArguments:
    """Read `30% [of SERVICE] [from 14:05 [to 14:20]]`. Raises `UsageError`."""
    read = read_share(words)
    if read is None:
        raise UsageError(markup("Say which share of requests failed: {}.", _IMPACT_FORM))
    share, used = read
    rest, service = list(words[used:]), None
    if len(rest) > 1 and plain(rest[0]) == "of":
        service = _service_name(rest[1])
        if service not in services:
            own = listed([code(name) for name in services], "or") or "no service"
            raise UsageError(markup("This incident affects {}, not {}.", Markup(own), code(rest[1][:100])))
        rest = rest[2:]
    if not rest:
        return ImpactArguments(share, service=service)
    start, end = _interval(rest, now, zone)
    return ImpactArguments(share, start, end, service)


def _interval(words: Sequence[str], now: datetime, zone: tzinfo) -> tuple[datetime, datetime | None]:
    """Read `from 14:05 [to 14:20]`, of which nothing may follow."""
    read = read_interval(words, now=now, zone=zone, form=_IMPACT_FORM)
    if read.rest:
        raise unreadable_time(read.rest, _IMPACT_FORM)
    return read.start, read.end


def parse_report(words: Sequence[str], services: Collection[str]) -> ReportArguments:
    """Read `[90d] [SERVICE]`, in any order. Raises `UsageError`."""
    length, service = None, None
    rest = list(words)
    while rest:
        if length is None and (read := read_length(rest)) is not None:
            length, rest = read[0], rest[read[1] :]
        elif service is None and _service_name(rest[0]) in services:
            service = _service_name(rest.pop(0))
        else:
            raise UsageError(markup("I cannot read {}. Write {}.", code(rest[0][:40]), _REPORT_FORM))
    if length is not None and not SHORTEST_REPORT <= length <= LONGEST_REPORT:
        raise UsageError(markup("A report looks back from 1 day to 366 days: {}.", _REPORT_FORM))
    return ReportArguments(length or DEFAULT_REPORT, service)


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
        raise UsageError(markup("Say what must be done: {}.", code("/action add TEXT @owner due friday P0")))
    return ActionArguments(description, owner, due, urgent, service)


def take_due(words: Sequence[str], today: date) -> tuple[date | None, list[str]]:
    """Take the last `due DATE` out of the words; return the day and the other words. Raises `UsageError`."""
    at = next((i for i in range(len(words) - 1, -1, -1) if plain(words[i]) == "due"), None)
    if at is None:
        return None, list(words)
    read = read_day(words[at + 1 :], today=today, direction=TimeDirection.FUTURE)
    if read is not None:
        day, used = read
        if day < today:
            raise UsageError(markup("{} has passed. Name a day that is still to come.", day.isoformat()))
        return day, [*words[:at], *words[at + 1 + used :]]
    if at + 1 < len(words) and not is_number(words[at + 1]):
        return None, list(words)
    raise UsageError(markup("I cannot read a day after {}. Write {}.", code("due"), code("due 2026-12-01")))
