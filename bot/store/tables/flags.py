"""The tables of flags: changes, ramps, pending reverts, and the last state seen.

A flag's state is stored as JSON, in full.
"""

from sqlalchemy import (
    JSON,
    Column,
    Double,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from bot.store.signals import Topic, on_write
from bot.store.tables.core import Instant, RowId, metadata

_SENDING = Column("state", String) == "sending"
_LIVE = Column("ended_at", Instant).is_(None)

# Each requested change: asked -> sending -> done, or declined, void or failed on the way.
flag_changes = Table(
    "flag_changes",
    metadata,
    Column("id", RowId, primary_key=True),
    # The id of the request that led to it: a repeated delivery does nothing.
    Column("request", String(200), unique=True),
    Column("flag", String(100), nullable=False),
    Column("environment", String(100), nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("cause", String(20), nullable=False),
    Column("change", JSON, nullable=False),
    # The version that it was planned for: it is valid for no other.
    Column("version", Text, nullable=False),
    # The state before, and the state to reach; once done, the state reached.
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    Column("by", String(100), nullable=False),
    Column("approved_by", String(100)),
    Column("approval_comment", Text),
    Column("reason", Text, nullable=False),
    # Seconds after which it is reverted.
    Column("keep_for", Double),
    Column("ramp_id", RowId),
    Column("promise_id", RowId),
    Column("service", String(100)),
    Column("created_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Column("problem", Text),
    Index("ix_flag_changes_flag_environment", "flag", "environment"),
    Index("ix_flag_changes_settled_at", "settled_at"),
    # At most one change of a flag is being sent to the flag system, by whichever replica.
    Index(
        "uq_flag_changes_sending",
        "flag",
        "environment",
        unique=True,
        sqlite_where=_SENDING,
        postgresql_where=_SENDING,
    ),
    info=on_write(Topic.FLAGS),
)

flag_ramps = Table(
    "flag_ramps",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("request", String(200), unique=True),
    Column("flag", String(100), nullable=False),
    Column("environment", String(100), nullable=False),
    Column("service", String(100), nullable=False),
    # Rising shares between 0 and 1; how many steps were taken, when the last; seconds between two.
    Column("steps", JSON, nullable=False),
    Column("taken", Integer, nullable=False),
    Column("taken_at", Instant),
    Column("every", Double, nullable=False),
    # The burn rate at which it is rolled back, and for how many seconds each step is watched.
    Column("guard_burn", Double, nullable=False),
    Column("guard_watch", Double, nullable=False),
    Column("state", String(10), nullable=False),
    Column("held_by", String(100)),
    # The announced pause: its cause and reason.
    Column("hold_cause", String(20)),
    Column("hold_why", Text),
    # The flag's state before the ramp, and its version after the last step.
    Column("before", JSON, nullable=False),
    Column("version", Text, nullable=False),
    Column("by", String(100), nullable=False),
    Column("approved_by", String(100)),
    Column("reason", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("retry_at", Instant),
    Column("ended_at", Instant, index=True),
    Index(
        "uq_flag_ramps_live", "flag", "environment", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
    ),
    info=on_write(Topic.FLAGS),
)

# Pending reverts: states to restore if the service burns, at a time, or once a service is open.
flag_promises = Table(
    "flag_promises",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("flag", String(100), nullable=False),
    Column("environment", String(100), nullable=False),
    Column("service", String(100)),
    Column("state", JSON, nullable=False),
    # Valid only while the flag still has this version.
    Column("version", Text, nullable=False),
    Column("by", String(100), nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Column("warn_at", Instant),
    # The guard of a watch, and the burn rates before the change.
    Column("guard_burn", Double),
    Column("guard_watch", Double),
    Column("baseline", JSON),
    # The announced reason why it failed so far, and when to retry.
    Column("problem", Text),
    Column("retry_at", Instant),
    # Since when there has been nothing to restore: no flag, no environment, no right.
    Column("absent_since", Instant),
    Column("ended_at", Instant, index=True),
    Column("outcome", String(20)),
    Index("ix_flag_promises_flag_environment", "flag", "environment"),
    info=on_write(Topic.FLAGS),
)

# The last state of a flag that the bot has seen: another one means a change from elsewhere.
flag_sightings = Table(
    "flag_sightings",
    metadata,
    Column("flag", String(100), primary_key=True),
    Column("environment", String(100), primary_key=True),
    Column("version", Text, nullable=False),
    Column("state", JSON, nullable=False),
    Column("seen_at", Instant, nullable=False, index=True),
)
