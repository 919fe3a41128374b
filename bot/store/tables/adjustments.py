"""The table of adjustments: what of the record of a budget does not count, who asked and who approved."""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from bot.store.signals import Topic, on_write
from bot.store.tables.core import Instant, RowId, metadata

adjustments = Table(
    "adjustments",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("service", String(100), nullable=False),
    # Null: all SLOs of the service.
    Column("slo", String(100)),
    # exclusion, correction or maintenance; dropped or good.
    Column("kind", String(20), nullable=False),
    Column("counts_as", String(10), nullable=False),
    # The time that it is about, and the bad events (seconds) that a correction adds, below 0 takes away.
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("bad_events", BigInteger, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False),
    # waiting -> approved | declined | withdrawn; approved -> reversed. Only an approved one counts.
    Column("state", String(10), nullable=False),
    Column("asked_by", String(100), nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("decided_by", String(100)),
    Column("decided_at", Instant),
    Column("reversed_by", String(100)),
    Column("reversed_at", Instant),
    # The Slack request that asked, or the policy's window and its start: a repetition does nothing.
    Column("request", String(300), unique=True),
    Index("ix_adjustments_ends_at", "ends_at"),
    Index("ix_adjustments_service_state_ends_at", "service", "state", "ends_at"),
    info=on_write(Topic.EVENTS),
)
