"""A delivery: one run of a pipeline that brought a service to production, with what became of it. Pure.

The unit of all measures. Several reports of one run (its jobs) are one delivery, which ended when the last
of them did. Nobody's name is in it: measures are never those of a person.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.catalog.window import Span

LONGEST_LEAD_TIME = timedelta(days=400)
"""What took longer has wrong times: such a change is dropped, and counted as dropped."""

UNKNOWN_ACTOR = "unknown"
"""Who or what made a delivery, where reports of one run disagree."""


@dataclass(frozen=True, slots=True)
class DeliveredChange:
    """A commit that a delivery carried. Times are None where the forge did not tell them.

    `is_first`: no earlier delivery of the service carried it; after a rollback it comes once more.
    """

    commit: str
    authored_at: datetime | None = None
    merged_at: datetime | None = None
    is_first: bool = True
    pull_request: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One run that brought a service to production.

    `reports` are the ids of the deployments that it consists of. `actor` is `person`, `pipeline` or `agent`.
    `size` is how many changes it carried, None where nobody told. `has_failed` only where a person, a revert
    or a rollback says so; `is_suspected` only where it has not failed: an incident began within
    `attributeWithin` after it. `recovered_at` is None while it has not recovered, and where it never failed.
    `incidents` are the numbers of those that it caused.
    """

    service: str
    reports: tuple[str, ...]
    commit: str
    started_at: datetime
    finished_at: datetime
    actor: str = "pipeline"
    changes: tuple[DeliveredChange, ...] = ()
    size: int | None = None
    lines_changed: int | None = None
    url: str = ""
    has_failed: bool = False
    is_suspected: bool = False
    is_rework: bool = False
    recovered_at: datetime | None = None
    incidents: tuple[int, ...] = ()

    @property
    def recovery_time(self) -> timedelta | None:
        """How long it took to recover, from the end of the failed delivery; never below 0."""
        if not self.has_failed or self.recovered_at is None:
            return None
        return max(timedelta(), self.recovered_at - self.finished_at)


def within(deliveries: Iterable[Delivery], span: Span) -> list[Delivery]:
    """Return the deliveries that ended in a span, oldest first."""
    found = (each for each in deliveries if span.start <= each.finished_at < span.end)
    return sorted(found, key=lambda each: (each.finished_at, each.service, each.reports))
