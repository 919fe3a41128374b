"""The table of freeze windows that people planned in Slack, beside those of the policies."""

from sqlalchemy import JSON, BigInteger, Column, String, Table, Text

from bot.store.signals import Topic, on_write
from bot.store.tables.core import Instant, RowId, metadata

freeze_schedules = Table(
    "freeze_schedules",
    metadata,
    Column("id", RowId, primary_key=True),
    # The Slack workspace whose services are meant; null for the main one.
    Column("team", String(20)),
    # Names of services, and labels that they must have; without either all of them.
    Column("services", JSON, nullable=False),
    Column("labels", JSON, nullable=False),
    # A local time of the zone, as `2026-12-24T15:00`.
    Column("start", String(30), nullable=False),
    Column("time_zone", String(100), nullable=False),
    Column("minutes", BigInteger, nullable=False),
    Column("rule", String(200)),
    Column("reason", Text, nullable=False),
    Column("by", String(100), nullable=False),
    Column("planned_at", Instant, nullable=False),
    # The Slack request that planned it: a repeated delivery does nothing.
    Column("request", String(200), unique=True),
    # When somebody removed it.
    Column("removed_at", Instant),
    info=on_write(Topic.HOLDS),
)
