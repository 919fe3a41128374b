"""The table of deployments."""

from sqlalchemy import Boolean, Column, Index, String, Table, Text, false

from bot.store.signals import Topic, on_write
from bot.store.tables.core import Instant, metadata

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
    Index("ix_deployments_finished_at", "finished_at"),
    info=on_write(Topic.DEPLOYMENTS),
)
