"""The tables of deployments, the changes that each carried, and the incidents that each caused."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from bot.store.signals import Topic, on_write
from bot.store.tables.core import Instant, RowId, metadata

# When a change began to take traffic, from when on the canary guard watches it.
begun_changes = Table(
    "begun_changes",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("service", String(100), nullable=False),
    Column("change", String(200), nullable=False),
    Column("began_at", Instant, nullable=False, index=True),
    Column("told_by", String(100), nullable=False),
    UniqueConstraint("service", "change"),
    info=on_write(Topic.DEPLOYMENTS),
)

# One row for each service and outcome of a deployment.
deployments = Table(
    "deployments",
    metadata,
    Column("service", String(100), primary_key=True),
    Column("deployment", String(200), primary_key=True),
    Column("state", String(20), primary_key=True),
    Column("repository", String(200), nullable=False),
    Column("environment", String(255), nullable=False),
    Column("commit", String(64), nullable=False),
    Column("ref", String(255), nullable=False),
    Column("by", String(100), nullable=False),
    Column("url", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False),
    Column("production", Boolean, nullable=False, default=False, server_default=false()),
    # person, pipeline or agent
    Column("actor", String(20), nullable=False, default="pipeline", server_default="pipeline"),
    # Jobs of one run of a pipeline are one deployment; null where each report is one.
    Column("run", String(200)),
    # The commit that was deployed before, which the changes are compared with.
    Column("previous_commit", String(64)),
    # unknown, pending, known or unavailable
    Column("changes_state", String(20), nullable=False, default="unknown", server_default="unknown"),
    # Why they are unavailable, or what is particular about them, in words.
    Column("changes_note", String(300)),
    Column("changes", Integer),
    Column("lines_changed", Integer),
    # The deployment of the same service that it undid, by a revert or a rollback.
    Column("undoes", String(200)),
    # Why it was unplanned work after a failure, in words; null where it was not.
    Column("rework", String(300)),
    Index("ix_deployments_finished_at", "finished_at"),
    Index("ix_deployments_service_finished_at", "service", "finished_at"),
    info=on_write(Topic.DEPLOYMENTS),
)

# The commits that a deployment carried. Nobody's name is kept: measures are never those of a person.
deployment_changes = Table(
    "deployment_changes",
    metadata,
    Column("service", String(100), primary_key=True),
    Column("deployment", String(200), primary_key=True),
    Column("commit", String(64), primary_key=True),
    Column("title", String(300), nullable=False, default=""),
    # The pull request that brought it, such as PR-12.
    Column("change", String(200)),
    Column("authored_at", Instant),
    # When it was first on the default branch.
    Column("merged_at", Instant),
    # The commit or the pull request that it takes back, by its own message.
    Column("reverts", String(200)),
    info=on_write(Topic.DEPLOYMENTS),
)

# Which deployment caused which incident, as somebody said or as a rollback proved. What is only near in
# time is not here: that is computed whenever it is shown.
deployment_incidents = Table(
    "deployment_incidents",
    metadata,
    Column("service", String(100), primary_key=True),
    # Empty where a person says that no deployment caused it; the flag where a flag's change did.
    Column("deployment", String(200), primary_key=True),
    Column("incident_id", ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
    # person, revert, rollback, guard or flag
    Column("by_means", String(20), nullable=False),
    Column("by", String(100), nullable=False),
    Column("at", Instant, nullable=False),
    # Set where somebody took it back.
    Column("removed_at", Instant),
    Column("removed_by", String(100)),
    Index("ix_deployment_incidents_incident_id", "incident_id"),
    info=on_write(Topic.DEPLOYMENTS),
)
