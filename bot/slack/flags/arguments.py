"""Parsing of the arguments of `/flag`. Pure; what cannot be read raises `UsageError`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.formatting import listed
from bot.slack.arguments import UsageError, name, read_duration, reason, unquoted
from bot.slack.blockkit.mrkdwn import Markup, code, markup
from bot.suggestions import is_misspelt

SUBCOMMANDS = ("show", "on", "off", "rollout", "kill", "undo", "ramp", "history", "stale", "list")
NO_REASON = "no reason given"
_SHARE = re.compile(r"(\d{1,3}(?:[.,]\d{1,6})?)%?")
_SPLIT_PERCENT = re.compile(r"(\d)\s+%")


@dataclass(frozen=True, slots=True)
class FlagArguments:
    """A flag in an environment (None: the default one), and the reason."""

    flag: str
    environment: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class RampArguments:
    """A ramp as typed: shares between 0 and 1, and the time between two steps."""

    target: FlagArguments
    steps: tuple[float, ...]
    every: timedelta


def join_percents(text: str) -> str:
    """Return the text with `25 %` as one word, `25%`."""
    return _SPLIT_PERCENT.sub(r"\1%", text.replace("\u00a0", " "))


def read_flag(words: Sequence[str], environments: Sequence[str], form: str) -> FlagArguments:
    """Read `FLAG [ENV] [REASON]`."""
    if not words:
        raise UsageError(markup("Name the flag: {}.", code(f"/flag {form}")))
    environment, rest = _environment(words[1:], environments)
    return FlagArguments(flag_name(words[0]), environment, reason(rest) or NO_REASON)


def flag_name(word: str) -> str:
    """Return a flag's name as typed."""
    return name(unquoted(word))


def read_flag_with_duration(
    words: Sequence[str], environments: Sequence[str], form: str
) -> tuple[FlagArguments, timedelta | None]:
    """Read `FLAG [ENV] [for 2h] [REASON]`."""
    at = next((i for i, word in enumerate(words) if word.casefold() == "for" and i in {1, 2}), None)
    if at is None or at + 1 >= len(words):
        return read_flag(words, environments, form), None
    length = read_duration(words[at + 1])
    if length is None:
        if words[at + 1][0].isdigit():
            raise UsageError(
                markup("{} is no length of time. Write `for 90m` or `for 2h`.", code(words[at + 1]))
            )
        return read_flag(words, environments, form), None
    if not timedelta() < length <= timedelta(days=90):
        raise UsageError(Markup("Name a time of at most 90 days: `for 90m`, `for 2h`, `for 3d`."))
    return read_flag([*words[:at], *words[at + 2 :]], environments, form), length


def read_rollout(words: Sequence[str], environments: Sequence[str]) -> tuple[FlagArguments, float]:
    """Read `FLAG 25% [ENV] [REASON]`."""
    form = "rollout FLAG 25%"
    if len(words) < 2:
        raise UsageError(markup("Name the flag and the share of users: {}.", code(f"/flag {form}")))
    share = read_share(words[1])
    if share is None:
        raise UsageError(
            markup("{} is no share of users. Write {}.", code(words[1][:40]), code(f"/flag {form}"))
        )
    return read_flag([words[0], *words[2:]], environments, form), share


def read_ramp(words: Sequence[str], environments: Sequence[str]) -> RampArguments:
    """Read `FLAG 1% 5% 25% 100% every 30m [ENV] [REASON]`."""
    form = code("/flag ramp FLAG 1% 5% 25% 100% every 30m")
    steps: list[float] = []
    rest = list(words[1:])
    while rest and (share := read_share(rest[0])) is not None:
        steps.append(share)
        rest.pop(0)
    every = read_duration(rest[1]) if len(rest) > 1 and rest[0].casefold() == "every" else None
    if not steps or not every:
        raise UsageError(markup("Name the flag, the steps and the time between them: {}.", form))
    return RampArguments(read_flag([words[0], *rest[2:]], environments, "ramp FLAG …"), tuple(steps), every)


def read_share(word: str) -> float | None:
    """Read `25%`, `0.5%` or `25` as a fraction; None if the word is no percentage."""
    match = _SHARE.fullmatch(word)
    if match is None:
        return None
    share = float(match[1].replace(",", ".")) / 100
    if share > 1:
        raise UsageError(markup("{} is more than everyone: at most 100%.", code(word)))
    return share


def _environment(words: Sequence[str], environments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the environment, if the first word is one, and the rest; a misspelt one is a `UsageError`."""
    if not words:
        return None, []
    first = words[0].casefold()
    if first in environments:
        return first, list(words[1:])
    is_misspelling = is_misspelt(first, environments)
    if is_misspelling or len(words) == 1:
        known = listed([str(code(environment)) for environment in environments], "or")
        message = markup("There is no environment {}: write {}.", code(words[0][:40]), Markup(known))
        raise UsageError(
            message if is_misspelling else markup("{} Or say why in more than one word.", message)
        )
    return None, list(words)
