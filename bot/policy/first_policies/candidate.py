"""A candidate SLO: what it measures, how it has gone lately, and which objective follows from that. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from bot.budgets.evidence import LEDGER_FROM
from bot.formatting import percent_text
from bot.policy.first_policies.families import Kind

OBJECTIVES = tuple(map(Decimal, ("99.9", "99.5", "99", "98", "95", "90")))
"""In percent, the strictest first. A first objective is no stricter: each further nine is a decision."""
WINDOW = timedelta(days=30)
_SPENT_AT_MOST = Decimal("0.5")
"""The most of the budget that the last days may have spent: the first week must not begin with a freeze."""
_WITHOUT_TRAFFIC = Decimal(99)
_LATENCY = Decimal(99)
_LONGEST_NAME = 63
_HUNDRED = Decimal(100)
_SHOWN = Decimal("0.0001")
_SHORTEST, _LONGEST = timedelta(milliseconds=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One SLO that could be: `sli` are the keys below the source's name in a policy.

    `good` and `total` are the events of the last `span`; `objective` is in percent. `note` says what a person
    should know before it is taken, `origin` whose metrics they are.
    """

    service: str
    name: str
    kind: Kind
    sli: Mapping[str, str]
    objective: Decimal
    good: float
    total: float
    span: timedelta
    origin: str
    note: str = ""

    @property
    def key(self) -> str:
        """`service/name`."""
        return f"{self.service}/{self.name}"

    @property
    def share(self) -> float | None:
        """The share of good events; None without any."""
        return self.good / self.total if self.total > 0 else None


def proposed_objective(good: float, total: float, span: timedelta) -> tuple[Decimal, str]:
    """Return the objective in percent that the last events suggest, and what is to be said of it.

    The strictest of which they spent at most half the budget, and of which a window has enough events for
    arithmetic to decide.
    """
    if total <= 0:
        return _WITHOUT_TRAFFIC, "no traffic lately, so the objective is a guess"
    bad = Decimal(max(0.0, 1 - good / total))
    expected = Decimal(total) * Decimal(WINDOW / span)
    for objective in OBJECTIVES:
        if _is_met(objective, bad) and expected * (1 - objective / _HUNDRED) >= LEDGER_FROM:
            return objective, ""
    loosest = OBJECTIVES[-1]
    if bad > (1 - loosest / _HUNDRED) * _SPENT_AT_MOST:
        return (
            loosest,
            f"{percent_text(bad.quantize(_SHOWN), plain=True)} failed lately: is this what users meet?",
        )
    met = (each for each in OBJECTIVES if each <= _WITHOUT_TRAFFIC and _is_met(each, bad))
    return next(met, loosest), "little traffic: a few errors decide"


def _is_met(objective: Decimal, bad: Decimal) -> bool:
    """Return whether a share of bad events leaves half of an objective's budget."""
    return bad <= (1 - objective / _HUNDRED) * _SPENT_AT_MOST


@dataclass(frozen=True, slots=True)
class Bound:
    """A bucket's upper bound: as the label has it, as a time, and the events at or below it."""

    label: str
    time: timedelta
    events: float


def proposed_bound(bounds: Iterable[Bound], total: float) -> tuple[Bound, Decimal] | None:
    """Return the bound of a latency SLO with its objective in percent; None where no bucket will do.

    The lowest bound that leaves half the budget of 99%, else the lowest that 99% met, else the highest bound
    with an objective that was met.
    """
    usable = sorted((bound for bound in bounds if _is_usable(bound.time)), key=lambda bound: bound.time)
    if total <= 0 or not usable:
        return None
    allowed = float(1 - _LATENCY / _HUNDRED)
    for spent in (float(_SPENT_AT_MOST), 1.0):
        for bound in usable:
            if bound.events >= total * (1 - allowed * spent):
                return bound, _LATENCY
    highest = usable[-1]
    for objective in OBJECTIVES:
        if objective < _LATENCY and highest.events >= total * float(objective / _HUNDRED):
            return highest, objective
    return None


def _is_usable(time: timedelta) -> bool:
    return _SHORTEST <= time <= _LONGEST and not time % _SHORTEST


def slug(*parts: str) -> str:
    """Return a name for policies: of a-z, 0-9 and `-`; empty where nothing of the parts can be in one."""
    text = "-".join(part.partition("@")[0] for part in parts if part)
    text = re.sub(r"^https?://", "", text.lower())
    text = re.sub(r"[^a-z0-9]+", "-", text).strip("-")
    return text[:_LONGEST_NAME].strip("-")


def slo_name(kind: Kind, what: str) -> str:
    """Return an SLO's name: plain for a server's own metrics, with the place where else it was counted."""
    if kind is Kind.HTTP:
        return what
    if kind is Kind.PROBE:
        return "reachable"
    return "scraped" if kind is Kind.UP else f"{kind}-{what}"


def without_doubles(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates by service, of those with one name the first."""
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.key, candidate)
    order = {kind: place for place, kind in enumerate(Kind)}
    return tuple(sorted(first.values(), key=lambda each: (each.service, order[each.kind], each.name)))


def chosen(candidates: Sequence[Candidate], text: str) -> tuple[Candidate, ...]:
    """Return the candidates that a person names by their numbers, from 1: `1-3,7`; raises `ValueError`."""
    numbers: set[int] = set()
    for part in re.split(r"[,\s]+", text.strip()):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        if match is None:
            raise ValueError(f"`{part}` is not a number: write some such as 1-3,7")
        numbers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    beyond = sorted(number for number in numbers if not 1 <= number <= len(candidates))
    if beyond or not numbers:
        raise ValueError(f"the numbers go from 1 to {len(candidates)}")
    return tuple(candidates[number - 1] for number in sorted(numbers))
