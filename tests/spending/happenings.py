"""Incidents, deployments and flags around a service, made of a few words."""

from datetime import datetime
from typing import Any

from bot.deployments.deployment import Deployment, DeploymentState
from bot.incidents.downtime import Impact
from bot.incidents.incident import Incident, Status
from bot.spending.service_events import FlagMoved
from tests.incidents.values import incident
from tests.support.clock import MINUTE


def happened(id_: int, start: datetime, end: datetime | None, **fields: Any) -> Incident:
    """Make an incident of that time, over where it has an end."""
    status = Status.INVESTIGATING if end is None else Status.RESOLVED
    values = {"title": f"Trouble {id_}", "opened_at": start + MINUTE, "status": status} | fields
    return incident(id=id_, key=f"k{id_}", impacts=(Impact(start, end),), **values)


def deployed(commit: str, at: datetime, **fields: Any) -> Deployment:
    """Make a deployment to production that ended at a time."""
    values: dict[str, Any] = {
        "id": f"ci {commit}",
        "environment": "production",
        "commit": commit.ljust(40, "0"),
        "by": "octocat",
        "state": DeploymentState.SUCCEEDED,
        "started_at": at - 5 * MINUTE,
        "finished_at": at,
    }
    return Deployment(**(values | fields))


def moved(flag: str, at: datetime, *, raises: bool = True) -> FlagMoved:
    """Make a change of a flag in production."""
    return FlagMoved(flag, "production", at, raises)
