"""The arguments of `/budget exclude` and `/budget adjust`, parsed word by word. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from bot.budgets.adjustments.adjustment import MOST_EVENTS, CountsAs
from bot.catalog.catalog import Service
from bot.catalog.window import Span
from bot.slack.arguments import UsageError, name, reason, unknown
from bot.slack.blockkit.mrkdwn import Markup, code, markup
from bot.slack.typed.intervals import BEGINNINGS, read_interval, unreadable_time
from bot.slack.typed.times import TimeDirection, read_moment
from bot.slack.typed.words import plain

EXCLUDE_FORM = code("/budget exclude SERVICE [SLO] from 14:05 to 14:20 REASON")
ADJUST_FORM = code("/budget adjust SERVICE [SLO] -120 from 14:05 to 14:20 REASON")

_MOST_DIGITS = len(str(MOST_EVENTS)) + 1
_NUMBER = re.compile(r"([+-]?)([0-9][0-9,_]*)")
_MEANINGS = {
    "good": CountsAs.GOOD,
    "dropped": CountsAs.DROPPED,
    "drop": CountsAs.DROPPED,
    "missed": CountsAs.DROPPED,
}
_FILLERS = frozenset({"as", "bad", "event", "events", "counts", "counted", "for", "of"})
_AT = frozenset({"at", "in"})
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class AdjustmentArguments:
    """What was typed: of which SLO (None: all), of what time, as what; `bad_events` None: the whole time."""

    slo: str | None
    span: Span
    counts_as: CountsAs
    bad_events: int | None
    reason: str


@dataclass(slots=True)
class _TypedAdjustment:
    """What the words before the time say."""

    slo: str | None = None
    number: int | None = None
    counts_as: CountsAs | None = None


def parse_exclusion(
    words: Sequence[str], service: Service, *, now: datetime, zone: tzinfo
) -> AdjustmentArguments:
    """Read `[SLO] [as good] from 14:05 to 14:20 [as good] REASON`. Raises `UsageError`."""
    typed, rest = _before_time(words, service, EXCLUDE_FORM)
    if typed.number is not None:
        text = "An exclusion is of a time, not of a number of events. For those write {}."
        raise UsageError(markup(text, ADJUST_FORM))
    span, meaning, why = _after(rest, now, zone, EXCLUDE_FORM)
    counts_as = typed.counts_as or meaning or CountsAs.DROPPED
    return AdjustmentArguments(typed.slo, span, counts_as, None, why)


def parse_correction(
    words: Sequence[str], service: Service, *, now: datetime, zone: tzinfo
) -> AdjustmentArguments:
    """Read `[SLO] -120 [dropped] from 14:05 to 14:20 REASON`, or `good` instead of a number.

    Raises `UsageError`.
    """
    typed, rest = _before_time(words, service, ADJUST_FORM)
    if typed.number is None and typed.counts_as is None:
        text = "Say how many bad events, or as what the time counts: {} or {}."
        good = code("/budget adjust SERVICE good from 14:05 to 14:20 REASON")
        raise UsageError(markup(text, ADJUST_FORM, good))
    if typed.number is not None and typed.slo is None and len(service.slos) > 1:
        names = [slo.name for slo in service.slos]
        example = code(
            f"/budget adjust {service.name} {names[0]} {typed.number:+d} from 14:05 to 14:20 REASON"
        )
        raise UsageError(markup("A number of events is of one SLO. Name it: {}.", example))
    span, meaning, why = _after(rest, now, zone, ADJUST_FORM)
    counts_as = typed.counts_as or meaning or CountsAs.GOOD
    slo = typed.slo if typed.number is None or typed.slo else service.slos[0].name
    return AdjustmentArguments(slo, span, counts_as, typed.number, why)


def _before_time(words: Sequence[str], service: Service, form: str) -> tuple[_TypedAdjustment, list[str]]:
    """Read an SLO, a number and a meaning in any order, up to the time; return the rest from the time on."""
    typed, names = _TypedAdjustment(), {slo.name.casefold(): slo.name for slo in service.slos}
    for index, written in enumerate(words):
        word = plain(written)
        if word in BEGINNINGS | _AT:
            return typed, list(words[index:])
        if word in names and typed.slo is None:
            typed.slo = names[word]
        elif (match := _NUMBER.fullmatch(word)) is not None and typed.number is None:
            typed.number = _number(match)
        elif word in _MEANINGS:
            typed.counts_as = _MEANINGS[word]
        elif word not in _FILLERS:
            lists_all = markup("{} lists them.", code(f"/budget {service.name}"))
            raise unknown("SLO", name(written), _near(word, names), join_form(lists_all, form))
    raise UsageError(markup("Say from when to when: {}.", form))


def join_form(first: Markup, form: str) -> Markup:
    """Return a sentence, and how the command is written."""
    return markup("{} The command is written {}.", first, form)


def _near(word: str, names: dict[str, str]) -> list[str]:
    return [shown for key, shown in names.items() if key.startswith(word[:3])]


def _number(match: re.Match[str]) -> int:
    # Longer than the largest number it cannot be right, and need not be read to its end.
    number = int(match[2].replace(",", "").replace("_", "").lstrip("0")[:_MOST_DIGITS] or "0")
    if not 0 < number <= MOST_EVENTS:
        raise UsageError(markup("Name a number of events from 1 to {}.", f"{MOST_EVENTS:,}"))
    if not match[1]:
        text = "Is it more or less? Write {} to take bad events away, or {} to add them."
        raise UsageError(markup(text, code(f"-{number}"), code(f"+{number}")))
    return -number if match[1] == "-" else number


def _after(words: Sequence[str], now: datetime, zone: tzinfo, form: str) -> tuple[Span, CountsAs | None, str]:
    """Read the time, perhaps what it counts as, and the reason."""
    if plain(words[0]) in _AT:
        read = read_moment(words[1:], now=now, zone=zone, direction=TimeDirection.PAST)
        if read is None:
            raise unreadable_time(words[1:], form)
        span, rest = Span(read[0], read[0] + _MINUTE), list(words[1 + read[1] :])
    else:
        interval = read_interval(words, now=now, zone=zone, form=form)
        if interval.end is None:
            raise UsageError(markup("Say until when: {}.", form))
        if interval.end == interval.start:
            raise UsageError(Markup("It ends when it begins. Name a later end."))
        span, rest = Span(interval.start, interval.end), interval.rest
    meaning = None
    if len(rest) > 1 and plain(rest[0]) == "as" and plain(rest[1]) in _MEANINGS:
        meaning, rest = _MEANINGS[plain(rest[1])], rest[2:]
    why = reason(rest)
    if not why:
        raise UsageError(markup("Say why, so that whoever approves it knows: {}.", form))
    return span, meaning, why
