"""Parsing of the arguments of `/flag`. Pure; what cannot be read raises `UsageError`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.formatting import listed
from bot.slack.arguments import UsageError, name, reason, unquoted
from bot.slack.blockkit.mrkdwn import Markup, code, markup
from bot.slack.typed.ends import EndReader, is_quoted
from bot.slack.typed.lengths import read_length
from bot.slack.typed.shares import read_share, read_shares
from bot.slack.typed.words import plain
from bot.suggestions import is_misspelt

SUBCOMMANDS = ("show", "on", "off", "rollout", "kill", "undo", "ramp", "history", "stale", "list")
PREPOSITIONS = frozenset({"in", "on", "for"})
"""The words that may stand before an environment."""
LONGEST_TIME = timedelta(days=90)
"""How long a flag may stay on for a time."""


@dataclass(frozen=True, slots=True)
class FlagArguments:
    """A flag in an environment (None: the default one), and the reason, empty where none was given."""

    flag: str
    environment: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class RampArguments:
    """A ramp as typed: shares between 0 and 1 (none: the policy's), and the time between two steps."""

    target: FlagArguments
    steps: tuple[float, ...]
    every: timedelta


def read_flag(words: Sequence[str], environments: Sequence[str], form: str) -> FlagArguments:
    """Read `FLAG [ENV] [REASON]`."""
    if not words:
        raise UsageError(markup("Name the flag: {}.", code(f"/flag {form}")))
    environment, rest = _environment(words[1:], environments)
    return FlagArguments(flag_name(words[0]), environment, reason(rest))


def flag_name(word: str) -> str:
    """Return a flag's name as typed."""
    return name(unquoted(word))


def read_flag_with_end(
    words: Sequence[str], environments: Sequence[str], form: str, ends: EndReader
) -> tuple[FlagArguments, timedelta | None]:
    """Read `FLAG [ENV] [for 2h] [REASON]` or `… [until 18:00]`; return also how long that is from now on."""
    named = [*words[:1], *leading_environment(words[1:], environments)]
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
    named = leading_environment(words[1:], environments)
    rest = words[1 + len(named) :]
    read = read_share(rest)
    if read is None:
        what = markup("{} is not a share of users. ", code(rest[0][:40])) if rest else Markup("")
        raise UsageError(markup("{}Write {}.", what, code(f"/flag {form}")))
    share, used = read
    return read_flag([words[0], *named, *rest[used:]], environments, form), share


def read_ramp(words: Sequence[str], environments: Sequence[str]) -> RampArguments:
    """Read `FLAG 1% 5% 25% 100% every 30m [ENV] [REASON]`; the steps may be left out."""
    form = code("/flag ramp FLAG 1% 5% 25% 100% every 30m")
    named = leading_environment(words[1:], environments)
    steps, rest = read_shares(words[1 + len(named) :])
    every = read_length(rest[1:]) if rest and plain(rest[0]) == "every" else None
    if every is None or not every[0]:
        raise UsageError(markup("Name the flag, the steps and the time between them: {}.", form))
    rest = rest[1 + every[1] :]
    target = read_flag([words[0], *named, *rest], environments, "ramp FLAG …")
    return RampArguments(target, tuple(steps), every[0])


def leading_environment(words: Sequence[str], environments: Sequence[str]) -> list[str]:
    """Return the words at the beginning that name an environment, `staging` or `in staging`; none if none."""
    if words and plain(words[0]) in environments:
        return list(words[:1])
    is_named = len(words) > 1 and plain(words[0]) in PREPOSITIONS and plain(words[1]) in environments
    return list(words[:2]) if is_named else []


def _environment(words: Sequence[str], environments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the environment that the words begin with (`staging`, `in staging`), and the rest.

    Raises `UsageError` for a misspelt one, and for one at the end of a reason, which is asked about.
    """
    if not words or is_quoted(words):
        return None, list(words)
    used = 1 + (len(words) > 1 and plain(words[0]) in PREPOSITIONS)
    named = plain(words[used - 1])
    if named in environments:
        return named, list(words[used:])
    is_misspelling = is_misspelt(named, environments)
    is_short = used == 2 and len(named) > 2 and any(known.startswith(named) for known in environments)
    if is_misspelling or is_short or len(words) == used:
        known = listed([str(code(environment)) for environment in environments], "or")
        message = markup("There is no environment {}: write {}.", code(words[used - 1][:40]), Markup(known))
        if is_misspelling or is_short:
            raise UsageError(message)
        otherwise = "put the reason in quotes" if used == 2 else "say why in more than one word"
        raise UsageError(markup("{} Or {}.", message, otherwise))
    _ask_about_environment(words, environments)
    return None, list(words)


def _ask_about_environment(words: Sequence[str], environments: Sequence[str]) -> None:
    """Raise `UsageError` for a reason that ends with `in staging`: it may name where, or only tell of it."""
    if len(words) > 2 and plain(words[-2]) == "in" and plain(words[-1]) in environments:
        named, why = plain(words[-1]), " ".join(words)
        form = markup("Put it after the flag: {}", code(f"FLAG {named} {' '.join(words[:-2])}"[:80]))
        quoted = code(f"“{why}”"[:80])
        raise UsageError(
            markup("Should it change in {}? {}. Or put the reason in quotes: {}.", named, form, quoted)
        )
