"""The tables by which replicas coordinate: live replicas, leases, requests and conditions."""

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table

from bot.store.tables.core import Instant, metadata

# A row for each live replica; a replica that finds a beat unchanged for too long deletes it.
replicas = Table(
    "replicas",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("beat", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("owner", String(32), ForeignKey("replicas.id", ondelete="CASCADE"), nullable=False, index=True),
)

# Requests that were carried out: a repeated delivery does nothing.
requests = Table(
    "requests",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("at", Instant, nullable=False, index=True),
)

# Conditions whose begin was announced and whose end was not, such as faults in the policies.
conditions = Table(
    "conditions",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("since", Instant, nullable=False),
)
