"""The table of requests for exemptions: what somebody asked to ship through a freeze, and who decided."""

from sqlalchemy import Boolean, Column, Double, String, Table, Text, false

from bot.store.signals import Topic, on_write
from bot.store.tables.core import Instant, RowId, metadata

exemption_requests = Table(
    "exemption_requests",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("service", String(100), nullable=False, index=True),
    Column("change", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String(100), nullable=False),
    Column("asked_at", Instant, nullable=False, index=True),
    # For how many seconds it is asked, from the decision on; null without an end.
    Column("keep_for", Double),
    # The Slack request that asked: a repeated delivery does nothing.
    Column("request", String(200), unique=True),
    # asked -> granted or declined
    Column("state", String(10), nullable=False),
    Column("decided_by", String(100)),
    Column("decided_at", Instant),
    Column("comment", Text),
    Column("commit", String(200)),
    Column("kind", String(200)),
    Column("proof", String(500)),
    # When it ends, where that is asked for instead of a length.
    Column("until", Instant),
    # Whether an agent asked, by its token.
    Column("by_agent", Boolean, nullable=False, default=False, server_default=false()),
    info=on_write(Topic.HOLDS),
)
