"""Reads what `/budget what-if` supposes: an outage (`10m 50%`) or an objective (`objective 99.95`). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from bot.backtests.outage import LONGEST, SupposedOutage
from bot.formatting import duration_text
from bot.slack.arguments import UsageError, name
from bot.slack.blockkit.mrkdwn import Markup, code, markup
from bot.slack.typed.lengths import is_number, read_length
from bot.slack.typed.shares import read_share
from bot.slack.typed.words import plain

OBJECTIVE = "objective"
_FILLERS = {"for", "of", "at", "with", "to", "an", "outage", "down", "failing"}
_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class SupposedObjective:
    """Another objective, a fraction, for the SLO of that name; None where none was named."""

    objective: Decimal
    slo: str | None


def read_supposition(service: str, words: Sequence[str]) -> SupposedOutage | SupposedObjective:
    """Return what the words after the service's name suppose. Raises `UsageError`."""
    if words and plain(words[0]) in {OBJECTIVE, f"{OBJECTIVE}s", "slo", "target"}:
        return _objective(service, words[1:])
    return _outage(service, words)


def usage(service: str) -> Markup:
    """Return how to suppose something."""
    outage, objective = f"/budget what-if {service} 10m 50%", f"/budget what-if {service} objective 99.95"
    return markup(
        "For an outage: {}, its length and the share of requests that fail. For another objective: {}.",
        code(outage), code(objective),
    )  # fmt: skip


def _outage(service: str, words: Sequence[str]) -> SupposedOutage:
    rest = [word for word in words if plain(word) not in _FILLERS]
    length = share = None
    while rest:
        # `50%` is a share, `10m` a length; a bare number is the share of the two.
        if share is None and (read := read_share(rest)) is not None and read_length(rest[:2]) is None:
            share, used = read
        elif length is None and (found := read_length(rest)) is not None:
            length, used = found
        else:
            raise UsageError(markup("{} was not understood. {}", code(rest[0][:_MOST_SHOWN]), usage(service)))
        rest = rest[used:]
    if length is None:
        missing = "How long would it last?" if share is not None else "What if what?"
        raise UsageError(markup("{} {}", missing, usage(service)))
    if not length or share == 0:
        raise UsageError(markup("That would be no outage. {}", usage(service)))
    if length > LONGEST:
        raise UsageError(markup("An outage of at most {}: that one is longer.", duration_text(LONGEST)))
    return SupposedOutage(length, 1.0 if share is None else share)


def _objective(service: str, words: Sequence[str]) -> SupposedObjective:
    rest = [word for word in words if plain(word) not in _FILLERS]
    for position in range(min(2, len(rest))):
        read = read_share(rest[position:])
        if read is None:
            continue
        others = [*rest[:position], *rest[position + read[1] :]]
        # As it was typed: 99.95 is not exactly a binary fraction.
        objective = Decimal(plain(rest[position]).rstrip("%").replace(",", ".")) / 100
        if not 0 < objective < 1:
            raise UsageError(markup("An objective lies between 0% and 100%, such as {}.", code("99.95")))
        if len(others) > 1:
            raise UsageError(markup("One SLO at a time. {}", usage(service)))
        return SupposedObjective(objective, name(others[0]) if others else None)
    if rest and is_number(rest[0]):
        raise UsageError(markup("{} is not an objective. {}", code(rest[0][:_MOST_SHOWN]), usage(service)))
    raise UsageError(markup("Which objective? {}", usage(service)))
