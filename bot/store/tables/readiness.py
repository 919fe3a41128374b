"""The tables of launch readiness: which services are known, and what of their checklists is done."""

from sqlalchemy import Boolean, Column, String, Table

from bot.store.signals import Topic, on_write
from bot.store.tables.core import Instant, metadata

# One row for each service that was ever in the policies, so that each is asked once. The row without a name
# says since when services are remembered.
known_services = Table(
    "known_services",
    metadata,
    Column("service", String(100), primary_key=True),
    Column("seen_at", Instant, nullable=False),
    # Whether its channel got a launch checklist when it appeared.
    Column("asked", Boolean, nullable=False),
    # When it was first missed in the policies.
    Column("gone_at", Instant, index=True),
)

# The items that are ticked now; the audit log has what was unticked.
launch_ticks = Table(
    "launch_ticks",
    metadata,
    Column("service", String(100), primary_key=True),
    Column("item", String(20), primary_key=True),
    Column("by", String(100), nullable=False),
    Column("at", Instant, nullable=False),
    info=on_write(Topic.HOLDS),
)
