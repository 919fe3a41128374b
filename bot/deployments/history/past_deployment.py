"""A deployment of one service as it is counted, put together from what was reported. Pure; no clock, no I/O.

Jobs of one run of a pipeline, and all outcomes of one deployment, are one deployment: it began with the first
of them, and the one that finished last says how it ended.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.deployments.actor import Actor
from bot.deployments.change import ChangesState
from bot.deployments.deployment import DeploymentState

_BEST_KNOWN = (ChangesState.KNOWN, ChangesState.PENDING, ChangesState.UNAVAILABLE, ChangesState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ReportedOutcome:
    """One row of the table of deployments."""

    service: str
    id: str
    state: DeploymentState
    environment: str
    commit: str
    by: str
    actor: Actor
    started_at: datetime
    finished_at: datetime
    ref: str = ""
    repository: str = ""
    url: str = ""
    is_production: bool = False
    run: str | None = None
    previous_commit: str | None = None
    changes_state: ChangesState = ChangesState.UNKNOWN
    changes_note: str | None = None
    changes: int | None = None
    lines_changed: int | None = None
    undoes: str | None = None
    rework: str | None = None

    @property
    def unit(self) -> tuple[str, str, str]:
        """What outcomes of one deployment have in common: the service, the environment, and a key."""
        return self.service, self.environment, f"id {self.id}" if self.run is None else f"run {self.run}"


@dataclass(frozen=True, slots=True)
class PastDeployment:
    """A deployment as it is counted. `outcomes` are what was reported, the last to finish at last."""

    outcomes: tuple[ReportedOutcome, ...]

    @property
    def id(self) -> str:
        """The id by which it is called: that of the job that finished first, which no later one changes."""
        return self.outcomes[0].id

    @property
    def ids(self) -> frozenset[str]:
        """All ids under which something may be stored of it."""
        return frozenset(outcome.id for outcome in self.outcomes)

    @property
    def last(self) -> ReportedOutcome:
        """The outcome that counts."""
        return self.outcomes[-1]

    @property
    def service(self) -> str:
        """The service's name."""
        return self.last.service

    @property
    def environment(self) -> str:
        """Where it was deployed to."""
        return self.last.environment

    @property
    def state(self) -> DeploymentState:
        """How it ended."""
        return self.last.state

    @property
    def commit(self) -> str:
        """What was deployed."""
        return self.last.commit

    @property
    def started_at(self) -> datetime:
        """When its first job began."""
        return min(outcome.started_at for outcome in self.outcomes)

    @property
    def ended_at(self) -> datetime:
        """When its last job finished."""
        return self.last.finished_at

    @property
    def best_known(self) -> ReportedOutcome:
        """The outcome of which the changes are known best."""
        return min(reversed(self.outcomes), key=lambda outcome: _BEST_KNOWN.index(outcome.changes_state))

    @property
    def changes(self) -> int | None:
        """How many commits it carried, None where that is not known."""
        return self.best_known.changes


def in_one(outcomes: Iterable[ReportedOutcome]) -> Sequence[PastDeployment]:
    """Return the deployments that the outcomes are of, the one that ended first before the others."""
    units: dict[tuple[str, str, str], list[ReportedOutcome]] = {}
    for outcome in outcomes:
        units.setdefault(outcome.unit, []).append(outcome)
    deployments = [PastDeployment(tuple(sorted(each, key=_in_order))) for each in units.values()]
    return sorted(
        deployments, key=lambda deployment: (deployment.ended_at, deployment.service, deployment.id)
    )


def _in_order(outcome: ReportedOutcome) -> tuple[datetime, datetime, str, str]:
    # Of two that finished in the same second, one that failed and one that succeeded, the latter counts.
    return outcome.finished_at, outcome.started_at, outcome.id, outcome.state.value
