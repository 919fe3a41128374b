"""The arguments of `/rotation`, parsed word by word. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from bot.slack.arguments import UsageError
from bot.slack.blockkit.mrkdwn import Markup, code, markup
from bot.slack.incidents.arguments import person_of
from bot.slack.typed.lengths import read_length
from bot.slack.typed.times import TimeDirection, read_moment
from bot.slack.typed.words import plain

LONGEST = timedelta(days=366)
AWAY_FORM = code("/rotation away until friday")
_UNTIL = {"until", "till", "til", "to"}


@dataclass(frozen=True, slots=True)
class AwaySpan:
    """From when until when somebody is away."""

    start: datetime
    end: datetime


def read_people(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the ids of the people whom words name, and the other words; raises `UsageError`."""
    people, rest = list[str](), list[str]()
    for word in words:
        person = person_of(word)
        if person is not None:
            people.append(person)
        elif word.startswith("@"):
            raise UsageError(
                markup(
                    "Pick {} from the list that Slack shows, so that it is clear who is meant.", code(word)
                )
            )
        else:
            rest.append(word)
    return people, rest


def read_span(words: Sequence[str], now: datetime, zone: tzinfo) -> AwaySpan:
    """Read `until friday`, `for 2w` or `from 2026-12-21 until 2027-01-04`; raises `UsageError`.

    A day is its start: whoever is away until Friday is back on Friday.
    """
    rest, start = list(words), now
    if rest and plain(rest[0]) == "from":
        begin = read_moment(rest[1:], now=now, zone=zone, direction=TimeDirection.FUTURE)
        if begin is None:
            raise _unreadable()
        start, rest = max(begin[0], now), rest[1 + begin[1] :]
    end = _read_end(rest, start, zone)
    if end is None:
        raise _unreadable()
    if end <= now or end <= start:
        raise UsageError(markup("That time has passed. Say until when, such as {}.", AWAY_FORM))
    if end - now > LONGEST:
        raise UsageError(Markup("That is more than a year away. Take the person out of the team instead."))
    return AwaySpan(start, end)


def _read_end(words: Sequence[str], start: datetime, zone: tzinfo) -> datetime | None:
    first = plain(words[0]) if words else ""
    if first in _UNTIL:
        found = read_moment(words[1:], now=start, zone=zone, direction=TimeDirection.FUTURE)
        return found[0] if found is not None and found[1] == len(words) - 1 else None
    length = read_length(words[1:] if first == "for" else words) if words else None
    if length is None or length[1] != len(words) - (first == "for"):
        return None
    return start + min(length[0], 2 * LONGEST)


def _unreadable() -> UsageError:
    return UsageError(
        markup(
            "Say until when: {}, {} or {}.",
            AWAY_FORM, code("/rotation away for 2w"), code("/rotation away from 2026-12-21 until 2027-01-04"),
        )
    )  # fmt: skip
