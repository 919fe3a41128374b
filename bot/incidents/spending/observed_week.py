"""What a policy that only observes would have stopped, and what followed. Pure; no clock, no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.catalog.window import Span
from bot.deployments.deployment import Deployment, DeploymentState
from bot.incidents.incident import Incident


@dataclass(frozen=True, slots=True)
class ShippedDeployment:
    """A deployment to production; `incident` is the number of the one that followed it, None without one."""

    deployment: Deployment
    would_be_stopped: bool
    incident: int | None


@dataclass(frozen=True, slots=True)
class ObservedWeek:
    """How long a service would have been frozen in a time, how often, and what was deployed then.

    `within` is how long after a deployment an incident still counts as following it.
    """

    span: Span
    policy: str
    times: int
    frozen_for: timedelta
    deployments: tuple[ShippedDeployment, ...]
    within: timedelta

    @property
    def stopped(self) -> tuple[ShippedDeployment, ...]:
        """The deployments that would have been stopped."""
        return tuple(shipped for shipped in self.deployments if shipped.would_be_stopped)

    @property
    def passed(self) -> tuple[ShippedDeployment, ...]:
        """The deployments that would have shipped all the same."""
        return tuple(shipped for shipped in self.deployments if not shipped.would_be_stopped)


def observed_week(
    span: Span,
    policy: str,
    frozen: Sequence[Span],
    deployments: Iterable[Deployment],
    incidents: Iterable[Incident],
    *,
    within: timedelta,
) -> ObservedWeek:
    """Sum up a time; `frozen` are the spans in which something would have held the service."""
    spans = _merged(_clipped(each, span) for each in frozen)
    shipped = [each for each in deployments if _counts(each, span)]
    followed = incidents_after(shipped, incidents, within)
    return ObservedWeek(
        span=span,
        policy=policy,
        times=len(spans),
        frozen_for=sum((each.length for each in spans), timedelta()),
        deployments=tuple(
            ShippedDeployment(
                deployment,
                any(each.start <= deployment.started_at < each.end for each in spans),
                followed.get(deployment.id),
            )
            for deployment in shipped
        ),
        within=within,
    )


def incidents_after(
    deployments: Sequence[Deployment], incidents: Iterable[Incident], within: timedelta
) -> Mapping[str, int]:
    """Return the first incident that followed each deployment, by the deployment's id.

    An incident follows the last deployment that had ended before it began, if that is not longer ago than
    `within`.
    """
    followed: dict[str, int] = {}
    for incident in sorted(incidents, key=lambda incident: (incident.started_at, incident.id)):
        before = [
            deployment
            for deployment in deployments
            if deployment.finished_at <= incident.started_at < deployment.finished_at + within
        ]
        last = max(before, key=lambda deployment: deployment.finished_at, default=None)
        if last is not None:
            followed.setdefault(last.id, incident.id)
    return followed


def _counts(deployment: Deployment, span: Span) -> bool:
    is_shipped = deployment.state is DeploymentState.SUCCEEDED and deployment.is_production
    return is_shipped and span.start <= deployment.finished_at < span.end


def _clipped(span: Span, within: Span) -> Span:
    start = max(span.start, within.start)
    return Span(start, max(start, min(span.end, within.end)))


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans that do not overlap, without empty ones, oldest first."""
    merged: list[Span] = []
    for span in sorted(each for each in spans if each.start < each.end):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged
