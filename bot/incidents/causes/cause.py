"""What is known of the cause of an incident: confirmed, suspected, or that no deployment was. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.deployments.deployment import Deployment
from bot.deployments.judgement import LinkMeans
from bot.incidents.incident import Incident

HOW = {
    LinkMeans.REVERT: "its change was taken back",
    LinkMeans.ROLLBACK: "it was rolled back",
    LinkMeans.GUARD: "its guard rolled it back",
    LinkMeans.FLAG: "it was switched off",
}
"""How it became known, where nobody said so."""


@dataclass(frozen=True, slots=True)
class CausingDeployment:
    """A deployment that caused an incident, with those of its services that it was deployed to.

    `means` and `linked_by` say how that is known; both are None for one that is only suspected.
    """

    deployment: Deployment
    services: tuple[str, ...]
    means: LinkMeans | None = None
    linked_by: str | None = None


@dataclass(frozen=True, slots=True)
class CausingFlag:
    """A flag whose change caused an incident; `name` is the flag with its environment."""

    name: str
    means: LinkMeans
    linked_by: str


@dataclass(frozen=True, slots=True)
class IncidentCauses:
    """The causes of an incident. There are suspects only where nothing is confirmed.

    `cleared_by` is who said that no deployment caused it.
    """

    confirmed: tuple[CausingDeployment, ...] = ()
    suspected: tuple[CausingDeployment, ...] = ()
    flags: tuple[CausingFlag, ...] = ()
    cleared_by: str | None = None


def known_by(means: LinkMeans) -> str:
    """Return how a link became known, in words; empty where a person said so."""
    return HOW.get(means, "")


def describe(deployment: Deployment, services: Sequence[str]) -> str:
    """Return a deployment with its environment and services: `3f1c2ab to production (checkout)`."""
    return f"{deployment.subject} ({', '.join(services)})" if services else deployment.subject


def is_explained_by_undo(
    incident: Incident,
    *,
    deployed_at: datetime,
    undoing_began_at: datetime,
    undone_at: datetime,
    attribute_within: timedelta,
) -> bool:
    """Return whether an incident is what a deployment was undone for.

    It began after the deployment did and before it was undone, and was still going on then, or was over for
    no longer than `attribute_within`.
    """
    if not incident.status.counts or not deployed_at <= incident.started_at <= undone_at:
        return False
    return incident.ended_at is None or undoing_began_at - incident.ended_at <= attribute_within
