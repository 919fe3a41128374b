"""Writes deployments, their changes and incidents as rows, as they come to be by other ways in the bot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import ErrorBudgetPolicy
from bot.catalog.teams import Teams
from bot.store.database import Database
from bot.store.tables.deployments import deployment_changes, deployment_incidents, deployments
from bot.store.tables.incidents import incident_impacts, incident_services, incidents
from bot.velocity.scope import ScopeKind, VelocityScope


def at(text: str) -> datetime:
    """Return a time of the year 2026: `03-02 09:10`."""
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


def service(name: str, *teams: str) -> Service:
    """Return a service without SLOs, whose developers are these user groups or people."""
    return Service(name, "", f"#{name}", Teams(teams), ErrorBudgetPolicy("standard"), (), {})


def scope_of(*names: str) -> VelocityScope:
    """Return a scope of services."""
    return VelocityScope(ScopeKind.TEAM, "@team", tuple(map(service, names)))


@dataclass
class History:
    """Rows to be written at once."""

    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {
            name: []
            for name in (
                "deployments",
                "deployment_changes",
                "incidents",
                "incident_services",
                "incident_impacts",
                "deployment_incidents",
            )
        }
    )

    def deploy(
        self,
        id_: str,
        finished: datetime,
        *changes: tuple[str, timedelta | None, timedelta | None],
        to: str = "checkout",
        **more: Any,
    ) -> None:
        """Add a deployment; each change is a commit, and how long before it was written and merged."""
        values = {
            "service": to,
            "deployment": id_,
            "state": "succeeded",
            "repository": "acme/shop",
            "environment": "production",
            "commit": f"commit of {id_}",
            "ref": "main",
            "by": "the pipeline",
            "url": "",
            "started_at": finished - timedelta(minutes=5),
            "finished_at": finished,
            "production": True,
            "actor": "pipeline",
            "run": None,
            "changes": len(changes) or None,
            "lines_changed": None,
            "undoes": None,
            "rework": None,
        }
        self.rows["deployments"].append(values | more)
        for commit, written, merged in changes:
            self.rows["deployment_changes"].append(
                {
                    "service": to,
                    "deployment": id_,
                    "commit": commit,
                    "title": "",
                    "authored_at": None if written is None else finished - written,
                    "merged_at": None if merged is None else finished - merged,
                }
            )

    def incident(
        self,
        id_: int,
        start: datetime,
        end: datetime | None,
        *deployed: str,
        of: Sequence[str] = ("checkout",),
        opened: datetime | None = None,
        **more: Any,
    ) -> None:
        """Add an incident from `start` to `end` that the deployments `deployed` caused."""
        values = {
            "id": id_,
            "key": f"incident {id_}",
            "marker": f"marker {id_}",
            "title": f"Incident {id_}",
            "severity": "sev2",
            "status": "resolved" if end else "investigating",
            "private": False,
            "opened_by": "U0DANA",
            "opened_at": opened or start,
            "resolved_at": end,
            "updated_at": start,
            "document": {},
            "version": 1,
            "merged_into": None,
        }
        self.rows["incidents"].append(values | more)
        for position, name in enumerate(of):
            self.rows["incident_services"].append({"incident_id": id_, "service": name, "position": position})
        self.rows["incident_impacts"].append(
            {"incident_id": id_, "service": None, "start": start, "end": end, "share": 1.0, "assumed": False}
        )
        for each in deployed:
            self.link(each, id_, of[0])

    def link(self, deployment: str, incident: int, to: str = "checkout", **more: Any) -> None:
        """Add that a deployment caused an incident."""
        values = {
            "service": to,
            "deployment": deployment,
            "incident_id": incident,
            "by_means": "person",
            "by": "U0DANA",
            "at": at("01-01 00:00"),
            "removed_at": None,
            "removed_by": None,
        }
        self.rows["deployment_incidents"].append(values | more)

    async def write(self, database: Database) -> None:
        """Write all rows."""
        async with database.transaction() as connection:
            await self._write(connection)

    async def _write(self, connection: AsyncConnection) -> None:
        tables = (
            deployments,
            deployment_changes,
            incidents,
            incident_services,
            incident_impacts,
            deployment_incidents,
        )
        for table in tables:
            if self.rows[table.name]:
                await connection.execute(insert(table), self.rows[table.name])
