"""The tables of outgoing webhooks: where events go, and what became of each."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint

from bot.store.tables.core import Instant, RowId, metadata

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("name", String(100), primary_key=True),
    # The last row of the audit log of which deliveries were made: the log is the outbox.
    Column("cursor", BigInteger, nullable=False),
    # Tells whether address or secrets were changed since it was disabled.
    Column("fingerprint", String(64), nullable=False),
    Column("removed_at", Instant),
    Column("disabled_at", Instant),
    Column("problem", Text),
    Column("delivered_at", Instant),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("endpoint", String(100), nullable=False),
    # What is sent is made of this row anew at each attempt, so that it never tells what became private.
    Column("audit_id", BigInteger, nullable=False),
    Column("event_id", String(60), nullable=False),
    Column("event", String(100), nullable=False),
    Column("service", String(100)),
    # pending -> delivered or failed
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("attempted_at", Instant),
    Column("delivered_at", Instant),
    Column("status", Integer),
    Column("answer", Text),
    Column("error", Text),
    # Who asked to deliver it again, also where the endpoint is disabled.
    Column("redelivered_by", String(100)),
    UniqueConstraint("endpoint", "audit_id"),
    Index("ix_webhook_deliveries_created_at", "created_at"),
)
