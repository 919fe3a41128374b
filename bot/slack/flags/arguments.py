"""Parsing of the arguments of `/flag`. Pure; what cannot be read raises `UsageError`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.formatting import listed
from bot.slack.arguments import UsageError, name, reason, unquoted
from bot.slack.blockkit.mrkdwn import Markup, code, markup
from bot.slack.typed.ends import EndReader
from bot.slack.typed.lengths import read_length
from bot.slack.typed.shares import read_share, read_shares
from bot.slack.typed.words import plain
from bot.suggestions import is_misspelt

SUBCOMMANDS = ("show", "on", "off", "rollout", "kill", "undo", "ramp", "history", "stale", "list")
NO_REASON = "no reason given"
LONGEST_TIME = timedelta(days=90)
"""How long a flag may stay on for a time."""


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


def read_flag(words: Sequence[str], environments: Sequence[str], form: str) -> FlagArguments:
    """Read `FLAG [ENV] [REASON]`."""
    if not words:
        raise UsageError(markup("Name the flag: {}.", code(f"/flag {form}")))
    environment, rest = _environment(words[1:], environments)
    return FlagArguments(flag_name(words[0]), environment, reason(rest) or NO_REASON)


def flag_name(word: str) -> str:
    """Return a flag's name as typed."""
    return name(unquoted(word))


def read_flag_with_end(
    words: Sequence[str], environments: Sequence[str], form: str, ends: EndReader
) -> tuple[FlagArguments, timedelta | None]:
    """Read `FLAG [ENV] [for 2h] [REASON]` or `… [until 18:00]`; return also how long that is from now on."""
    named = list(words[:1])
    if len(words) > 1 and words[1].casefold() in environments:
        named = list(words[:2])
    end, rest = ends.read(words[len(named) :])
    arguments = read_flag([*named, *rest], environments, form)
    if end is None:
        return arguments, None
    length = end.at - ends.now
    if length > LONGEST_TIME:
        raise UsageError(Markup("Name a time of at most 90 days: `for 90m`, `for 2h`, `for 3d`."))
    return arguments, length


def read_rollout(words: Sequence[str], environments: Sequence[str]) -> tuple[FlagArguments, float]:
    """Read `FLAG 25% [ENV] [REASON]`."""
    form = "rollout FLAG 25%"
    if len(words) < 2:
        raise UsageError(markup("Name the flag and the share of users: {}.", code(f"/flag {form}")))
    read = read_share(words[1:])
    if read is None:
        raise UsageError(
            markup("{} is no share of users. Write {}.", code(words[1][:40]), code(f"/flag {form}"))
        )
    share, used = read
    return read_flag([words[0], *words[1 + used :]], environments, form), share


def read_ramp(words: Sequence[str], environments: Sequence[str]) -> RampArguments:
    """Read `FLAG 1% 5% 25% 100% every 30m [ENV] [REASON]`."""
    form = code("/flag ramp FLAG 1% 5% 25% 100% every 30m")
    steps, rest = read_shares(words[1:])
    every = read_length(rest[1:]) if rest and plain(rest[0]) == "every" else None
    if not steps or every is None or not every[0]:
        raise UsageError(markup("Name the flag, the steps and the time between them: {}.", form))
    rest = rest[1 + every[1] :]
    return RampArguments(read_flag([words[0], *rest], environments, "ramp FLAG …"), tuple(steps), every[0])


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
