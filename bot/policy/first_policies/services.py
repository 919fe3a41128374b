"""Which services a family's series are of: by the label that tells them apart. Pure; no clock, no I/O.

Programs name that label differently, so it is looked for in each job's series by themselves.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.policy.first_policies.candidate import slug
from bot.policy.first_policies.families import Family

JOB = "job"
_MOSTLY = 0.9
"""The share of a job's series that must have a label which tells services apart; others are left out."""
_UNKNOWN = frozenset({"", "unknown"})

Labels = Mapping[str, str]
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ServiceSeries:
    """A service, the labels by which its series are known, and the label that tells failed requests."""

    service: str
    labels: Pairs
    status: str | None = None

    def has(self, labels: Labels) -> bool:
        """Return whether a series with these labels is one of the service's."""
        return all(labels.get(name) == value for name, value in self.labels)


def services(family: Family, series: Sequence[Labels]) -> list[ServiceSeries]:
    """Return the services of a family's series; where one name is several services, each by its scope."""
    scopes: dict[tuple[str, str], set[Pairs]] = defaultdict(set)
    statuses: dict[tuple[str, str], str | None] = {}
    by_job: dict[str, list[Labels]] = defaultdict(list)
    for labels in series:
        by_job[labels.get(JOB, "")].append(labels)
    for _, own in sorted(by_job.items()):
        by = _distinguishing(family.by, own, series)
        for labels in own:
            value = labels.get(by or "", "")
            if by is not None and value not in _UNKNOWN:
                scopes[by, value].add(
                    tuple((name, labels[name]) for name in family.scope if labels.get(name))
                )
                statuses.setdefault((by, value), _first(family.status, own))
    found = (
        ServiceSeries(slug(*(text for _, text in within), value), (*within, (by, value)), statuses[by, value])
        for (by, value), several in sorted(scopes.items())
        for within in (sorted(several) if len(several) > 1 else [()])
    )
    return _each_name_once(found)


def _distinguishing(names: Sequence[str], own: Sequence[Labels], every: Sequence[Labels]) -> str | None:
    """Return the first label of a job's series that has several values in all series, else its first."""
    common = [name for name in names if sum(bool(each.get(name)) for each in own) >= _MOSTLY * len(own)]
    several = (name for name in common if len({each.get(name, "") for each in every} - {""}) > 1)
    return next(several, common[0] if common else None)


def _first(names: Sequence[str], series: Sequence[Labels]) -> str | None:
    return next((name for name in names if any(each.get(name) for each in series)), None)


def _each_name_once(found: Iterable[ServiceSeries]) -> list[ServiceSeries]:
    """Return those with a name that no earlier one has: two of one name would be one service in a policy."""
    names: dict[str, ServiceSeries] = {}
    for each in found:
        if each.service:
            names.setdefault(each.service, each)
    return list(names.values())
