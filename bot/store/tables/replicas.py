"""The tables through which replicas agree: who lives, who does what, what was asked and told already.

They belong to the same metadata as `tables.py`.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table

from bot.store.tables.core import Instant, metadata

# A row lives as long as its replica is believed to; whoever finds a beat unchanged too long deletes it.
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

# Requests that were carried out: a repeated delivery finds its row and does nothing.
requests = Table(
    "requests",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("at", Instant, nullable=False, index=True),
)

# Conditions that were told as begun and not yet as over, such as faults in the policies.
conditions = Table(
    "conditions",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("since", Instant, nullable=False),
)
